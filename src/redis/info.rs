//! Who a server says that it is: its kind and version, its role, its identity, its replicas (PROTOCOL 6).

use std::fmt;

use crate::error::{Error, ErrorKind};

/// The oldest Redis that has what the purge log is made of: `XADD E-*`, `SET NX GET`, what `XINFO` tells.
const OLDEST: u32 = 7;

/// What one `INFO` reply told. A managed server may hide any part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    /// `None`: it does not say whether it is a master.
    pub(crate) is_master: Option<bool>,
    /// `master_replid`: the line of history that its data belongs to.
    pub(crate) replid: Option<Box<str>>,
    /// `run_id`: this start of this process.
    pub(crate) run: Option<Box<str>>,
    /// Replicas that are in step, not those that are still being filled.
    pub(crate) replicas: u32,
    /// It refuses writes without replicas in step (`min-replicas-to-write`), so that it must have had
    /// some, however many it knows now. Redis shows their count only where that is set.
    pub(crate) good_replicas: Option<u32>,
    /// What it is called and which version it has, such as `Redis 7.0.15`.
    pub(crate) software: Option<Box<str>>,
    /// The version of Redis that it says to be, or to be like.
    pub(crate) like_redis: Option<u32>,
    /// `standalone`, `cluster` or `sentinel`.
    pub(crate) mode: Option<Box<str>>,
    /// Where a replica copies from.
    pub(crate) master: Option<Box<str>>,
}

/// Why a server cannot be used, whatever it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    TooOld(Box<str>),
    Cluster,
    Sentinel,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOld(software) => write!(
                f,
                "it is {software}, which lacks what the purge log needs (XADD with E-*): use Redis {OLDEST}.0 or \
                 Valkey 7.2, or newer"
            ),
            Self::Cluster => f.write_str(
                "it is a node of a Redis Cluster: write redis+cluster://host:port,host:port, with some of its nodes",
            ),
            Self::Sentinel => f.write_str(
                "it is a Sentinel, which keeps no data: write redis+sentinel://host:port/name, with the name of the \
                 master that it watches",
            ),
        }
    }
}

impl Flaw {
    /// That of a server which is said to be like one that is new enough, and is not.
    pub(crate) fn too_old(identity: &Identity) -> Self {
        let unnamed = || "a server that does not say which version it has".into();
        Self::TooOld(identity.software.clone().unwrap_or_else(unnamed))
    }

    /// As the error of `server`.
    pub(crate) fn of(&self, server: &impl fmt::Display) -> Error {
        let message = format!("redis at {server} cannot be used: {self}");
        Error::new(ErrorKind::Unsupported, message)
    }
}

impl Identity {
    /// Reads an `INFO` reply; what is missing stays unknown.
    pub(crate) fn parse(info: &str) -> Self {
        let mut identity = Self::default();
        let mut connected = None;
        let mut online = None;
        let (mut redis, mut other, mut master_host, mut master_port) = (None, None, None, None);
        for line in info.lines() {
            let Some((name, value)) = line.trim_end().split_once(':') else {
                continue;
            };
            match name {
                "role" => identity.is_master = Some(value == "master"),
                "master_replid" => identity.replid = known(value),
                "run_id" => identity.run = known(value),
                "min_slaves_good_slaves" => {
                    identity.good_replicas = Some(value.parse().unwrap_or(0));
                }
                "redis_mode" | "server_mode" => identity.mode = known(value),
                "cluster_enabled" if value == "1" => identity.mode = known("cluster"),
                "master_host" => master_host = known(value),
                "master_port" => master_port = known(value),
                "redis_version" => redis = known(value),
                "valkey_version" => other = Some(("Valkey", value)),
                "dragonfly_version" => other = Some(("Dragonfly", value)),
                "garnet_version" => other = Some(("Garnet", value)),
                "keydb_version" => other = Some(("KeyDB", value)),
                "connected_slaves" => connected = value.parse().ok(),
                _ if is_replica_line(name) => {
                    let is_online = value.split(',').any(|part| part == "state=online");
                    *online.get_or_insert(0) += u32::from(is_online);
                }
                _ => {}
            }
        }
        // Servers that hide their replicas' addresses may still count them.
        identity.replicas = online.or(connected).unwrap_or(0);
        identity.like_redis = redis.as_deref().and_then(major);
        identity.software = match (other, redis) {
            (Some((name, version)), _) => Some(format!("{name} {version}").into()),
            (None, version) => version.map(|version| format!("Redis {version}").into()),
        };
        identity.master = master_host
            .map(|host| format!("{host}:{}", master_port.unwrap_or_else(|| "6379".into())).into());
        identity
    }

