//! Real servers, examined.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tagcache_test_support::RedisServer;

use super::*;
use crate::clock::SystemClock;
use crate::redis::Keyspace;
use crate::store::Budgets;

fn doctor(url: &str, streams: &[&str]) -> Doctor {
    let budgets = Budgets {
        // A loaded machine is no slow server.
        read: Duration::from_secs(5),
        connect: Duration::from_secs(2),
        ..Budgets::default()
    };
    let server = Server::new(url, budgets).unwrap();
    let streams = streams.iter().map(|&name| name.into());
    let needs = Needs::new(Keyspace::new("tagcache").unwrap(), "tagcache");
    let needs = needs.reading("tagcache", streams);
    Doctor::new(server, needs, "tagcache", Arc::new(SystemClock::new()))
}

async fn examined(redis: &RedisServer, streams: &[&str]) -> Report {
    doctor(&redis.url(), streams).examine().await
}

fn found<'a>(report: &'a Report, area: &str) -> &'a DoctorFinding {
    let mut found = report.findings.iter().filter(|one| one.area == area);
    found
        .next()
        .unwrap_or_else(|| panic!("{area}: {report:#?}"))
}

fn standing(report: &Report, promise: Promise) -> Standing {
    let mut promises = report.promises.iter();
    promises
        .find(|one| one.promise == promise)
        .unwrap()
        .standing
}

const WELL: [&str; 4] = ["--maxmemory", "512mb", "--maxmemory-policy", "volatile-lru"];

#[tokio::test]
async fn a_server_that_is_well_is_told_so() {
    let redis = RedisServer::start_with(&WELL);
    redis.run("XADD sales * a 1").await;
    redis.run("XGROUP CREATE sales tagcache 0").await;
    let report = examined(&redis, &["sales"]).await;
    assert!(report.verdict <= Severity::Note, "{report:#?}");
    for promise in Promise::ALL {
        assert_eq!(standing(&report, promise), Standing::Holds, "{report:#?}");
    }
    let facts = &report.facts;
    let software = facts.software.as_deref().unwrap();
    assert!(
        software.starts_with("Redis ") || software.starts_with("Valkey "),
        "{software}"
    );
    assert_eq!((facts.role, facts.replicas), (Some("master"), Some(0)));
    assert_eq!(facts.rights.asked_by, Some("ACL DRYRUN"));
    assert_eq!(facts.rights.denied, []);
    assert!(
        facts.commands.iter().all(|one| one.answered == Some(true)),
        "{facts:#?}"
    );
    assert_eq!(facts.latency.as_ref().unwrap().round_trips, 9);
    assert!(facts.clock_ahead_ms.unwrap().abs() < 2_000);
    assert_eq!(facts.streams[0].unread, Some(1), "{facts:#?}");
    assert_eq!(facts.log.kind.as_deref(), Some("none"));
    let keys = redis.run("DBSIZE").await;
    assert_eq!(keys, ::redis::Value::Int(1), "nothing was written");
}

#[tokio::test]
async fn what_is_wrong_with_a_server_is_told_with_a_remedy() {
    let master =
        RedisServer::start_with(&["--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru"]);
    let replica = RedisServer::start();
    replica.replica_of(&master).await;
    master.run("SET tagcache:purges x").await;
    master.run("SET sales x").await;
    let report = examined(&master, &["sales", "kicks"]).await;
    assert_eq!(report.verdict, Severity::Warning, "{report:#?}");
    for (area, said, remedy) in [
        (
            "replicas",
            "min-replicas-to-write is not set",
            "CONFIG SET min-replicas-to-write 1",
        ),
        (
            "eviction",
            "allkeys-lru may evict",
            "CONFIG SET maxmemory-policy volatile-lru",
        ),
        ("log", "`tagcache:purges` is no stream", "namespace"),
        ("stream sales", "`sales` is no stream", "[[streams]]"),
        ("stream kicks", "empty or not there", "SCAN 0 TYPE stream"),
    ] {
        let found = found(&report, area);
        assert!(found.message.contains(said), "{found:?}");
        assert!(found.remedy.as_ref().unwrap().contains(remedy), "{found:?}");
    }
    assert_eq!(standing(&report, Promise::P1), Standing::Limited);
    assert_eq!(standing(&report, Promise::P2), Standing::Holds);
    assert_eq!(standing(&report, Promise::P6), Standing::Broken);
    master.run("CONFIG SET min-replicas-to-write 1").await;
    let report = examined(&master, &[]).await;
    assert_eq!(found(&report, "replicas").severity, Severity::Ok);
    master.run("CONFIG SET min-replicas-to-write 2").await;
    let report = examined(&master, &[]).await;
    assert_eq!(
        found(&report, "replicas").severity,
        Severity::Problem,
        "{report:#?}"
    );
    let report = examined(&replica, &[]).await;
    let (server, at) = (found(&report, "server"), master.addr().to_string());
    assert!(server.message.contains("is a replica"), "{server:?}");
    assert!(server.message.contains(&at), "{server:?}");
    assert!(!report.is_usable());
}

