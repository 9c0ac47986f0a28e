//! [`Registrar`]: what a node does for the roll: it registers with each heartbeat, acknowledges what purgers ask
//! for, and sees to the mark (PROTOCOL 34 to 36).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::chance::unique_word;
use crate::error::Error;
use crate::log::roll::{Registration, Roll, RollEntry, RollHead, Token, WaitTime, longest_wait};
use crate::position::{Epoch, Position};
use crate::weaken::{ProtocolRule, weakened};

/// The numbers of one heartbeat: each time that it is sent it has another, since what was given up may be executed later.
const BEATS: u64 = 8;

/// Of one process. Shared by its heartbeats and its acknowledgements.
#[derive(Debug)]
pub(crate) struct Registrar {
    name: Box<str>,
    lease: Duration,
    /// The longest lease that a node can have.
    longest: Duration,
    time: WaitTime,
    beats: AtomicU64,
    /// Held for moments, by heartbeats.
    mark: Mutex<MarkWatch>,
}

/// What was seen of the mark that is missing.
#[derive(Debug, Default)]
struct MarkWatch {
    /// The token that was there, and since when that is known.
    seen: Option<(Token, Duration)>,
    /// That token is our own.
    ours: bool,
}

/// What is to be done about the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    Offer(Option<Token>),
    Mark(Token),
}

impl Registrar {
    /// Of a node whose leases last `lease`, where none lasts longer than `longest`.
    pub(crate) fn new(lease: Duration, longest: Duration, time: WaitTime) -> Self {
        Self {
            name: unique_word().into(),
            lease,
            longest,
            time,
            beats: AtomicU64::new(0),
            mark: Mutex::default(),
        }
    }

    /// The name that it has on the roll.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the next heartbeat writes, of a node that has read the log up to `position`.
    pub(crate) fn next(&self, position: Option<Position>) -> RollEntry {
        RollEntry {
            name: self.name.clone(),
            lease: self.lease,
            beat: self.beats.fetch_add(BEATS, Ordering::Relaxed) + BEATS,
            position: position.unwrap_or(Position::new(0, 0)),
        }
    }

    /// Sees to it that there is a mark, if `registration` shows none for the epoch of its tip.
    ///
    /// # Errors
    /// The server's: it is tried again with the next heartbeat.
    pub(crate) async fn see_to_mark(
        &self,
        roll: &dyn Roll,
        registration: Registration,
    ) -> Result<(), Error> {
        let Registration { tip, taken, head } = registration;
        if !taken {
            return Ok(());
        }
        let wait = longest_wait(self.longest, tip.replicas > 0);
        let epoch = tip.position.epoch;
        let step = self.mark.lock().step(head, epoch, wait, self.time.now());
        match step {
            Step::Nothing => Ok(()),
            Step::Mark(token) => roll.mark(token).await,
            Step::Offer(before) => {
                let token = Token::new(epoch);
                roll.offer(token, before).await?;
                *self.mark.lock() = MarkWatch {
                    // From this reply on: who registered before it is waited out. [roll_token]
                    seen: Some((token, self.time.now())),
                    ours: true,
                };
                Ok(())
            }
        }
    }
}

impl MarkWatch {
    fn step(&mut self, head: RollHead, epoch: Epoch, wait: Duration, now: Duration) -> Step {
        if head.mark == Some(epoch) {
            *self = Self::default();
            return Step::Nothing;
        }
        let Some(token) = head.token.filter(|token| token.epoch == epoch) else {
            if weakened(ProtocolRule::RollToken)
                && self.ours
                && let Some((token, since)) = self.seen
                && token.epoch == epoch
            {
                // What must not be done: the wait goes on although the roll was lost.
                return match now.saturating_sub(since) >= wait {
                    true => Step::Mark(token),
                    false => Step::Nothing,
                };
            }
            return Step::Offer(head.token);
        };
        match self.seen {
            Some((seen, since)) if seen == token => {
                let elapsed = now.saturating_sub(since);
                match self.ours {
                    true if elapsed >= wait => Step::Mark(token),
                    // Whoever offered it has died.
                    false if elapsed >= wait * 2 => Step::Offer(Some(token)),
                    _ => Step::Nothing,
                }
            }
            _ => {
                *self = Self {
                    seen: Some((token, now)),
                    ours: false,
                };
                Step::Nothing
            }
        }
    }
}
