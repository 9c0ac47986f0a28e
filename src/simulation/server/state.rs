//! What a server of the simulation is: its data, its role, its place in the line of its history.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::db::{Change, Db};
use super::stream::Id;
use crate::simulation::network::Host;

/// Changes that are kept for replicas that were away.
const BACKLOG: usize = 4_096;
/// The purge log's key.
pub(in crate::simulation) const LOG: &str = "tagcache:purges";
/// `min-replicas-max-lag` in seconds.
pub(in crate::simulation) const MAX_LAG: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::simulation) enum Role {
    Master,
    ReplicaOf(Host),
}

/// A replica, as its master sees it.
#[derive(Debug)]
pub(in crate::simulation) struct Attached {
    pub(in crate::simulation) number: u64,
    pub(in crate::simulation) host: Host,
    pub(in crate::simulation) acknowledged: u64,
    /// In whole seconds of the server's clock, as Redis counts.
    pub(in crate::simulation) heard_at: u64,
    pub(in crate::simulation) is_online: bool,
}

#[derive(Debug)]
pub(in crate::simulation) struct State {
    pub(in crate::simulation) host: Host,
    pub(in crate::simulation) db: Db,
    pub(in crate::simulation) role: Role,
    /// Grows with each change of role: who blocked before it is let go.
    pub(in crate::simulation) turns: u64,
    pub(in crate::simulation) run_id: String,
    pub(in crate::simulation) replid: String,
    /// The line that it was promoted out of, and up to where.
    pub(in crate::simulation) before: Option<(String, u64)>,
    pub(in crate::simulation) offset: u64,
    pub(in crate::simulation) backlog: VecDeque<(u64, Change)>,
    has_backlog: bool,
    pub(in crate::simulation) replicas: Vec<Attached>,
    /// `min-replicas-to-write`.
    pub(in crate::simulation) demands: usize,
    /// Those that are near enough, counted once a second.
    pub(in crate::simulation) good: usize,
    pub(in crate::simulation) random: fastrand::Rng,
    start: Instant,
    /// What its clock is off by, in milliseconds.
    pub(in crate::simulation) wall: u64,
    /// As it was each second, the newest last.
    pub(in crate::simulation) snapshots: VecDeque<Db>,
    /// How far the log ever was in each of its epochs.
    pub(in crate::simulation) highest: BTreeMap<u64, u64>,
    /// How far the log was that was rolled back under a running server, as long as nobody has noticed.
    pub(in crate::simulation) rolled_back: Option<super::stream::Id>,
    /// A log that was rolled back by hand has grown past where it was, unseen (PROTOCOL 9, limit).
    pub(in crate::simulation) limit_reached: bool,
}

