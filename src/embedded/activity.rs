//! The activity feed, counters and alerts, in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::ready;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::activity::{
    ActivityBatch, ActivityBounds, ActivityStore, AlertToRaise, Applied, Counted, CountedKey,
    CountedOf, FailedAlert, FeedQuery, Keeping, Ledger, MAX_FAILED, MAX_WAITING, Settlement,
    StoredActivity, WaitingAlert,
};
#[cfg(feature = "push")]
use crate::activity::{KeptSubscription, Subscribed};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::position::Position;
use crate::weaken::{ProtocolRule, weakened};

/// What is kept of activity in this process.
#[derive(Debug)]
pub(crate) struct EmbeddedActivity {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    told: Option<Position>,
    waiting: BTreeMap<Box<str>, VecDeque<WaitingAlert>>,
    /// Newest first.
    failed: VecDeque<FailedAlert>,
    rates: HashMap<Box<str>, Rate>,
    #[cfg(feature = "push")]
    subscriptions: BTreeMap<u128, String>,
}

/// How many alerts a rule has raised in a time.
#[derive(Debug, Default)]
struct Rate {
    since: Timestamp,
    raised: u32,
    suppressed: u64,
}

impl EmbeddedActivity {
    pub(crate) fn new(bounds: ActivityBounds) -> Self {
        let state = State {
            ledger: Ledger::new(bounds),
            told: None,
            waiting: BTreeMap::new(),
            failed: VecDeque::new(),
            rates: HashMap::new(),
            #[cfg(feature = "push")]
            subscriptions: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
        }
    }
}

impl State {
    fn apply(&mut self, batch: &ActivityBatch) -> Applied {
        if self.told != batch.behind && !weakened(ProtocolRule::KeptBehind) {
            return Applied::Elsewhere(self.told);
        }
        self.told = Some(batch.through);
        let mut new = 0;
        for change in &batch.changes {
            let (is_new, raised) = self.ledger.apply(change);
            new += u64::from(is_new);
            let at = change.at();
            raised.into_iter().for_each(|alert| self.raise(alert, at));
        }
        Applied::Done { new }
    }

    fn raise(&mut self, alert: &AlertToRaise, at: Timestamp) {
        let Some(suppressed) = self.take_place(alert, at) else {
            return;
        };
        for queue in &alert.queues {
            let waiting = WaitingAlert {
                id: alert.id,
                json: alert.json.clone(),
                suppressed,
                attempts: 0,
                next: Timestamp::default(),
            };
            let queued = self.waiting.entry(queue.clone()).or_default();
            if queued.len() < MAX_WAITING {
                queued.push_back(waiting);
            } else {
                self.fail(queue, waiting, "too many alerts wait for the receiver", at);
            }
        }
    }

    /// How many were held back before `alert`; `None` if it is held back too.
    fn take_place(&mut self, alert: &AlertToRaise, at: Timestamp) -> Option<u64> {
        let Some((most, per)) = alert.limit else {
            return Some(0);
        };
        let rate = self.rates.entry(alert.rule.clone()).or_default();
        // Clocks of nodes differ.
        let is_over = at.since(rate.since) >= per || rate.since.since(at) > per;
        if is_over {
            (rate.since, rate.raised) = (at, 0);
        }
        if rate.raised >= most {
            rate.suppressed += 1;
            return None;
        }
        rate.raised += 1;
        Some(std::mem::take(&mut rate.suppressed))
    }

    fn fail(&mut self, queue: &str, alert: WaitingAlert, reason: &str, at: Timestamp) {
        self.failed.push_front(FailedAlert {
            queue: queue.into(),
            id: alert.id,
            json: alert.json,
            suppressed: alert.suppressed,
            reason: reason.into(),
            at,
        });
        self.failed.truncate(MAX_FAILED);
    }

    fn settle(&mut self, queue: &str, id: u128, settlement: &Settlement) -> bool {
        let Some(queued) = self.waiting.get_mut(queue) else {
            return false;
        };
        let Some(first) = queued.front_mut().filter(|first| first.id == id) else {
            return false;
        };
        if let Settlement::Again { attempts, next } = settlement {
            (first.attempts, first.next) = (*attempts, *next);
            return true;
        }
        let first = queued.pop_front();
        if queued.is_empty() {
            self.waiting.remove(queue);
        }
        if let (Some(first), Settlement::GivenUp { reason, at }) = (first, settlement) {
            self.fail(queue, first, reason, *at);
        }
        true
    }

