//! Clients that follow what is told and come back at any node, under random histories: each is told every update once and
//! in order, or that something is missing (PROTOCOL 38a).

use tokio::sync::broadcast;

use super::*;
use crate::log::{
    AnnouncementStage, Listening, NextTold, RecordUpdates, Resumption, Told, UpdateMessage,
};
use crate::update::{Update, UpdateCursor, UpdateId};
use crate::weaken::weaken;

const NODES: usize = 3;
const CLIENTS: usize = 4;
const STEPS: usize = 300;
const HISTORIES: u64 = 300;

/// The log of one epoch, by ordinal.
type Records = Vec<NumberedRecord>;

struct Node {
    views: Views,
    view: Arc<View>,
}

#[derive(Debug)]
enum Feed {
    Away,
    History(u64),
    Live(broadcast::Receiver<Arc<Told>>),
}

#[derive(Debug)]
struct Client {
    node: usize,
    feed: Feed,
    /// Up to where it was told everything.
    told: UpdateCursor,
}

struct World {
    chance: fastrand::Rng,
    epoch: u64,
    log: Records,
    nodes: Vec<Node>,
    clients: Vec<Client>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            chance: fastrand::Rng::with_seed(seed),
            epoch: 1,
            log: vec![record(1, 0, 0)],
            nodes: Vec::new(),
            clients: Vec::new(),
        };
        world.nodes = (0..NODES).map(|_| world.join()).collect();
        for _ in 0..CLIENTS {
            let node = world.chance.usize(..NODES);
            let Listening { receiver, position } = world.nodes[node].views.listen();
            world.clients.push(Client {
                node,
                feed: Feed::Live(receiver),
                told: position.unwrap().into(),
            });
        }
        world
    }

    /// The end of the log, cut anywhere.
    fn tail(&mut self) -> Tail {
        let from = self.chance.usize(..=self.log.len());
        Tail {
            tip: Tip {
                position: self.log.last().unwrap().position,
                replicas: 0,
            },
            records: self.log[from..].to_vec(),
        }
    }

    fn join(&mut self) -> Node {
        let views = Views::new(Bounds::default(), LEASE, Arc::new(ManualClock::default()));
        let tail = self.tail();
        let (view, _) = views.join(&tail);
        Node { views, view }
    }

    fn step(&mut self) -> Result<(), String> {
        let node = self.chance.usize(..NODES);
        let client = self.chance.usize(..CLIENTS);
        match self.chance.u32(..100) {
            0..25 => {
                let ordinal = self.log.len() as u64;
                let updates = self.chance.u32(..4);
                self.log.push(record(self.epoch, ordinal, updates));
            }
            25..50 => self.read(node, false),
            50..52 => self.read(node, true),
            // A node dies, and one begins in its place.
            52..54 => {
                self.nodes[node] = self.join();
                for client in &mut self.clients {
                    if client.node == node {
                        client.feed = Feed::Away;
                    }
                }
            }
            54..55 => {
                self.epoch += 1;
                self.log = vec![record(self.epoch, 0, 0)];
            }
            55..60 => self.clients[client].feed = Feed::Away,
            _ => return self.take(client),
        }
        Ok(())
    }

    /// A node reads on; perhaps records are gone before it has.
    fn read(&mut self, node: usize, misses: bool) {
        if self.nodes[node].view.epoch.get() != self.epoch {
            let tail = self.tail();
            let Node { views, view } = &mut self.nodes[node];
            *view = views.join(&tail).0;
            return;
        }
        let count = self.chance.usize(1..5);
        let skipped = usize::from(misses) * self.chance.usize(1..3);
        let skips = misses && self.chance.bool();
        let Node { views, view } = &self.nodes[node];
        let next = view.position().ordinal as usize + 1;
        if skips {
            let tip = (next + count).min(self.log.len() - 1);
            return views.skip_to(view, tip as u64);
        }
        let from = (next + skipped).min(self.log.len());
        let to = (from + count).min(self.log.len());
        if from < to {
            views.apply(view, &self.log[from..to]);
        }
    }

    /// A client takes something, or comes back.
    fn take(&mut self, number: usize) -> Result<(), String> {
        let client = &mut self.clients[number];
        let views = &self.nodes[client.node].views;
        match &mut client.feed {
            Feed::Away => {
                client.node = self.chance.usize(..NODES);
                let views = &self.nodes[client.node].views;
                match views.resume(client.told) {
                    Resumption::History(number) => client.feed = Feed::History(number),
                    // It tries again.
                    Resumption::Ahead | Resumption::NotJoined => {}
                    Resumption::Lost(_) => client.lose(views.listen()),
                }
            }
            Feed::History(next) => {
                let most = self.chance.usize(1..4);
                match views.next_told(*next, most) {
                    NextTold::Page(page) => {
                        *next = page.next;
                        for told in page.told {
                            client.hear(&told, &self.log, self.epoch)?;
                        }
                    }
                    NextTold::Lost(listening) => client.lose(listening),
                    NextTold::Live(Listening { receiver, position }) => {
                        client.feed = Feed::Live(receiver);
                        client.progress(position.unwrap(), &self.log, self.epoch)?;
                    }
                }
            }
            Feed::Live(receiver) => match receiver.try_recv() {
                Ok(told) => client.hear(&told, &self.log, self.epoch)?,
                Err(_) => {
                    if let Some(position) = views.told_up_to(receiver) {
                        client.progress(position, &self.log, self.epoch)?;
                    }
                }
            },
        }
        Ok(())
    }

    /// All is read and taken: nobody is left in silence.
    fn end(&mut self) -> Result<(), String> {
        let ordinal = self.log.len() as u64;
        self.log.push(record(self.epoch, ordinal, 1));
        for node in 0..NODES {
            while self.nodes[node].view.position() != self.log.last().unwrap().position {
                self.read(node, false);
            }
        }
        for number in 0..CLIENTS {
            for _ in 0..600 {
                self.take(number)?;
            }
            let told = self.clients[number].told.position;
            if told != self.log.last().unwrap().position {
                return Err(format!("client {number} is left at {told}"));
            }
        }
        Ok(())
    }
}

