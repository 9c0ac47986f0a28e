//! **P3 — Redis never takes the site down.** Each operation has a budget; past it, or with the breaker open, requests
//! go to the inner service as if there were no cache. The service starts without Redis and picks it up when it comes.
//!
//! Here: Redis absent, dead, hung or closed to us; what it costs is bounded and counted, not timed. When it is back, so
//! are hits (SAFETY 57, 58). Beside it, many clients at once (`drill`), what operators are told (`told`), and the least
//! rights that do (`user`).

mod drill;
mod rotated;
mod told;
mod user;

use std::sync::Arc;
use std::time::Duration;

use tagcache_test_support::{Fleet, Forwarder, Logged, Node, RedisServer, Said, until};
use tower_tagcache::{Error, ErrorKind, Purged};

/// Failures in a row after which the breaker is open.
const STREAK: usize = 5;
/// Short enough to be waited for as often as that.
const SHORT: Duration = Duration::from_millis(25);

fn failed(kind: ErrorKind) -> impl Fn(&Said) -> bool {
    move |said| matches!(said, Said::StoreFailed("get", why) if *why == kind)
}

fn opened(said: &Said) -> bool {
    matches!(said, Said::BreakerOpened)
}

/// `requests` of them, each answered by the inner service with the present data.
async fn answered_by_the_origin(fleet: &Fleet, node: &Node, requests: usize) {
    for number in 0..requests {
        let version = format!("request {number}");
        fleet.origin.set(&version);
        let calls = fleet.origin.calls();
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, version, "{}", answer.how());
        assert!(!answer.is_hit(), "{}", answer.how());
        assert_eq!(fleet.origin.calls(), calls + 1);
    }
}

