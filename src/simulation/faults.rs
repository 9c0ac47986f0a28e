//! What goes wrong.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::mending::{Back, Mending};
use super::network::{Host, SERVERS};
use super::node::Node;
use super::server::db::{Db, Slot, Stored};
use super::server::state::LOG;
use super::server::stream::Id;
use super::world::{SENTINEL, World};

const ROLL: &str = "{tagcache:purges}:roll";

impl World {
    /// One fault, that ends after a while.
    pub(super) fn fault(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        let server = self.random.usize(..self.servers.len());
        let host = SERVERS + server;
        let number = self.nodes[node].start.0;
        let kinds = if self.servers.len() > 1 { 26 } else { 21 };
        match self.random.u32(..kinds) {
            0 | 1 => {
                self.begin("way cut", format_args!("{number} <-> {host}"));
                for (from, to) in [(number, host), (host, number)] {
                    self.cut(from, to);
                }
            }
            2 => {
                self.begin("way to the server cut", format_args!("{number} -> {host}"));
                self.cut(number, host);
            }
            3 => {
                self.begin(
                    "way from the server cut",
                    format_args!("{host} -> {number}"),
                );
                self.cut(host, number);
            }
            4 | 5 => self.slow(number, host),
            6 | 7 => {
                self.begin("node stands still", format_args!("{number}"));
                self.nodes[node].process.stop();
                self.later(20..5_000, Mending::NodeGoesOn(node));
            }
            8 => {
                self.begin("node killed", format_args!("{number}"));
                self.nodes[node].kill();
                self.later(1..2_000, Mending::NodeStarts(node));
            }
            9 => {
                self.begin("node without power", format_args!("{number}"));
                self.network.power_off(number);
                self.nodes[node].kill();
                self.later(1..2_000, Mending::NodeStarts(node));
            }
            kind => self.server_fault(kind, server, node),
        }
    }

    fn server_fault(&mut self, kind: u32, server: usize, node: usize) {
        let host = SERVERS + server;
        match kind {
            10 => {
                self.begin("server stands still", format_args!("{host}"));
                if let Some(process) = self.servers[server].process() {
                    process.stop();
                }
                self.later(10..3_000, Mending::ServerGoesOn(server));
            }
            11 | 12 => self.server_dies(server),
            13 => {
                self.begin("flushed", format_args!(""));
                self.on_master(&["FLUSHALL"]);
            }
            14 => self.evict(),
            15 => {
                self.begin("log lost", format_args!(""));
                self.on_master(&["DEL", LOG]);
            }
            16 => {
                self.begin("roll lost", format_args!(""));
                self.on_master(&["DEL", ROLL]);
            }
            17 => {
                let key = if self.random.bool() { LOG } else { ROLL };
                self.begin("key overwritten", format_args!("{key}"));
                self.on_master(&["SET", key, "something else"]);
            }
            18 => self.roll_back(),
            19 => {
                self.begin("log trimmed", format_args!(""));
                self.on_master(&["XTRIM", LOG, "MAXLEN", "1"]);
            }
            20 => self.clocks_or_origin(node),
            21 => self.replica_cut(),
            _ => self.failover(),
        }
    }

    fn begin(&self, kind: &'static str, what: std::fmt::Arguments<'_>) {
        self.witness.lock().fault(kind);
        self.note(format_args!("{kind} {what}"));
    }

    pub(super) fn later(&mut self, millis: std::ops::Range<u64>, mending: Mending) {
        let after = Duration::from_millis(self.random.u64(millis));
        self.to_end.push((Instant::now() + after, mending));
    }

    fn cut(&mut self, from: Host, to: Host) {
        self.network.cut(from, to, true);
        self.later(10..4_000, Mending::Way(from, to));
    }

    fn slow(&mut self, number: Host, host: Host) {
        let by = Duration::from_millis(self.random.u64(1..300));
        self.begin("way slow", format_args!("{number} <-> {host} by {by:?}"));
        for (from, to) in [(number, host), (host, number)] {
            self.network.slow(from, to, by);
            self.later(50..3_000, Mending::Fast(from, to));
        }
    }

    /// The server that the Sentinel names, or the only one.
    pub(super) fn named(&self) -> usize {
        let host = self
            .sentinel
            .as_ref()
            .map_or(SERVERS, super::server::sentinel::Sentinel::master);
        host - SERVERS
    }

    /// The master, if it runs.
    fn master(&self) -> Option<usize> {
        let named = self.named();
        (self.servers[named].is_up() && self.servers[named].is_master()).then_some(named)
    }

    fn on_master(&self, command: &[&str]) {
        if let Some(master) = self.master() {
            self.servers[master].run(command);
        }
    }

    fn evict(&mut self) {
        let Some(master) = self.master() else { return };
        let keys: Vec<String> = {
            let state = self.servers[master].state.lock();
            state
                .db
                .keys
                .keys()
                .map(|key| String::from_utf8_lossy(key).into_owned())
                .collect()
        };
        if keys.is_empty() {
            return;
        }
        let key = &keys[self.random.usize(..keys.len())];
        self.begin("key evicted", format_args!("{key}"));
        self.on_master(&["DEL", key]);
    }