    /// Why the server cannot be used, as far as it says; `in_cluster` as a node of a Cluster. One that says nothing about its version has to be
    /// [tried](Self::is_to_be_tried).
    pub(crate) fn unfit(&self, in_cluster: bool) -> Option<Flaw> {
        match self.mode.as_deref() {
            Some("cluster") if !in_cluster => return Some(Flaw::Cluster),
            Some("sentinel") => return Some(Flaw::Sentinel),
            _ => {}
        }
        let too_old = self.like_redis.is_some_and(|major| major < OLDEST);
        let name = self.software.clone().filter(|_| too_old)?;
        Some(Flaw::TooOld(name))
    }

    /// Whether only trying shows that the server has what is needed: it hides its version, or is another
    /// program that says to be like some Redis.
    pub(crate) fn is_to_be_tried(&self) -> bool {
        let name = self.software.as_deref();
        self.like_redis.is_none()
            || !name.is_some_and(|name| name.starts_with("Redis ") || name.starts_with("Valkey "))
    }

    /// It refuses writes without replicas in step.
    pub(crate) const fn demands_replicas(&self) -> bool {
        self.good_replicas.is_some()
    }

    /// The guarantees that this server does not let us keep.
    pub(crate) fn hides(&self) -> impl Iterator<Item = Loss> {
        let role = self.is_master.is_none().then_some(Loss::Role);
        let identity = self.replid.is_none().then_some(Loss::Identity);
        let cut_off = self.replicas > 0 && !self.demands_replicas();
        let split = cut_off.then_some(Loss::SplitBrain);
        role.into_iter().chain(identity).chain(split)
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn known(value: &str) -> Option<Box<str>> {
    (!value.is_empty()).then(|| value.into())
}

/// `slave0`, `slave1` …
fn is_replica_line(name: &str) -> bool {
    let number = name.strip_prefix("slave");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A guarantee that a lesser server does not let us keep; the others still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Role,
    Identity,
    Wait,
    SplitBrain,
}

impl Loss {
    /// What operators are told, once.
    pub(crate) const fn warning(self) -> &'static str {
        match self {
            Self::Role => {
                "INFO does not show the server's role: a replica is noticed only when it refuses a \
                 write, and until then lookups may lag"
            }
            Self::Identity => {
                "INFO does not show master_replid: a failover that forgets a purge is noticed only \
                 by nodes that had seen that purge"
            }
            Self::SplitBrain => {
                "min-replicas-to-write is not set, although there are replicas: a master that is cut off from them goes \
                 on taking writes, and who sees it alone may serve what was purged elsewhere; set it to 1 or more"
            }
            Self::Wait => {
                "WAIT is refused: a purge is acknowledged before a replica has it, and a failover \
                 during a split may forget it"
            }
        }
    }

    /// Its bit in a set of those already told.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_reply_tells_role_identity_and_replicas_in_step() {
        let identity = Identity::parse(
            "# Server\r\nrun_id:abc\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
             slave0:ip=10.0.0.1,port=1,state=online,offset=1,lag=0\r\n\
             slave1:ip=10.0.0.2,port=1,state=wait_bgsave,offset=0,lag=0\r\n\
             slave2:ip=10.0.0.3,port=1,state=online,offset=1,lag=0\r\nmaster_replid:def\r\n",
        );
        let expected = Identity {
            is_master: Some(true),
            replid: Some("def".into()),
            run: Some("abc".into()),
            replicas: 2,
            ..Identity::default()
        };
        assert_eq!(identity, expected);
        assert_eq!(identity.hides().collect::<Vec<_>>(), [Loss::SplitBrain]);
    }

