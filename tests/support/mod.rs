//! What tests on a real Redis share: private servers, an origin that can be held in the middle of an
//! answer, nodes, and waiting for things to happen.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod fleet;
mod logged;
mod node;
mod notices;
mod origin;
pub(crate) mod redis;

pub(crate) use self::fleet::{Fleet, item_rule};
pub(crate) use self::logged::Logged;
pub(crate) use self::node::{Answer, Node, path};
pub(crate) use self::notices::{Notices, Said};
pub(crate) use self::origin::{Held, Origin, OriginBody};
pub(crate) use self::redis::{Forwarder, RedisServer};

use std::fmt::Display;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Reached by nothing but a hang, however loaded the machine is.
pub(crate) const HANG: Duration = Duration::from_secs(60);
/// A budget that a loaded machine keeps too, in tests that are not about budgets.
pub(crate) const GENEROUS: Duration = Duration::from_secs(20);

/// Returns once `condition` is true.
///
/// # Panics
/// It never is.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(async || condition().await.then_some(()).ok_or(what)).await;
}

/// What `look` finds, once it does; until then it says what is missing.
///
/// # Panics
/// It never finds anything.
pub(crate) async fn eventually<T, M: Display>(mut look: impl AsyncFnMut() -> Result<T, M>) -> T {
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
pub(crate) async fn ends<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(HANG, future).await {
        Ok(output) => output,
        Err(_) => panic!("hangs: {what}"),
    }
}

/// The server that tests of one binary share which leave it as it is. It ends with the last of them.
pub(crate) fn shared_server() -> Arc<RedisServer> {
    static SHARED: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().expect("no test panics while starting it");
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(RedisServer::start());
        *shared = Arc::downgrade(&server);
        server
    })
}
