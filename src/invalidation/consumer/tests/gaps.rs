//! Where events may be missing, everything that the stream can touch is purged (P6, PROTOCOL 30).

use super::*;

/// A worker that has begun, so that the next gap is the second.
async fn started(server: &RedisServer, sink: &Arc<FakeSink>) -> Worker {
    let worker = Worker::start(server, sink);
    until_gaps(sink, 1).await;
    sell(server, 1000).await;
    until_purged(sink, &tag(1000)).await;
    until_pending(server, 0).await;
    worker
}

async fn until_scope_purged_again(sink: &Arc<FakeSink>) {
    until("scope purged again", || async {
        sink.count("f:auction") >= 2
    })
    .await;
    until_gaps(sink, 2).await;
}

#[tokio::test]
async fn new_group_starts_at_the_tail_after_a_purge_of_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    sell(&server, 1).await;
    let settling = sales().settle(Duration::from_secs(3));
    let worker = Worker::with(&server, &sink, settling, settings());
    until_gaps(&sink, 1).await;
    sell(&server, 2).await;
    until_purged(&sink, &tag(2)).await;
    assert!(!sink.has(&tag(1)), "the group began before its tail");
    let (_, scope, settle) = sink.purges().remove(0);
    assert_eq!(
        (scope, settle),
        (
            vec!["f:auction".into(), "t:auctions".into()],
            Duration::from_secs(3)
        )
    );
    worker.stop().await;
}

