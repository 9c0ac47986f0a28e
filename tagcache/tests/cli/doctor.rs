//! `tagcache doctor`: what it says of real servers, and how it ends.

use serde_json::Value;
use tagcache_test_support::RedisServer;

use super::program::Directory;

const WELL: [&str; 4] = ["--maxmemory", "512mb", "--maxmemory-policy", "volatile-lru"];

/// A loaded machine is no slow server.
const PATIENT: &str = "[redis]\nread_timeout = \"20s\"\n";

fn json(out: &str) -> Value {
    serde_json::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

#[test]
fn a_server_that_is_well_ends_it_with_zero() {
    let redis = RedisServer::start_with(&WELL);
    let directory = Directory::new();
    directory.configure(PATIENT);
    let ran = directory.run(&["doctor", "--redis", &redis.url()]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "\n  ok       server       Redis ",
        "a single server, master",
        "maxmemory-policy volatile-lru",
        "user default may send all that is needed",
        "INFO, XINFO, WAIT, XAUTOCLAIM, EVAL are answered",
        "\n  P1  no stale answer after a purge                 holds\n",
        "\n  P7  people are told after the purge               holds\n",
        "This server is as it should be.",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    assert!(
        !ran.out.contains('\u{1b}'),
        "no terminal, no colour: {}",
        ran.out
    );
    assert_eq!(ran.err, "");
}

#[test]
fn what_should_be_changed_ends_it_with_one_and_names_the_setting() {
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(replica.replica_of(&master));
    let directory = Directory::new();
    directory.configure(&format!("{PATIENT}url = \"{}\"\n", master.url()));
    let ran = directory.run(&["doctor"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for expected in [
        "no limit (maxmemory 0)",
        "→ CONFIG SET maxmemory ",
        "→ CONFIG SET min-replicas-to-write 1",
        "holds, with an exception: replicas\n",
        "things should be changed.",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    for line in ran.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn as_json_it_has_the_shape_of_the_reference() {
    let redis = RedisServer::start_with(&[&WELL[..], &["--requirepass", "hunter2"]].concat());
    let url = redis.url().replace("redis://", "redis://:hunter2@");
    let directory = Directory::new();
    directory.configure(&format!("{PATIENT}[[streams]]\nname = \"sales\"\nformat = \"rindexer\"\non = [{{ event = \"Sale\", purge = [\"a\"] }}]\n"));
    let gone = "redis://:hunter2@127.0.0.1:1";
    let ran = directory.run(&["doctor", "--json", "--redis", &url, "--redis", gone]);
    assert_eq!(ran.status, 2, "the worst of both: {ran:?}");
    assert!(
        !ran.out.contains("hunter2") && !ran.err.contains("hunter2"),
        "{ran:?}"
    );
    let told = json(&ran.out);
    let [well, away] = told["servers"].as_array().expect("a list").as_slice() else {
        panic!("{told}");
    };
    assert_eq!(well["verdict"], "note", "{well:#}");
    assert_eq!(well["promises"][0]["promise"], "P1");
    assert_eq!(well["promises"][0]["standing"], "holds");
    assert_eq!(well["promises"][0]["because"], Value::Array(Vec::new()));
    for key in ["severity", "area", "message", "remedy", "limits", "breaks"] {
        assert!(well["findings"][0].get(key).is_some(), "{key}: {well:#}");
    }
    let facts = &well["facts"];
    assert_eq!(facts["reached"], true);
    assert_eq!(facts["topology"], "single");
    assert_eq!(facts["role"], "master");
    assert_eq!(facts["memory"]["limit_bytes"], 512 * 1024 * 1024);
    assert_eq!(facts["rights"]["asked_by"], "ACL DRYRUN");
    assert_eq!(facts["streams"][0]["name"], "sales");
    assert_eq!(facts["streams"][0]["kind"], "none");
    assert!(facts["latency"]["median_us"].is_u64(), "{facts:#}");
    assert_eq!(away["verdict"], "problem");
    assert_eq!(away["facts"]["reached"], false);
    assert_eq!(away["promises"][0]["standing"], "unknown");
    // Redis is away, and the site is not.
    assert_eq!(away["promises"][2]["standing"], "holds");
    assert!(
        away["findings"][0]["message"]
            .as_str()
            .expect("a text")
            .contains("refused"),
        "{away:#}"
    );
}

#[test]
fn what_cannot_be_examined_is_wrong_usage() {
    let directory = Directory::new();
    let cluster = ["doctor", "--redis", "redis://a,b"];
    for (args, said) in [
        (&["doctor"][..], "name a server with --redis URL"),
        (&["doctor", "--redis", "http://localhost"], "redis"),
        (&cluster, "several servers"),
        (&["doctor", "--config", "none.toml"], "none.toml"),
    ] {
        let ran = directory.run(args);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.err.contains(said), "{said}: {ran:?}");
    }
}
