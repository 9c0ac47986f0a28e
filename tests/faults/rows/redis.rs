//! What happens to a Redis that stands alone.

use std::time::Duration;

use redis::{RedisResult, Value};
use tokio::time::sleep;

use super::row;
use crate::bench::{Bench, Row, run_all};

pub(super) const ROWS: &[Row] = &[
    row!("killed", "killed, and started empty", Single, killed),
    row!(
        "killed-persistent",
        "killed, and started with all that it had (AOF)",
        Single,
        &["--appendonly", "yes", "--appendfsync", "no"],
        killed
    ),
    row!(
        "stopped",
        "stopped (SIGSTOP): connections live, nothing is answered",
        Single,
        stopped
    ),
    row!(
        "slow",
        "40 ms further away, in each direction",
        Single,
        slow
    ),
    row!(
        "narrow",
        "20 kB a second for each connection",
        Single,
        narrow
    ),
    row!(
        "half-open",
        "what is sent is lost, and no socket tells",
        Single,
        half_open
    ),
    row!(
        "flapping",
        "stopped for 300 ms, again and again",
        Single,
        flapping
    ),
    row!(
        "full",
        "no memory left, and nothing may be evicted",
        Single,
        full
    ),
    row!(
        "no-clients",
        "all connections closed, and no new ones taken",
        Single,
        no_clients
    ),
    row!("flushed", "FLUSHALL, again and again", Single, flushed),
    row!(
        "rolled-back",
        "an old snapshot loaded under live connections",
        Single,
        &["--enable-debug-command", "yes"],
        rolled_back
    ),
    row!(
        "restored",
        "killed, and started from an old snapshot",
        Single,
        restored
    ),
    row!(
        "client-kills",
        "CLIENT KILL of all, twenty times a second",
        Single,
        client_kills
    ),
    row!(
        "rights",
        "rights taken away and given back, the user switched off",
        Single,
        rights
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_150_whatever_happens_to_redis_no_answer_is_wrong_and_no_client_sees_it() {
    run_all(ROWS).await;
}

async fn killed(bench: &mut Bench) {
    bench.topology.master_mut().stop();
    bench.lasts(700, 6_000).await;
    bench.topology.master_mut().restart();
}

async fn stopped(bench: &mut Bench) {
    bench.topology.master().suspend();
    bench.lasts(1_500, 30_000).await;
    bench.topology.master().resume();
}

async fn slow(bench: &mut Bench) {
    for node in &bench.nodes {
        node.way.delay(Duration::from_millis(40));
    }
    bench.lasts(700, 6_000).await;
    for node in &bench.nodes {
        node.way.delay(Duration::ZERO);
    }
}

async fn narrow(bench: &mut Bench) {
    for node in &bench.nodes {
        node.way.slow(20_000);
    }
    bench.lasts(700, 6_000).await;
    for node in &bench.nodes {
        node.way.slow(0);
    }
}

async fn half_open(bench: &mut Bench) {
    for node in &bench.nodes {
        node.way.swallow();
    }
    bench.lasts(1_500, 6_000).await;
    for node in &bench.nodes {
        node.way.resume();
    }
}

async fn flapping(bench: &mut Bench) {
    for _ in 0..bench.form.number(3, 12) {
        bench.topology.master().suspend();
        sleep(Duration::from_millis(300)).await;
        bench.topology.master().resume();
        sleep(Duration::from_millis(200)).await;
    }
}

async fn full(bench: &mut Bench) {
    bench
        .topology
        .master()
        .run("CONFIG SET maxmemory 1mb")
        .await;
    bench.lasts(1_000, 6_000).await;
    bench.topology.master().run("CONFIG SET maxmemory 0").await;
}

/// Whoever breaks the server needs a connection that is left alone.
async fn keeps_connection(bench: &Bench) -> impl AsyncFnMut(&[&str]) -> RedisResult<Value> {
    let client = redis::Client::open(bench.topology.master().url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    async move |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }
}

const KILL_ALL: &[&str] = &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];

async fn no_clients(bench: &mut Bench) {
    let mut ask = keeps_connection(bench).await;
    ask(&["CONFIG", "SET", "maxclients", "1"]).await.unwrap();
    ask(KILL_ALL).await.unwrap();
    bench.lasts(700, 5_000).await;
    ask(&["CONFIG", "SET", "maxclients", "10000"])
        .await
        .unwrap();
}

async fn flushed(bench: &mut Bench) {
    for _ in 0..bench.form.number(2, 6) {
        bench.topology.master().run("FLUSHALL").await;
        bench.lasts(300, 1_000).await;
    }
}

async fn rolled_back(bench: &mut Bench) {
    for _ in 0..bench.form.number(1, 3) {
        bench.topology.master().run("SAVE").await;
        // Pages change meanwhile, and their purges are forgotten.
        bench.lasts(600, 2_000).await;
        bench.topology.master().run("DEBUG RELOAD NOSAVE").await;
    }
}

async fn restored(bench: &mut Bench) {
    bench.topology.master().run("SAVE").await;
    bench.lasts(600, 2_000).await;
    bench.topology.master_mut().restart();
}

async fn client_kills(bench: &mut Bench) {
    let mut ask = keeps_connection(bench).await;
    for _ in 0..bench.form.number(15, 100) {
        ask(KILL_ALL).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
}

/// The rights of the user that the nodes are.
async fn rights(bench: &mut Bench) {
    let mut ask = keeps_connection(bench).await;
    let mut set = async |rule: &[&str]| {
        ask(&[&["ACL", "SETUSER", "default"], rule].concat())
            .await
            .unwrap();
    };
    let without: [&[&str]; 4] = [
        &["-xadd", "-eval"],
        &["-get", "-hget", "-hgetall", "-getrange"],
        &["-info", "-role"],
        // Only the log may be touched, and then nothing.
        &["resetkeys", "~tagcache:purges"],
    ];
    for rule in without {
        set(rule).await;
        bench.lasts(300, 1_500).await;
        set(&["+@all", "~*"]).await;
        bench.lasts(200, 500).await;
    }
    set(&["off"]).await;
    ask(KILL_ALL).await.unwrap();
    bench.lasts(300, 1_500).await;
    ask(&["ACL", "SETUSER", "default", "on"]).await.unwrap();
}
