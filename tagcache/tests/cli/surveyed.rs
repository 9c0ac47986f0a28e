//! `tagcache check --connect`: what this server can and cannot promise.

use serde_json::Value;
use tagcache_test_support::RedisServer;

use super::history::{AUCTION, History, KEPT};
use super::program::Directory;

fn configured(url: &str) -> Directory {
    let directory = Directory::new();
    directory.configure(&format!(
        "[redis]\nurl = \"{url}\"\n[[rules]]\nname = \"a\"\nroute = \"/a\"\nttl = \"1m\"\ntags = [\"a\"]\n\
         [[streams]]\nname = \"sales\"\nformat = \"rindexer\"\non = [{{ event = \"Sale\", purge = [\"a\"] }}]\n"
    ));
    directory
}

#[test]
fn check_connects_and_says_what_a_server_can_promise() {
    let redis =
        RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"]);
    let ran = configured(&redis.url()).run(&["check", "--connect"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "redis: server: Redis ",
        "a single server, master",
        "redis: replicas: none",
        "redis: eviction: maxmemory-policy volatile-lru",
        "redis: rights: user default may send all that is needed",
        "redis: stream sales: `sales` is empty or not there",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {ran:?}");
    }
}

#[test]
fn safety_104_check_tells_of_a_group_that_others_share_and_of_the_user_of_the_example() {
    let user =
        include_str!("../../../examples/deploy/redis-user.acl").replace("~auction_*", "~sales");
    let mut args: Vec<&str> = vec!["--user"];
    args.extend(user.split_whitespace().skip(1));
    let redis = RedisServer::start_with(&args);
    let mut admin = redis::Client::open(redis.url())
        .unwrap()
        .get_connection()
        .unwrap();
    for line in [
        "XGROUP CREATE sales tagcache $ MKSTREAM",
        "XGROUP CREATECONSUMER sales tagcache tagcache/00000001/a",
        "XGROUP CREATECONSUMER sales tagcache worker-1",
    ] {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        command.query::<redis::Value>(&mut admin).unwrap();
    }
    let url = redis
        .url()
        .replace("redis://", "redis://tagcache:change-me@");
    let ran = configured(&url).run(&["check", "--connect"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let shared = "the group `tagcache` is shared with a consumer that does not belong to this cache (`worker-1`)";
    for expected in [shared, "consumer_group"] {
        assert!(ran.out.contains(expected), "{expected}: {ran:?}");
    }
    assert!(!ran.out.contains("may not `"), "{ran:?}");
    assert!(!ran.out.contains("change-me"), "{ran:?}");
}

#[test]
fn check_connects_and_says_what_a_server_cannot_promise() {
    let acl = [
        "--user", "default", "on", "nopass", "~*", "+@all", "-xadd", "-wait", "-info",
    ];
    let redis = RedisServer::start_with(&acl);
    let directory = configured(&redis.url());
    let ran = directory.run(&["check", "--connect"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains("may not `XADD"), "{ran:?}");
    for expected in [
        "INFO does not show the server's role",
        "may not `WAIT 0 1`",
        "maxmemory-policy noeviction",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {ran:?}");
    }
    let ran = directory.run(&["check", "--connect", "--json"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let mut findings = told["redis"]["findings"].as_array().unwrap().iter();
    let problem = findings.find(|one| one["severity"] == "problem").unwrap();
    assert!(
        problem["message"].as_str().unwrap().contains("XADD"),
        "{told}"
    );
    let gone = configured("redis://127.0.0.1:1").run(&["check", "--connect"]);
    assert_eq!(gone.status, 1, "{gone:?}");
    assert!(gone.err.contains("refused"), "{gone:?}");
}

#[test]
fn safety_118_activity_is_kept_under_the_user_of_the_example() {
    let user = include_str!("../../../examples/deploy/redis-user.acl");
    let mut args: Vec<&str> = vec!["--user"];
    args.extend(user.split_whitespace().skip(1));
    let redis = RedisServer::start_with(&args);
    let url = redis
        .url()
        .replace("redis://", "redis://tagcache:change-me@");
    let history = History::on(redis, url);
    history.announce("sale", AUCTION, &[("amount", "5")], 1);
    history.fail("6b0d8f0c2f1a4f0e9d3c5b7a81e2f4d6", "503");
    for args in [
        &["activity"][..],
        &["activity", "--subject", AUCTION],
        &["analytics"],
        &["analytics", "--by", "subject"],
        &["alerts", "failed"],
        &["alerts", "resend", "--all"],
    ] {
        history.told(args);
    }
    let client = redis::Client::open(history.redis.url()).unwrap();
    let mut admin = client.get_connection().unwrap();
    let denied = redis::cmd("ACL")
        .arg("LOG")
        .query::<redis::Value>(&mut admin);
    assert_eq!(denied.unwrap(), redis::Value::Array(Vec::new()));
}

#[test]
fn check_connects_and_says_that_activity_cannot_be_kept() {
    let acl = [
        "--user", "default", "on", "nopass", "~*", "+@all", "-zadd", "-publish",
    ];
    let redis = RedisServer::start_with(&acl);
    let directory = Directory::new();
    let url = format!("[redis]\nurl = \"{}\"\n", redis.url());
    directory.configure(&format!("{url}{KEPT}"));
    let ran = directory.run(&["check", "--connect"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for line in [
        "ZADD {tagcache:purges}:activity 0 m",
        "PUBLISH activity:new v",
    ] {
        let expected =
            format!("may not `{line}`: nothing is kept of activity, and no alert is raised");
        assert!(ran.out.contains(&expected), "{expected}: {ran:?}");
    }
    directory.configure(&url);
    let ran = directory.run(&["check", "--connect"]);
    assert!(
        !ran.out.contains("may not `"),
        "what is not used is not asked: {ran:?}"
    );
}
