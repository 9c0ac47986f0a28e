//! Entries that cannot be understood, many of them.

use super::*;

#[tokio::test]
async fn safety_107_bad_entries_that_follow_each_other_purge_together_and_none_is_lost() {
    const BAD: usize = 2_000;
    let server = RedisServer::start();
    let sink = FakeSink::new();
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    let began = Instant::now();
    let add = format!("for i = 1, {BAD} do redis.call('XADD', 'sales', '*', 'nothing', i) end");
    server.command(&["EVAL", &add, "0"]).await;
    sell(&server, 7).await;
    until("all are put aside", || async {
        sink.told("EventQuarantined") == BAD
    })
    .await;
    until_purged(&sink, &tag(7)).await;
    // One at the start, one at once, and one a second from then on or where there is no room for more.
    let room = BAD / settings().held + 1;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let purges = sink.count("f:auction");
    assert!(purges <= 3 + room + seconds, "{purges} purges of the scope");
    // The last was appended after the last of them was read: before that it was not acknowledged.
    assert!(purges >= 2, "the bad ones purge as well");
    until("nothing waits", || async {
        matches!(server.run("XPENDING sales test").await, Value::Array(parts) if parts[0] == Value::Int(0))
    })
    .await;
    worker.stop().await;
}
