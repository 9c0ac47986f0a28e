//! [`Courier`]: brings alerts to their receivers, each queue in order, and no queue waits for another.
//!
//! The keeper's node does so. How often an alert was tried stands in the store, so that whoever is the keeper next goes on
//! there. An alert may come twice, when a node dies behind a delivery: with the same id, which receivers know it by.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::keeper::KeeperState;
use super::queue::AlertQueue;
use super::store::{ActivityStore, Settlement, WaitingAlert};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::defaults::{ALERT_FIRST_PAUSE, ALERT_LONGEST_PAUSE, ALERT_TRIED_FOR};
use crate::error::Error;

/// The pauses between tries of an alert.
const TRIES: Backoff = Backoff::new(ALERT_FIRST_PAUSE, ALERT_LONGEST_PAUSE);
/// What a receiver refuses is given up after so many tries, a quarter of an hour: its operator may mend it meanwhile.
const REFUSALS: u32 = 10;
/// A receiver may say that it wants to be left alone, for so long at most.
const LONGEST_REST: Duration = Duration::from_secs(3_600);
/// How often queues are looked for beside those that the keeper fills: alerts that are sent again.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The longest that the time of a try is slept through at once.
const LOOK_AT_CLOCK: Duration = Duration::from_millis(250);
/// The pauses after the store failed.
const PAUSES: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
/// The most queues that are worked on: more than a configuration has.
const MAX_QUEUES: usize = 4_096;
/// The most alerts that are sent at once. Who waits for the time of the next try is not among them.
const MAX_AT_ONCE: usize = 256;
/// How long a node that stops waits for what is on its way.
const LAST: Duration = Duration::from_secs(5);

/// Why an alert was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// It may be taken later; not before that time, if the receiver said one.
    Later(String, Option<Duration>),
    /// The receiver, or a rule about where requests may go, refuses it; somebody may mend that.
    Refused(String),
    /// It will never be taken.
    Never(String),
}

/// Who brings an alert to the receiver of a queue.
pub(crate) trait AlertSender: std::fmt::Debug + Send + Sync + 'static {
    fn send<'a>(
        &'a self,
        queue: &'a AlertQueue,
        alert: &'a WaitingAlert,
    ) -> BoxFuture<'a, Result<(), Undelivered>>;
}

/// Brings alerts to their receivers.
#[derive(Debug)]
pub(crate) struct Courier {
    store: Arc<dyn ActivityStore>,
    clock: Arc<dyn Clock>,
    sender: Arc<dyn AlertSender>,
    turns: Semaphore,
}

impl Courier {
    pub(crate) fn new(
        store: Arc<dyn ActivityStore>,
        clock: Arc<dyn Clock>,
        sender: Arc<dyn AlertSender>,
    ) -> Self {
        Self {
            store,
            clock,
            sender,
            turns: Semaphore::new(MAX_AT_ONCE),
        }
    }