    #[test]
    fn a_server_that_demands_replicas_says_so_after_it_lost_them() {
        let info = "role:master\r\nconnected_slaves:0\r\nmin_slaves_good_slaves:0\r\n";
        let identity = Identity::parse(info);
        assert!(identity.demands_replicas());
        assert_eq!(identity.replicas, 0);
    }

    #[test]
    fn what_is_hidden_is_named() {
        let identity = Identity::parse("# Server\r\nrun_id:\r\nconnected_slaves:1\r\n");
        assert_eq!(identity.replicas, 1);
        assert_eq!(identity.run, None);
        let lost: Vec<_> = identity.hides().collect();
        assert_eq!(lost, [Loss::Role, Loss::Identity, Loss::SplitBrain]);
    }

    #[test]
    fn a_replica_is_not_a_master() {
        assert_eq!(Identity::parse("role:slave\r\n").is_master, Some(false));
    }

    const STANDALONE: &str = "redis_mode:standalone\r\ncluster_enabled:0";

    fn old(name: &str) -> Option<Flaw> {
        Some(Flaw::TooOld(name.into()))
    }

    /// What a server says, what it is called then, why it is unfit, and whether it has to be tried.
    fn says(info: &str) -> (Option<String>, Option<Flaw>, bool) {
        let identity = Identity::parse(&info.replace(' ', "\r\n"));
        let software = identity.software.as_deref().map(str::to_owned);
        (software, identity.unfit(false), identity.is_to_be_tried())
    }

    /// SAFETY 90: servers of several makers.
    #[test]
    fn safety_90_a_server_that_is_too_old_is_named() {
        for (info, software, unfit, to_be_tried) in [
            ("redis_version:7.0.15", "Redis 7.0.15", None, false),
            ("redis_version:8.2.1", "Redis 8.2.1", None, false),
            (
                "redis_version:255.255.255",
                "Redis 255.255.255",
                None,
                false,
            ),
            (
                "redis_version:6.2.14",
                "Redis 6.2.14",
                old("Redis 6.2.14"),
                false,
            ),
            (
                "redis_version:5.0.6",
                "Redis 5.0.6",
                old("Redis 5.0.6"),
                false,
            ),
            (
                "redis_version:7.2.4 valkey_version:8.0.1",
                "Valkey 8.0.1",
                None,
                false,
            ),
            (
                "redis_version:6.3.4 keydb_version:6.3.4",
                "KeyDB 6.3.4",
                old("KeyDB 6.3.4"),
                true,
            ),
            (
                "redis_version:7.4.0 dragonfly_version:df-v1.30.0",
                "Dragonfly df-v1.30.0",
                None,
                true,
            ),
        ] {
            let expected = (Some(software.to_owned()), unfit, to_be_tried);
            assert_eq!(says(&format!("{info} {STANDALONE}")), expected, "{info}");
        }
        assert_eq!(says("role:master"), (None, None, true));
    }

    /// SAFETY 97.
    #[test]
    fn safety_97_a_server_of_another_kind_is_named() {
        for (info, unfit) in [
            ("redis_version:7.0.15 redis_mode:cluster", Flaw::Cluster),
            ("redis_version:7.0.15 cluster_enabled:1", Flaw::Cluster),
            ("redis_version:6.2.14 redis_mode:cluster", Flaw::Cluster),
            ("redis_version:6.2.14 redis_mode:sentinel", Flaw::Sentinel),
            ("valkey_version:8.1.0 server_mode:sentinel", Flaw::Sentinel),
        ] {
            assert_eq!(says(info).1, Some(unfit), "{info}");
        }
    }

    #[test]
    fn a_replica_says_where_its_master_is() {
        let identity = Identity::parse("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6380");
        assert_eq!(identity.master.as_deref(), Some("10.0.0.1:6380"));
    }
}