/// The pauses of breaker and connections are told by the fleet's clock.
async fn hits_again(fleet: &Fleet, node: &Node) {
    until("the node hits again", async || {
        fleet.clock.advance(Duration::from_secs(5));
        node.get("/item/7").await.is_hit()
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_absent_at_the_start_is_picked_up_when_it_comes() {
    let mut fleet = Fleet::private();
    Arc::get_mut(&mut fleet.server).expect("no node yet").stop();
    let nodes = [fleet.node(), fleet.companied()];
    for node in &nodes {
        answered_by_the_origin(&fleet, node, 20).await;
    }
    let server = Arc::get_mut(&mut fleet.server);
    server.expect("nodes know its address only").restart();
    for node in &nodes {
        hits_again(&fleet, node).await;
    }
    fleet.origin.set("v2");
    nodes[0]
        .purger()
        .tag("item:7")
        .await
        .expect("redis is there");
    for node in &nodes {
        assert_eq!(node.get("/item/7").await.body, "v2");
    }
}

#[tokio::test]
async fn safety_58_a_server_that_dies_is_left_alone_and_picked_up_again() {
    let mut fleet = Fleet::private();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = fleet.node_by(fleet.builder_at(forwarder.url()));
    node.warm("/item/7").await;
    let server = Arc::get_mut(&mut fleet.server);
    server.expect("nodes know its address only").stop();
    answered_by_the_origin(&fleet, &node, 20).await;
    assert_eq!(node.notices.count(opened), 1);
    // The clock stands still: nobody tries before the pause is over, however many ask.
    let tried = forwarder.accepted();
    answered_by_the_origin(&fleet, &node, 200).await;
    assert_eq!(forwarder.accepted(), tried);
    let server = Arc::get_mut(&mut fleet.server);
    server.expect("nodes know its address only").restart();
    hits_again(&fleet, &node).await;
    let closed = |said: &Said| matches!(said, Said::BreakerClosed);
    assert_eq!(node.notices.count(closed), 1);
}

/// Two ways to hang: the process stands still, or answers nobody.
#[tokio::test]
async fn safety_57_a_server_that_hangs_costs_a_few_budgets_and_then_nothing() {
    for way in ["suspended", "paused"] {
        let fleet = Fleet::private();
        let node = fleet.builder().read_timeout(SHORT).write_timeout(SHORT);
        let node = fleet.node_by(node);
        hits_again(&fleet, &node).await;
        let before = node.notices.count(failed(ErrorKind::Timeout));
        if way == "suspended" {
            fleet.server.suspend();
        } else {
            fleet.run("CLIENT PAUSE 3600000 ALL").await;
        }
        answered_by_the_origin(&fleet, &node, 200).await;
        let waited = node.notices.count(failed(ErrorKind::Timeout)) - before;
        assert!(
            (1..=STREAK).contains(&waited),
            "{way}: waited {waited} times"
        );
        assert!(node.notices.count(opened) > 0, "{way}");
        let refused = node.notices.count(failed(ErrorKind::BreakerOpen));
        assert!(refused >= 200 - STREAK, "{way}: {refused} at once");
        if way == "suspended" {
            fleet.server.resume();
            hits_again(&fleet, &node).await;
        }
    }
}

/// Connections live and nothing comes through them: no end of the socket tells.
#[tokio::test]
async fn safety_57_a_half_open_connection_is_replaced() {
    let fleet = Fleet::new();
    let forwarder = Forwarder::start(fleet.server.addr()).await;
    let node = fleet.builder_at(forwarder.url());
    let node = fleet.node_by(node.read_timeout(SHORT).write_timeout(SHORT));
    hits_again(&fleet, &node).await;
    let connected = forwarder.accepted();
    forwarder.stall();
    answered_by_the_origin(&fleet, &node, 20).await;
    forwarder.resume();
    hits_again(&fleet, &node).await;
    assert!(forwarder.accepted() > connected, "on the same socket");
}

#[tokio::test]
async fn a_wrong_password_is_told_once_for_each_change_and_never_shown() {
    let logged = Logged::begin();
    let server = RedisServer::start_with(&["--requirepass", "right-secret"]);
    let url = format!("redis://:wrong-secret@127.0.0.1:{}", server.port());
    let fleet = Fleet::on(Arc::new(server));
    let node = fleet.companied_by(fleet.builder_at(url));
    for _ in 0..10 {
        answered_by_the_origin(&fleet, &node, 3).await;
        fleet.clock.advance(Duration::from_secs(5));
    }
    assert!(node.notices.count(failed(ErrorKind::Denied)) > 0);
    assert_eq!(logged.count("redis refuses us"), 1, "{}", logged.text());
    // The operator corrects it on the server.
    let correct = "CONFIG SET requirepass wrong-secret";
    fleet.server.admin("right-secret", correct).await;
    hits_again(&fleet, &node).await;
    assert_eq!(logged.count("redis refuses us"), 1, "{}", logged.text());
    assert_eq!(logged.count("redis is in use"), 1, "{}", logged.text());
    assert_eq!(logged.count("secret"), 0, "{}", logged.text());
}

fn assert_pending(purged: Result<Purged, Error>) {
    let error = purged.expect_err("it is not in the log");
    assert_eq!(error.kind(), ErrorKind::Pending, "{error:?}");
}

/// PROTOCOL 24, with a server that is really away.
#[tokio::test]
async fn rule_24_a_purge_while_redis_hangs_is_in_force_here_and_appended_when_it_is_back() {
    let fleet = Fleet::private();
    let hasty = |node: tower_tagcache::CacheBuilder| {
        let node = node.read_timeout(SHORT).write_timeout(SHORT);
        node.purge_timeout(Duration::from_millis(100))
    };
    let a = fleet.companied_by(hasty(fleet.builder()));
    let b = fleet.node_by(hasty(fleet.builder()));
    for node in [&a, &b] {
        hits_again(&fleet, node).await;
    }
    fleet.server.suspend();
    fleet.origin.set("v2");
    assert_pending(a.purger().tag("item:7").await);
    assert_eq!(a.get("/item/7").await.body, "v2");
    fleet.server.resume();
    let appended = async || {
        fleet.clock.advance(Duration::from_secs(1));
        // In force here all the while, whatever the store answers by now.
        let here = a.get("/item/7").await;
        assert_eq!(here.body, "v2", "{}", here.how());
        let purged = |said: &Said| matches!(said, Said::Purged(_));
        a.notices.count(purged) > 0
    };
    until("it is appended", appended).await;
    fleet.clock.advance(Duration::from_secs(5));
    for node in [&a, &b] {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.body, "v2", "{}", answer.how());
    }
}
