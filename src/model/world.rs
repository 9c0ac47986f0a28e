//! The history: one step after the other, chosen by the seed.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};

use super::check::{Asked, Kind, Reference, Seen};
use super::node::{LEASE, Lookups, Node, SETTLE, Side};
use super::origin::{Ending, Origin, OriginService};
use crate::clock::{Clock, ManualClock};
use crate::embedded::EmbeddedLog;
use crate::position::Position;

mod rolled;
mod told;

pub(super) const PATHS: [&str; 3] = ["/a", "/b", "/c"];
const NODES: usize = 3;
/// Of histories about the roll: the node that is not heard of.
pub(super) const SILENT: usize = 1;

pub(super) struct World {
    lookups: Lookups,
    random: fastrand::Rng,
    /// Clients are told of purges, and nodes are cut off with an old master: in a part of the histories, so that what
    /// the others find stays as likely.
    updates: bool,
    pub(super) clock: ManualClock,
    pub(super) side: Side,
    origin: OriginService,
    pub(super) reference: Arc<Mutex<Reference>>,
    pub(super) nodes: Vec<Node>,
    /// The node that is cut off together with an old master.
    split: Option<usize>,
    under_way: JoinSet<Result<(), String>>,
    /// What people were told.
    pub(super) told: told::Audience,
    steps: Vec<String>,
}

impl World {
    pub(super) fn new(seed: u64, lookups: Lookups) -> Self {
        let clock = ManualClock::default();
        let side = Side::of(EmbeddedLog::new(&clock), &clock);
        let reference = Arc::new(Mutex::new(Reference::default()));
        let origin = OriginService {
            origin: Arc::new(Origin::default()),
            reference: Arc::clone(&reference),
        };
        let nodes = (0..NODES)
            .map(|number| Node::start(number, &side, &clock, &origin, lookups))
            .collect();
        Self {
            lookups,
            random: fastrand::Rng::with_seed(seed),
            updates: seed.is_multiple_of(3),
            clock,
            side,
            origin,
            reference,
            nodes,
            split: None,
            under_way: JoinSet::new(),
            told: told::Audience::default(),
            steps: Vec::new(),
        }
    }

    /// Runs the history; `Err` names the violation and the steps before it.
    pub(super) async fn run(mut self) -> Result<(), String> {
        match self.lookups {
            Lookups::Rolled => self.get_on_the_roll().await?,
            Lookups::Told => self.get_copies().await?,
            _ => {}
        }
        let steps = match self.lookups {
            Lookups::Rolled | Lookups::Told => self.random.usize(8..30),
            _ => self.random.usize(10..60),
        };
        for _ in 0..steps {
            self.step().await;
            self.settle_down().await?;
        }
        self.finish().await
    }

    async fn step(&mut self) {
        let node = self.random.usize(..NODES);
        let path = PATHS[self.random.usize(..PATHS.len())];
        match self.lookups {
            Lookups::Near if self.random.u32(..3) == 0 => return self.near_step(node),
            Lookups::Copied if self.random.u32(..6) == 0 => return self.hold_tips(node),
            Lookups::Rolled => return self.rolled_step(node),
            Lookups::Told => return self.told_step(node),
            _ => {}
        }
        match self.random.u32(..100) {
            0..36 => self.request(node, path),
            36..56 => self.release(Ending::Answer),
            56..59 => self.release(Ending::Fail),
            59..73 => self.change_and_purge(node, path),
            73..77 => self.purge(node, Kind::Soft, Some(path), Duration::ZERO),
            77..79 => self.purge(node, Kind::Hard, None, Duration::ZERO),
            79..83 => self.note(format!("node {node} lags or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.lagging);
            }),
            83..85 => self.note(format!("node {node} is cut off or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.cut_off);
            }),
            85..88 => self.note(format!("node {node} holds acks or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.ack_held);
            }),
            88..91 => self.note("the log is lost".to_owned(), |world| {
                world.side.log.lose();
                world.request(node, path);
            }),
            91..93 => {
                let keep = self.random.usize(1..3);
                self.note(format!("the log is trimmed to {keep}"), |world| {
                    world.side.log.trim_to(keep)
                });
            }
            93..95 => self.restart(node),
            95..97 => self.pass_time(),
            97 if self.updates => self.split_or_heal(node),
            97 => self.pass_time(),
            _ => self.follow(node),
        }
    }

