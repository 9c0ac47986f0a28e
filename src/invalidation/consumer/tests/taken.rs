//! Entries that somebody else was given in the name of the group, or that were skipped (SAFETY 104).

use super::*;

/// The gap at the start is closed, and what comes is read.
async fn reading(server: &RedisServer) -> (Arc<FakeSink>, Worker) {
    let sink = FakeSink::new();
    let worker = Worker::start(server, &sink);
    until_gaps(&sink, 1).await;
    sell(server, 1).await;
    until_purged(&sink, &tag(1)).await;
    (sink, worker)
}

/// The next entry is read as ever, and nothing more counts as a gap.
async fn goes_on(server: &RedisServer, sink: &FakeSink, gaps: usize) {
    for auction in 100..110 {
        sell(server, auction).await;
        until_purged(sink, &tag(auction)).await;
    }
    assert_eq!(sink.told("EventGap"), gaps);
}

#[tokio::test]
async fn safety_104_a_position_that_somebody_moved_is_a_gap_once() {
    let server = RedisServer::start();
    let (sink, worker) = reading(&server).await;
    let skip = "redis.call('XADD', 'sales', '*', 'auction', '2')
        return redis.call('XGROUP', 'SETID', 'sales', 'test', '$')";
    server.command(&["EVAL", skip, "0"]).await;
    until_gaps(&sink, 2).await;
    assert!(sink.has("f:auction") && !sink.has(&tag(2)));
    goes_on(&server, &sink, 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn safety_104_what_a_foreign_consumer_was_given_is_a_gap() {
    let server = RedisServer::start();
    let (sink, worker) = reading(&server).await;
    let take = "redis.call('XADD', 'sales', '*', 'auction', '2')
        redis.call('XREADGROUP', 'GROUP', 'test', 'stranger', 'NOACK', 'STREAMS', 'sales', '>') return 1";
    server.command(&["EVAL", take, "0"]).await;
    until_gaps(&sink, 2).await;
    goes_on(&server, &sink, 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn safety_104_the_loss_of_the_place_costs_nothing() {
    let server = RedisServer::start();
    let (sink, worker) = reading(&server).await;
    for auction in 2..12 {
        let Value::Array(keys) = server.run("KEYS test:at:*").await else {
            panic!("no keys");
        };
        assert!(keys.len() <= 1);
        for key in keys {
            let Value::BulkString(key) = key else {
                continue;
            };
            server
                .command(&["DEL", std::str::from_utf8(&key).unwrap()])
                .await;
        }
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    assert_eq!(sink.told("EventGap"), 1, "only that at the start");
    worker.stop().await;
}

#[tokio::test]
async fn safety_104_two_caches_with_one_group_both_purge_what_either_was_given() {
    let server = RedisServer::start();
    let (mine, worker) = reading(&server).await;
    let theirs = FakeSink::new();
    let patient = Budgets {
        purge: PATIENCE,
        ..Budgets::default()
    };
    let url = Server::new(&server.url(), patient).unwrap();
    let source = Group::new(url, "other", "test", "sales", "other/1/them", 0);
    let stream = Arc::new(sales().compile().unwrap());
    let status = StatusBoard::new("sales");
    let consumer = Consumer::new(stream, source, theirs.applier(), settings(), status.clone());
    let stop = CancellationToken::new();
    let task = tokio::spawn(consumer.run(stop.clone()));
    until("they read", || async { status.health().silence.is_some() }).await;
    for auction in 2..42 {
        let before = (mine.count("f:auction"), theirs.count("f:auction"));
        sell(&server, auction).await;
        until("both purge it", || async {
            let purged = |sink: &FakeSink, before: usize| {
                sink.has(&tag(auction)) || sink.count("f:auction") > before
            };
            purged(&mine, before.0) && purged(&theirs, before.1)
        })
        .await;
    }
    until("it is told by name", || async {
        let shared = status.health().shared;
        shared.is_some_and(|why| why.contains("entries of its consumer group went to others"))
    })
    .await;
    stop.cancel();
    task.await.unwrap();
    worker.stop().await;
}

#[tokio::test]
async fn safety_104_entries_taken_by_another_mapping_are_a_gap_and_those_of_the_same_none() {
    let server = RedisServer::start();
    let (sink, worker) = reading(&server).await;
    let same = FakeSink::new();
    let second = Worker::start(&server, &same);
    for auction in 2..32 {
        sell(&server, auction).await;
        until("it is purged", || async {
            sink.has(&tag(auction)) || same.has(&tag(auction))
        })
        .await;
    }
    assert_eq!(sink.told("EventGap") + same.told("EventGap"), 1);
    second.stop().await;
    let number = |stream: Stream| stream.compile().unwrap().mapping;
    assert_eq!(number(sales()), number(sales()));
    assert_ne!(number(sales()), number(sales().on(On::any().purge("x"))));
    worker.stop().await;
}