impl State {
    pub(in crate::simulation) fn new(
        host: Host,
        role: Role,
        demands: usize,
        seed: u64,
        start: Instant,
    ) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            host,
            db: Db::default(),
            role,
            turns: 0,
            run_id: id(&mut random),
            replid: id(&mut random),
            before: None,
            offset: 0,
            backlog: VecDeque::new(),
            has_backlog: false,
            replicas: Vec::new(),
            demands,
            good: 0,
            random,
            start,
            wall: 1_795_392_000_000,
            snapshots: VecDeque::new(),
            highest: BTreeMap::new(),
            rolled_back: None,
            limit_reached: false,
        }
    }

    pub(in crate::simulation) fn now(&self) -> u64 {
        self.wall + u64::try_from(self.start.elapsed().as_millis()).unwrap_or(0)
    }

    /// Makes a change, and notes it for replicas.
    pub(in crate::simulation) fn make(&mut self, change: Change) {
        self.watch_roll_back(&change);
        if let [what, key, id, ..] = change.as_slice()
            && what == b"XADD"
            && key == LOG.as_bytes()
            && let Some(Id(epoch, ordinal)) = Id::parse(id)
        {
            let highest = self.highest.entry(epoch).or_default();
            *highest = ordinal.max(*highest);
        }
        self.db.apply(&change);
        self.offset += 1;
        if self.has_backlog {
            self.backlog.push_back((self.offset, change));
            if self.backlog.len() > BACKLOG {
                self.backlog.pop_front();
            }
        }
    }

    /// Whether a log that was rolled back grows past where it was before anybody has seen that.
    fn watch_roll_back(&mut self, change: &Change) {
        let Some(was) = self.rolled_back else { return };
        match change.first().map(Vec::as_slice) {
            Some(b"XADD") => {
                let id = super::stream::Id::parse(&change[2]).expect("a whole id");
                if id.0 != was.0 {
                    self.rolled_back = None;
                } else if id >= was {
                    self.limit_reached = true;
                }
            }
            Some(b"DEL" | b"FLUSHALL") => self.rolled_back = None,
            _ => {}
        }
    }

    /// A replica comes. The first one begins the backlog, and with it another line of history.
    pub(in crate::simulation) fn attach(&mut self, host: Host) -> u64 {
        if !self.has_backlog {
            self.has_backlog = true;
            self.replid = id(&mut self.random);
            self.before = None;
        }
        let number = self.random.u64(..);
        let heard_at = self.now() / 1_000;
        self.replicas.retain(|replica| replica.host != host);
        self.replicas.push(Attached {
            number,
            host,
            acknowledged: 0,
            heard_at,
            is_online: false,
        });
        number
    }

    pub(in crate::simulation) fn detach(&mut self, number: u64) {
        self.replicas.retain(|replica| replica.number != number);
        self.count_good();
    }

    pub(in crate::simulation) fn acknowledged(&mut self, number: u64, offset: u64) {
        let now = self.now() / 1_000;
        let replica = self
            .replicas
            .iter_mut()
            .find(|replica| replica.number == number);
        if let Some(replica) = replica {
            replica.acknowledged = offset;
            replica.heard_at = now;
            if !std::mem::replace(&mut replica.is_online, true) {
                self.count_good();
            }
        }
    }

    /// What Redis does once a second.
    pub(in crate::simulation) fn cron(&mut self) {
        self.count_good();
        self.snapshots.push_back(self.db.clone());
        if self.snapshots.len() > 4 {
            self.snapshots.pop_front();
        }
    }

    fn count_good(&mut self) {
        let now = self.now() / 1_000;
        let good = self
            .replicas
            .iter()
            .filter(|replica| replica.is_online && now.saturating_sub(replica.heard_at) <= MAX_LAG);
        self.good = good.count();
    }

    /// Whether a replica that has `offset` of the line `replid` can go on from there.
    pub(in crate::simulation) fn can_continue(&self, replid: &str, offset: u64) -> bool {
        let known = replid == self.replid
            || self
                .before
                .as_ref()
                .is_some_and(|(before, up_to)| before == replid && offset <= *up_to);
        let oldest = self.backlog.front().map_or(self.offset + 1, |(at, _)| *at);
        known && self.has_backlog && offset <= self.offset && offset + 1 >= oldest
    }

    pub(in crate::simulation) fn promote(&mut self) {
        let replid = id(&mut self.random);
        self.before = Some((std::mem::replace(&mut self.replid, replid), self.offset));
        self.has_backlog = true;
        self.turn(Role::Master);
    }

    pub(in crate::simulation) fn demote(&mut self, master: Host) {
        self.turn(Role::ReplicaOf(master));
    }

    fn turn(&mut self, role: Role) {
        self.role = role;
        self.turns += 1;
        self.replicas.clear();
        self.rolled_back = None;
        self.count_good();
    }

    /// It starts anew, with these data.
    pub(in crate::simulation) fn restart(&mut self, db: Db) {
        self.db = db;
        self.run_id = id(&mut self.random);
        self.replid = id(&mut self.random);
        (self.before, self.has_backlog, self.rolled_back) = (None, false, None);
        self.backlog.clear();
        let role = self.role;
        self.turn(role);
    }

    /// What `INFO server replication` says.
    pub(in crate::simulation) fn info(&self) -> String {
        use std::fmt::Write;
        let mut info = format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{}\r\n\r\n# Replication\r\n",
            self.run_id
        );
        let _ = match self.role {
            Role::Master => write!(
                info,
                "role:master\r\nconnected_slaves:{}\r\n",
                self.replicas.len()
            ),
            Role::ReplicaOf(master) => {
                write!(
                    info,
                    "role:slave\r\nmaster_host:server-{master}\r\nmaster_port:6379\r\n"
                )
            }
        };
        if self.demands > 0 {
            let _ = write!(info, "min_slaves_good_slaves:{}\r\n", self.good);
        }
        for (number, replica) in self.replicas.iter().enumerate() {
            let state = if replica.is_online {
                "online"
            } else {
                "wait_bgsave"
            };
            let _ = write!(
                info,
                "slave{number}:ip=server-{},port=6379,state={state},offset={},lag=0\r\n",
                replica.host, replica.acknowledged
            );
        }
        let _ = write!(info, "master_replid:{}\r\n", self.replid);
        info
    }
}

fn id(random: &mut fastrand::Rng) -> String {
    format!("{:032x}{:08x}", random.u128(..), random.u32(..))
}

/// How long a replica is silent at most.
pub(super) const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
