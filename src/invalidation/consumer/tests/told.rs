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

fn only_told() -> Stream {
    let sale = Announce::new("sale").subject("auction:{auction}");
    Stream::text("sales", crate::invalidation::Payload::AllFields).on(On::any().announce(sale))
}

fn resyncs(sink: &FakeSink) -> Vec<String> {
    let told = sink.announced().into_iter();
    told.filter(|told| told.starts_with("resync ")).collect()
}

#[tokio::test]
async fn protocol_38_who_is_only_told_of_events_is_told_of_those_that_are_not_understood() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, only_told(), settings());
    until_gaps(&sink, 1).await;
    until("first resync", || async { resyncs(&sink).len() == 1 }).await;
    server.run("XADD sales * nothing here").await;
    until("put aside", || async { sink.told("EventQuarantined") == 1 }).await;
    until_pending(&server, 0).await;
    assert_eq!(resyncs(&sink).len(), 2, "acknowledged, and nobody told");
    worker.stop().await;
}

#[tokio::test]
async fn protocol_38_what_is_told_for_many_entries_is_no_repeat() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    server.run("XGROUP CREATE sales test $ MKSTREAM").await;
    // A was taken, purged and told by one who died before XACK; B was only taken.
    server.run("XADD sales 1-1 nothing here").await;
    server.run("XADD sales 2-1 nothing here").await;
    server.run("XADD sales 3-1 nothing here").await;
    server
        .run("XREADGROUP GROUP test ghost COUNT 3 STREAMS sales >")
        .await;
    let claiming = Settings {
        claim_after: Duration::from_millis(1),
        ..settings()
    };
    let worker = Worker::with(&server, &sink, told_sales(), claiming);
    until("put aside", || async { sink.told("EventQuarantined") == 3 }).await;
    until_pending(&server, 0).await;
    let told = resyncs(&sink);
    assert!(
        !told.is_empty() && told.iter().all(|told| !told.contains("-1")),
        "{told:?}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn protocol_38_each_gap_is_told() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let first = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    first.stop().await;
    let sink = FakeSink::new();
    // Told already, by one who died before it cleared the marker; the second is new.
    group(&server).mark_gap("a-old", "x").await.unwrap();
    group(&server).mark_gap("b-new", "x").await.unwrap();
    let worker = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    let told = resyncs(&sink);
    assert!(told.iter().any(|told| told.contains("b-new")), "{told:?}");
    worker.stop().await;
}

#[tokio::test]
async fn protocol_38_the_purge_for_an_unreadable_entry_waits_for_no_announcement() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, told_sales(), settings());
    until_gaps(&sink, 1).await;
    sink.hold_announcements(true);
    server.run("XADD sales * nothing here").await;
    // For the gap, for the entry, and with what people are told of it.
    until("scope purged", || async { sink.count("f:auction") == 3 }).await;
    server.run("XADD sales * nothing here").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let count = sink.count("f:auction");
    sink.hold_announcements(false);
    worker.stop().await;
    assert_eq!(count, 4, "the second was not purged in 4 s");
}

#[tokio::test]
async fn protocol_38_others_are_in_no_doubt_while_one_waits_to_announce() {
    let (server, sink, other) = (RedisServer::start(), FakeSink::new(), FakeSink::new());
    let settings = Settings {
        away: Duration::from_millis(800),
        told_within: PATIENCE,
        ..settings()
    };
    let worker = Worker::with(&server, &sink, told_sales(), settings.clone());
    until_gaps(&sink, 1).await;
    until_pending(&server, 0).await;
    sink.hold_announcements(true);
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    let second = Worker::with(&server, &other, told_sales(), settings);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (told, doubts) = (other.told("EventsInDoubt"), other.doubts());
    sink.hold_announcements(false);
    second.stop().await;
    worker.stop().await;
    assert_eq!(
        (told, doubts),
        (0, vec![]),
        "its purge is in force everywhere for long"
    );
}

#[tokio::test]
async fn protocol_41_the_doubt_about_a_stream_that_purges_nothing_begins_once_and_ends() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let status = StatusBoard::new("sales");
    let settings = Settings {
        away: Duration::from_millis(400),
        ..settings()
    };
    let consumer = Consumer::new(
        Arc::new(only_told().compile().unwrap()),
        group(&server),
        sink.applier(),
        settings,
        status.clone(),
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(consumer.run(stop.clone()));
    until_gaps(&sink, 1).await;
    server.run("DEL sales").await;
    server.run("SET sales x").await;
    until("doubt", || async { status.health().doubt.is_some() }).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = sink.told("EventsInDoubt");
    server.run("DEL sales").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let doubt = status.health().doubt;
    stop.cancel();
    task.await.unwrap();
    assert_eq!((told, doubt), (1, None));
}

#[tokio::test]
async fn protocol_38_what_is_trimmed_after_its_purge_is_no_gap() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let settings = Settings {
        claim_after: Duration::from_millis(600),
        ..settings()
    };
    let worker = Worker::with(&server, &sink, told_sales(), settings);
    until_gaps(&sink, 1).await;
    until_pending(&server, 0).await;
    sink.hold_announcements(true);
    sell(&server, 1).await;
    until("its purge is in the log", || async { sink.logged() == 1 }).await;
    // Something stays: what the server says of an empty stream is in doubt until the next look.
    sell(&server, 2).await;
    until_purged(&sink, &tag(2)).await;
    // As a publisher with MAXLEN does, while people are not told yet.
    server.run("XTRIM sales MAXLEN 1").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let count = sink.count("f:auction");
    sink.hold_announcements(false);
    worker.stop().await;
    assert_eq!(
        count, 1,
        "the scope was purged for an event whose purge was in force"
    );
}
