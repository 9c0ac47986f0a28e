//! Histories in which people are told of purges: by whoever purged, or by another node when that one has died.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::{NODES, PATHS, World};
use crate::clock::Clock;
use crate::log::{ResyncReason, UpdateMessage};
use crate::model::check::{Kind, Moment};
use crate::model::node::{LEASE, Lookups, SETTLE};
use crate::model::origin::Ending;
use crate::position::Position;
use crate::update::Update;

/// The clients of all nodes, and who purges and lets them be told.
#[derive(Debug, Default)]
pub(in crate::model) struct Audience {
    nodes: [Clients; NODES],
    purgers: Vec<AbortHandle>,
    /// They fetch nothing by themselves.
    pub(in crate::model) is_patient: bool,
    /// The announced purges that have returned.
    pub(super) announced: Arc<parking_lot::Mutex<Vec<usize>>>,
}

/// The clients of one node.
#[derive(Debug, Default)]
struct Clients {
    told: HashSet<usize>,
    last: Option<Position>,
    /// When they were last told to look at everything again.
    resynced: Moment,
}

impl Audience {
    pub(super) fn restarted(&mut self, node: usize) {
        self.nodes[node] = Clients::default();
    }
}

impl World {
    /// Few things but those that announcements are about.
    pub(super) fn told_step(&mut self, node: usize) {
        match self.random.u32(..48) {
            0..8 => self.request(node, PATHS[0]),
            8..12 => self.release(Ending::Answer),
            12..19 => {
                let (by, path) = (self.random.usize(..NODES), self.random.usize(..2));
                self.change_and_announce(by, PATHS[path]);
                let others = (0..NODES).filter(|other| *other != node);
                others.for_each(|node| self.follow(node));
            }
            19..22 => self.beat(node),
            22..28 => self.follow(node),
            28..31 => self.pass(50..900),
            31..34 => self.pass(900..5_000),
            34..36 => self.someone_dies(),
            36 => self.note(format!("node {node} holds acks or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.ack_held);
            }),
            37..39 => self.note(format!("node {node} lags or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.lagging);
            }),
            39 => self.note("the roll is lost".to_owned(), |world| {
                world.side.roll.lose()
            }),
            40 => self.note(format!("node {node} is cut off or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.cut_off);
            }),
            41 => self.note("the log is lost".to_owned(), |world| world.side.log.lose()),
            42 => self.note("the log is trimmed to 1".to_owned(), |world| {
                world.side.log.trim_to(1)
            }),
            43 => self.restart(node),
            44 => self.split_or_heal(node),
            _ => self.announce_overdue(node),
        }
    }

    pub(in crate::model) fn announce_overdue(&mut self, node: usize) {
        self.steps
            .push(format!("node {node} looks for what is overdue"));
        let announce = self.nodes[node].announce_overdue();
        self.under_way.spawn(async move {
            announce.await;
            Ok(())
        });
    }

    /// Whoever purged, and had people told, may be gone before they are.
    pub(in crate::model) fn someone_dies(&mut self) {
        if !self.told.purgers.is_empty() {
            let which = self.random.usize(..self.told.purgers.len());
            self.steps.push(format!("purger {which} dies"));
            self.told.purgers.swap_remove(which).abort();
        }
    }

    fn change_and_announce(&mut self, node: usize, path: &'static str) {
        let settle = self.change_data(path, 3);
        self.purge_and_announce(node, path, settle);
    }

