//! `examples/deploy/redis-user.acl`: a cache works under exactly that user (SAFETY 118).

use std::time::Duration;

use redis::Value;
use tagcache_test_support::{GENEROUS, Node, Notices, Origin, RedisServer, ok, until};
use tower_tagcache::{Cache, On, Rule, Stream};

use crate::captures;

const USER: &str = include_str!("../../../examples/deploy/redis-user.acl");
const STREAM: &str = "auction_sales";
/// More than one part.
const LARGE: usize = 200 * 1024;

fn node(url: &str, claim_after: Duration) -> Node {
    let rule = |name: &str| {
        let route = format!("/{name}/{{id}}");
        let rule = Rule::new(name, route).ttl(Duration::from_secs(60));
        let rule = rule.tag(format!("auction:{name}-{{id}}"));
        rule.fleet_coalesce(Duration::from_secs(5))
    };
    let on = On::event("AuctionSale").purge("auction:{transaction_information.address}");
    let notices = Notices::new();
    let (cache, companion) = Cache::builder()
        .rule(rule("near"))
        .rule(rule("strict").strict())
        .stream(Stream::rindexer(STREAM).on(on))
        .redis(url)
        .claim_events_after(claim_after)
        .connect_timeout(GENEROUS)
        .read_timeout(GENEROUS)
        .write_timeout(GENEROUS)
        .purge_timeout(GENEROUS)
        .observer(notices.clone())
        .build()
        .unwrap();
    let origin = Origin::answering(|asked| {
        let large = asked.parts.uri.path().ends_with("large");
        ok(&[], vec![b'x'; if large { LARGE } else { 10 }])
    });
    Node::new(cache, notices, origin).accompany(companion)
}

async fn length(server: &RedisServer, key: &str) -> i64 {
    let length = server.command(&["XLEN", key]).await;
    redis::from_redis_value(length).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn safety_118_a_cache_works_under_the_user_that_is_documented() {
    let (server, replica) = (RedisServer::start(), RedisServer::start());
    replica.replica_of(&server).await;
    let rules = USER.trim().strip_prefix("user ").unwrap();
    server.run(&format!("ACL SETUSER {rules}")).await;
    let url = format!("redis://tagcache:change-me@127.0.0.1:{}", server.port());
    let one = node(&url, GENEROUS);
    let other = node(&url, GENEROUS);

    // Stores, parts, claims in the fleet, lookups on another node.
    let paths = ["/near/1", "/strict/1", "/near/large", "/strict/large"];
    for path in paths {
        one.warm(path).await;
        other.warm(path).await;
    }
    // Purges of every kind.
    let purger = one.purger();
    purger.tag("auction:near-1").await.unwrap();
    purger.url("/strict/1").await.unwrap();
    purger.glob("/near/**").await.unwrap();
    purger.rule("strict").await.unwrap();
    purger.clone().soft().tag("auction:near-1").await.unwrap();
    purger.all().await.unwrap();
    // One that all nodes are asked about.
    one.cache.purger().tag("auction:other").await.unwrap();
    for path in paths {
        until("it is purged there", async || {
            !other.get(path).await.is_hit()
        })
        .await;
    }

    // An event, one that cannot be read, and one that a dead consumer leaves.
    let group = async || {
        server
            .try_command(&["XINFO", "GROUPS", STREAM])
            .await
            .is_ok()
    };
    until("the group is made", group).await;
    let records = length(&server, "tagcache:purges").await;
    let sale = captures::first("AuctionSale");
    let publish = async |payload: &str| {
        server
            .command(&["XADD", STREAM, "*", "payload", payload])
            .await;
    };
    publish(&sale.document().to_string()).await;
    until("it purges", async || {
        length(&server, "tagcache:purges").await > records
    })
    .await;
    publish("{").await;
    let aside = format!("tagcache:quarantine:{STREAM}");
    until("it is put aside", async || {
        length(&server, &aside).await == 1
    })
    .await;
    for node in [one, other] {
        node.kill().await;
    }
    let dead = ["XREADGROUP", "GROUP", "tagcache", "dead", "COUNT", "1"];
    publish(&sale.document().to_string()).await;
    let taken = server
        .command(&[&dead[..], &["STREAMS", STREAM, ">"]].concat())
        .await;
    assert_ne!(taken, Value::Nil, "it is pending");
    let _third = node(&url, Duration::from_millis(20));
    until("it is claimed", async || {
        let pending = server.command(&["XPENDING", STREAM, "tagcache"]).await;
        matches!(&pending, Value::Array(parts) if parts[0] == Value::Int(0))
    })
    .await;

    let denied = server.command(&["ACL", "LOG"]).await;
    assert_eq!(denied, Value::Array(Vec::new()), "nothing was denied");
}
