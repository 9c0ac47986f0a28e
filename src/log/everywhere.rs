//! From *in the log* to *everywhere*: waiting until each node that may answer near has applied a purge, or can
//! answer near no more (PROTOCOL 33 and 37).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind};
use crate::log::roll::{RollCall, RollEntry, WaitTime, longest_wait, over};
use crate::log::{Log, Views};
use crate::position::{Epoch, Position};
use crate::sync::owned;
use crate::telling::Telling;
use crate::weaken::{ProtocolRule, weakened};

/// How long the first look waits for this node itself, which takes about as long as the others.
const FIRST_LOOK: Duration = Duration::from_millis(2);
/// The pause after the first look, which doubles.
const LEAST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
/// How long one look may take; it is tried again until the longest lease has ended.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The most nodes that are removed from the roll after one look.
const REMOVED_AT_ONCE: usize = 64;

/// How a purge came to be everywhere: on every node that could have answered with the old response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Everywhere {
    /// So many nodes have said that they applied it.
    pub acknowledged: u32,
    /// So many have not, and may answer from copies no more: their leases ended while they were waited for.
    pub waited_out: u32,
    /// Who may answer was not known: the longest lease that any node can have was waited for.
    pub by_time: bool,
}

impl Everywhere {
    /// Of two records of one call.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged.min(other.acknowledged),
            waited_out: self.waited_out.max(other.waited_out),
            by_time: self.by_time || other.by_time,
        }
    }
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    Everywhere(Everywhere),
    /// The log is not the one that the purge was appended to: it is to be appended again.
    OtherLog,
}

/// Waits for purges to be everywhere; one read of the roll serves all that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RollCaller {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: Arc<dyn Log>,
    views: Arc<Views>,
    /// Held for moments, by who comes and by the task.
    waiting: Mutex<Waiting>,
    /// The entries of the last call: the number of the heartbeat of each, and since when it has been that. Kept from one
    /// purge to the next: most wait shorter than a lease.
    seen: Mutex<HashMap<Box<str>, (u64, Duration)>>,
    telling: Mutex<Telling>,
    time: WaitTime,
}

#[derive(Debug, Default)]
struct Waiting {
    purges: Vec<Waiter>,
    /// A task reads the roll for them.
    at_work: bool,
}

/// A purge that is in the log.
#[derive(Debug)]
struct Waiter {
    position: Position,
    /// The epoch that this process knew then, which may be an earlier one.
    known: Option<Epoch>,
    /// When it is everywhere by time alone.
    until: Duration,
    /// The nodes of the first read that said something, and what has become of each.
    nodes: Option<HashMap<Box<str>, Node>>,
    /// The log ended before it, or in another epoch, when it was looked at last.
    other_log: bool,
    done: oneshot::Sender<Awaited>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Owes,
    Acknowledged,
    Gone,
}

impl RollCaller {
    pub(crate) fn new(log: Arc<dyn Log>, views: Arc<Views>, time: WaitTime) -> Self {
        Self {
            inner: Arc::new(Inner {
                log,
                views,
                waiting: Mutex::default(),
                seen: Mutex::default(),
                telling: Mutex::new(Telling::of_well()),
                time,
            }),
        }
    }

    /// Waits until the purge whose append at `position` was acknowledged just now is everywhere.
    pub(crate) async fn wait(&self, position: Position, has_replicas: bool) -> Awaited {
        if self.inner.log.roll().is_none() {
            return Awaited::Everywhere(Everywhere {
                acknowledged: 1,
                ..Everywhere::default()
            });
        }
        let longest = match weakened(ProtocolRule::RollLongest) {
            true => self.inner.views.lease(),
            false => self.inner.views.longest_lease(),
        };
        // [roll_time]: from the append's reply on.
        let replied = self.inner.time.now();
        let until = match weakened(ProtocolRule::RollTime) {
            true => replied,
            false => replied + longest_wait(longest, has_replicas),
        };
        let by_time = async {
            // Far behind the task, which then does not get on, as when the runtime that it is on is held up.
            while self.inner.time.now() < until + LONGEST_LOOK * 2 {
                sleep(LONGEST_LOOK / 4).await;
            }
        };
        tokio::select! {
            biased;
            Ok(awaited) = self.join(position, until) => awaited,
            () = by_time => Awaited::Everywhere(Everywhere {
                by_time: true,
                ..Everywhere::default()
            }),
        }
    }

