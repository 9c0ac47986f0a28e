//! P4 for bodies that Redis holds in chunks: what reaches the client is what the inner service sent, few chunks
//! are held at a time, and what was lost is a miss, or a response that visibly breaks off.

use bytes::Bytes;
use http::header::{CONTENT_RANGE, ETAG, IF_NONE_MATCH, RANGE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use tagcache_test_support::{Fleet, Node, Origin, Said, path, until};
use tower_tagcache::CacheBody;

const CHUNK: usize = 64 * 1024;
/// Not a whole number of chunks.
const LENGTH: usize = 20 * CHUNK + 1_234;

/// Bytes that differ from chunk to chunk, and between versions of the data.
fn text(data: &str) -> String {
    let seed = data.len() + usize::from(data.as_bytes()[data.len() - 1]);
    (0..LENGTH)
        .map(|n| char::from(b'a' + u8::try_from((n * 7 + n / 1_000 + seed) % 26).unwrap()))
        .collect()
}

fn large(_: &Parts, data: &str) -> Response<Bytes> {
    Response::new(text(data).into())
}

/// Nodes that read every hit from Redis.
fn fleet() -> Fleet {
    Fleet::private().origin(Origin::of_data(large))
}

async fn chunk_names(fleet: &Fleet) -> Vec<String> {
    let pattern = format!("{}:b:*", fleet.namespace);
    let names = fleet.server.command(&["KEYS", &pattern]).await;
    let mut names: Vec<String> = ::redis::from_redis_value(names).unwrap();
    names.sort_by_key(|name| {
        let place = name.rsplit(':').next().unwrap();
        place.parse::<usize>().unwrap()
    });
    names
}

fn ask(method: Method, fields: &[(http::HeaderName, &str)]) -> Request<Empty<Bytes>> {
    let mut request = path("/item/7");
    *request.method_mut() = method;
    for (name, value) in fields {
        let value = value.parse().unwrap();
        request.headers_mut().insert(name, value);
    }
    request
}

#[tokio::test]
async fn a_large_response_is_the_same_from_redis_whatever_is_asked_of_it() {
    let fleet = fleet();
    let (filled, other) = (fleet.node(), fleet.companied());
    let text = text("v1");
    let whole = filled.warm("/item/7").await;
    assert_eq!(chunk_names(&fleet).await.len(), 21);
    for node in [&filled, &other] {
        let hit = node.get("/item/7").await;
        assert!(hit.is_hit(), "{}", hit.how());
        assert_eq!(hit.body.len(), LENGTH);
        assert!(hit.body == text, "each byte");
        assert_eq!(hit.headers.get(ETAG), whole.headers.get(ETAG));
        for (first, last) in [
            (0, 0),
            (0, CHUNK - 1),
            (CHUNK, CHUNK),
            (5, 3 * CHUNK + 7),
            (CHUNK - 1, 20 * CHUNK),
            (20 * CHUNK, LENGTH - 1),
            (LENGTH - 1, LENGTH + 99),
        ] {
            let range = format!("bytes={first}-{last}");
            let part = node.send(ask(Method::GET, &[(RANGE, &range)])).await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
            let end = (last + 1).min(LENGTH);
            assert!(part.body == text[first..end], "{range}");
            let expected = format!("bytes {first}-{}/{LENGTH}", end - 1);
            assert_eq!(part.headers[CONTENT_RANGE], expected);
        }
        let two = ask(Method::GET, &[(RANGE, "bytes=1-2,900000-900001")]);
        let two = node.send(two).await;
        // Nobody holds the whole to cut them out of it.
        assert_eq!(two.status, StatusCode::OK);
        assert!(two.is_hit() && two.body == text, "{}", two.how());
        let none = ask(Method::GET, &[(RANGE, "bytes=99999999-")]);
        let none = node.send(none).await;
        assert_eq!(none.status, StatusCode::RANGE_NOT_SATISFIABLE);
        let etag = whole.headers[ETAG].to_str().unwrap();
        let same = node.send(ask(Method::GET, &[(IF_NONE_MATCH, etag)])).await;
        assert_eq!((same.status, same.text()), (StatusCode::NOT_MODIFIED, ""));
        let head = node.send(ask(Method::HEAD, &[])).await;
        assert!(head.is_hit() && head.body.is_empty(), "{}", head.how());
    }
    assert_eq!(fleet.origin.calls(), 1);
}

/// A hit whose body has not been taken.
async fn begun(node: &Node) -> Response<CacheBody<tagcache_test_support::Body>> {
    let response = node.respond(path("/item/7")).await;
    assert!(
        response.headers()["cache-status"]
            .to_str()
            .unwrap()
            .contains("hit")
    );
    response
}

#[tokio::test]
async fn no_more_than_a_few_chunks_are_read_ahead_of_the_client() {
    let fleet = fleet();
    let node = fleet.node();
    node.warm("/item/7").await;
    let before = fleet.server.calls("get").await;
    let mut body = begun(&node).await.into_body();
    assert_eq!(body.size_hint().exact(), Some(LENGTH as u64));
    let (mut taken, mut got) = (0, String::new());
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        got.push_str(std::str::from_utf8(&data).unwrap());
        taken += 1;
        // The entry, and the chunks.
        let read = fleet.server.calls("get").await - before - 1;
        assert!(read <= taken + 4, "{read} read when {taken} were taken");
    }
    assert!(body.is_end_stream() && got == text("v1"));
    assert_eq!(taken, 21);
}

