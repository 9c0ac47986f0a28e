//! The shared store and purge log on one Redis server.
//!
//! Four connections per cache, and two for each event stream, so that nothing waits behind what blocks: lookups and heartbeats;
//! entries being stored; appends, which may wait for a replica; and the follower's own, which
//! waits for records. One more where activity is kept: pages of a feed are large. Nothing connects before it is needed, and what cannot be reached is an error
//! within the operation's budget, which the engine takes for a miss (P3).
//!
//! - [`address`]: what a URL says · [`dial`]: by TCP, TLS or a Unix socket · [`sentinel`], [`switches`]: who the master is
//! - [`credentials`], [`account`]: as whom · [`upkeep`]: other credentials and younger connections in time
//! - [`conn`], [`connection`]: the server, budgets, what is told about it · [`fault`]: what an error means
//! - [`cluster`], [`votes`]: which node of a Cluster has what · [`data`]: where entries are
//! - [`live`], [`link`], [`exclusive`], [`connect`], [`connecting`]: verified connections · [`verify`]: role, identity, epochs · [`trust`]: when to believe
//! - [`breaker`]: when not to ask at all · [`health`], [`replicas`]: what fails, and who is told · [`keyspace`]: the only file that spells a key
//! - [`doctor`]: what a server lets us keep · [`rights`]: which commands are sent, on which keys
//! - [`log`], [`store`] and `activity`: the three traits · [`fleet`]: which node fetches · [`group`]: a consumer of an event stream

mod account;
#[cfg(feature = "activity")]
mod activity;
mod address;
mod breaker;
mod cluster;
mod conn;
mod connect;
mod connecting;
mod connection;
mod credentials;
mod data;
mod dial;
pub mod doctor;
mod exclusive;
mod fault;
mod fleet;
mod group;
mod health;
mod info;
mod inquiry;
mod keyspace;
mod link;
mod live;
mod log;
mod promise;
mod replicas;
mod reply;
mod rights;
mod sentinel;
mod socket;
mod store;
mod switches;
#[cfg(feature = "tls")]
mod tls;
mod trust;
mod upkeep;
mod verify;
mod votes;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

#[cfg(feature = "activity")]
use crate::activity::ActivityBounds;
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::observe::SharedObserver;
#[cfg(feature = "activity")]
use crate::telling::Telling;

#[cfg(feature = "activity")]
use self::activity::RedisActivity;
use self::breaker::Breaker;
use self::cluster::Use;
pub(crate) use self::conn::Server;
pub(crate) use self::credentials::CredentialSource;
pub use self::credentials::{RedisCredentials, RedisLogin};
use self::data::Data;
use self::exclusive::Exclusive;
#[cfg(test)]
pub(crate) use self::fleet::CLAIM_SCRIPTS;
use self::fleet::RedisClaims;
pub(crate) use self::group::{
    EntryId, Group, GroupState, LookPace, Portion, Read, StreamEntry, TAKEN, ToldLosses, Waited,
};
use self::health::ServerHealth;
pub(crate) use self::keyspace::{Keyspace, StreamKeys};
use self::link::Link;
pub(crate) use self::log::RedisLog;
#[cfg(test)]
pub(crate) use self::log::SCRIPTS;
pub(crate) use self::rights::Needs;
pub(crate) use self::store::RedisStore;
pub(crate) use self::switches::SwitchWatch;
#[cfg(feature = "tls")]
pub use self::tls::RedisTls;
pub(crate) use self::upkeep::Upkeep;
use self::verify::Verifier;

/// Connections that a cache with so many event streams needs at a time: lookups, stores, appends, and
/// the follower; for each stream one that waits and one for commands; and one for activity, if that is kept.
pub(crate) const fn connections_needed(streams: usize, keeps_activity: bool) -> usize {
    4 + 2 * streams + keeps_activity as usize
}

/// The places of one cache that are on a Redis server.
#[derive(Debug, Clone)]
pub(crate) struct RedisPlaces {
    pub(crate) log: Arc<RedisLog>,
    pub(crate) store: Arc<RedisStore>,
    pub(crate) claims: Arc<RedisClaims>,
    pub(crate) server: Server,
    observer: SharedObserver,
    #[cfg(feature = "activity")]
    verifier: Arc<Verifier>,
    #[cfg(test)]
    pub(crate) keys: Keyspace,
}

impl RedisPlaces {
    /// Those on `server`, under `namespace`. Connects to nothing until used.
    ///
    /// # Errors
    /// The namespace cannot be used.
    pub(crate) fn open(
        server: Server,
        namespace: &str,
        clock: Arc<dyn Clock>,
        observer: SharedObserver,
        compress: bool,
    ) -> Result<Self, ConfigError> {
        let budgets = *server.budgets();
        let keys = Keyspace::new(namespace)?;
        let server = server.with_key(keys.log());
        let breaker = |observer, budget| {
            let pulse = Arc::clone(server.pulse());
            Breaker::new(Arc::clone(&clock), observer, pulse, budget)
        };
        let health = Arc::new(ServerHealth::new(
            server.clone(),
            observer.clone(),
            breaker(Some(observer.clone()), budgets.read),
            breaker(None, budgets.write),
        ));
        let verifier = Arc::new(Verifier::new(server.clone(), keys.clone(), clock));
        let link = |name| Link::new(name, Arc::clone(&verifier));
        let (reads, writes) = (
            Link::with_heartbeats("read", Arc::clone(&verifier)),
            link("write"),
        );
        let log = RedisLog {
            verifier: Arc::clone(&verifier),
            reads: reads.clone(),
            appends: link("append"),
            writes: writes.clone(),
            #[cfg(feature = "activity")]
            activity: link("activity"),
            follower: Exclusive::new(Arc::clone(&verifier)),
            health: Arc::clone(&health),
            size: Mutex::default(),
            late: AtomicBool::default(),
            roll_denied: AtomicBool::default(),
            confirmed: tokio::sync::Mutex::default(),
        };
        let claims = RedisClaims {
            verifier: Arc::clone(&verifier),
            data: Data::of(&server, &reads, Use::Reads),
        };
        let store = RedisStore {
            verifier: Arc::clone(&verifier),
            lookups: Data::of(&server, &reads, Use::Reads),
            stores: Data::of(&server, &writes, Use::Writes),
            reads,
            writes,
            health,
            observer: observer.clone(),
            compress,
        };
        Ok(Self {
            log: Arc::new(log),
            store: Arc::new(store),
            claims: Arc::new(claims),
            server,
            observer,
            #[cfg(feature = "activity")]
            verifier,
            #[cfg(test)]
            keys,
        })
    }

    /// What follows the master, where Sentinels say who that is.
    pub(crate) fn switches(&self) -> SwitchWatch {
        SwitchWatch {
            server: self.server.clone(),
            verifier: Arc::clone(&self.log.verifier),
        }
    }

    /// What keeps connections and credentials young.
    pub(crate) fn upkeep(&self) -> Upkeep {
        let log = &self.log;
        Upkeep {
            server: self.server.clone(),
            links: vec![
                log.reads.clone(),
                log.writes.clone(),
                log.appends.clone(),
                #[cfg(feature = "activity")]
                log.activity.clone(),
            ],
            observer: self.observer.clone(),
        }
    }

    /// What is kept of activity there.
    #[cfg(feature = "activity")]
    pub(crate) fn activity(&self, bounds: ActivityBounds) -> RedisActivity {
        RedisActivity {
            verifier: Arc::clone(&self.verifier),
            link: self.log.activity.clone(),
            bounds,
            publishing: Mutex::new(Telling::of_well()),
        }
    }
}

#[cfg(test)]
mod tests;
