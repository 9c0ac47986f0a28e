//! Histories about near copies and the roll: how they begin, and what happens in them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;

use super::{NODES, PATHS, SILENT, World};
use crate::clock::Clock;
use crate::invalidation::Purger;
use crate::model::check::Kind;
use crate::model::node::LEASE;
use crate::model::origin::Ending;

impl World {
    /// What only near copies care about: heartbeats, and moments shorter than a lease.
    pub(super) fn near_step(&mut self, node: usize) {
        match self.random.u32(..16) {
            0..4 => self.beat(node),
            4..9 => self.pass(50..1_200),
            9..12 => self.hold_tips(node),
            12 => self.note("the roll is lost".to_owned(), |world| {
                world.side.roll.lose()
            }),
            13 => self.note(
                format!("node {node} is refused by the roll or no longer"),
                |world| {
                    world.nodes[node].flip(|faults| &faults.refuses_roll);
                },
            ),
            _ => self.follow(node),
        }
    }

    /// Few things but those that the roll is about.
    pub(super) fn rolled_step(&mut self, node: usize) {
        // Most of it happens to one node.
        let node = match self.random.bool() {
            true => SILENT,
            false => node,
        };
        match self.random.u32(..40) {
            0..12 => self.request(node, PATHS[0]),
            12..15 => self.release(Ending::Answer),
            15..20 => {
                let (by, path) = (self.random.usize(..NODES), self.random.usize(..2));
                self.change_and_purge(by, PATHS[path]);
                let read = self.random.usize(..8);
                let others = (0..NODES).filter(|node| *node != SILENT || read == 0);
                others.for_each(|node| self.follow(node));
            }
            20..24 => self.beat(node),
            24..28 => self.follow(node),
            28..32 => self.pass(50..900),
            32..34 => self.pass(900..2_600),
            34 => self.hold_tips(node),
            35 => self.note(format!("node {node} holds acks or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.ack_held);
            }),
            36 => self.note(format!("node {node} lags or no longer"), |world| {
                world.nodes[node].flip(|faults| &faults.lagging);
            }),
            37 => self.note("the roll is lost".to_owned(), |world| {
                world.side.roll.lose()
            }),
            38 => self.note(
                format!("node {node} is refused by the roll or no longer"),
                |world| {
                    world.nodes[node].flip(|faults| &faults.refuses_roll);
                },
            ),
            _ => self.note("the log is lost".to_owned(), |world| world.side.log.lose()),
        }
    }

    /// All nodes follow, are on a roll that has its mark, and have a copy.
    pub(in crate::model) async fn get_copies(&mut self) -> Result<(), String> {
        // They store nothing as long as anything may settle.
        for _ in 0..5 {
            for node in 0..NODES {
                self.follow(node);
                self.beat(node);
                self.request(node, PATHS[0]);
                self.run_dry().await?;
            }
            self.clock.advance(LEASE * 8 / 10);
        }
        for node in 0..NODES {
            self.beat(node);
        }
        self.run_dry().await
    }

    /// And something has happened.
    pub(super) async fn get_on_the_roll(&mut self) -> Result<(), String> {
        self.get_copies().await?;
        match self.random.u32(..4) {
            0 => self.steps.push("all are on the roll".to_owned()),
            1 => {
                self.note("the roll is lost".to_owned(), |world| {
                    world.side.roll.lose()
                });
                self.beat(0);
                self.run_dry().await?;
            }
            _ => self.fall_off(SILENT).await?,
        }
        Ok(())
    }

    /// A node has not been heard of for longer than its lease, and is on the roll no more.
    pub(in crate::model) async fn fall_off(&mut self, silent: usize) -> Result<(), String> {
        self.steps.push(format!("node {silent} is off the roll"));
        for _ in 0..6 {
            self.clock.advance(LEASE / 5);
            for node in (0..NODES).filter(|node| *node != silent) {
                self.beat(node);
                self.run_dry().await?;
            }
        }
        self.side
            .roll
            .remove(self.nodes[silent].cache.follower().name());
        Ok(())
    }

    /// Until nothing is under way; the inner service answers at once.
    async fn run_dry(&mut self) -> Result<(), String> {
        while !self.under_way.is_empty() {
            self.release(Ending::Answer);
            for _ in 0..8 {
                yield_now().await;
            }
            self.judge_ended()?;
        }
        Ok(())
    }

    /// As [`purge`](Self::purge), by a tag, with nothing left to chance.
    pub(in crate::model) fn purge_by(&mut self, purger: &Purger, kind: Kind, path: &'static str) {
        let which = self.reference.lock().purge_called(kind, Some(path), None);
        self.steps.push(format!("{path} is purged"));
        let (purger, clock) = (purger.clone(), self.clock.clone());
        let reference = Arc::clone(&self.reference);
        self.under_way.spawn(async move {
            if let Ok(purged) = purger.tag(path.replace('/', "page:")).await {
                let now = clock.monotonic();
                let lag = Duration::ZERO;
                reference
                    .lock()
                    .purge_returned(which, purged.position, now, lag);
            }
            Ok(())
        });
    }
}