impl Client {
    fn lose(&mut self, Listening { receiver, position }: Listening) {
        self.feed = Feed::Live(receiver);
        self.told = position.unwrap().into();
    }

    fn hear(&mut self, told: &Told, log: &Records, epoch: u64) -> Result<(), String> {
        match told.message.as_ref().unwrap() {
            UpdateMessage::Update(update) => {
                let id = UpdateCursor::from(update.id);
                self.all_before(id, log, epoch)?;
                if !id.is_after(self.told) {
                    return Err(format!("{id} after {}", self.told));
                }
                self.told = id;
            }
            UpdateMessage::Resync(_) => self.told = told.through.unwrap(),
        }
        Ok(())
    }

    /// Everything up to `position` was told.
    fn progress(&mut self, position: Position, log: &Records, epoch: u64) -> Result<(), String> {
        let to = UpdateCursor::from(position);
        self.all_before(to, log, epoch)?;
        if to.is_after(self.told) {
            self.told = to;
        }
        Ok(())
    }

    /// Whether it was told all that stands before `to`, which is of the epoch that it is in.
    fn all_before(&self, to: UpdateCursor, log: &Records, epoch: u64) -> Result<(), String> {
        if to.position.epoch != self.told.position.epoch {
            return Err(format!("{to} after {}: another epoch", self.told));
        }
        if to.position.epoch.get() != epoch {
            // That log is gone, and with it what could be compared.
            return Ok(());
        }
        for NumberedRecord { position, record } in log {
            let updates = record.updates.iter().flat_map(|updates| &updates.updates);
            for (index, _) in (0..).zip(updates) {
                let id = UpdateCursor::from(UpdateId::new(*position, index));
                if id.is_after(self.told) && to.is_after(id) {
                    return Err(format!("{id} was not told between {} and {to}", self.told));
                }
            }
        }
        Ok(())
    }
}

/// A record that announces so many updates.
fn record(epoch: u64, ordinal: u64, updates: u32) -> NumberedRecord {
    let update = |index| {
        let update = Update::new("change", "x").unwrap();
        let identity = format!("{epoch}/{ordinal}/{index}");
        Arc::new(update.with_identity(identity).unwrap())
    };
    let mut read = purge_of_x(ordinal);
    read.position = Position::new(epoch, ordinal);
    read.record.updates = (updates > 0).then(|| {
        Arc::new(RecordUpdates {
            stage: AnnouncementStage::Announced(ordinal),
            updates: (0..updates).map(update).collect(),
        })
    });
    read
}

fn history(seed: u64) -> Result<(), String> {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step()?;
    }
    world.end()
}

#[test]
fn clients_are_told_each_update_once_or_that_some_are_missing() {
    for seed in 0..HISTORIES {
        history(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn each_rule_of_resuming_is_missed_when_it_is_taken_away() {
    for rule in [
        ProtocolRule::ResumeGap,
        ProtocolRule::ResumeEpoch,
        ProtocolRule::ResumeReach,
        ProtocolRule::ResumeAhead,
    ] {
        weaken(Some(rule));
        let broken = (0..HISTORIES).find(|seed| history(*seed).is_err());
        weaken(None);
        assert!(broken.is_some(), "without {rule:?} nothing goes wrong");
    }
}
