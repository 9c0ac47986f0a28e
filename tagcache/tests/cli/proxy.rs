//! `tagcache proxy`.

use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use tagcache_test_support::RedisServer;

use super::program::{Directory, PATIENCE, Upstream, get};

const RULE: &str =
    "[[rules]]\nname = \"a\"\nroute = \"/a/{id}\"\nttl = \"1m\"\ntags = [\"item:{id}\"]\n";

fn configured(upstream: &Upstream, more: &str) -> String {
    format!("[proxy]\nupstreams = [\"{}\"]\n\n{more}", upstream.url)
}

#[test]
fn without_a_configuration_responses_are_kept_as_they_say() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let proxy = directory.proxy(&["--upstream", &upstream.url]);
    assert!(proxy.get("/x").ends_with("call 1"));
    let started = Instant::now();
    loop {
        // Until it is stored, it is had from the same flight.
        let again = proxy.get("/x");
        assert!(again.ends_with("call 1"), "{again}");
        if again.contains("; hit") {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{again}");
    }
    assert!(proxy.get("/y").ends_with("call 2"));
    assert_eq!(upstream.origin.calls(), 2);
}

#[test]
fn a_changed_file_changes_the_rules_and_a_bad_one_does_not() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    directory.configure(&configured(&upstream, RULE));
    let proxy = directory.proxy(&[]);
    assert!(proxy.get("/a/1").ends_with("call 1"));
    assert!(proxy.get("/a/1").ends_with("call 1"));
    directory.configure(&configured(&upstream, &RULE.replace("ttl", "tll")));
    proxy.signal("HUP");
    let line = proxy.log.wait("the old rules stay");
    assert!(
        line.contains("tagcache.toml:7:1: unknown key `tll`; did you mean `ttl`?"),
        "{line}"
    );
    assert!(proxy.get("/a/1").ends_with("call 1"));
    // Who asks again is told again.
    proxy.signal("HUP");
    proxy.log.wait("unknown key `tll`");
    directory.configure(&configured(&upstream, &format!("{RULE}enabled = false\n")));
    proxy.signal("HUP");
    proxy.log.wait("rules replaced");
    let passed = proxy.get("/a/1");
    assert!(
        passed.ends_with("call 2") && !passed.contains("; hit"),
        "{passed}"
    );
}

#[test]
fn safety_115_what_no_rule_takes_is_told_at_start_and_in_each_answer() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    directory.configure(&configured(&upstream, RULE));
    let check = directory.run(&["check"]);
    assert!(
        check.out.contains("what no rule takes is not cached"),
        "{check:?}"
    );
    let proxy = directory.proxy(&[]);
    let line = proxy
        .log
        .wait("what no rule takes is forwarded and not cached");
    assert!(line.contains("upstream_rule = true"), "{line}");
    for _ in 0..2 {
        let passed = proxy.get("/other");
        assert!(
            passed.contains("cache-status: tagcache; fwd=bypass; detail=no-rule\r\n"),
            "{passed}"
        );
    }
    let posted = super::program::ask(proxy.address, "POST", "/other");
    assert!(
        posted.contains("cache-status: tagcache; fwd=method\r\n"),
        "{posted}"
    );
    assert!(!proxy.get("/a/1").contains("no-rule"));
    assert_eq!(proxy.get("/a/1").matches("cache-status").count(), 1);
    // Without rules all is kept; the file's first rule would end that, at the next start.
    directory.configure(&configured(&upstream, ""));
    let proxy = directory.proxy(&[]);
    proxy
        .log
        .wait("all responses are kept as their Cache-Control says");
    directory.configure(&configured(&upstream, RULE));
    proxy.signal("HUP");
    proxy
        .log
        .wait("after the next start what no rule takes is forwarded");
}