    /// One look at the roll, so that nodes that have died do not stay on it where nobody waits for purges.
    pub(crate) async fn tidy(&self) {
        self.inner.look().await;
    }

    fn join(&self, position: Position, until: Duration) -> oneshot::Receiver<Awaited> {
        let (done, awaited) = oneshot::channel();
        let waiter = Waiter {
            position,
            known: self.inner.epoch(),
            until,
            nodes: None,
            other_log: false,
            done,
        };
        let mut waiting = self.inner.waiting.lock();
        waiting.purges.push(waiter);
        let at_work = std::mem::replace(&mut waiting.at_work, true);
        // Before the task is spawned: a runtime that ends drops it here and now, and that wants the lock.
        drop(waiting);
        if !at_work {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(owned(Task { inner, over: false }.run()));
        }
        awaited
    }
}

/// Reads the roll as long as somebody waits. Should its runtime end, those who wait are let go to wait for the time,
/// and who comes next starts another.
struct Task {
    inner: Arc<Inner>,
    over: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.over {
            *self.inner.waiting.lock() = Waiting::default();
        }
    }
}

impl Task {
    async fn run(mut self) {
        let (mut pause, mut served) = (LEAST_PAUSE, None);
        while let Some(newest) = self.inner.newest() {
            // This node knows it about when the others do.
            if served.replace(newest) != Some(newest) {
                let _ = timeout(FIRST_LOOK, self.inner.views.wait_for(newest)).await;
                pause = LEAST_PAUSE;
            }
            self.inner.look().await;
            if self.inner.end_what_is_over() {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        self.over = true;
    }
}

impl Inner {
    /// The purge that came last; none if nobody waits, and whoever comes next starts a task.
    fn newest(&self) -> Option<Position> {
        let mut waiting = self.waiting.lock();
        let newest = waiting.purges.last().map(|waiter| waiter.position);
        waiting.at_work = newest.is_some();
        newest
    }

    fn epoch(&self) -> Option<Epoch> {
        let view = self.views.current();
        view.map(|view| view.position().epoch)
    }

    /// One read of the roll, for all whose append was acknowledged before it is sent. `[roll_fresh]`
    async fn look(&self) {
        let Some(roll) = self.log.roll() else { return };
        let serves = match weakened(ProtocolRule::RollFresh) {
            true => usize::MAX,
            false => self.waiting.lock().purges.len(),
        };
        let sent = self.time.now();
        let called = timeout(LONGEST_LOOK, roll.call()).await;
        let called = called.unwrap_or_else(|_| Err(not_answered()));
        let got = self.time.now();
        let call = match called {
            Ok(call) => call,
            Err(error) => {
                let told = self.telling.lock().failing(error.kind() as u64);
                if let Some(tell) = told {
                    tracing::warn!(%error, changes_not_told = tell.unsaid,
                        "the roll cannot be read: purges wait until the longest lease must have ended");
                }
                return;
            }
        };
        let Some(call) = call else { return };
        if let Some(tell) = self.telling.lock().well() {
            tracing::info!(changes_not_told = tell.unsaid, "the roll is read again");
        }
        self.note(&call, serves);
        let over = self.see(&call, sent, got);
        let removed = join_all(over.iter().map(|entry| roll.remove(entry))).await;
        for (entry, removed) in over.iter().zip(removed) {
            if removed.is_ok_and(|removed| removed) {
                self.gone(entry);
            }
        }
    }

    /// Notes the heartbeats that `call` shows, which was sent and answered then. Returns the entries whose lease must have
    /// ended: no heartbeat was executed for as long as it lasts. `[roll_remove]`
    fn see<'c>(&self, call: &'c RollCall, sent: Duration, got: Duration) -> Vec<&'c RollEntry> {
        let mut before = self.seen.lock();
        let seen = call.entries.iter().map(|entry| {
            let since = match before.get(&entry.name) {
                Some((beat, since)) if *beat == entry.beat => *since,
                _ => got,
            };
            (entry.name.clone(), (entry.beat, since))
        });
        let seen: HashMap<_, _> = seen.collect();
        let is_over = |entry: &&RollEntry| {
            let since = seen.get(&entry.name).map_or(got, |(_, since)| *since);
            sent.saturating_sub(since) >= over(entry.lease) || weakened(ProtocolRule::RollRemove)
        };
        let over = call.entries.iter().filter(is_over).take(REMOVED_AT_ONCE);
        let over = over.collect();
        *before = seen;
        over
    }

