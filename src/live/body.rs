//! [`LiveBody`]: server-sent events as they come, or a text.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use http_body::{Body, Frame, SizeHint};

use crate::live::ending::EndReason;
use crate::live::feed::{Feed, FeedItem};
use crate::live::filter::Filter;
use crate::live::hub::{Hub, POSITION};
use crate::live::slots::ClientSlot;
use crate::position::Position;
use crate::update::Update;

/// The body of an answer of [`LiveService`](super::LiveService).
pub struct LiveBody(Content);

enum Content {
    Text(Option<Bytes>),
    Events(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// The updates of one client.
struct Events {
    hub: Arc<Hub>,
    feed: Feed,
    /// `None` for who wants everything but alerts, as most do: it is large.
    filter: Option<Box<Filter>>,
    /// What is said before anything happens.
    opening: Option<Bytes>,
    ended: bool,
    /// Held until the stream is dropped.
    _slot: ClientSlot,
}

impl LiveBody {
    pub(super) fn full(text: impl Into<Bytes>) -> Self {
        Self(Content::Text(Some(text.into())))
    }

    /// A stream that is at its end, as this server is.
    pub(super) fn farewell(hub: &Hub) -> Self {
        let end = hub.farewell(EndReason::Closing).sse;
        let opening = format!("retry: {}\n\n", hub.retry_after());
        Self::full([opening.as_bytes(), &end].concat())
    }

    /// The events of `feed` that pass `filter`. All up to `position` was told before.
    pub(super) fn events(
        hub: Arc<Hub>,
        feed: Feed,
        position: Option<Position>,
        filter: Filter,
        slot: ClientSlot,
    ) -> Self {
        let opening = format!("retry: {}\n{}", hub.retry_after(), told_up_to(position));
        let events = Events {
            hub,
            feed,
            filter: (filter != Filter::default()).then(|| Box::new(filter)),
            opening: Some(opening.into()),
            ended: false,
            _slot: slot,
        };
        let next = |mut events: Events| async move { Some((events.next().await?, events)) };
        Self(Content::Events(Box::pin(unfold(events, next))))
    }
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        if self.ended {
            return None;
        }
        let frame = loop {
            match self.feed.next().await {
                FeedItem::Told(told) => {
                    let wants = |update: &Update| {
                        let filter = self.filter.as_ref();
                        match filter {
                            Some(filter) => filter.matches(update),
                            None => !update.is_alert(),
                        }
                    };
                    if told.concerns(wants)
                        && let Some(frame) = self.hub.frame(&told)
                    {
                        break frame.sse.clone();
                    }
                }
                FeedItem::Missed(lost) => break self.hub.missed(lost).sse,
                FeedItem::Silence(position) => break told_up_to(position).into(),
                FeedItem::End(reason) => {
                    self.ended = true;
                    self.hub.note_end(reason);
                    break self.hub.farewell(reason).sse;
                }
            }
        };
        self.feed.sent();
        Some(frame)
    }
}

/// Says that the stream is alive, and up to where all was told. A comment and an `id` alone would do for the browser, but the
/// script that connects again by itself would see neither: an event with an empty line of data is dispatched (WHATWG HTML
/// §9.2.6).
fn told_up_to(position: Option<Position>) -> String {
    let id = position.map_or_else(String::new, |position| format!("id: {position}\n"));
    format!("event: {POSITION}\n{id}data:\n\n")
}

impl Body for LiveBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut self.0 {
            Content::Text(text) => Poll::Ready(text.take()),
            Content::Events(events) => events.as_mut().poll_next(cx),
        };
        bytes.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Text(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Content::Events(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for LiveBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Content::Text(_) => "LiveBody(text)",
            Content::Events(_) => "LiveBody(events)",
        })
    }
}