#[test]
fn safety_119_whether_a_proxy_without_upstream_is_ready_is_a_choice() {
    for (choice, expected) in [
        ("", "HTTP/1.1 200"),
        ("ready_without_upstream = false\n", "HTTP/1.1 503"),
    ] {
        let directory = Directory::new();
        directory.configure(&format!(
            "[proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n[proxy.health]\nfailures = 1\npause = \"1h\"\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n{choice}"
        ));
        let proxy = directory.proxy(&[]);
        let line = proxy.log.wait("admin listener");
        let admin = line.split_once("address=").expect("an address").1.trim();
        let admin = admin.parse().expect("an address");
        assert!(get(admin, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(proxy.get("/").starts_with("HTTP/1.1 502"));
        let told = get(admin, "/readyz");
        assert!(told.starts_with(expected), "{choice}: {told}");
        assert!(told.contains("is down"), "{told}");
    }
}

#[test]
fn the_access_log_has_a_line_for_each_request() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let log = "access_log = { path = \"access.log\", format = \"json\" }\n";
    directory.configure(&format!(
        "[proxy]\nupstreams = [\"{}\"]\n{log}{RULE}",
        upstream.url
    ));
    let proxy = directory.proxy(&[]);
    for path in ["/a/1?x=%22", "/a/1?x=%22", "/other"] {
        proxy.get(path);
    }
    let lines = directory.lines("access.log", 3);
    let told: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let field = |key: &str| {
        told.iter()
            .map(|line| line[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(field("status"), [200, 200, 200]);
    assert_eq!(field("bytes"), [6, 6, 6]);
    assert_eq!(field("target"), ["/a/1?x=%22", "/a/1?x=%22", "/other"]);
    assert_eq!(field("client"), ["127.0.0.1"; 3]);
    assert_eq!(told[0]["cache"], "fwd=uri-miss; stored");
    assert!(
        told[1]["cache"].as_str().unwrap().starts_with("hit"),
        "{told:?}"
    );
    assert_eq!(told[2]["cache"], "fwd=bypass; detail=no-rule");
}

/// Without a signal the file is looked at now and then.
#[test]
fn a_changed_file_is_noticed_and_what_needs_a_restart_is_named() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    directory.configure(&configured(&upstream, RULE));
    let proxy = directory.proxy(&[]);
    let changed = format!("[cache]\nlease = \"2s\"\n{RULE}enabled = false\n");
    directory.configure(&configured(&upstream, &changed));
    proxy.log.wait("rules replaced");
    proxy
        .log
        .wait("[cache] has changed, which counts after a restart");
}

#[test]
fn sigterm_lets_what_is_under_way_end() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let mut proxy = directory.proxy(&["--upstream", &upstream.url]);
    let mut held = upstream.origin.hold();
    let address = proxy.address;
    let client = thread::spawn(move || get(address, "/slow"));
    upstream.arrived(&mut held);
    proxy.signal("TERM");
    proxy.log.wait("finishing what is under way");
    held.release();
    let response = client.join().expect("an answer");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert!(response.ends_with("call 1"), "{response}");
    assert_eq!(proxy.ended(), Some(0));
}

#[test]
fn a_purge_through_redis_reaches_the_proxy() {
    let (directory, upstream, redis) = (Directory::new(), Upstream::start(), RedisServer::start());
    let url = format!(
        "[redis]\nurl = \"{}\"\nread_timeout = \"5s\"\nmax_connections = 4\n",
        redis.url()
    );
    directory.configure(&configured(
        &upstream,
        &format!("{url}{RULE}consistency = \"strict\"\n"),
    ));
    let proxy = directory.proxy(&[]);
    proxy.log.wait("redis is in use");
    assert!(proxy.get("/a/1").ends_with("call 1"));
    let purged = directory.run(&["purge", "--tag", "item:1"]);
    assert_eq!(purged.status, 0, "{purged:?}");
    assert!(purged.out.starts_with("purged tag item:1\n"), "{purged:?}");
    assert!(proxy.get("/a/1").ends_with("call 2"));
}

#[test]
fn a_purge_through_the_admin_listener_reaches_the_proxy() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n";
    directory.configure(&configured(&upstream, &format!("{admin}{RULE}")));
    let proxy = directory.proxy(&[]);
    let line = proxy.log.wait("admin listener");
    let address = line.split_once("address=").expect("an address").1.trim();
    let url = format!("http://{address}");
    assert!(proxy.get("/a/1").ends_with("call 1"));
    let denied = directory.run(&["purge", "--tag", "item:1", "--admin", &url]);
    assert_eq!(denied.status, 1, "{denied:?}");
    assert!(proxy.get("/a/1").ends_with("call 1"));
    let token = ["--token", "0123456789abcdef"];
    let ran = directory.run(&[
        "purge", "--tag", "item:1", "--admin", &url, token[0], token[1],
    ]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(proxy.get("/a/1").ends_with("call 2"));
}

#[test]
fn a_redis_that_is_away_is_told_in_one_line_and_stops_nothing() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let away = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}", away.local_addr().expect("bound"));
    drop(away);
    let proxy = directory.proxy(&["--upstream", &upstream.url, "--redis", &url]);
    let line = proxy.log.wait("redis cannot be used");
    assert!(line.contains("the cache works without it"), "{line}");
    assert!(proxy.get("/x").ends_with("call 1"));
}

#[test]
fn what_keeps_it_from_starting_is_told_in_one_line() {
    let directory = Directory::new();
    directory.configure("[proxy]\nupstreams = [\"http://127.0.0.1:9\"]\nlisten = [{ address = \"127.0.0.1:0\", certificates = \"no.pem\", key = \"no.key\" }]\n");
    let upstream = ["--upstream", "http://127.0.0.1:9"];
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = held.local_addr().expect("bound").to_string();
    for (args, status, expected) in [
        (vec!["proxy"], 2, "no.pem"),
        (
            vec!["proxy", "--config", "none.toml"],
            2,
            "none.toml: cannot be read",
        ),
        (
            vec!["proxy", "--listen", &address, upstream[0], upstream[1]],
            1,
            "cannot listen on",
        ),
        (
            vec!["proxy", "--listen", "nowhere"],
            2,
            "expected an IP address and a port",
        ),
        (
            vec!["proxy", "--listen", "127.0.0.1:0", "--upstream", "ftp://h"],
            2,
            "ftp://h",
        ),
        (
            vec!["proxy", "--listen", "127.0.0.1:0", "--redis", "nonsense"],
            2,
            "redis url",
        ),
    ] {
        let ran = directory.run(&args);
        assert_eq!(ran.status, status, "{args:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
    }
    let ran = Directory::new().run(&["proxy"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("who is the upstream?"), "{ran:?}");
}
