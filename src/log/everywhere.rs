//! From *in the log* to *everywhere*: waiting until each node that may answer near has applied a purge, or can
//! answer near no more (PROTOCOL 33 and 37).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind};
use crate::log::roll::{RollCall, RollEntry, WaitTime, longest_wait, over};
use crate::log::{Log, Views};
use crate::position::Position;
use crate::telling::Telling;
use crate::weaken::{ProtocolRule, weakened};

/// How long the first look waits for this node itself, which takes about as long as the others.
const FIRST_LOOK: Duration = Duration::from_millis(2);
/// The pause after the first look, which doubles.
const LEAST_PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(25);
/// How long one look may take; it is tried again until the longest lease has ended.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

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
    /// When it is everywhere by time alone.
    until: Duration,
    /// The nodes of the first read that said something, and what has become of each.
    nodes: Option<HashMap<Box<str>, Node>>,
    /// The log ended before it, or in another epoch, when it was looked at last.
    other_log: bool,
    done: oneshot::Sender<Awaited>,
}

#[derive(Debug)]
enum Node {
    /// As it was when it was first seen with this heartbeat number, which was then.
    Owes(RollEntry, Duration),
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
                telling: Mutex::new(Telling::of_well()),
                time,
            }),
        }
    }

    /// Waits until the purge whose append at `position` was acknowledged just now is everywhere.
    pub(crate) async fn wait(&self, position: Position, has_replicas: bool) -> Awaited {
        let at_once = Awaited::Everywhere(Everywhere {
            acknowledged: 1,
            ..Everywhere::default()
        });
        if self.inner.log.roll().is_none() {
            return at_once;
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
            Ok(awaited) = self.join(position, until) => awaited,
            () = by_time => Awaited::Everywhere(Everywhere {
                by_time: true,
                ..Everywhere::default()
            }),
        }
    }

    fn join(&self, position: Position, until: Duration) -> oneshot::Receiver<Awaited> {
        let (done, awaited) = oneshot::channel();
        let waiter = Waiter {
            position,
            until,
            nodes: None,
            other_log: false,
            done,
        };
        let mut waiting = self.inner.waiting.lock();
        waiting.purges.push(waiter);
        if !std::mem::replace(&mut waiting.at_work, true) {
            let inner = Arc::clone(&self.inner);
            tokio::spawn(Task { inner, over: false }.run());
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
                let _ = timeout(FIRST_LOOK, self.inner.applied(newest)).await;
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

    /// Returns when this node has read up to `position`.
    async fn applied(&self, position: Position) {
        let mut moved = self.views.watch();
        let reached = || {
            let view = self.views.current();
            view.is_some_and(|view| view.position().reaches(position))
        };
        while !reached() && moved.changed().await.is_ok() {}
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
        let over = self.note(&call, serves, sent, got);
        for entry in over {
            if roll.remove(&entry).await.is_ok_and(|removed| removed) {
                self.gone(&entry);
            }
        }
    }

    /// Notes what `call` says of the first so many waiting purges. Returns the entries whose lease must have ended.
    fn note(
        &self,
        call: &RollCall,
        serves: usize,
        sent: Duration,
        got: Duration,
    ) -> Vec<RollEntry> {
        let mut waiting = self.waiting.lock();
        let mut over = Vec::new();
        for waiter in waiting.purges.iter_mut().take(serves) {
            waiter.other_log = !call.tip.position.reaches(waiter.position);
            let complete = call.head.mark == Some(waiter.position.epoch)
                || weakened(ProtocolRule::RollMark)
                || weakened(ProtocolRule::RollGone) && waiter.nodes.is_some();
            if complete && !waiter.other_log {
                waiter.note(call, sent, got, &mut over);
            }
        }
        over
    }

    fn gone(&self, entry: &RollEntry) {
        for waiter in &mut self.waiting.lock().purges {
            if let Some(node) = waiter
                .nodes
                .as_mut()
                .and_then(|nodes| nodes.get_mut(&entry.name))
                && matches!(node, Node::Owes(owes, _) if owes.beat == entry.beat)
            {
                *node = Node::Gone;
            }
        }
    }

    /// Tells those whose purge is everywhere, by the roll or by time, and forgets who has gone. Whether others wait.
    fn end_what_is_over(&self) -> bool {
        let now = self.time.now();
        let mut waiting = self.waiting.lock();
        let ended = waiting.purges.extract_if(.., |waiter| {
            waiter.done.is_closed() || waiter.answer(now).is_some()
        });
        for waiter in ended {
            let answer = waiter.answer(now);
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
    /// Notes what a complete roll says, read between `sent` and `got`.
    fn note(&mut self, call: &RollCall, sent: Duration, got: Duration, ended: &mut Vec<RollEntry>) {
        let position = self.position;
        let Some(nodes) = &mut self.nodes else {
            let as_seen = |entry: &RollEntry| match entry.acknowledges(position) {
                true => Node::Acknowledged,
                false => Node::Owes(entry.clone(), got),
            };
            let entries = call.entries.iter();
            let nodes = entries.map(|entry| (entry.name.clone(), as_seen(entry)));
            self.nodes = Some(nodes.collect());
            return;
        };
        for (name, node) in nodes {
            let Node::Owes(owes, since) = node else {
                continue;
            };
            match call.entries.iter().find(|entry| entry.name == *name) {
                // Only who saw its lease end has removed it: the roll is complete. [roll_gone]
                None => *node = Node::Gone,
                Some(entry) if entry.acknowledges(position) => *node = Node::Acknowledged,
                Some(entry) if entry.beat != owes.beat => *node = Node::Owes(entry.clone(), got),
                // [roll_remove]: no heartbeat was executed for as long as its lease lasts.
                Some(entry)
                    if sent.saturating_sub(*since) >= over(entry.lease)
                        || weakened(ProtocolRule::RollRemove) =>
                {
                    ended.push(entry.clone());
                }
                Some(_) => {}
            }
        }
    }

    /// What is to be told, if anything is yet.
    fn answer(&self, now: Duration) -> Option<Awaited> {
        if self.other_log {
            return Some(Awaited::OtherLog);
        }
        let nodes = self.nodes.iter().flat_map(HashMap::values);
        let count = |what: fn(&Node) -> bool| {
            let counted = nodes.clone().filter(|node| what(node)).count();
            u32::try_from(counted).unwrap_or(u32::MAX)
        };
        let acknowledged = count(|node| matches!(node, Node::Acknowledged));
        let gone = count(|node| matches!(node, Node::Gone));
        let owing = count(|node| matches!(node, Node::Owes(..)));
        let known = self.nodes.is_some() && owing == 0;
        (known || now >= self.until).then_some(Awaited::Everywhere(Everywhere {
            acknowledged,
            waited_out: gone + owing,
            by_time: self.nodes.is_none(),
        }))
    }
}
