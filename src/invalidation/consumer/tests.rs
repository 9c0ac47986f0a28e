//! Consumers on a private server, with a place for purges that can refuse them.

use std::collections::BTreeSet;
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::RedisServer;
use tokio::task::JoinHandle;

use super::*;
use crate::backoff::Backoff;
use crate::invalidation::fake::FakeSink;
use crate::invalidation::on::On;
use crate::invalidation::stream::Stream;
use crate::redis::{Group, Portion, Server};
use crate::store::Budgets;

mod delivery;
mod doubtful;
mod gaps;
mod taken;
mod told;
mod waking;

/// How long anything here may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(20);

fn settings() -> Settings {
    Settings {
        count: 4,
        wait: Duration::from_millis(20),
        // Nobody claims from the living in these tests, unless one asks for it.
        claim_after: Duration::from_secs(3600),
        backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(10)),
        ..Settings::default()
    }
}

/// Sales of auction n purge `auction:n`; the scope is the family and `auctions`.
fn sales() -> Stream {
    Stream::text("sales", crate::invalidation::Payload::AllFields)
        .on(On::any().purge("auction:{auction}").purge("auctions"))
}

/// A consumer that runs until it is stopped or killed.
struct Worker {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    fn start(server: &RedisServer, sink: &Arc<FakeSink>) -> Self {
        Self::with(server, sink, sales(), settings())
    }

    fn with(
        server: &RedisServer,
        sink: &Arc<FakeSink>,
        stream: Stream,
        settings: Settings,
    ) -> Self {
        let source = group(server);
        let stream = Arc::new(stream.compile().unwrap());
        let consumer = Consumer::new(
            stream,
            source,
            sink.applier(),
            settings,
            StatusBoard::new("sales"),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(consumer.run(stop.clone()));
        Self { stop, task }
    }

    /// As a shutdown does.
    async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.expect("the consumer stops").unwrap();
    }

    /// As a crash does.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn group(server: &RedisServer) -> Group {
    let patient = Budgets {
        purge: PATIENCE,
        ..Budgets::default()
    };
    let url = Server::new(&server.url(), patient).unwrap();
    Group::new(url, "test", "test", "sales", &unique_name(), 0)
}

fn portion(count: usize) -> Portion {
    Portion {
        count,
        bytes: usize::MAX,
        patience: PATIENCE,
    }
}

async fn sell(server: &RedisServer, auction: usize) {
    server.run(&format!("XADD sales * auction {auction}")).await;
}

fn tag(auction: usize) -> String {
    format!("t:auction:{auction}")
}

/// Waits until `condition` holds.
async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, holds).await;
    reached.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn until_purged(sink: &FakeSink, target: &str) {
    until(&format!("{target} purged"), || async { sink.has(target) }).await;
}

async fn until_gaps(sink: &FakeSink, gaps: usize) {
    until(&format!("{gaps} gaps"), || async {
        sink.told("EventGap") >= gaps
    })
    .await;
}

/// How many entries are delivered and not acknowledged.
async fn pending(server: &RedisServer) -> i64 {
    match server.try_command(&["XPENDING", "sales", "test"]).await {
        Ok(Value::Array(summary)) => match summary[0] {
            Value::Int(count) => count,
            ref other => panic!("{other:?}"),
        },
        // No group yet.
        _ => 0,
    }
}

async fn until_pending(server: &RedisServer, count: i64) {
    until(&format!("{count} pending"), || async {
        pending(server).await == count
    })
    .await;
}

async fn length(server: &RedisServer, command: &str) -> i64 {
    match server.run(command).await {
        Value::Int(length) => length,
        other => panic!("{other:?}"),
    }
}

async fn consumers(server: &RedisServer) -> usize {
    match server.run("XINFO CONSUMERS sales test").await {
        Value::Array(consumers) => consumers.len(),
        other => panic!("{other:?}"),
    }
}