    fn send_again(&mut self, id: Option<u128>) -> usize {
        let all = std::mem::take(&mut self.failed);
        let is_wanted = |failed: &FailedAlert| id.is_none_or(|id| id == failed.id);
        let (wanted, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(is_wanted);
        self.failed = kept.into();
        // Oldest first.
        let mut again = 0;
        for failed in wanted.into_iter().rev() {
            let queued = self.waiting.entry(failed.queue.clone()).or_default();
            if queued.len() >= MAX_WAITING {
                self.failed.push_front(failed);
                continue;
            }
            again += 1;
            queued.push_back(WaitingAlert {
                id: failed.id,
                json: failed.json.clone(),
                suppressed: failed.suppressed,
                attempts: 0,
                next: Timestamp::default(),
            });
        }
        again
    }
}

impl ActivityStore for EmbeddedActivity {
    fn apply<'a>(
        &'a self,
        _keeper: &'a str,
        batch: &'a ActivityBatch,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        ready(Ok(self.state.lock().apply(batch))).boxed()
    }

    fn keep<'a>(&'a self, _keeper: &'a str) -> BoxFuture<'a, Result<Keeping, Error>> {
        ready(Ok(Keeping::Own(self.state.lock().told))).boxed()
    }

    fn resign<'a>(&'a self, _keeper: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        ready(Ok(())).boxed()
    }

    fn read<'a>(
        &'a self,
        query: &'a FeedQuery,
    ) -> BoxFuture<'a, Result<Vec<StoredActivity>, Error>> {
        ready(Ok(self.state.lock().ledger.read(query))).boxed()
    }

    fn counted<'a>(
        &'a self,
        of: &'a CountedOf,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<BTreeMap<CountedKey, Counted>, Error>> {
        ready(Ok(self.state.lock().ledger.counted(of, from, to))).boxed()
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<Box<str>>, Error>> {
        let queues = self.state.lock().waiting.keys().cloned().collect();
        ready(Ok(queues)).boxed()
    }

    fn first<'a>(
        &'a self,
        _keeper: &'a str,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<WaitingAlert>, Error>> {
        let state = self.state.lock();
        let first = state.waiting.get(queue).and_then(VecDeque::front).cloned();
        ready(Ok(first)).boxed()
    }

    fn settle<'a>(
        &'a self,
        _keeper: &'a str,
        queue: &'a str,
        id: u128,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        ready(Ok(self.state.lock().settle(queue, id, settlement))).boxed()
    }

    fn failed(&self, limit: usize) -> BoxFuture<'_, Result<Vec<FailedAlert>, Error>> {
        let failed = self
            .state
            .lock()
            .failed
            .iter()
            .take(limit)
            .cloned()
            .collect();
        ready(Ok(failed)).boxed()
    }

    fn send_again(&self, id: Option<u128>) -> BoxFuture<'_, Result<usize, Error>> {
        ready(Ok(self.state.lock().send_again(id))).boxed()
    }

    #[cfg(feature = "push")]
    fn subscribe<'a>(
        &'a self,
        (id, kept): &'a KeptSubscription,
        most: usize,
    ) -> BoxFuture<'a, Result<Subscribed, Error>> {
        let subscriptions = &mut self.state.lock().subscriptions;
        let is_known = subscriptions.contains_key(id);
        let became = match is_known {
            true => Subscribed::Again,
            false if subscriptions.len() >= most => Subscribed::Full,
            false => Subscribed::New,
        };
        if became != Subscribed::Full {
            subscriptions.insert(*id, kept.clone());
        }
        ready(Ok(became)).boxed()
    }

    #[cfg(feature = "push")]
    fn unsubscribe(&self, id: u128) -> BoxFuture<'_, Result<bool, Error>> {
        let was_there = self.state.lock().subscriptions.remove(&id).is_some();
        ready(Ok(was_there)).boxed()
    }

    #[cfg(feature = "push")]
    fn subscriptions(
        &self,
        from: u128,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeptSubscription>, Error>> {
        let state = self.state.lock();
        let kept = state.subscriptions.range(from..).take(limit);
        let kept = kept.map(|(id, kept)| (*id, kept.clone())).collect();
        ready(Ok(kept)).boxed()
    }
}