    /// Notes what `call` says of the first so many waiting purges.
    fn note(&self, call: &RollCall, serves: usize) {
        let entries = call.entries.iter().map(|entry| (&*entry.name, entry));
        let entries: HashMap<&str, &RollEntry> = entries.collect();
        let mut waiting = self.waiting.lock();
        for waiter in waiting.purges.iter_mut().take(serves) {
            waiter.other_log = !call.tip.position.reaches(waiter.position);
            let complete = call.head.mark == Some(waiter.position.epoch)
                || weakened(ProtocolRule::RollMark)
                || weakened(ProtocolRule::RollGone) && waiter.nodes.is_some();
            if complete && !waiter.other_log {
                waiter.note(&entries);
            }
        }
    }

    fn gone(&self, entry: &RollEntry) {
        for waiter in &mut self.waiting.lock().purges {
            let node = waiter.nodes.as_mut();
            if let Some(node) = node.and_then(|nodes| nodes.get_mut(&entry.name))
                && *node == Node::Owes
            {
                *node = Node::Gone;
            }
        }
    }

    /// Tells those whose purge is everywhere, by the roll or by time, and forgets who has gone. Whether others wait.
    fn end_what_is_over(&self) -> bool {
        let now = self.time.now();
        let epoch = self.epoch();
        let mut waiting = self.waiting.lock();
        let ended = waiting.purges.extract_if(.., |waiter| {
            waiter.done.is_closed() || waiter.answer(now, epoch).is_some()
        });
        for waiter in ended {
            let answer = waiter.answer(now, epoch);
            // Whoever waited may have gone.
            let _ = answer.map(|answer| waiter.done.send(answer));
        }
        !waiting.purges.is_empty()
    }
}

fn not_answered() -> Error {
    Error::new(ErrorKind::Timeout, "the roll was not read in time")
}

impl Waiter {
    /// Notes what a complete roll says, whose entries are these.
    fn note(&mut self, entries: &HashMap<&str, &RollEntry>) {
        let position = self.position;
        let Some(nodes) = &mut self.nodes else {
            let as_seen = |entry: &RollEntry| match entry.acknowledges(position) {
                true => Node::Acknowledged,
                false => Node::Owes,
            };
            let nodes = entries.iter();
            let nodes = nodes.map(|(name, entry)| ((*name).into(), as_seen(entry)));
            self.nodes = Some(nodes.collect());
            return;
        };
        for (name, node) in nodes.iter_mut().filter(|(_, node)| **node == Node::Owes) {
            match entries.get(&**name) {
                // Only who saw its lease end has removed it: the roll is complete. [roll_gone]
                None => *node = Node::Gone,
                Some(entry) if entry.acknowledges(position) => *node = Node::Acknowledged,
                Some(_) => {}
            }
        }
    }

    /// What is to be told in the epoch that this process knows, if anything is yet.
    fn answer(&self, now: Duration, epoch: Option<Epoch>) -> Option<Awaited> {
        if self.other_log {
            return Some(Awaited::OtherLog);
        }
        let nodes = self.nodes.iter().flat_map(HashMap::values);
        let count = |what| {
            let counted = nodes.clone().filter(|node| **node == what).count();
            u32::try_from(counted).unwrap_or(u32::MAX)
        };
        let (acknowledged, gone) = (count(Node::Acknowledged), count(Node::Gone));
        let owing = count(Node::Owes);
        let known = self.nodes.is_some() && owing == 0;
        // Another epoch was joined meanwhile, which may not know the purge (PROTOCOL 25).
        let is_left = epoch != self.known && epoch != Some(self.position.epoch);
        if !known && now >= self.until && is_left {
            return Some(Awaited::OtherLog);
        }
        (known || now >= self.until).then_some(Awaited::Everywhere(Everywhere {
            acknowledged,
            waited_out: gone + owing,
            by_time: self.nodes.is_none(),
        }))
    }
}