    fn restart(&mut self, node: usize) {
        self.note(format!("node {node} restarts"), |world| {
            // What the old process still has under way ends.
            world.nodes[node].mend();
            world.split = world.split.filter(|split| *split != node);
            let (side, clock) = (&world.side, &world.clock);
            world.nodes[node] = Node::start(node, side, clock, &world.origin, world.lookups);
            world.told.restarted(node);
        });
    }

    pub(super) fn follow(&mut self, node: usize) {
        self.steps.push(format!("node {node} follows"));
        let follow = self.nodes[node].follow();
        self.under_way.spawn(async move {
            follow.await;
            Ok(())
        });
    }

    /// A replica is promoted, and the node goes on with the old master; or the two sides find each other again.
    fn split_or_heal(&mut self, node: usize) {
        if let Some(split) = self.split.take() {
            self.steps
                .push(format!("node {split} finds the new master"));
            return self.nodes[split].go_to(self.side.clone(), false);
        }
        self.steps
            .push(format!("node {node} is cut off with the old master"));
        let mut old = Side::of(self.side.log.fork(), &self.clock);
        old.roll = self.side.roll.fork();
        self.nodes[node].go_to(old, true);
        self.split = Some(node);
        self.side.log.lose();
    }

    pub(super) fn hold_tips(&mut self, node: usize) {
        self.note(format!("node {node} holds tips or no longer"), |world| {
            world.nodes[node].flip(|faults| &faults.tip_held);
        });
    }

    pub(super) fn beat(&mut self, node: usize) {
        self.steps.push(format!("node {node} has a heartbeat"));
        let beat = self.nodes[node].beat();
        self.under_way.spawn(async move {
            beat.await;
            Ok(())
        });
    }

    fn note(&mut self, step: String, act: impl FnOnce(&mut Self)) {
        self.steps.push(step);
        act(self);
    }

    pub(super) fn request(&mut self, node: usize, path: &'static str) {
        let arrived = self.reference.lock().tick();
        let now = self.clock.monotonic();
        let after = self.told();
        self.steps.push(format!(
            "{arrived}: node {node} is asked for {path}, after {after:?}"
        ));
        let response = self.nodes[node].request(path, after);
        let asked = Asked {
            path,
            arrived,
            now,
            after,
            split: self.split == Some(node),
        };
        let reference = Arc::clone(&self.reference);
        self.under_way.spawn(async move {
            let Ok(response) = response.await else {
                return Ok(());
            };
            let status = response.headers().get("cache-status").cloned();
            let status = status
                .as_ref()
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            let stale = status.contains("detail=stale-");
            let Ok(body) = response.into_body().collect().await else {
                return Ok(());
            };
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            let Some((began, version)) = body.split_once(' ') else {
                return Ok(());
            };
            let seen = Seen {
                began: began
                    .parse()
                    .map_err(|_| format!("not a body of ours: {body}"))?,
                version: version
                    .parse()
                    .map_err(|_| format!("not a body of ours: {body}"))?,
                stale,
            };
            let checked = reference.lock().check(&asked, seen);
            checked.map_err(|violation| format!("{violation} ({status})"))
        });
    }

    /// The position of a purge that somebody was told of, mostly of the last one; or none.
    fn told(&mut self) -> Option<Position> {
        if !self.updates || self.random.bool() {
            return None;
        }
        let reference = self.reference.lock();
        let mut told: Vec<_> = reference.told().collect();
        told.sort_unstable_by_key(|(at, _)| *at);
        let which = match self.random.u32(..3) {
            0 => self.random.usize(..told.len().max(1)),
            _ => told.len().saturating_sub(1),
        };
        told.get(which).map(|(_, position)| *position)
    }

    pub(super) fn release(&mut self, ending: Ending) {
        let waiting = self.origin.origin.waiting();
        if waiting > 0 {
            let which = self.random.usize(..waiting);
            self.steps
                .push(format!("the origin ends call {which} with {ending:?}"));
            self.origin.origin.release(which, ending);
        }
    }

    /// What the cache is for: the data change, an event says so, the responses are purged.
    fn change_and_purge(&mut self, node: usize, path: &'static str) {
        let settle = self.change_data(path, 4);
        self.purge(node, Kind::Hard, Some(path), settle);
    }

    /// The data change, and one time in so many are shown later. How long that is to settle.
    fn change_data(&mut self, path: &'static str, one_in: u32) -> Duration {
        let settles = self.random.u32(..one_in) == 0;
        let now = self.clock.monotonic();
        let lag = settles.then(|| SETTLE.mul_f64(self.random.f64() * 0.9));
        self.reference.lock().write(path, lag.map(|lag| now + lag));
        self.steps
            .push(format!("{path} changes, shown after {lag:?}"));
        if settles { SETTLE } else { Duration::ZERO }
    }

