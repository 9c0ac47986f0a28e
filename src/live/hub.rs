//! [`Hub`]: what all clients of one service share.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::clock::{Clock, millis};
use crate::error::ConfigError;
use crate::live::LiveSettings;
use crate::live::access::Access;
use crate::live::ending::{EndReason, LostPlace};
use crate::live::settings::WORDS;
use crate::live::slots::ClientSlots;
use crate::log::{
    Announcement, ClientFrame, LossReason, Resumption, ResyncReason, Told, UpdateMessage, Views,
};
use crate::place::Setting;
use crate::spelling::written;
use crate::update::{ALERT, RESYNC, UpdateCursor};
use crate::web::Subjects;

/// The event that says why a stream ends.
const END: &str = "end";
/// Up to where all was told.
pub(super) const POSITION: &str = "position";
/// How long a client waits for this process to read as far as the client was told by another.
const CATCH_UP: Duration = Duration::from_secs(5);
/// What somebody is told who was away for too long.
pub(super) const FORGOTTEN: &str = "what came after that id is no longer kept";

/// What all clients of one service share.
pub(super) struct Hub {
    pub(super) views: Arc<Views>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) access: Access,
    pub(super) subjects: Subjects,
    pub(super) slots: Arc<ClientSlots>,
    /// Without a slash at the end.
    pub(super) path: String,
    event: String,
    pub(super) keep_alive: Duration,
    retry: Duration,
    closed: AtomicBool,
    written: AtomicU64,
    too_slow: AtomicU64,
}

/// How many listen, and what was done for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LiveStats {
    /// Clients that are connected.
    pub clients: usize,
    /// Messages that were written as JSON: each once, however many clients there are.
    pub written: u64,
    /// Clients that were dropped because they were too slow to take what they were told.
    pub too_slow: u64,
}

impl Hub {
    pub(super) fn new(
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        settings: &LiveSettings,
    ) -> Result<Self, ConfigError> {
        check(settings)?;
        Ok(Self {
            views,
            clock,
            access: Access::new(settings)?,
            subjects: Subjects::compile(WORDS, &settings.subjects)?,
            slots: Arc::new(ClientSlots::new(settings)?),
            path: settings.path.trim_end_matches('/').to_owned(),
            event: settings.event.clone(),
            keep_alive: settings.keep_alive.0,
            retry: settings.retry.0,
            closed: AtomicBool::new(false),
            written: AtomicU64::new(0),
            too_slow: AtomicU64::new(0),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.views.updates.wake();
    }

    /// After how many milliseconds a client connects again: another time for each, so that not all come at once.
    pub(super) fn retry_after(&self) -> u64 {
        let retry = millis(self.retry);
        retry + fastrand::u64(..=retry / 2)
    }

    pub(super) fn stats(&self) -> LiveStats {
        LiveStats {
            clients: self.slots.taken(),
            written: self.written.load(Ordering::Relaxed),
            too_slow: self.too_slow.load(Ordering::Relaxed),
        }
    }

    /// Where in the history somebody goes on who was told everything up to `cursor`, or why nowhere. Waits if this process
    /// has not read as far yet.
    pub(super) async fn resume(&self, cursor: UpdateCursor) -> Result<u64, &'static str> {
        let mut resumed = Resumption::NotJoined;
        let there = async {
            let mut moved = self.views.watch();
            loop {
                resumed = self.views.resume(cursor);
                let waits = matches!(resumed, Resumption::Ahead | Resumption::NotJoined);
                if !waits || moved.changed().await.is_err() {
                    return;
                }
            }
        };
        // What was found last counts.
        let _ = timeout(CATCH_UP, there).await;
        match resumed {
            Resumption::History(number) => Ok(number),
            Resumption::Ahead => Err("this server has not read as far as that id"),
            Resumption::NotJoined => Err("this server has not reached its log yet"),
            Resumption::Lost(LossReason::OtherEpoch) => {
                Err("the log began anew, and that id is of the old one")
            }
            Resumption::Lost(LossReason::Forgotten) => Err(FORGOTTEN),
        }
    }

    pub(super) fn note_end(&self, reason: EndReason) {
        if reason == EndReason::TooSlow {
            self.too_slow.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(
            reason = reason.as_str(),
            "a client of live updates is let go"
        );
    }

    /// A message as it is sent, written once for all who are told.
    pub(super) fn frame<'a>(&self, told: &'a Told) -> Option<Cow<'a, ClientFrame>> {
        let message = told.message.as_ref()?;
        Some(told.frame(&self.event, || {
            self.written.fetch_add(1, Ordering::Relaxed);
            let id = told.through.map(|through| through.to_string());
            match message {
                UpdateMessage::Update(announcement) => {
                    let event = match announcement.update.is_alert() {
                        true => ALERT,
                        false => &*self.event,
                    };
                    self.write(event, id.as_deref(), &update(announcement))
                }
                UpdateMessage::Resync(resync) => {
                    let json = resync_json(id.as_deref(), &resync.reason);
                    self.write(RESYNC, id.as_deref(), &json)
                }
            }
        }))
    }

