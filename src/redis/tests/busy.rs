//! A process that is late, and a server that is (SAFETY 88 and 91).

use std::time::Duration;

use tagcache_test_support::{Forwarder, RedisServer};

use super::faults::SHORT;
use super::{Budgets, Node, PATIENT, eventually, kind};
use crate::error::ErrorKind;

/// Heartbeats and lookups wait for their turn of the executor, each for longer than their budgets.
#[tokio::test]
async fn safety_91_a_process_that_has_no_time_to_read_answers_blames_no_server() {
    let server = RedisServer::start();
    let node = Node::with(&server.url(), SHORT);
    let pulse = node.log().pulse();
    let _kept = pulse.keep();
    eventually(|| node.tip()).await;
    eventually(|| node.lookup()).await;
    let opened = node.told("BreakerOpened");
    for _ in 0..40 {
        tokio::spawn(async {
            loop {
                std::thread::sleep(Duration::from_millis(2));
                tokio::task::yield_now().await;
            }
        });
    }
    for _ in 0..12 {
        let _ = node.lookup().await;
        assert_eq!(kind(node.tip().await), None);
        assert!(pulse.is_good());
    }
    assert_eq!(node.told("BreakerOpened"), opened);
    assert_eq!(node.log().troubles(), []);
}

#[tokio::test]
async fn safety_88_a_server_that_is_too_slow_for_lookups_is_found_out_by_heartbeats() {
    let server = RedisServer::start();
    let forwarder = Forwarder::start(server.addr()).await;
    let budgets = Budgets {
        read: Duration::from_millis(50),
        ..PATIENT
    };
    let node = Node::with(&forwarder.url(), budgets);
    let pulse = node.log().pulse();
    let _kept = pulse.keep();
    eventually(|| node.tip()).await;
    eventually(|| node.lookup()).await;
    // A few hundred bytes are an answer.
    forwarder.slow(1_000);
    let mut beats = 0;
    while pulse.is_good() {
        node.tip().await.unwrap();
        beats += 1;
    }
    assert!(beats >= 3, "one or two are nothing");
    assert_eq!(node.told("BreakerOpened"), 1);
    let refused = futures_util::FutureExt::now_or_never(node.lookup());
    assert_eq!(refused.and_then(kind), Some(ErrorKind::BreakerOpen));
    forwarder.slow(0);
    let again = eventually(async || {
        let _ = node.tip().await;
        node.lookup().await
    });
    again.await;
    assert!(pulse.is_good());
}
