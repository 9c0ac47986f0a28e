//! [`Conversation`]: one client, from its first message to the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::message::{self, ClientMessage};
use super::{Close, Subscription};
use crate::live::access::Admission;
use crate::live::ending::{EndReason, LostPlace};
use crate::live::feed::{Feed, FeedItem, PAGE};
use crate::live::filter::Filter;
use crate::live::hub::{FORGOTTEN, Hub};
use crate::log::{NextTold, Told};
use crate::position::Position;
use crate::update::UpdateCursor;

/// The most subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 64;
/// The most pings without a sign of life.
const MAX_UNANSWERED: u8 = 3;
/// How long a client may take for what it is sent.
const WRITE: Duration = Duration::from_secs(10);
/// How long a client may take to answer a close.
const GOODBYE: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// One client.
pub(super) struct Conversation {
    hub: Arc<Hub>,
    socket: Socket,
    feed: Feed,
    /// Up to where everything was taken from the feed.
    taken: Option<UpdateCursor>,
    /// What a ticket lets it listen to.
    allowed: Option<HashSet<Box<str>>>,
    subscriptions: Vec<(String, Filter)>,
    /// Pings since something was received.
    unanswered: u8,
    told_position: Option<Position>,
}

/// What came of telling a client what it missed.
enum Replayed {
    All,
    Lost(&'static str),
}

impl Conversation {
    pub(super) fn new(hub: Arc<Hub>, admission: Admission, socket: Socket) -> Self {
        let (feed, position) = Feed::new(Arc::clone(&hub), None, admission.expires);
        Self {
            hub,
            socket,
            feed,
            taken: position.map(UpdateCursor::from),
            allowed: admission.subjects,
            subscriptions: Vec::new(),
            unanswered: 0,
            told_position: None,
        }
    }

    /// Talks until either side ends.
    pub(super) async fn run(mut self, first: Option<Subscription>) {
        let subscribed = match first {
            Some(first) => self.subscribe(String::new(), first).await,
            None => Ok(()),
        };
        let close = match subscribed {
            Ok(()) => self.talk().await,
            Err(close) => close,
        };
        let Close::Say(code, reason) = close else {
            return;
        };
        let reason = Utf8Bytes::from(&*reason);
        let goodbye = async {
            let frame = CloseFrame { code, reason };
            if self.socket.close(Some(frame)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }

    async fn talk(&mut self) -> Close {
        loop {
            let step = tokio::select! {
                item = self.feed.next() => self.tell(item).await,
                received = self.socket.next() => match received {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(fault(&error)),
                    None => Err(Close::Gone),
                },
            };
            if let Err(close) = step {
                return close;
            }
        }
    }

    async fn tell(&mut self, item: FeedItem) -> Result<(), Close> {
        match item {
            FeedItem::Told(told) => {
                self.taken = told.through.or(self.taken);
                match self.wants(&told) {
                    true => self.send_told(&told).await,
                    false => Ok(()),
                }
            }
            FeedItem::Missed(lost) => self.send(self.hub.missed(lost).json).await,
            FeedItem::Silence(position) => self.ping(position).await,
            FeedItem::End(reason) => {
                self.hub.note_end(reason);
                let code = match reason {
                    EndReason::TooSlow => CloseCode::Again,
                    EndReason::Expired => CloseCode::Policy,
                    EndReason::Closing => CloseCode::Away,
                };
                Err(Close::Say(code, reason.as_str().into()))
            }
        }
    }

    /// Whether some subscription is about `told`.
    fn wants(&self, told: &Told) -> bool {
        let filters = || self.subscriptions.iter().map(|(_, filter)| filter);
        !self.subscriptions.is_empty()
            && told.concerns(|update| filters().any(|filter| filter.matches(update)))
    }

    /// Says up to where everything was told, and asks whether the client is there.
    async fn ping(&mut self, position: Option<Position>) -> Result<(), Close> {
        if self.unanswered >= MAX_UNANSWERED {
            let reason = "three pings were not answered";
            return Err(Close::Say(CloseCode::Policy, reason.into()));
        }
        if let Some(position) = position {
            self.taken = Some(position.into());
            let is_new = self.told_position != Some(position);
            if is_new && !self.subscriptions.is_empty() {
                self.told_position = Some(position);
                self.send(message::position(position)).await?;
            }
        }
        self.unanswered += 1;
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), Close> {
        self.unanswered = 0;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let reason = "messages are JSON, as text";
                return Err(Close::Say(CloseCode::Unsupported, reason.into()));
            }
            // Pings are answered by the library; a close ends the stream of messages.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return Ok(());
            }
        };
        match ClientMessage::parse(&text, &self.hub) {
            Ok(ClientMessage::Subscribe { name, wanted }) => match wanted {
                Ok(wanted) => self.subscribe(name, wanted).await,
                Err(problem) => self.send(message::refused(&name, problem.detail())).await,
            },
            Ok(ClientMessage::Unsubscribe { name }) => {
                self.subscriptions.retain(|(own, _)| *own != name);
                self.send(message::unsubscribed(&name)).await
            }
            Err(why) => Err(Close::Say(CloseCode::Policy, why.into())),
        }
    }