    /// What somebody is told who cannot go on where they were.
    pub(super) fn missed(&self, lost: LostPlace) -> ClientFrame {
        let id = lost.from.map(|from| from.to_string());
        let json = json!({ "type": RESYNC, "id": id, "reason": lost.reason });
        self.write(RESYNC, id.as_deref(), &json)
    }

    pub(super) fn farewell(&self, reason: EndReason) -> ClientFrame {
        let json = json!({ "type": END, "reason": reason.as_str() });
        self.write(END, None, &json)
    }

    /// A server-sent event (WHATWG HTML §9.2.5) whose JSON is a slice of it.
    fn write(&self, event: &str, id: Option<&str>, json: &Value) -> ClientFrame {
        let json = json.to_string();
        let mut text = format!("event: {event}\n");
        if let Some(id) = id {
            text.extend(["id: ", id, "\n"]);
        }
        text.push_str("data: ");
        let begin = text.len();
        text.push_str(&json);
        let end = text.len();
        text.push_str("\n\n");
        let sse = Bytes::from(text);
        ClientFrame {
            event: self.event.as_str().into(),
            json: sse.slice(begin..end),
            sse,
        }
    }
}

/// Whether path, name and times can be used.
fn check(settings: &LiveSettings) -> Result<(), ConfigError> {
    let wrong = |key, why, input: &str| ConfigError::new(Setting::of("live", key), why, input);
    let path = settings.path.trim_end_matches('/');
    let is_path = path.len() > 1 && path.starts_with('/');
    if !is_path || path.contains(['?', '#', '{', '}', '*', ' ']) || path.contains("//") {
        return Err(wrong("path", "not a path such as /events", &settings.path));
    }
    let event = &settings.event;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if !(1..=64).contains(&event.len()) || !event.bytes().all(is_word) {
        let why = "not 1 to 64 letters, digits, `_`, `-` and `.`";
        return Err(wrong("event", why, event));
    }
    // `open` and `error` are what a browser itself tells of a stream.
    if matches!(&**event, RESYNC | END | POSITION | "error" | "open") {
        return Err(wrong("event", "is the name of another event", event));
    }
    for (key, time) in [
        ("keep_alive", settings.keep_alive.0),
        ("retry", settings.retry.0),
    ] {
        if time < Duration::from_millis(10) || time > Duration::from_secs(3_600) {
            return Err(wrong(key, "not between 10ms and 1h", &written(time)));
        }
    }
    Ok(())
}

fn update(Announcement { id, at, update }: &Announcement) -> Value {
    let fields: Map<_, _> = update
        .fields()
        .map(|(n, v)| (n.to_owned(), v.into()))
        .collect();
    json!({
        "id": id.to_string(),
        "type": update.kind(),
        "subject": update.subject(),
        "time": at.as_millis(),
        "identity": update.identity(),
        "data": fields,
    })
}

fn resync_json(id: Option<&str>, reason: &ResyncReason) -> Value {
    let reason = match reason {
        ResyncReason::Joined => "this server joined the log; updates before may be missing",
        ResyncReason::Gap => "records of the log were missed",
        ResyncReason::Lagged(_) => EndReason::TooSlow.as_str(),
        ResyncReason::Announced(announcement) => announcement
            .update
            .get("reason")
            .unwrap_or("events may be missing"),
    };
    json!({ "type": RESYNC, "id": id, "reason": reason })
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Hub");
        debug.field("path", &self.path).finish_non_exhaustive()
    }
}