#[tokio::test]
async fn group_from_the_start_reads_what_is_there() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    sell(&server, 1).await;
    let worker = Worker::with(&server, &sink, sales().replay(), settings());
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn lost_group_purges_the_scope_and_is_made_again() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    server.run("XGROUP DESTROY sales test").await;
    until_scope_purged_again(&sink).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn deleted_stream_purges_the_scope_and_is_read_again() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    server.run("DEL sales").await;
    until_scope_purged_again(&sink).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn flushed_server_purges_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    server.run("FLUSHALL").await;
    until_scope_purged_again(&sink).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn restarted_server_without_its_data_purges_the_scope() {
    let (mut server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    server.restart();
    until_scope_purged_again(&sink).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn key_of_another_type_is_waited_out() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    server.run("SET sales 1").await;
    until("failure told", || async { sink.told("StoreFailed") >= 2 }).await;
    server.run("DEL sales").await;
    until_scope_purged_again(&sink).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    worker.stop().await;
}

#[tokio::test]
async fn safety_98_what_is_not_read_for_long_is_in_doubt_until_it_is_read() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let hasty = Settings {
        away: Duration::from_millis(500),
        ..settings()
    };
    let worker = Worker::with(&server, &sink, sales(), hasty);
    until_gaps(&sink, 1).await;
    server.run("SET sales 1").await;
    until("in doubt", || async { sink.doubts().len() == 2 }).await;
    assert_eq!(sink.doubts(), ["f:auction", "t:auctions"]);
    server.run("DEL sales").await;
    until("in doubt no more", || async { sink.doubts().is_empty() }).await;
    assert_eq!(sink.told("begins: true"), 1);
    assert_eq!(sink.told("begins: false"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn safety_45_entries_trimmed_unread_purge_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    started(&server, &sink).await.stop().await;
    for auction in 0..5 {
        sell(&server, auction).await;
    }
    server.run("XTRIM sales MAXLEN 2").await;
    let worker = Worker::start(&server, &sink);
    until_scope_purged_again(&sink).await;
    until_purged(&sink, &tag(4)).await;
    assert!(sink.has(&tag(3)) && !sink.has(&tag(2)));
    assert_eq!(sink.told("trimmed unread"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn entries_deleted_unread_purge_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    started(&server, &sink).await.stop().await;
    let Value::BulkString(id) = server.run("XADD sales * auction 1").await else {
        panic!("no id");
    };
    server
        .run(&format!("XDEL sales {}", String::from_utf8(id).unwrap()))
        .await;
    let worker = Worker::start(&server, &sink);
    until_scope_purged_again(&sink).await;
    assert_eq!(sink.told("entries deleted unread"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn ordinary_trimming_is_no_gap() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    for auction in 0..30 {
        server
            .run(&format!("XADD sales MAXLEN 1 * auction {auction}"))
            .await;
        until_purged(&sink, &tag(auction)).await;
        until_pending(&server, 0).await;
    }
    server.run("XTRIM sales MAXLEN 0").await;
    sell(&server, 31).await;
    until_purged(&sink, &tag(31)).await;
    assert_eq!(sink.told("EventGap"), 1, "only the one at the start");
    worker.stop().await;
}

#[tokio::test]
async fn pending_entries_that_were_trimmed_purge_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    worker.stop().await;
    sell(&server, 1).await;
    server
        .run("XREADGROUP GROUP test dead STREAMS sales >")
        .await;
    server.run("XTRIM sales MAXLEN 0").await;
    let claiming = Settings {
        claim_after: Duration::from_millis(1),
        ..settings()
    };
    let worker = Worker::with(&server, &sink, sales(), claiming);
    until_scope_purged_again(&sink).await;
    assert_eq!(sink.told("pending entries deleted"), 1);
    until_pending(&server, 0).await;
    worker.stop().await;
}

#[tokio::test]
async fn server_that_nobody_heard_from_purges_the_scope() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    started(&server, &sink).await.stop().await;
    // As it is when the time has run out.
    server.run("DEL test:heard:sales").await;
    let worker = Worker::start(&server, &sink);
    until_scope_purged_again(&sink).await;
    assert_eq!(sink.told("server away too long"), 1);
    until("heard again", || async {
        length(&server, "EXISTS test:heard:sales").await == 1
    })
    .await;
    let Value::Int(left) = server.run("PTTL test:heard:sales").await else {
        panic!("no time");
    };
    assert!((50_000..=60_000).contains(&left), "{left}");
    worker.stop().await;
}

/// `[group_first]`, `[gap_durable]`
/// > purge first, group second: an event published between them is behind the group's cursor and never
/// > read.
#[tokio::test]
async fn protocol_30_gap_of_a_dead_worker_is_closed_by_another() {
    let (server, sink, late) = (RedisServer::start(), FakeSink::new(), FakeSink::new());
    sink.refuse(true);
    let doomed = Worker::start(&server, &sink);
    // It has marked the gap and made the group, and cannot purge.
    until("purge tried", || async { sink.asked() >= 2 }).await;
    doomed.kill().await;
    assert_eq!(length(&server, "HLEN test:gaps:sales").await, 1);
    // Published after the group was made: both in the group, and before the purge.
    sell(&server, 1).await;
    // The group is there and the server was heard from: only the marker tells.
    server.run("SET test:heard:sales 1").await;
    let heir = Worker::start(&server, &late);
    until_purged(&late, "f:auction").await;
    until_purged(&late, &tag(1)).await;
    until("marker gone", || async {
        length(&server, "EXISTS test:gaps:sales").await == 0
    })
    .await;
    assert_eq!(late.told("found by another consumer"), 1);
    heir.stop().await;
}

#[tokio::test]
async fn protocol_30_gap_found_while_another_is_closed_stays_marked() {
    let server = RedisServer::start();
    let source = group(&server);
    source.mark_gap("one", "trimmed").await.unwrap();
    let look = source.look(settings().looks()).await.unwrap();
    source.mark_gap("two", "trimmed").await.unwrap();
    source.clear_gaps(&look.gaps).await.unwrap();
    assert_eq!(source.look(settings().looks()).await.unwrap().gaps, ["two"]);
}

#[tokio::test]
async fn safety_98_on_a_full_server_no_publisher_can_write_so_that_silence_is_doubt() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let away = Duration::from_millis(400);
    let settings = Settings { away, ..settings() };
    let worker = Worker::with(&server, &sink, sales(), settings);
    until_gaps(&sink, 1).await;
    assert_eq!(sink.doubts(), [""; 0]);
    server.run("CONFIG SET maxmemory 1").await;
    until("doubt", || async { !sink.doubts().is_empty() }).await;
    server.run("CONFIG SET maxmemory 0").await;
    // What publishers gave up meanwhile is lost.
    until_gaps(&sink, 2).await;
    assert!(sink.told("too long") > 0);
    until("no doubt", || async { sink.doubts().is_empty() }).await;
    sell(&server, 2).await;
    until_purged(&sink, &tag(2)).await;
    worker.stop().await;
}

#[tokio::test]
async fn safety_101_after_a_loss_large_entries_are_not_copied_again_and_again_to_count_them() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = started(&server, &sink).await;
    let many = "for i = 1, 60 do redis.call('XADD', 'sales', '*', 'auction', i, 'pad', string.rep('x', 100000)) end
        local last = redis.call('XADD', 'sales', '*', 'auction', '999')
        redis.call('XADD', 'sales', '*', 'auction', '61')
        return redis.call('XDEL', 'sales', last)";
    server.run("CONFIG RESETSTAT").await;
    server.command(&["EVAL", many, "0"]).await;
    until_purged(&sink, &tag(61)).await;
    until_pending(&server, 0).await;
    until_gaps(&sink, 2).await;
    // Each is copied a few times; without a bound, each once for each that was read before it.
    let copies = server.calls("xrange").await;
    assert!(copies < 500, "{copies}");
    let gaps = sink.told("EventGap");
    for auction in 100..110 {
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    assert_eq!(sink.told("EventGap"), gaps, "the loss is told once");
    worker.stop().await;
}
