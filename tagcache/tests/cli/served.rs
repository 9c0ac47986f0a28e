//! What clients ask the running proxy: what happened, and pushes; and alerts that it posts to a webhook.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tagcache_test_support::RedisServer;

use super::program::{Directory, PATIENCE, Upstream, ask, get};

const ADDRESS: &str = "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// 32 bytes in base64url, with which nothing of worth is signed.
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";

/// A proxy before `upstream` whose stream of sales raises alerts, which it posts to `receiver`.
fn configured(redis: &RedisServer, upstream: &Upstream, receiver: &Upstream) -> Directory {
    let directory = Directory::new();
    directory.configure(&format!(
        r#"
[redis]
url = "{}"
[proxy]
upstreams = ["{}"]
access_log = {{ path = "access.log", format = "json" }}
[log]
level = "debug"
[[streams]]
name = "sales"
format = "rindexer"
[[streams.on]]
event = "AuctionSale"
purge = ["auctions"]
announce = {{ type = "sale", subject = ["auction:{{transaction_information.address}}"], fields = {{ amount = "amountPaid" }} }}
[activity]
[feed]
below = "/api"
[[alerts]]
name = "big"
when = ["amount >= 1000"]
webhooks = ["ops"]
push = true
[[webhooks]]
name = "ops"
url = "{}/hook?hunter2"
secrets = ["{SECRET}"]
[outgoing]
allow_plain = true
networks = ["127.0.0.0/8"]
[push]
subject = "mailto:ops@example.org"
key = "{KEY}"
[push_service]
"#,
        redis.url(),
        upstream.url,
        receiver.url
    ));
    directory
}

fn sell(redis: &RedisServer, amount: &str) {
    let event = json!({
        "event_name": "AuctionSale", "network": "ethereum",
        "event_data": [{
            "amountPaid": amount,
            "transaction_information": {
                "address": ADDRESS, "block_number": 7, "log_index": "0x0", "network": "ethereum",
                "block_hash": format!("0x{:064x}", 7), "transaction_hash": format!("0x{:064x}", 9),
            },
        }],
    });
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut add = redis::cmd("XADD");
    add.arg("sales")
        .arg("*")
        .arg("payload")
        .arg(event.to_string());
    add.query::<redis::Value>(&mut connection).unwrap();
}

/// What `look` finds, once it does.
fn once<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(20));
    }
}

fn json_of(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn what_a_stream_announces_is_told_to_clients_and_posted_to_a_webhook() {
    let (redis, upstream, receiver) = (RedisServer::start(), Upstream::start(), Upstream::start());
    let directory = configured(&redis, &upstream, &receiver);
    let mut proxy = directory.proxy(&[]);
    // What came before is a gap, of which nothing is told.
    proxy.log.wait("events are being consumed");
    sell(&redis, "1500");
    let entry = once("it is told", || {
        let told = json_of(&proxy.get("/api/activity?type=sale"));
        told["entries"].as_array()?.first().cloned()
    });
    assert_eq!(entry["amount"], "1500", "{entry}");
    assert_eq!(entry["auction_address"], ADDRESS);
    let told = json_of(&proxy.get(&format!("/api/analytics?auction={ADDRESS}")));
    assert_eq!(told["rows"][0]["sums"]["amount"], "1500", "{told}");
    once("it is posted", || {
        (receiver.origin.calls_to("/hook") == 1).then_some(())
    });
    let posted = receiver.origin.last();
    assert_eq!(posted.parts.method, "POST");
    for field in ["tagcache-signature", "idempotency-key"] {
        assert!(posted.parts.headers.contains_key(field), "{field}");
    }
    assert_eq!(posted.parts.headers["tagcache-alert"], "big");
    // A page asks for the key, and may not subscribe with nothing.
    let told = json_of(&proxy.get("/push/key"));
    assert_eq!(told["key"].as_str().map(str::len), Some(87), "{told}");
    let refused = ask(proxy.address, "POST", "/push/subscriptions");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    let refused = proxy.get("/api/activity?limit=0");
    assert!(refused.contains("1 to 1000"), "{refused}");
    assert_eq!(upstream.origin.calls(), 0);
    assert!(proxy.get("/activity").contains("call 1"));
    proxy.signal("TERM");
    proxy.log.wait("ended");
    assert_eq!(proxy.ended(), Some(0));
    for secret in ["hunter2", SECRET, KEY] {
        assert_eq!(proxy.log.count(secret), 0, "{secret}");
    }
}

#[test]
fn who_has_no_token_is_told_nothing_and_the_token_goes_nowhere() {
    let upstream = Upstream::start();
    let directory = Directory::new();
    directory.configure(&format!(
        "[proxy]\nupstreams = [\"{}\"]\naccess_log = {{ path = \"access.log\", format = \"json\" }}\n[activity]\n\
         [feed]\ntoken = \"{SECRET}\"\n",
        upstream.url
    ));
    let proxy = directory.proxy(&[]);
    let refused = get(proxy.address, "/activity");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let refused = ask(proxy.address, "POST", "/analytics");
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    let told = get(
        proxy.address,
        &format!("/activity HTTP/1.1\r\nauthorization: Bearer {SECRET}\r\nx-rest:"),
    );
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    assert_eq!(json_of(&told)["entries"], json!([]));
    assert_eq!(upstream.origin.calls(), 0);
    let lines = directory.lines("access.log", 3).concat();
    assert!(!lines.contains(SECRET), "{lines}");
}

#[test]
fn check_and_explain_say_what_is_served_to_whom_and_where_alerts_go() {
    let (redis, upstream) = (RedisServer::start(), Upstream::start());
    let directory = configured(&redis, &upstream, &upstream);
    let ran = directory.run(&["check"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for line in [
        "feed: what happened at /api/activity and /api/analytics, for everybody who connects, and for pages of the same \
         host",
        "push: browsers subscribe at /push/subscriptions, of everybody who connects, and from pages of the same host",
        &format!("webhook ops: alerts go to {}", upstream.url),
    ] {
        assert!(
            ran.out.contains(&format!("{line}\n")),
            "{line}\n{}",
            ran.out
        );
    }
    assert!(ran.out.contains("allow_plain: "), "{}", ran.out);
    let told = directory.run(&["check", "--json"]);
    assert!(!told.out.contains("hunter2") && !ran.out.contains("hunter2"));
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["feed"]["below"], "/api");
    assert_eq!(told["webhooks"][0]["origin"], upstream.url);
    for (url, expected) in [
        (
            "/api/activity?type=sale",
            "feed       the newest 20 entries, of type sale\n",
        ),
        (
            "/api/analytics?by=hour",
            "feed       counters of 24 h by type and hour\n",
        ),
        (
            "/api/activity?limit=0",
            "feed       refused: `limit` is \"0\"",
        ),
        ("/push/key", "push       "),
        ("/activity", "rule "),
    ] {
        let ran = directory.run(&["explain", "GET", url]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.starts_with(expected), "{url}: {}", ran.out);
    }
}

#[test]
fn a_start_refuses_what_nobody_said_who_may_ask() {
    let directory = Directory::new();
    directory.configure("[activity]\n[feed]\n");
    for command in ["check", "proxy"] {
        let to = ["--listen", "0.0.0.0:0", "--upstream", "http://127.0.0.1:9"];
        let ran = directory.run(&[&[command][..], &to].concat());
        assert_eq!(ran.status, 2, "{ran:?}");
        let expected = "tagcache.toml:2:1: open: nobody says who may ask what happened";
        assert!(ran.err.contains(expected), "{ran:?}");
    }
}