/// SAFETY 134: whoever has the least rights is told that they suffice, and who has fewer which are missing; nothing is
/// written to find out.
#[tokio::test]
async fn safety_134_rights_are_found_out_by_each_way_that_is_allowed() {
    let needs = doctor("redis://localhost", &["sales"]).least_rights();
    let start = |user: &str, more: &str| {
        let rights = format!("{user} on nopass {needs} {more}");
        let mut args = vec!["--user"];
        args.extend(rights.split(' ').filter(|word| !word.is_empty()));
        RedisServer::start_with(&args)
    };
    for (more, asked_by) in [
        ("+acl|whoami +acl|dryrun", "ACL DRYRUN"),
        ("", "EVAL"),
        ("-eval +multi +discard", "MULTI"),
    ] {
        let redis = start("default", more);
        let report = examined(&redis, &["sales"]).await;
        let rights = &report.facts.rights;
        assert_eq!(rights.asked_by, Some(asked_by), "{more}: {report:#?}");
        let denied = rights.denied.iter().map(|one| &*one.command);
        let expected = asked_by == "MULTI";
        assert!(
            denied
                .into_iter()
                .all(|one| expected && one.starts_with("EVAL")),
            "{more}: {rights:#?}"
        );
        // Fewer.
        let redis = start("default", &format!("{more} -wait -hsetnx -xadd"));
        let report = examined(&redis, &["sales"]).await;
        let denied: Vec<_> = report.facts.rights.denied.iter().collect();
        for command in [
            "WAIT 0 1",
            "HSETNX {tagcache:purges}:roll f v",
            "XADD tagcache:purges NOMKSTREAM 0-* f v",
        ] {
            assert!(
                denied.iter().any(|one| one.command == command),
                "{more}: {denied:#?}"
            );
        }
        assert!(!report.is_usable(), "no XADD is no cache: {report:#?}");
        // Another key.
        let redis = start("default", &format!("{more} resetkeys ~tagcache:* ~sales"));
        let report = examined(&redis, &["sales"]).await;
        let denied: Vec<_> = report
            .facts
            .rights
            .denied
            .iter()
            .map(|one| &*one.command)
            .collect();
        assert!(
            denied.contains(&"HGETALL {tagcache:purges}:roll"),
            "{more}: {denied:?}"
        );
        assert!(!denied.contains(&"GET tagcache:e:0"), "{more}: {denied:?}");
    }
    found_out_by_use(&start("default", "-eval")).await;
}

async fn found_out_by_use(redis: &RedisServer) {
    let report = examined(redis, &["sales"]).await;
    let rights = found(&report, "rights");
    assert!(rights.message.contains("found out by use"), "{rights:?}");
    assert!(
        rights.remedy.as_ref().unwrap().contains("+xreadgroup"),
        "{rights:?}"
    );
}

/// SAFETY 135.
#[tokio::test]
async fn safety_135_a_server_that_hangs_is_reported_in_a_few_seconds() {
    let redis = RedisServer::start();
    // Greeted by a question, and not.
    for (url, reached, said) in [
        (
            format!("{}?protocol=resp3", redis.url()),
            false,
            "timed out",
        ),
        (redis.url(), true, "does not answer"),
    ] {
        let one = doctor(&url, &["sales"]);
        redis.suspend();
        let begun = Instant::now();
        let report = one.examine().await;
        let took = begun.elapsed();
        redis.resume();
        assert!(took < Duration::from_secs(15), "{took:?}");
        assert!(!report.is_usable(), "{report:#?}");
        assert_eq!(report.facts.reached, reached, "{report:#?}");
        let server = found(&report, "server");
        assert!(server.message.contains(said), "{server:?}");
    }
}

#[tokio::test]
async fn what_managed_servers_hide_is_named() {
    let redis = RedisServer::start_with(&[
        "--user", "default", "on", "nopass", "~*", "&*", "+@all", "-info", "-config", "-xinfo",
        "-wait", "-time",
    ]);
    let report = examined(&redis, &["sales"]).await;
    assert_eq!(report.verdict, Severity::Warning, "{report:#?}");
    let commands = found(&report, "commands");
    assert!(
        commands.message.starts_with("INFO, XINFO, WAIT refused"),
        "{commands:?}"
    );
    assert_eq!(standing(&report, Promise::P1), Standing::Limited);
    assert_eq!(standing(&report, Promise::P6), Standing::Limited);
    assert_eq!(report.facts.role, None);
    assert!(found(&report, "memory").message.contains("hidden"));
}

#[tokio::test]
async fn a_stream_that_is_stuck_or_shared_is_told() {
    let redis = RedisServer::start_with(&WELL);
    for line in [
        "XADD sales 1-1 a 1",
        "XGROUP CREATE sales tagcache 0",
        "XREADGROUP GROUP tagcache worker-1 STREAMS sales >",
        "XCLAIM sales tagcache worker-1 0 1-1 IDLE 600000",
    ] {
        redis.run(line).await;
    }
    let report = examined(&redis, &["sales"]).await;
    let said: Vec<_> = report
        .findings
        .iter()
        .filter(|one| one.area == "stream sales")
        .collect();
    assert!(
        said[0]
            .message
            .contains("1 not acknowledged, the oldest for 60"),
        "{said:?}"
    );
    assert!(said[1].message.contains("`worker-1`"), "{said:?}");
    assert_eq!(standing(&report, Promise::P6), Standing::Broken);
}
