//! What the tests share: an origin that can be held in the middle of an answer, sites, nodes, private Redis servers,
//! services on sockets, and waiting for things to happen.

#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::new_without_default,
    reason = "tests of this project use it, and nobody else"
)]

mod answer;
mod by_hand;
#[cfg(feature = "redis")]
mod cluster;
#[cfg(feature = "redis")]
mod fleet;
mod forwarder;
mod held;
mod listener;
mod logged;
mod messages;
mod node;
mod notices;
mod origin;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod sentinels;
mod served;
mod site;
#[cfg(feature = "redis")]
mod topology;

pub use self::answer::Answer;
pub use self::by_hand::{Call, Calls, Stream};
#[cfg(feature = "redis")]
pub use self::cluster::RedisCluster;
#[cfg(feature = "redis")]
pub use self::fleet::{Fleet, item_rule};
pub use self::forwarder::Forwarder;
pub use self::held::Held;
pub use self::listener::{EventClient, ServerEvent, SocketClient};
pub use self::logged::Logged;
pub use self::messages::{Body, Failure, append, body, empty, get, ok, request, response};
pub use self::node::{Node, path};
pub use self::notices::{Notices, Said};
pub use self::origin::{Asked, Origin, OriginResult};
#[cfg(feature = "redis")]
pub use self::redis::{RedisServer, redis_server, shared_server, speaks_tls};
#[cfg(feature = "redis")]
pub use self::sentinels::{RedisSentinels, SentinelServer};
pub use self::served::{Served, serve};
pub use self::site::{Site, rule, secs, settle};
#[cfg(feature = "redis")]
pub use self::topology::{Layout, Topology};

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Reached by nothing but a hang, however loaded the machine is.
pub const HANG: Duration = Duration::from_secs(60);
/// A budget that a loaded machine keeps too, in tests that are not about budgets.
pub const GENEROUS: Duration = Duration::from_secs(20);

/// Returns once `condition` is true.
///
/// # Panics
/// It never is.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(async || condition().await.then_some(()).ok_or(what)).await;
}

/// What `look` finds, once it does; until then it says what is missing.
///
/// # Panics
/// It never finds anything.
pub async fn eventually<T, M: Display>(mut look: impl AsyncFnMut() -> Result<T, M>) -> T {
    let deadline = Instant::now() + HANG;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(missing) => assert!(Instant::now() < deadline, "never: {missing}"),
        }
        // Between two looks, not a time to wait.
        sleep(Duration::from_millis(2)).await;
    }
}

/// The output of `future`, which has to end.
pub async fn ends<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(HANG, future).await {
        Ok(output) => output,
        Err(_) => panic!("hangs: {what}"),
    }
}
