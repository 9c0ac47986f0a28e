//! People are told of events, after their purges and before they are acknowledged (PROTOCOL 38).

use super::*;
use crate::invalidation::Announce;

fn told_sales() -> Stream {
    let sale = Announce::new("sale").subject("auction:{auction}");
    Stream::text("sales", crate::invalidation::Payload::AllFields)
        .on(On::any().purge("auction:{auction}").announce(sale))
}

/// The auctions whose sales were announced, in order.
fn auctions(sink: &FakeSink) -> Vec<usize> {
    let sold = |told: String| {
        let subject = told.strip_prefix("sale auction:")?;
        subject.split_once(' ')?.0.parse().ok()
    };
    sink.announced().into_iter().filter_map(sold).collect()
}

#[tokio::test]
async fn protocol_38_an_entry_is_acknowledged_when_it_is_announced_and_holds_up_no_purge() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    sink.hold_announcements(true);
    for auction in 0..20 {
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    assert_eq!(pending(&server).await, 20);
    assert_eq!((auctions(&sink).len(), sink.told("EventApplied")), (0, 0));
    sink.hold_announcements(false);
    until_pending(&server, 0).await;
    assert_eq!(auctions(&sink), (0..20).collect::<Vec<_>>());
    worker.stop().await;
}

#[tokio::test]
async fn protocol_38_announcements_keep_the_order_of_the_stream() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    for auction in 0..200 {
        sell(&server, auction).await;
    }
    until_pending(&server, 0).await;
    until("all are announced", || async {
        auctions(&sink).len() == 200
    })
    .await;
    assert_eq!(auctions(&sink), (0..200).collect::<Vec<_>>());
    worker.stop().await;
}

#[tokio::test]
async fn protocol_38_what_a_killed_consumer_has_not_announced_another_does() {
    let (server, sink, late) = (RedisServer::start(), FakeSink::new(), FakeSink::new());
    let doomed = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    sink.hold_announcements(true);
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    doomed.kill().await;
    let claiming = Settings {
        claim_after: Duration::from_millis(1),
        ..settings()
    };
    let heir = Worker::with(&server, &late, told_sales(), claiming);
    until_pending(&server, 0).await;
    assert_eq!((auctions(&sink), auctions(&late)), (vec![], vec![1]));
    heir.stop().await;
}

#[tokio::test]
async fn protocol_38_where_events_may_be_missing_people_are_told_that() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    let resyncs = || {
        let told = sink.announced();
        told.iter()
            .filter(|told| told.starts_with("resync "))
            .count()
    };
    assert_eq!(
        resyncs(),
        1,
        "a stream that was never read: {:?}",
        sink.announced()
    );
    server.run("XADD sales * nothing here").await;
    until("the entry that is not understood", || async {
        resyncs() == 2
    })
    .await;
    worker.stop().await;
}
