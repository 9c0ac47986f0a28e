//! No published event is lost, and none does harm twice (P6).

use super::*;

#[tokio::test]
async fn protocol_29_acknowledged_only_after_the_purge() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    sink.refuse(true);
    let asked = sink.asked();
    sell(&server, 1).await;
    // Refused several times over, and still pending.
    until("purge tried again", || async { sink.asked() >= asked + 3 }).await;
    assert_eq!(pending(&server).await, 1);
    assert!(!sink.has(&tag(1)));
    sink.refuse(false);
    until_purged(&sink, &tag(1)).await;
    until_pending(&server, 0).await;
    assert_eq!(sink.told("EventApplied"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn safety_46_events_during_a_reconnect_are_not_lost() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    for auction in 0..60 {
        if auction % 3 == 0 {
            // Every connection but the one that asks, in whatever state it is.
            let _ = server
                .try_command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
                .await;
        }
        sell(&server, auction).await;
    }
    for auction in 0..60 {
        until_purged(&sink, &tag(auction)).await;
    }
    until_pending(&server, 0).await;
    assert!(sink.told("StoreFailed") > 0, "no connection was lost");
    worker.stop().await;
}

#[tokio::test]
async fn safety_47_entry_of_a_killed_consumer_is_claimed() {
    let (server, sink, late) = (RedisServer::start(), FakeSink::new(), FakeSink::new());
    let doomed = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    sink.refuse(true);
    sell(&server, 1).await;
    until_pending(&server, 1).await;
    doomed.kill().await;
    let claiming = Settings {
        claim_after: Duration::from_millis(1),
        ..settings()
    };
    let heir = Worker::with(&server, &late, sales(), claiming);
    until_purged(&late, &tag(1)).await;
    until_pending(&server, 0).await;
    assert!(!sink.has(&tag(1)));
    heir.stop().await;
}

#[tokio::test]
async fn safety_47_two_consumers_share_and_lose_nothing() {
    let (server, sinks) = (RedisServer::start(), [FakeSink::new(), FakeSink::new()]);
    let workers = [
        Worker::start(&server, &sinks[0]),
        Worker::start(&server, &sinks[1]),
    ];
    until_gaps(&sinks[0], 1).await;
    // A consumer is known to the server when it has read.
    until("two consumers", || async { consumers(&server).await == 2 }).await;
    for auction in 0..100 {
        sell(&server, auction).await;
    }
    let all: BTreeSet<String> = (0..100).map(tag).collect();
    let purged = || -> Vec<String> {
        let both = sinks.iter().flat_map(|sink| sink.targets());
        both.filter(|target| target.starts_with("t:auction:"))
            .collect()
    };
    until("all purged", || async {
        purged().into_iter().collect::<BTreeSet<_>>() == all
    })
    .await;
    until_pending(&server, 0).await;
    // Each entry went to one of them.
    assert_eq!(purged().len(), 100);
    assert_eq!(
        sinks
            .iter()
            .map(|sink| sink.told("EventApplied"))
            .sum::<usize>(),
        100
    );
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn safety_47_poison_entry_is_put_aside_and_blocks_nothing() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    server.run("XADD sales * seller nobody").await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    until_pending(&server, 0).await;
    // What the poison may have meant: the scope, a second time after the one at the start.
    assert_eq!(sink.count("f:auction"), 2);
    let record = format!("{:?}", server.run("XRANGE test:quarantine:sales - +").await);
    for part in [
        "_id",
        "_reason",
        "no-tag: in `auction:{auction}`: nothing fills {auction}",
        "seller",
    ] {
        assert!(
            record.contains(part) || record.contains(&format!("{:?}", part.as_bytes())),
            "{part}: {record}"
        );
    }
    assert_eq!(length(&server, "XLEN test:quarantine:sales").await, 1);
    assert_eq!(sink.told("EventQuarantined"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn poison_entry_blocks_nothing_when_it_cannot_be_put_aside() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    server.run("SET test:quarantine:sales 1").await;
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    server.run("XADD sales * seller nobody").await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    until_pending(&server, 0).await;
    assert_eq!(sink.count("f:auction"), 2);
    worker.stop().await;
}

#[tokio::test]
async fn safety_47_entry_that_kills_its_consumers_is_put_aside_unread() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    server.run("XGROUP CREATE sales test $ MKSTREAM").await;
    server.run("SET test:heard:sales 1").await;
    server.run("XADD sales 1-1 auction 1").await;
    server
        .run("XREADGROUP GROUP test dead1 STREAMS sales >")
        .await;
    for consumer in 2..=5 {
        server
            .run(&format!("XCLAIM sales test dead{consumer} 0 1-1"))
            .await;
    }
    // Delivered five times; the claim is the sixth.
    let claiming = Settings {
        claim_after: Duration::from_millis(1),
        ..settings()
    };
    let worker = Worker::with(&server, &sink, sales(), claiming);
    until_purged(&sink, "f:auction").await;
    until_pending(&server, 0).await;
    assert!(!sink.has(&tag(1)));
    assert_eq!(length(&server, "XLEN test:quarantine:sales").await, 1);
    assert_eq!(sink.told("too-many-deliveries"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn restarted_consumer_first_takes_what_an_answer_lost() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let source = group(&server);
    source.create(false).await.unwrap();
    for auction in 0..10 {
        sell(&server, auction).await;
    }
    // Delivered to this consumer in answers that it never saw.
    let read = source.read(portion(10), 1, None).await.unwrap();
    assert_eq!(read[0].entries.len(), 10);
    let stream = Arc::new(sales().compile().unwrap());
    let consumer = Consumer::new(
        stream,
        source,
        sink.applier(),
        settings(),
        StatusBoard::new("sales"),
    );
    let stop = CancellationToken::new();
    let task = tokio::spawn(consumer.run(stop.clone()));
    for auction in 0..10 {
        until_purged(&sink, &tag(auction)).await;
    }
    until_pending(&server, 0).await;
    assert_eq!(sink.told("EventGap"), 0);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn stopped_consumer_leaves_the_group_unless_it_leaves_entries() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    until_pending(&server, 0).await;
    worker.stop().await;
    assert_eq!(consumers(&server).await, 0);
    let worker = Worker::start(&server, &sink);
    sink.refuse(true);
    sell(&server, 2).await;
    until_pending(&server, 1).await;
    worker.stop().await;
    assert_eq!((consumers(&server).await, pending(&server).await), (1, 1));
}

#[tokio::test]
async fn consume_ends_when_told_to() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let stream = Arc::new(sales().compile().unwrap());
    let consumer = || {
        let status = StatusBoard::new("sales");
        Consumer::new(
            stream.clone(),
            group(&server),
            sink.applier(),
            settings(),
            status,
        )
    };
    let stop = CancellationToken::new();
    let task = consume(vec![consumer(), consumer()], &stop);
    let told = async {
        until_gaps(&sink, 1).await;
        sell(&server, 1).await;
        until_purged(&sink, &tag(1)).await;
        stop.cancel();
    };
    let both = async { tokio::join!(task, told) };
    tokio::time::timeout(PATIENCE, both).await.expect("it ends");
}

#[tokio::test]
async fn denied_state_costs_the_notice_of_losses_only() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    server.run("ACL SETUSER default -xinfo").await;
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    for auction in 0..20 {
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    until_pending(&server, 0).await;
    // A lost group still shows.
    server.run("XGROUP DESTROY sales test").await;
    until_gaps(&sink, 2).await;
    sell(&server, 21).await;
    until_purged(&sink, &tag(21)).await;
    worker.stop().await;
}

#[tokio::test]
async fn server_that_is_away_at_the_start_is_picked_up() {
    let (mut server, sink) = (RedisServer::start(), FakeSink::new());
    server.stop();
    let worker = Worker::start(&server, &sink);
    until("failure told", || async { sink.told("StoreFailed") >= 3 }).await;
    server.restart();
    until_gaps(&sink, 1).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}
