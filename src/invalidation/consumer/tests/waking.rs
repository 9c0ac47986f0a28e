//! Who reads when, and what is found without being woken (PROTOCOL 44 and 45).

use super::*;
use crate::redis::{EntryId, ToldLosses};

const NONE: ToldLosses = ToldLosses {
    deleted: EntryId::new(0, 0),
    last: EntryId::new(0, 0),
};

async fn until_belled(server: &RedisServer) {
    until("there is a bell", || async {
        let bell = server.try_command(&["XINFO", "CONSUMERS", "sales", "test:wake"]);
        bell.await.is_ok()
    })
    .await;
}

/// The last entry that was delivered to the group.
async fn delivered(server: &RedisServer) -> String {
    format!("{:?}", server.run("XINFO GROUPS sales").await)
}

/// `[judge_first]`
/// > entries trimmed unread · one reads what stands behind them, and dies · the group is past the hole, which looks like
/// > ordinary trimming now · v1 hit.
#[tokio::test]
async fn protocol_44_nothing_is_read_past_a_loss_that_is_not_told() {
    for (name, lose) in [
        ("trimmed", "XTRIM sales MAXLEN 1"),
        ("deleted", "XDEL sales 2-1"),
    ] {
        let server = RedisServer::start();
        let source = group(&server);
        source.create(false).await.unwrap();
        for id in 1..4 {
            server.run(&format!("XADD sales {id}-1 auction {id}")).await;
        }
        server.run(lose).await;
        let before = delivered(&server).await;
        let reads = source.read(portion(10), 3, Some(NONE)).await.unwrap();
        assert_eq!(reads.len(), 3);
        for read in &reads {
            assert!(read.is_stopped() && read.entries.is_empty(), "{name}");
        }
        assert_eq!(delivered(&server).await, before, "{name}");
        // Whoever has marked it reads on.
        let read = source.read(portion(10), 1, None).await.unwrap();
        assert_eq!(read[0].entries.last().unwrap().id, EntryId::new(3, 1));
    }
}

#[tokio::test]
async fn protocol_44_ordinary_trimming_stops_nothing() {
    let server = RedisServer::start();
    let source = group(&server);
    source.create(true).await.unwrap();
    for id in 1..10 {
        server.run(&format!("XADD sales {id}-1 auction {id}")).await;
        let reads = source.read(portion(1), 2, Some(NONE)).await.unwrap();
        assert!(reads.iter().all(|read| !read.is_stopped()), "{id}");
        assert_eq!(reads[0].entries.len(), 1);
        server.run("XTRIM sales MAXLEN 0").await;
    }
}

#[tokio::test]
async fn safety_145_portions_asked_for_at_once_follow_each_other() {
    let server = RedisServer::start();
    let source = group(&server);
    source.create(false).await.unwrap();
    for id in 1..=10 {
        server.run(&format!("XADD sales {id}-1 auction {id}")).await;
    }
    let reads = source.read(portion(3), 5, Some(NONE)).await.unwrap();
    let ids: Vec<Vec<EntryId>> = reads
        .iter()
        .map(|read| read.entries.iter().map(|entry| entry.id).collect())
        .collect();
    let sizes: Vec<usize> = ids.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 3, 1, 0]);
    let expected: Vec<EntryId> = (1..=10).map(|id| EntryId::new(id, 1)).collect();
    assert_eq!(ids.concat(), expected);
    let ends: Vec<bool> = reads.iter().map(|read| read.end().is_some()).collect();
    assert_eq!(ends, [false, false, false, true, true]);
}

/// `[bell]`
/// > entry published · the bell tells it to a consumer that has stopped · all others wait for the bell · v1 hit.
#[tokio::test]
async fn safety_147_an_entry_of_which_a_dead_consumer_was_told_is_found_by_a_look() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    for auction in 0..20 {
        // As one that is stopped while it waits: it is told, and does nothing.
        let steal = format!(
            "redis.call('XADD', 'sales', '*', 'auction', '{auction}')
            redis.call('XREADGROUP', 'GROUP', 'test:wake', 'anybody', 'NOACK', 'STREAMS', 'sales', '>') return 1"
        );
        until_belled(&server).await;
        server.command(&["EVAL", &steal, "0"]).await;
        until_purged(&sink, &tag(auction)).await;
    }
    until_pending(&server, 0).await;
    worker.stop().await;
}

#[tokio::test]
async fn safety_147_a_bell_that_is_lost_or_refused_stops_nothing() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::start(&server, &sink);
    until_gaps(&sink, 1).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    server.run("XGROUP DESTROY sales test:wake").await;
    sell(&server, 2).await;
    until_purged(&sink, &tag(2)).await;
    server.run("ACL SETUSER default -xgroup|create").await;
    server.run("XGROUP DESTROY sales test:wake").await;
    for auction in 3..10 {
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    assert_eq!(sink.told("EventGap"), 1, "only the one at the start");
    worker.stop().await;
}

#[tokio::test]
async fn safety_146_an_entry_wakes_one_of_many() {
    const EACH: u64 = 30;
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    // Looks are so rare that only the bell wakes.
    let patient = Settings {
        wait: Duration::from_secs(2),
        ..settings()
    };
    let start = || Worker::with(&server, &sink, sales(), patient.clone());
    let workers: Vec<Worker> = std::iter::repeat_with(start).take(6).collect();
    until_gaps(&sink, 1).await;
    until("all wait", || async {
        server.info("clients").await.contains("blocked_clients:6")
    })
    .await;
    let before = server.calls("eval").await;
    for auction in 0..30 {
        sell(&server, auction).await;
        until_purged(&sink, &tag(auction)).await;
    }
    until_pending(&server, 0).await;
    // One read for each entry, and few looks.
    let reads = server.calls("eval").await - before;
    assert!(reads < EACH * 2, "{reads} reads of {EACH} entries");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn trimming_waits_for_no_bell() {
    let (server, sink) = (RedisServer::start(), FakeSink::new());
    let worker = Worker::with(&server, &sink, sales().trim(), settings());
    until_gaps(&sink, 1).await;
    sell(&server, 1).await;
    until_purged(&sink, &tag(1)).await;
    until_belled(&server).await;
    server.run("XGROUP SETID sales test:wake 0-1").await;
    until("it is trimmed", || async {
        sell(&server, 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        length(&server, "XLEN sales").await < 5
    })
    .await;
    worker.stop().await;
}