    fn server_dies(&mut self, server: usize) {
        if !self.servers[server].is_up() {
            return;
        }
        let has_power = self.random.u32(..3) > 0;
        let back = match self.random.u32(..3) {
            0 => Back::Whole,
            1 => Back::Older(self.random.usize(..4)),
            _ => Back::Empty,
        };
        let host = self.servers[server].host;
        self.begin(
            if has_power {
                "server killed"
            } else {
                "server without power"
            },
            format_args!("{host}, back {back:?}"),
        );
        match has_power {
            true => self.servers[server].kill(),
            false => self.servers[server].power_off(),
        }
        self.later(1..3_000, Mending::ServerStarts(server, back));
    }

    /// The data of a running server go back to an older state, by hand.
    fn roll_back(&mut self) {
        let Some(master) = self.master() else { return };
        let back = self.random.usize(..3);
        self.begin("rolled back", format_args!("by {back}"));
        let tip = |db: &Db| match db.keys.get(LOG.as_bytes()).map(|slot: &Slot| &slot.stored) {
            Some(Stored::Stream(records)) => records.newest().map(|(id, _)| *id),
            _ => None,
        };
        let (before, after) = self.servers[master].meddle(|state| {
            let before = tip(&state.db);
            let older = state.snapshots.iter().rev().nth(back).cloned();
            if let Some(older) = older {
                state.db = older;
            }
            let after = tip(&state.db);
            // It may have been further, and lost, before it came back.
            let highest = after.and_then(|at| Some(Id(at.0, *state.highest.get(&at.0)?)));
            state.rolled_back = highest.filter(|highest| after < Some(*highest));
            (before, after)
        });
        let knows = |node: &&Node| {
            let position = node.position().map(|at| Id(at.epoch.get(), at.ordinal));
            position > after
        };
        let aware = self
            .nodes
            .iter()
            .filter(knows)
            .map(|node| node.start)
            .collect();
        if before != after {
            self.witness.lock().aware = Some(aware);
            self.later(2_000..2_001, Mending::Noticed);
        }
    }

    fn clocks_or_origin(&mut self, node: usize) {
        let by = self.random.i64(-86_400_000..86_400_000);
        match self.random.u32(..3) {
            0 => {
                self.begin("wall clock set", format_args!("node {node} by {by} ms"));
                self.nodes[node].clock.off.store(by, Ordering::Relaxed);
            }
            1 => {
                self.begin("server's clock set", format_args!("by {by} ms"));
                self.servers[0]
                    .meddle(|state| state.wall = 1_795_392_000_000_u64.saturating_add_signed(by));
            }
            _ => {
                self.begin("origin fails or is slow", format_args!(""));
                {
                    let mut mood = self.around.origin.mood.lock();
                    mood.fails = self.random.bool();
                    mood.slow = Duration::from_millis(self.random.u64(..400));
                }
                self.later(50..2_000, Mending::Origin);
            }
        }
    }

    fn replica_cut(&mut self) {
        self.begin("replica cut off", format_args!(""));
        for (from, to) in [(SERVERS, SERVERS + 1), (SERVERS + 1, SERVERS)] {
            self.cut(from, to);
        }
    }

    /// The replica becomes the master, whatever it lacks.
    fn failover(&mut self) {
        let Some(old) = self.master() else { return };
        let can =
            |server: &usize| self.servers[*server].is_up() && !self.servers[*server].is_master();
        let candidates: Vec<usize> = (0..self.servers.len()).filter(can).collect();
        if candidates.is_empty() {
            return;
        }
        let new = candidates[self.random.usize(..candidates.len())];
        let new_host = self.servers[new].host;
        match self.random.u32(..4) {
            0 => {
                self.begin("failover by hand", format_args!("{new_host}"));
                self.promote(new);
                self.servers[old].meddle(|state| state.demote(new_host));
            }
            1 => {
                self.begin("failover, master slow to learn", format_args!("{new_host}"));
                self.promote(new);
                self.later(1..1_500, Mending::Demoted(old));
            }
            2 => {
                self.begin("failover, master dead", format_args!("{new_host}"));
                self.servers[old].power_off();
                self.promote(new);
                self.later(10..4_000, Mending::ServerStarts(old, Back::Whole));
            }
            3 if !self.witness.lock().is_split => self.split(old, new),
            _ => {}
        }
    }

    /// The master is cut off together with a node; on the other side the replica is promoted.
    fn split(&mut self, old: usize, new: usize) {
        let with = self.random.usize(..self.nodes.len());
        let old_host = self.servers[old].host;
        let others: Vec<Host> = self
            .servers
            .iter()
            .map(|server| server.host)
            .filter(|host| *host != old_host)
            .collect();
        self.begin("split", format_args!("{old_host} with node {with}"));
        self.witness.lock().is_split = true;
        let far = others.into_iter().chain([SENTINEL]);
        let near_nodes = (0..self.nodes.len()).filter(|node| *node != with);
        let cuts = near_nodes
            .chain(far.clone())
            .map(|to| (old_host, to))
            .chain(far.map(|to| (with, to)));
        for (from, to) in cuts {
            self.network.cut(from, to, true);
            self.network.cut(to, from, true);
        }
        self.promote(new);
        self.later(5_000..30_000, Mending::Healed(old));
    }

    pub(super) fn promote(&mut self, new: usize) {
        let host = self.servers[new].host;
        self.servers[new].meddle(super::server::state::State::promote);
        // The other replicas follow it, once they can be reached.
        for server in self.servers.iter().filter(|server| !server.is_master()) {
            server.meddle(|state| state.demote(host));
        }
        if let Some(sentinel) = &self.sentinel {
            sentinel.switch(host);
        }
    }
}