    fn purge(&mut self, node: usize, kind: Kind, path: Option<&'static str>, settle: Duration) {
        let settled_at = (!settle.is_zero()).then(|| self.clock.monotonic() + settle);
        let which = self.reference.lock().purge_called(kind, path, settled_at);
        let how = self.random.u32(..4);
        self.steps.push(format!(
            "node {node} purges {path:?}: {kind:?}, settle {settle:?}, way {how}"
        ));
        let mut purger = self.nodes[node].cache.purger().settle(settle);
        if kind == Kind::Soft {
            purger = purger.soft();
        }
        let in_log = self.lookups.are_near() && self.random.u32(..4) == 0;
        let lag = match in_log {
            true => LEASE,
            false => Duration::ZERO,
        };
        if in_log {
            purger = purger.in_log();
        }
        let reference = Arc::clone(&self.reference);
        let clock = self.clock.clone();
        self.under_way.spawn(async move {
            let purged = match (path, how) {
                (None, 0 | 1) => purger.all().await,
                (None, 2) => purger.family("page").await,
                (None, _) => purger.rule("page").await,
                (Some(path), 0) => purger.glob(path).await,
                (Some(path), 1) => purger.url(path).await,
                (Some(path), _) => purger.tag(path.replace('/', "page:")).await,
            };
            if let Ok(purged) = purged {
                let now = clock.monotonic();
                reference
                    .lock()
                    .purge_returned(which, purged.position, now, lag);
            }
            Ok(())
        });
    }

    fn pass_time(&mut self) {
        self.pass(100..30_000);
    }

    fn pass(&mut self, millis: std::ops::Range<u64>) {
        let by = Duration::from_millis(self.random.u64(millis));
        self.steps.push(format!("{by:?} pass"));
        self.clock.advance(by);
        self.reference.lock().catch_up(self.clock.monotonic());
        if self.lookups.are_near() {
            // As the background task would, unless it is late.
            let late = match self.lookups {
                Lookups::Rolled | Lookups::Told => 6,
                _ => 3,
            };
            let punctual: Vec<_> = (0..NODES)
                .filter(|_| self.random.u32(..9) >= late)
                .collect();
            punctual.into_iter().for_each(|node| self.beat(node));
        }
    }

    /// Lets everything run that can, a random number of times, so that steps fall between.
    async fn settle_down(&mut self) -> Result<(), String> {
        for _ in 0..self.random.u32(..12) {
            yield_now().await;
        }
        if self.lookups.are_near() && self.random.u32(..3) == 0 {
            // Those who wait for the roll look at it again.
            tokio::time::sleep(Duration::from_millis(self.random.u64(1..30))).await;
        }
        self.judge_ended()
    }

    pub(super) fn judge_ended(&mut self) -> Result<(), String> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.judge(ended)?;
        }
        self.hear()
    }

    /// Everything is mended and answered; every request must end (nobody hangs).
    pub(super) async fn finish(mut self) -> Result<(), String> {
        for node in &self.nodes {
            node.mend();
        }
        let mut waits = 3_u32;
        loop {
            while self.origin.origin.waiting() > 0 {
                self.origin.origin.release(0, Ending::Answer);
            }
            match tokio::time::timeout(Duration::from_secs(6), self.under_way.join_next()).await {
                Ok(Some(ended)) => self.judge(ended)?,
                Ok(None) => return self.end_debts().await,
                Err(_) if self.origin.origin.waiting() == 0 && waits == 0 => {
                    return Err(format!("somebody hangs: {:#?}", self.steps));
                }
                // A purge waits until the longest lease must have ended.
                Err(_) => {
                    waits = waits.saturating_sub(1);
                    self.clock.advance(Duration::from_secs(10));
                    self.reference.lock().catch_up(self.clock.monotonic());
                }
            }
        }
    }

    fn judge(
        &self,
        ended: Result<Result<(), String>, tokio::task::JoinError>,
    ) -> Result<(), String> {
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(violation)) => Err(format!("{violation}\n{:#?}", self.steps)),
            Err(ended) if ended.is_cancelled() => Ok(()),
            Err(panic) => Err(format!("a request panicked: {panic}\n{:#?}", self.steps)),
        }
    }
}