    pub(in crate::model) fn purge_and_announce(
        &mut self,
        node: usize,
        path: &'static str,
        settle: Duration,
    ) {
        let settled_at = (!settle.is_zero()).then(|| self.clock.monotonic() + settle);
        let which = self
            .reference
            .lock()
            .purge_called(Kind::Hard, Some(path), settled_at);
        self.steps.push(format!(
            "node {node} purges {path} and has it told as {which}, settle {settle:?}"
        ));
        let update = Update::new("change", "page").expect("an update of the model");
        let update = update.with_identity(which.to_string());
        let purger = self.nodes[node].cache.purger().settle(settle);
        let purger = purger.announcing(update.expect("a number"));
        let (reference, announced) = (
            Arc::clone(&self.reference),
            Arc::clone(&self.told.announced),
        );
        let clock = self.clock.clone();
        let purger = self.under_way.spawn(async move {
            let purged = purger.tag(path.replace('/', "page:")).await;
            if let Ok(purged) = purged {
                let now = clock.monotonic();
                let mut reference = reference.lock();
                reference.purge_returned(which, purged.position, now, Duration::ZERO);
                if purged.announced.is_some() {
                    announced.lock().push(which);
                }
            }
            Ok(())
        });
        self.told.purgers.push(purger);
    }

    /// The clients of each node hear what there is, and mostly fetch at once what changed, anywhere.
    pub(super) fn hear(&mut self) -> Result<(), String> {
        if self.lookups != Lookups::Told {
            return Ok(());
        }
        for node in 0..NODES {
            while let Some(message) = self.nodes[node].hear() {
                self.heard(node, message)?;
            }
        }
        Ok(())
    }

    fn heard(&mut self, node: usize, message: UpdateMessage) -> Result<(), String> {
        let clients = &mut self.told.nodes[node];
        let told = match message {
            UpdateMessage::Update(told) => told,
            UpdateMessage::Resync(resync) => {
                self.steps
                    .push(format!("node {node} tells: {:?}", resync.reason));
                clients.resynced = self.reference.lock().tick();
                if resync.reason == ResyncReason::Joined {
                    clients.last = None;
                }
                return Ok(());
            }
        };
        let which = told.update.identity().parse().expect("a number");
        let position = told.id.position;
        let is_late = clients.last.is_some_and(|last| last.reaches(position));
        clients.last = Some(position);
        if is_late || !clients.told.insert(which) {
            return Err(format!(
                "{which} is told again, or out of order: {:#?}",
                self.steps
            ));
        }
        self.steps
            .push(format!("node {node} tells of {which} at {position}"));
        self.reference.lock().told_of(which, position);
        let requests = match self.told.is_patient {
            true => 0,
            false => self.random.u32(..3),
        };
        for _ in 0..requests {
            let (other, path) = (self.random.usize(..NODES), self.random.usize(..2));
            self.request(other, PATHS[path]);
        }
        Ok(())
    }

    /// Until nothing is under way; who waits for time to pass gets it.
    async fn end_all(&mut self) -> Result<(), String> {
        for _ in 0..1_000 {
            while self.origin.origin.waiting() > 0 {
                self.release(Ending::Answer);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.judge_ended()?;
            if self.under_way.is_empty() {
                return Ok(());
            }
        }
        Err(format!("somebody hangs in the end: {:#?}", self.steps))
    }

    /// Whatever happened: when all is well again, all nodes have told of everything that was announced, or that their
    /// clients should look at everything again; and nothing is owed any more.
    pub(super) async fn end_debts(&mut self) -> Result<(), String> {
        if self.lookups != Lookups::Told {
            return Ok(());
        }
        self.hear()?;
        for _ in 0..3 {
            for node in 0..NODES {
                self.nodes[node].go_to(self.side.clone(), false);
                self.follow(node);
                self.beat(node);
                self.announce_overdue(node);
            }
            self.end_all().await?;
            self.clock.advance(SETTLE * 2 + LEASE * 5);
            self.reference.lock().catch_up(self.clock.monotonic());
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let clients = &self.told.nodes[number];
            if node.owes() {
                return Err(format!("node {number} knows of a debt: {:#?}", self.steps));
            }
            for which in self.told.announced.lock().iter() {
                let called = self.reference.lock().called(*which);
                if !clients.told.contains(which) && clients.resynced < called {
                    return Err(format!(
                        "node {number} never told of {which}: {:#?}",
                        self.steps
                    ));
                }
            }
        }
        Ok(())
    }
}
