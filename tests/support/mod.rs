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
pub(crate) use self::origin::{Held, Origin};
pub(crate) use self::redis::{Forwarder, RedisServer};

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Reached by nothing but a hang, however loaded the machine is.
pub(crate) const HANG: Duration = Duration::from_secs(60);
/// Between two looks at what will be true some time: not a time to wait.
pub(crate) const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// A budget that a loaded machine keeps too, in tests that are not about budgets.
pub(crate) const GENEROUS: Duration = Duration::from_secs(20);

/// Returns once `condition` is true.
///
/// # Panics
/// It never is.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !condition().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(BETWEEN_LOOKS).await;
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
