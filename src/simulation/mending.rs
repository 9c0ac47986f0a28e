//! How faults end.

use std::time::Duration;

use tokio::time::Instant;

use super::network::Host;
use super::server::db::Db;
use super::server::state::Role;
use super::world::World;

/// How a fault ends.
#[derive(Debug, Clone)]
pub(super) enum Mending {
    Way(Host, Host),
    Fast(Host, Host),
    NodeGoesOn(usize),
    NodeStarts(usize),
    ServerGoesOn(usize),
    ServerStarts(usize, Back),
    /// The old master finds out that it is not any more.
    Demoted(usize),
    /// A master that was cut off with some nodes comes back, as a replica.
    Healed(usize),
    Origin,
    /// Whoever knew where the log had been has looked at it.
    Noticed,
}

/// What a server has when it starts again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Back {
    Whole,
    /// As it was so many seconds before.
    Older(usize),
    Empty,
}

impl World {
    pub(super) fn next_mending(&self) -> Option<Instant> {
        self.to_end.iter().map(|(at, _)| *at).min()
    }

    /// Ends the faults whose time is over.
    pub(super) fn mend_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.to_end.extract_if(.., |(at, _)| *at <= now).collect();
        due.into_iter().for_each(|(_, mending)| self.mend(mending));
    }

    /// Ends all faults.
    pub(super) fn mend_all(&mut self) {
        self.note(format_args!("all is mended"));
        while let Some((_, mending)) = self.to_end.pop() {
            if !matches!(mending, Mending::Noticed) {
                self.mend(mending);
            }
        }
        self.network.mend();
        let master = self.servers[self.named()].host;
        for server in self.servers.iter().filter(|server| server.host != master) {
            if server.state.lock().role != Role::ReplicaOf(master) {
                server.meddle(|state| state.demote(master));
            }
        }
    }

    fn mend(&mut self, mending: Mending) {
        self.note(format_args!("ends: {mending:?}"));
        match mending {
            Mending::Way(from, to) => self.network.cut(from, to, false),
            Mending::Fast(from, to) => self.network.slow(from, to, Duration::ZERO),
            Mending::NodeGoesOn(node) => self.nodes[node].process.go_on(),
            Mending::NodeStarts(node) => self.restart(node),
            Mending::ServerGoesOn(server) => {
                if let Some(process) = self.servers[server].process() {
                    process.go_on();
                }
            }
            Mending::ServerStarts(server, back) => self.server_starts(server, back),
            Mending::Demoted(server) => self.demote(server),
            Mending::Healed(server) => {
                self.network.mend();
                self.demote(server);
            }
            Mending::Noticed => self.witness.lock().aware = None,
            Mending::Origin => *self.around.origin.mood.lock() = Default::default(),
        }
    }

    fn demote(&mut self, server: usize) {
        // It may have been promoted again meanwhile, or another one.
        let named = self.servers[self.named()].host;
        let host = self.servers[server].host;
        if named != host && self.servers[server].state.lock().role != Role::ReplicaOf(named) {
            self.servers[server].meddle(|state| state.demote(named));
        }
    }

    fn server_starts(&mut self, server: usize, back: Back) {
        if self.servers[server].is_up() {
            return;
        }
        let db = {
            let state = self.servers[server].state.lock();
            match back {
                Back::Whole => state.db.clone(),
                Back::Older(seconds) => state
                    .snapshots
                    .iter()
                    .rev()
                    .nth(seconds)
                    .cloned()
                    .unwrap_or_default(),
                Back::Empty => Db::default(),
            }
        };
        self.servers[server].restart(db);
        let host = self.servers[server].host;
        let named = self.servers[self.named()].host;
        let other = Some(named).filter(|named| *named != host);
        if other.is_some() && self.servers[server].is_master() {
            // A Sentinel tells it.
            self.later(1..1_000, Mending::Demoted(server));
        } else if let Some(master) = other
            && self.servers[server].state.lock().role != Role::ReplicaOf(master)
        {
            self.servers[server].meddle(|state| state.demote(master));
        }
    }
}
