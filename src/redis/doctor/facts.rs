//! What a server says of itself. What it hides is not there.

/// What a server said.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Facts {
    /// A connection was made, and it was let in.
    pub reached: bool,
    /// How it is found: `single`, `sentinel` or `cluster`.
    pub topology: &'static str,
    /// The address that a Sentinel named.
    pub address: Option<String>,
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// Name and version, such as `Redis 7.0.15`.
    pub software: Option<String>,
    /// `master` or `replica`.
    pub role: Option<&'static str>,
    /// Replicas that are in step.
    pub replicas: Option<u32>,
    /// `min-replicas-to-write`.
    pub min_replicas_to_write: Option<u64>,
    /// `min-replicas-max-lag`, in seconds.
    pub min_replicas_max_lag: Option<u64>,
    /// Memory.
    pub memory: MemoryFacts,
    /// What outlives a restart.
    pub persistence: PersistenceFacts,
    /// The ACL user.
    pub user: Option<String>,
    /// Whether anybody is let in as that user, without a password.
    pub open: Option<bool>,
    /// What that user may not do.
    pub rights: RightsFacts,
    /// Which commands there are.
    pub commands: Vec<CommandFacts>,
    /// By how many milliseconds its clock is ahead of that of this machine.
    pub clock_ahead_ms: Option<i64>,
    /// How long it takes to answer.
    pub latency: Option<LatencyFacts>,
    /// The purge log.
    pub log: LogFacts,
    /// The streams that are configured.
    pub streams: Vec<StreamFacts>,
}

/// Memory of a server.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MemoryFacts {
    /// What its data take, in bytes.
    pub used_bytes: Option<u64>,
    /// `maxmemory`, in bytes; zero is none.
    pub limit_bytes: Option<u64>,
    /// `maxmemory-policy`.
    pub policy: Option<String>,
    /// What the process takes, divided by what its data take.
    pub fragmentation: Option<f64>,
    /// Keys that were evicted since it was started.
    pub evicted: Option<u64>,
}

/// What outlives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PersistenceFacts {
    /// `appendonly`.
    pub append_only: Option<bool>,
    /// Whether snapshots are saved by themselves (`save`).
    pub snapshots: Option<bool>,
    /// The last write to disk failed.
    pub failing: Option<bool>,
}

/// What a user may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RightsFacts {
    /// How that was found out: `ACL DRYRUN`, or by a script or a transaction that does nothing. Nothing: it could not be.
    pub asked_by: Option<&'static str>,
    /// What it may not do and the cache needs.
    pub denied: Vec<DeniedFacts>,
}

/// A command that is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DeniedFacts {
    /// Such as `XADD tagcache:purges …`.
    pub command: String,
    /// What is lost without it.
    pub lost: &'static str,
    /// The cache is of no use without it.
    pub vital: bool,
    #[cfg_attr(feature = "config", serde(skip))]
    pub(super) promises: &'static [crate::redis::promise::Promise],
}

/// A command, and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CommandFacts {
    /// Such as `XAUTOCLAIM`.
    pub name: &'static str,
    /// Whether it is answered; `None`: not known.
    pub answered: Option<bool>,
}

/// How long some round trips took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LatencyFacts {
    /// In microseconds.
    pub median_us: u64,
    /// In microseconds.
    pub worst_us: u64,
    /// How many.
    pub round_trips: usize,
    /// How long a lookup may take (`read_timeout`), in microseconds.
    pub budget_us: u64,
}

/// The purge log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LogFacts {
    /// Its key.
    pub key: String,
    /// The type of what stands there; `None`: nothing, or not known.
    pub kind: Option<String>,
    /// Records.
    pub length: Option<u64>,
    /// The newest position.
    pub tip: Option<String>,
}

/// An event stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct StreamFacts {
    /// Its key.
    pub name: String,
    /// The type of what stands there; `none`: nothing.
    pub kind: Option<String>,
    /// Entries.
    pub length: Option<u64>,
    /// The consumer group.
    pub group: String,
    /// Whether the group is there.
    pub has_group: Option<bool>,
    /// Entries that it was given and has not acknowledged.
    pub pending: Option<u64>,
    /// For how many milliseconds the oldest of them has waited since it was last given to somebody.
    pub oldest_pending_ms: Option<u64>,
    /// Entries that it was not given yet.
    pub unread: Option<u64>,
    /// Consumers that are none of this cache's.
    pub strangers: Vec<String>,
}