    /// Delivers, while this node is the keeper as `keeper` says, until `stop`; then ends what is on its way.
    pub(crate) async fn run(
        &self,
        mut keeper: watch::Receiver<KeeperState>,
        stop: &CancellationToken,
    ) {
        let mut on_their_way = FuturesUnordered::new();
        let mut busy = HashSet::<Box<str>>::new();
        loop {
            let name = keeper.borrow_and_update().keeper.clone();
            match &name {
                None => {
                    on_their_way.clear();
                    busy.clear();
                }
                Some(name) => {
                    // What cannot be read is looked for again soon.
                    for queue in self.store.queues().await.unwrap_or_default() {
                        if busy.len() < MAX_QUEUES && busy.insert(queue.clone()) {
                            on_their_way.push(self.deliver(name.clone(), queue, stop));
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = keeper.changed() => if changed.is_err() {
                    break;
                },
                () = sleep(LOOK_EVERY) => {}
                Some(queue) = on_their_way.next() => {
                    busy.remove(&queue);
                }
            }
        }
        let last = async { while on_their_way.next().await.is_some() {} };
        let _ = timeout(LAST, last).await;
    }

    /// Delivers all alerts of `queue` until `stop`; returns its name when there are no more, or this node is not the keeper.
    async fn deliver(
        &self,
        keeper: Box<str>,
        queue: Box<str>,
        stop: &CancellationToken,
    ) -> Box<str> {
        let mut pauses = PAUSES;
        while !stop.is_cancelled() {
            match self.deliver_first(&keeper, &queue, stop).await {
                Ok(true) => pauses.reset(),
                Ok(false) => break,
                Err(error) => {
                    tracing::debug!(%error, %queue, "an alert waits for its store");
                    if pauses.failures() > 3 {
                        break;
                    }
                    sleep(pauses.pause()).await;
                }
            }
        }
        queue
    }

    /// Whether there may be more.
    async fn deliver_first(
        &self,
        keeper: &str,
        queue: &str,
        stop: &CancellationToken,
    ) -> Result<bool, Error> {
        let Some(alert) = self.store.first(keeper, queue).await? else {
            return Ok(false);
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(false),
            () = self.wait_for_turn(&alert) => {}
        }
        let turn = self.turns.acquire().await;
        let sent = match queue.parse::<AlertQueue>() {
            Ok(known) => self.sender.send(&known, &alert).await,
            Err(_) => Err(Undelivered::Never("no receiver has this name".to_owned())),
        };
        drop(turn);
        let settlement = self.settlement(&alert, sent, queue);
        let is_settled = self.settle(keeper, queue, alert.id, &settlement).await?;
        if !is_settled {
            // Somebody else is the keeper, which is noticed soon.
            sleep(LOOK_EVERY).await;
        }
        Ok(is_settled)
    }

    /// What was delivered is not to be sent again because the store did not answer.
    async fn settle(
        &self,
        keeper: &str,
        queue: &str,
        id: u128,
        settlement: &Settlement,
    ) -> Result<bool, Error> {
        let mut pauses = PAUSES;
        loop {
            let settled = self.store.settle(keeper, queue, id, settlement).await;
            if settled.is_ok() || pauses.failures() > 5 {
                return settled;
            }
            sleep(pauses.pause()).await;
        }
    }

    /// Waits until `alert` may be tried. Clocks of nodes differ: never longer than what there is between two tries.
    async fn wait_for_turn(&self, alert: &WaitingAlert) {
        let began = self.clock.monotonic();
        let wait = alert.next.since(self.clock.now()).min(LONGEST_REST);
        let waited = || self.clock.monotonic().saturating_sub(began);
        while waited() < wait {
            sleep((wait - waited()).min(LOOK_AT_CLOCK)).await;
        }
    }

    fn settlement(
        &self,
        alert: &WaitingAlert,
        sent: Result<(), Undelivered>,
        queue: &str,
    ) -> Settlement {
        let at = self.clock.now();
        let attempts = alert.attempts.saturating_add(1);
        let id = format_args!("{:032x}", alert.id).to_string();
        let (why, after, is_over) = match sent {
            Ok(()) => return Settlement::Delivered,
            Err(Undelivered::Never(why)) => (why, None, true),
            Err(Undelivered::Refused(why)) => (why, None, attempts >= REFUSALS),
            Err(Undelivered::Later(why, after)) => {
                let is_old = at.since(alert.raised_at()) >= ALERT_TRIED_FOR;
                (why, after, is_old && attempts >= REFUSALS)
            }
        };
        if is_over {
            tracing::warn!(queue, id, attempts, why, "an alert could not be delivered");
            let reason = why.into();
            return Settlement::GivenUp { reason, at };
        }
        tracing::debug!(
            queue,
            id,
            attempts,
            why,
            "an alert was not delivered; it is tried again"
        );
        let pause = TRIES.after(alert.attempts).pause();
        let pause = after.map_or(pause, |after| pause.max(after.min(LONGEST_REST)));
        Settlement::Again {
            attempts,
            next: at.plus(pause),
        }
    }
}

#[cfg(test)]
mod tests;