    /// Adds a subscription, or replaces that of this name, and tells what came behind its cursor and was taken already.
    async fn subscribe(&mut self, name: String, wanted: Subscription) -> Result<(), Close> {
        let Subscription { mut filter, cursor } = wanted;
        if let Some(allowed) = &self.allowed
            && let Err(problem) = filter.within(allowed)
        {
            return self.send(message::refused(&name, problem.detail())).await;
        }
        self.subscriptions.retain(|(own, _)| *own != name);
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let why = format!("more than {MAX_SUBSCRIPTIONS} subscriptions");
            return self.send(message::refused(&name, &why)).await;
        }
        let from = self.taken.filter(|_| cursor.is_none());
        self.send(message::subscribed(&name, from)).await?;
        let replayed = match cursor {
            Some(cursor) => self.replay(&filter, cursor).await?,
            None => Replayed::All,
        };
        self.subscriptions.push((name, filter));
        match replayed {
            Replayed::All => Ok(()),
            Replayed::Lost(reason) => {
                let from = self.taken;
                let missed = self.hub.missed(LostPlace { reason, from });
                self.send(missed.json).await
            }
        }
    }

    /// Tells of the history what stands behind `cursor` and was taken from the feed already; what was not still comes.
    async fn replay(&mut self, filter: &Filter, cursor: UpdateCursor) -> Result<Replayed, Close> {
        let mut next = match self.hub.resume(cursor).await {
            Ok(number) => number,
            Err(reason) => return Ok(Replayed::Lost(reason)),
        };
        loop {
            let page = match self.hub.views.next_told(next, PAGE) {
                NextTold::Page(page) => page,
                NextTold::Live(_) => return Ok(Replayed::All),
                NextTold::Lost(_) => return Ok(Replayed::Lost(FORGOTTEN)),
            };
            next = page.next;
            for told in page.told {
                if self.is_to_come(&told) {
                    return Ok(Replayed::All);
                }
                if told.concerns(|update| filter.matches(update)) {
                    self.send_told(&told).await?;
                }
            }
            // A filter that lets nothing pass waits for nobody.
            yield_now().await;
        }
    }

    /// Whether the feed still has `told`, be it behind the beginning of another epoch.
    fn is_to_come(&self, told: &Told) -> bool {
        match (told.through, self.taken) {
            (Some(through), Some(taken)) => {
                through.position.epoch != taken.position.epoch || through.is_after(taken)
            }
            _ => true,
        }
    }

    async fn send_told(&mut self, told: &Told) -> Result<(), Close> {
        let json = self.hub.frame(told).map(|frame| frame.json.clone());
        match json {
            Some(json) => self.send(json).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, json: Bytes) -> Result<(), Close> {
        // It is JSON that was written here.
        let text = Utf8Bytes::try_from(json).map_err(|_| Close::Gone)?;
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Close> {
        let written = timeout(WRITE, self.socket.send(message)).await;
        self.feed.sent();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(fault(&error)),
            Err(_) => {
                self.hub.note_end(EndReason::TooSlow);
                // It takes nothing, not even a goodbye.
                Err(Close::Gone)
            }
        }
    }
}

/// What a client is told that broke the protocol.
fn fault(error: &Error) -> Close {
    match error {
        Error::Capacity(_) => Close::Say(CloseCode::Size, "a message is larger than 32 KiB".into()),
        Error::Utf8(_) => Close::Say(CloseCode::Invalid, "a text is not UTF-8".into()),
        Error::Protocol(error) => Close::Say(CloseCode::Protocol, error.to_string().into()),
        _ => Close::Gone,
    }
}
