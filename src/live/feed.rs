//! [`Feed`]: what one client is told, in order: from where it was, then as it comes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock::Timestamp;
use crate::live::ending::{EndReason, LostPlace};
use crate::live::hub::{FORGOTTEN, Hub};
use crate::log::{Listening, NextTold, Told};
use crate::position::Position;
use crate::update::UpdateCursor;

/// How many messages of the history are taken at once.
pub(super) const PAGE: usize = 64;

/// What a feed has next.
#[derive(Debug)]
pub(super) enum FeedItem {
    Told(Arc<Told>),
    /// What came before may be missing.
    Missed(LostPlace),
    /// Nothing for a while. All that was announced up to the position has been told.
    Silence(Option<Position>),
    End(EndReason),
}

/// What one client is told.
#[derive(Debug)]
pub(super) struct Feed {
    hub: Arc<Hub>,
    stage: Stage,
    expires: Option<Timestamp>,
    /// When something was last handed on.
    last: Instant,
    timer: Pin<Box<Sleep>>,
}

#[derive(Debug)]
enum Stage {
    /// The client was told everything up to the cursor.
    Resuming(UpdateCursor),
    /// Messages of the history, and the number of the one behind.
    Replaying(VecDeque<Arc<Told>>, u64),
    Live(broadcast::Receiver<Arc<Told>>),
}

impl Feed {
    /// Tells what comes from now on, and returns up to where everything was told before; or what comes behind `cursor`.
    pub(super) fn new(
        hub: Arc<Hub>,
        cursor: Option<UpdateCursor>,
        expires: Option<Timestamp>,
    ) -> (Self, Option<Position>) {
        let (stage, position) = match cursor {
            Some(cursor) => (Stage::Resuming(cursor), None),
            None => {
                let Listening { receiver, position } = hub.views.listen();
                (Stage::Live(receiver), position)
            }
        };
        let last = Instant::now();
        let mut feed = Self {
            timer: Box::pin(sleep_until(last)),
            hub,
            stage,
            expires,
            last,
        };
        feed.set_timer();
        (feed, position)
    }

    /// What comes next. After an end there is nothing more to ask for.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub(super) async fn next(&mut self) -> FeedItem {
        loop {
            if let Some(end) = self.end() {
                return FeedItem::End(end);
            }
            match &mut self.stage {
                Stage::Resuming(cursor) => {
                    let cursor = *cursor;
                    // Boxed: it is large, and over when a client only listens.
                    match Box::pin(self.hub.resume(cursor)).await {
                        Ok(number) => self.stage = Stage::Replaying(VecDeque::new(), number),
                        Err(reason) => {
                            let listening = self.hub.views.listen();
                            return self.miss(reason, listening);
                        }
                    }
                }
                Stage::Replaying(page, next) => {
                    if let Some(told) = page.pop_front() {
                        return self.told(told);
                    }
                    match self.hub.views.next_told(*next, PAGE) {
                        NextTold::Page(new) => (*page, *next) = (new.told.into(), new.next),
                        NextTold::Lost(listening) => return self.miss(FORGOTTEN, listening),
                        NextTold::Live(Listening { receiver, position }) => {
                            self.stage = Stage::Live(receiver);
                            return FeedItem::Silence(position);
                        }
                    }
                }
                Stage::Live(receiver) => {
                    tokio::select! {
                        biased;
                        told = receiver.recv() => match told {
                            Ok(told) if told.message.is_some() => return self.told(told),
                            // To look again whether this ends.
                            Ok(_) => {}
                            Err(RecvError::Lagged(_)) => return FeedItem::End(EndReason::TooSlow),
                            Err(RecvError::Closed) => return FeedItem::End(EndReason::Closing),
                        },
                        () = self.timer.as_mut() => if let Some(silence) = self.silence() {
                            return silence;
                        },
                    }
                }
            }
        }
    }

    fn told(&mut self, told: Arc<Told>) -> FeedItem {
        // Messages come one after the other, and the timer is not set for each.
        match self.end() {
            Some(end) => FeedItem::End(end),
            None => FeedItem::Told(told),
        }
    }

    /// Something was sent: it is not silent.
    pub(super) fn sent(&mut self) {
        self.last = Instant::now();
    }

    fn miss(&mut self, reason: &'static str, listening: Listening) -> FeedItem {
        let Listening { receiver, position } = listening;
        self.stage = Stage::Live(receiver);
        let from = position.map(UpdateCursor::from);
        FeedItem::Missed(LostPlace { reason, from })
    }

    fn end(&self) -> Option<EndReason> {
        if self.hub.is_closed() {
            return Some(EndReason::Closing);
        }
        let expired = self.expires.is_some_and(|at| self.hub.clock.now() >= at);
        expired.then_some(EndReason::Expired)
    }

    /// The timer is due: `None` if something was sent meanwhile.
    fn silence(&mut self) -> Option<FeedItem> {
        let silent = self.last.elapsed() >= self.hub.keep_alive;
        if silent {
            self.last = Instant::now();
        }
        self.set_timer();
        let Stage::Live(receiver) = &self.stage else {
            return None;
        };
        silent.then(|| FeedItem::Silence(self.hub.views.told_up_to(receiver)))
    }

    fn set_timer(&mut self) {
        let mut at = self.last + self.hub.keep_alive;
        if let Some(expires) = self.expires {
            let left = expires.since(self.hub.clock.now());
            at = at.min(Instant::now() + left);
        }
        self.timer.as_mut().reset(at);
    }
}
