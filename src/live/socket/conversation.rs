//! [`Conversation`]: one client, from its first message to the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::message::{self, Saying};
use super::{Ending, First};
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
    /// When something was last received.
    heard: Instant,
    told_position: Option<Position>,
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
            heard: Instant::now(),
            told_position: None,
        }
    }

    /// Talks until either side ends.
    pub(super) async fn run(mut self, first: First) {
        let ending = match first {
            Some((filter, cursor)) => self.subscribe(String::new(), filter, cursor).await,
            None => Ok(()),
        };
        let ending = match ending {
            Ok(()) => self.talk().await,
            Err(ending) => ending,
        };
        if let Some(Ending(code, reason)) = ending {
            let reason = Utf8Bytes::from(&*reason);
            let goodbye = async {
                if self
                    .socket
                    .close(Some(CloseFrame { code, reason }))
                    .await
                    .is_ok()
                {
                    while let Some(Ok(_)) = self.socket.next().await {}
                }
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }

    /// `None` where there is nobody to be told why.
    async fn talk(&mut self) -> Option<Ending> {
        loop {
            let step = tokio::select! {
                item = self.feed.next() => self.tell(item).await,
                received = self.socket.next() => match received {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(fault(&error)),
                    None => Err(None),
                },
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    async fn tell(&mut self, item: FeedItem) -> Result<(), Option<Ending>> {
        match item {
            FeedItem::Told(told) => {
                self.taken = told.through.or(self.taken);
                let wanted = |told: &Told| {
                    let mut filters = self.subscriptions.iter().map(|(_, filter)| filter);
                    told.concerns(|update| filters.clone().any(|filter| filter.matches(update)))
                        && filters.next().is_some()
                };
                if wanted(&told)
                    && let Some(frame) = self.hub.frame(&told)
                {
                    self.send(frame.json).await?;
                }
                Ok(())
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
                Err(Some(Ending(code, reason.as_str().into())))
            }
        }
    }

    /// Says up to where everything was told, and asks whether the client is there.
    async fn ping(&mut self, position: Option<Position>) -> Result<(), Option<Ending>> {
        if self.heard.elapsed() > self.hub.keep_alive * 3 {
            return Err(Some(Ending(
                CloseCode::Policy,
                "pings were not answered".into(),
            )));
        }
        if let Some(position) = position {
            self.taken = Some(position.into());
            if !self.subscriptions.is_empty()
                && self.told_position.replace(position) != Some(position)
            {
                self.send(message::position(position)).await?;
            }
        }
        self.write(Message::Ping(Bytes::new())).await
    }

    async fn hear(&mut self, message: Message) -> Result<(), Option<Ending>> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                let reason = "messages are JSON, as text";
                return Err(Some(Ending(CloseCode::Unsupported, reason.into())));
            }
            // Pings are answered by the library; a close ends the stream of messages.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {
                return Ok(());
            }
        };
        match Saying::parse(&text, &self.hub) {
            Ok(Saying::Subscribe { name, wanted }) => match wanted {
                Ok((filter, cursor)) => self.subscribe(name, filter, cursor).await,
                Err(problem) => self.send(message::refused(&name, problem.detail())).await,
            },
            Ok(Saying::Unsubscribe { name }) => {
                self.subscriptions.retain(|(own, _)| *own != name);
                self.send(message::unsubscribed(&name)).await
            }
            Err(why) => Err(Some(Ending(CloseCode::Policy, why.into()))),
        }
    }

    /// Adds a subscription, or replaces that of this name, and tells what came behind `cursor` and was taken already.
    async fn subscribe(
        &mut self,
        name: String,
        mut filter: Filter,
        cursor: Option<UpdateCursor>,
    ) -> Result<(), Option<Ending>> {
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
        let position = self.taken.map(|taken| taken.position);
        self.send(message::subscribed(
            &name,
            position.filter(|_| cursor.is_none()),
        ))
        .await?;
        let resumed = match cursor {
            Some(cursor) => self.replay(&filter, cursor).await?,
            None => Ok(()),
        };
        self.subscriptions.push((name, filter));
        match resumed {
            Ok(()) => Ok(()),
            Err(reason) => {
                let position = self.taken.map(|taken| taken.position);
                let missed = self.hub.missed(LostPlace { reason, position });
                self.send(missed.json).await
            }
        }
    }

    /// Tells of the history what stands behind `cursor` and was taken from the feed already; what was not still comes.
    async fn replay(
        &mut self,
        filter: &Filter,
        cursor: UpdateCursor,
    ) -> Result<Result<(), &'static str>, Option<Ending>> {
        let mut next = match self.hub.resume(cursor).await {
            Ok(number) => number,
            Err(reason) => return Ok(Err(reason)),
        };
        loop {
            let page = match self.hub.views.next_told(next, PAGE) {
                NextTold::Page(page) => page,
                NextTold::Live(_) => return Ok(Ok(())),
                NextTold::Lost(_) => return Ok(Err(FORGOTTEN)),
            };
            next = page.next;
            for told in page.told {
                let is_to_come = match (told.through, self.taken) {
                    (Some(through), Some(taken)) => through.is_after(taken),
                    _ => true,
                };
                if is_to_come {
                    return Ok(Ok(()));
                }
                if told.concerns(|update| filter.matches(update))
                    && let Some(frame) = self.hub.frame(&told)
                {
                    self.send(frame.json).await?;
                }
            }
        }
    }

    async fn send(&mut self, json: Bytes) -> Result<(), Option<Ending>> {
        // It is JSON that was written here.
        let text = Utf8Bytes::try_from(json).map_err(|_| None)?;
        self.write(Message::Text(text)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Option<Ending>> {
        let written = timeout(WRITE, self.socket.send(message)).await;
        self.feed.sent();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(fault(&error)),
            Err(_) => {
                self.hub.note_end(EndReason::TooSlow);
                // It takes nothing, not even a goodbye.
                Err(None)
            }
        }
    }
}

/// What a client is told that broke the protocol.
fn fault(error: &Error) -> Option<Ending> {
    match error {
        Error::Capacity(_) => Some(Ending(
            CloseCode::Size,
            "a message is larger than 32 KiB".into(),
        )),
        Error::Utf8(_) => Some(Ending(CloseCode::Invalid, "a text is not UTF-8".into())),
        Error::Protocol(error) => Some(Ending(CloseCode::Protocol, error.to_string().into())),
        _ => None,
    }
}
