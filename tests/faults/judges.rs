//! That the laboratory notices what it is there to notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tagcache_test_support::{Forwarder, RedisServer};

use crate::form::Form;
use crate::ledger::{Ledger, Verdict, Why};
use crate::load::{Connection, Seen};
use crate::node::Node;
use crate::upstream;

#[test]
fn each_way_in_which_an_answer_can_be_bad_is_told_from_the_others() {
    let ledger = Ledger::new(2, 2);
    let old = ledger.text(0).unwrap();
    let question = ledger.ask(0, 0);
    assert_eq!(ledger.judge(question, old.as_bytes()), Verdict::Right);
    let version = ledger.change(0);
    let new = ledger.text(0).unwrap();
    // The purge has not returned.
    assert_eq!(
        ledger.judge(ledger.ask(0, 0), old.as_bytes()),
        Verdict::Right
    );
    ledger.visible_at(1, 0, version, Why::Pending);
    assert_eq!(
        ledger.judge(ledger.ask(0, 0), old.as_bytes()),
        Verdict::Right
    );
    assert!(matches!(
        ledger.judge(ledger.ask(1, 0), old.as_bytes()),
        Verdict::Stale(_)
    ));
    // Who asked before the purge returned may get either.
    assert_eq!(ledger.judge(question, old.as_bytes()), Verdict::Right);
    assert_eq!(
        ledger.judge(ledger.ask(1, 0), new.as_bytes()),
        Verdict::Right
    );
    let now = Instant::now();
    ledger.excuse(1, now, now + Duration::from_secs(60));
    assert!(matches!(
        ledger.judge(ledger.ask(1, 0), old.as_bytes()),
        Verdict::Excused(_)
    ));
    ledger.excuse(1, now, now);
    assert!(matches!(
        ledger.judge(ledger.ask(1, 0), old.as_bytes()),
        Verdict::Stale(_)
    ));
    let bad = [
        ledger.text(1).unwrap(),
        new[..new.len() - 1].to_owned(),
        new.replace("0.2", "0.1"),
        new.replace(" 2 ", " 3 ").replace("0.2", "0.3"),
        "poison".to_owned(),
        String::new(),
    ];
    for bad in bad {
        assert!(
            matches!(
                ledger.judge(ledger.ask(0, 0), bad.as_bytes()),
                Verdict::Wrong(_)
            ),
            "{bad}"
        );
    }
}

#[test]
fn what_was_pending_must_be_visible_everywhere_once_it_has_settled() {
    let ledger = Ledger::new(1, 2);
    let old = ledger.text(0).unwrap();
    let version = ledger.change(0);
    ledger.owe(0, version);
    assert_eq!(
        ledger.judge(ledger.ask(0, 0), old.as_bytes()),
        Verdict::Right
    );
    assert_eq!((ledger.settle(), ledger.settle()), (1, 0));
    assert!(matches!(
        ledger.judge(ledger.ask(0, 0), old.as_bytes()),
        Verdict::Stale(_)
    ));
}

/// A node that is told of no purge, an origin that is away.
#[tokio::test]
async fn a_purge_that_does_not_reach_a_node_is_counted_and_so_is_an_error() {
    let form = Form::given();
    let server = RedisServer::start();
    let ledger = Ledger::new(2, 1);
    let origin = upstream::origin(&ledger).await;
    let way = Forwarder::start(server.addr()).await;
    let between = Forwarder::start(origin.address).await;
    let url = format!("http://{}", between.addr());
    let node = Node::start(&form, &server.url(), way, &url, Duration::from_secs(20)).await;
    let seen = Arc::new(Seen::default());
    let mut connection = Connection::to(node.address);
    let mut read = async |page| {
        let question = ledger.ask(0, page);
        let answer = connection.get("near", page).await;
        seen.note(&ledger, question, answer);
    };
    let hits = async || seen.hits_of_late();
    while hits().await < 0.5 {
        read(0).await;
    }
    let version = ledger.change(0);
    ledger.visible(0, version, Why::Settled);
    read(0).await;
    let count = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::SeqCst);
    assert_eq!(
        (count(&seen.stale), count(&seen.wrong), count(&seen.failed)),
        (1, 0, 0)
    );
    between.refuse();
    read(1).await;
    assert_eq!(
        (count(&seen.stale), count(&seen.wrong), count(&seen.failed)),
        (1, 0, 1)
    );
}