#[tokio::test]
async fn a_lost_chunk_is_a_miss_that_is_reported_and_replaced() {
    for (which, how) in [(0, "DEL"), (1, "SET"), (20, "DEL"), (0, "APPEND")] {
        let fleet = fleet();
        let node = fleet.node();
        node.warm("/item/7").await;
        fleet.origin.set("v2");
        let name = chunk_names(&fleet).await.remove(which);
        let spoil: &[&str] = match how {
            "DEL" => &[how, &name],
            _ => &[how, &name, "x"],
        };
        fleet.server.command(spoil).await;
        let answer = node.get("/item/7").await;
        assert!(!answer.is_hit(), "chunk {which}, {how}: {}", answer.how());
        assert!(answer.body == text("v2"), "chunk {which}, {how}");
        let rejected = |said: &Said| matches!(said, Said::EntryRejected(_));
        assert_eq!(node.notices.count(rejected), 1, "chunk {which}, {how}");
        assert!(node.warm("/item/7").await.body == text("v2"));
    }
}

/// What the client has already is not made longer by other bytes, and not passed off as the whole.
#[tokio::test]
async fn a_chunk_that_vanishes_while_the_client_reads_breaks_the_response_off() {
    for how in ["DEL", "SET"] {
        let fleet = fleet();
        let node = fleet.node();
        node.warm("/item/7").await;
        let mut body = begun(&node).await.into_body();
        let name = chunk_names(&fleet).await.remove(12);
        let spoil: &[&str] = match how {
            "DEL" => &[how, &name],
            _ => &[how, &name, "x"],
        };
        fleet.server.command(spoil).await;
        let (mut got, mut error) = (String::new(), None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => {
                    let data = frame.into_data().unwrap();
                    got.push_str(std::str::from_utf8(&data).unwrap());
                }
                Err(why) => error = Some(why.to_string()),
            }
        }
        let error = error.expect("it ends with an error");
        assert!(
            error.contains("a chunk of a stored response is missing"),
            "{error}"
        );
        assert!(text("v1").starts_with(&got) && got.len() < LENGTH);
    }
}

/// A response that is being read while it is replaced is read to its end.
#[tokio::test]
async fn a_reader_of_what_is_replaced_gets_all_of_it_and_what_was_replaced_expires() {
    let fleet = fleet();
    let node = fleet.node();
    node.warm("/item/7").await;
    let old = chunk_names(&fleet).await;
    let body = begun(&node).await.into_body();
    fleet.origin.set("v2");
    node.purger().tag("item:7").await.expect("redis is there");
    assert!(node.warm("/item/7").await.body == text("v2"));
    let body = body.collect().await.expect("all of it").to_bytes();
    assert!(body == text("v1"));
    // Five minutes, instead of the lifetime of what they belonged to, and as long.
    let left = async |name: &str| {
        let left = fleet.server.command(&["PTTL", name]).await;
        ::redis::from_redis_value::<i64>(left).unwrap()
    };
    until("the old chunks are given little time", async || {
        let mut longest = 0;
        for name in &old {
            longest = longest.max(left(name).await);
        }
        longest <= 300_000
    })
    .await;
    for name in chunk_names(&fleet).await {
        assert!(old.contains(&name) || left(&name).await > 300_000, "{name}");
    }
}

/// Where copies are kept, the first hit puts one together and the next ones read no chunk.
#[tokio::test]
async fn a_large_response_is_put_together_once_where_copies_are_kept() {
    let fleet = fleet().copying();
    let (filled, other) = (fleet.node(), fleet.node());
    filled.warm("/item/7").await;
    fleet.stored(1).await;
    assert!(other.get("/item/7").await.body == text("v1"));
    let before = fleet.server.calls("get").await;
    for _ in 0..3 {
        let hit = other.get("/item/7").await;
        assert!(hit.is_hit() && hit.body == text("v1"), "{}", hit.how());
    }
    let two = ask(Method::GET, &[(RANGE, "bytes=1-2,900000-900001")]);
    let two = other.send(two).await;
    assert_eq!(two.status, StatusCode::PARTIAL_CONTENT);
    assert!(two.body.len() < 1_000 && two.text().contains(&text("v1")[900_000..=900_001]));
    assert_eq!(fleet.server.calls("get").await, before);
    assert_eq!(fleet.origin.calls(), 1);
}

/// One that is too large for the copies is sent as it is read.
#[tokio::test]
async fn a_response_too_large_for_the_copies_is_not_put_together() {
    let fleet = fleet().copying();
    let builder = || fleet.builder().store_bytes(8 << 20);
    let (filled, other) = (fleet.node_by(builder()), fleet.node_by(builder()));
    filled.warm("/item/7").await;
    for _ in 0..3 {
        let before = fleet.server.calls("get").await;
        let hit = other.get("/item/7").await;
        assert!(hit.is_hit() && hit.body == text("v1"), "{}", hit.how());
        assert_eq!(fleet.server.calls("get").await - before, 1 + 21);
    }
}
