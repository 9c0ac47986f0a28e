//! P4 where responses are compressed at rest: nobody can tell but Redis.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use tagcache_test_support::{Fleet, Node, Origin, Said};

/// A list of so many items as the path says, in which every name comes again.
fn list(request: &Parts, data: &str) -> Response<Bytes> {
    let items = request.uri.path().rsplit('/').next().unwrap();
    let items: usize = items.parse().unwrap();
    let item = |n: usize| {
        format!(
            "{{\"id\":{n},\"seller\":\"0x{:040x}\",\"data\":\"{data}\"}}",
            n * n
        )
    };
    let items: Vec<String> = (0..items).map(item).collect();
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("etag", "\"theirs\"");
    response.body(items.join(",").into()).unwrap()
}

fn fleet() -> (Fleet, [Node; 2]) {
    let fleet = Fleet::new().origin(Origin::of_data(list));
    let packing = fleet.node_by(fleet.builder().compress_at_rest());
    let plain = fleet.node();
    (fleet, [packing, plain])
}

/// What is not about this answer.
fn lasting(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove("cache-status");
    headers
}

async fn bytes_in_redis(fleet: &Fleet) -> i64 {
    let mut bytes = 0;
    let all = fleet
        .server
        .command(&["KEYS", &format!("{}:*", fleet.namespace)])
        .await;
    let all: Vec<String> = ::redis::from_redis_value(all).unwrap();
    for key in all.iter().filter(|key| !key.ends_with(":purges")) {
        let length = fleet.server.command(&["STRLEN", key]).await;
        bytes += ::redis::from_redis_value::<i64>(length).unwrap();
    }
    bytes
}

/// In one piece, on a thread of its own, in parts.
const SIZES: [usize; 3] = [50, 3_000, 20_000];

#[tokio::test]
async fn a_compressed_response_is_the_same_for_all_nodes_and_takes_less_room() {
    for items in SIZES {
        let uri = format!("/item/{items}");
        let (fleet, [packing, plain]) = fleet();
        let stored = packing.warm(&uri).await;
        let length = i64::try_from(stored.body.len()).unwrap();
        let held = bytes_in_redis(&fleet).await;
        assert!(held * 2 < length, "{held} bytes of {length}");
        fleet.origin.set("other data, were it asked");
        let other = plain.warm(&uri).await;
        assert_eq!(other.body, stored.body);
        assert_eq!(lasting(&other.headers), lasting(&stored.headers));
        let rejected = |said: &Said| matches!(said, Said::EntryRejected(_));
        assert_eq!(
            packing.notices.count(rejected) + plain.notices.count(rejected),
            0
        );
    }
}
