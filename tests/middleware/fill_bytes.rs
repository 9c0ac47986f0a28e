//! What all fills may hold together: past it responses pass at the pace of their readers, unstored.

use bytes::Bytes;
use http::Response;
use tagcache_test_support::{Calls, Origin, Stream};
use tower::{Layer, ServiceExt};
use tower_tagcache::{Cache, ManualClock};

use crate::{get, is_hit, rule, settle, status, text};

const MIB: usize = 1 << 20;
/// The least that may be set, and what of it is for responses that are to be stored.
const BOUND: usize = 4 * MIB;
const SHARE: usize = 3 * MIB;
const CHUNK: usize = MIB / 16;

fn cache() -> Cache {
    let builder = Cache::builder().rule(rule()).fill_bytes(BOUND as u64);
    let built = builder.clock(ManualClock::default()).build();
    built.expect("the settings are sound").0
}

fn chunk() -> Bytes {
    vec![b'x'; CHUNK].into()
}

fn held(cache: &Cache) -> usize {
    usize::try_from(cache.health().fill_bytes).expect("a size")
}

async fn ask(
    cache: &Cache,
    origin: &Origin,
    calls: &mut Calls,
    path: &str,
    length: Option<usize>,
) -> (
    Response<impl http_body::Body<Data = Bytes, Error = tower::BoxError> + use<>>,
    Stream,
) {
    let asked = tokio::spawn(
        cache
            .layer()
            .scope("one")
            .layer(origin.clone())
            .oneshot(get(path)),
    );
    let mut head = Response::builder();
    if let Some(length) = length {
        head = head.header("content-length", length);
    }
    let call = calls.next().await;
    let stream = call.stream_as(head.body(()).expect("a head"));
    (asked.await.expect("no panic").expect("it answers"), stream)
}

#[tokio::test]
async fn safety_73_clients_that_take_nothing_hold_no_more_than_the_bound_and_get_all_when_they_do()
{
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache();
    let mut asked = Vec::new();
    for number in 0..20 {
        let path = format!("/{number}");
        asked.push(ask(&cache, &origin, &mut calls, &path, None).await);
    }
    // Half a mebibyte for each, all at the same pace: five times as much as there may be.
    for _ in 0..8 {
        for (_, stream) in &asked {
            stream.send(chunk());
            settle().await;
            assert!(held(&cache) <= BOUND, "{} bytes are held", held(&cache));
        }
    }
    assert!(
        held(&cache) > BOUND - CHUNK,
        "{} bytes are held",
        held(&cache)
    );
    let (mut unread, mut unstored) = (0, 0);
    for (response, stream) in asked {
        unread += stream.unread();
        drop(stream);
        assert_eq!(text(response).await.len(), 8 * CHUNK);
    }
    settle().await;
    // One chunk of each may be kept beside the bound.
    assert!(
        unread >= 20 * 8 - BOUND / CHUNK - 20 - 20,
        "upstream is held back: {unread}"
    );
    assert_eq!(held(&cache), 0, "all of it is given back");
    for number in 0..20 {
        let path = format!("/{number}");
        let again = tokio::spawn(
            cache
                .layer()
                .scope("one")
                .layer(origin.clone())
                .oneshot(get(&path)),
        );
        settle().await;
        for call in calls.all().await {
            call.answer("again");
            unstored += 1;
        }
        again.await.expect("no panic").expect("it answers");
    }
    assert_eq!((unstored, cache.health().fills_unstored), (20, 20));
}

#[tokio::test]
async fn safety_73_a_body_that_says_its_length_has_its_place_before_it_comes_or_is_not_stored() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache();
    let mut asked = Vec::new();
    for number in 0..6 {
        let path = format!("/{number}");
        asked.push(ask(&cache, &origin, &mut calls, &path, Some(MIB)).await);
    }
    assert_eq!(held(&cache), SHARE);
    for (number, (response, stream)) in asked.into_iter().enumerate() {
        let busy = status(&response).ends_with("; detail=busy");
        assert_eq!(busy, number >= 3, "{number}: {}", status(&response));
        for _ in 0..16 {
            stream.send(chunk());
        }
        drop(stream);
        assert_eq!(text(response).await.len(), MIB, "{number}");
    }
    settle().await;
    assert_eq!((held(&cache), cache.health().fills_unstored), (0, 3));
    for path in ["/0", "/1", "/2"] {
        let again = cache
            .layer()
            .scope("one")
            .layer(origin.clone())
            .oneshot(get(path));
        assert!(is_hit(&again.await.expect("it answers")));
    }
}

#[tokio::test]
async fn safety_73_those_who_share_a_response_get_all_of_it_when_there_is_no_place_for_its_rest() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache();
    let (first, shared) = ask(&cache, &origin, &mut calls, "/shared", None).await;
    shared.send(chunk());
    settle().await;
    let follower = cache
        .layer()
        .scope("one")
        .layer(origin.clone())
        .oneshot(get("/shared"));
    let follower = follower.await.expect("it answers");
    // What is left, in two of a size that may be stored.
    let half = Some((SHARE - CHUNK) / 2);
    let other = ask(&cache, &origin, &mut calls, "/other", half).await;
    let another = ask(&cache, &origin, &mut calls, "/another", half).await;
    assert_eq!(held(&cache), SHARE);
    for _ in 0..7 {
        shared.send(chunk());
    }
    drop(shared);
    let both = async { tokio::join!(text(first), text(follower)) };
    let (first, follower) = both.await;
    assert_eq!((first.len(), follower.len()), (8 * CHUNK, 8 * CHUNK));
    assert_eq!(cache.health().fills_unstored, 1);
    // What nobody reads is given back as well.
    drop((other, another));
    settle().await;
    assert_eq!(held(&cache), 0);
}

#[tokio::test]
async fn safety_73_a_chunk_larger_than_what_is_left_passes_and_a_stored_body_is_held_once() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache();
    let hog = ask(&cache, &origin, &mut calls, "/hog", Some(2 * MIB)).await;
    let (large, stream) = ask(&cache, &origin, &mut calls, "/large", None).await;
    for _ in 0..3 {
        stream.send(vec![b'x'; 3 * MIB / 2]);
        settle().await;
        assert!(held(&cache) <= BOUND, "{} bytes are held", held(&cache));
    }
    drop(stream);
    assert_eq!(text(large).await.len(), 9 * MIB / 2);
    drop(hog);
    settle().await;
    assert_eq!((held(&cache), cache.health().fills_unstored), (0, 1));
    // Read by nobody yet, and stored: counted as long as its reader is there.
    let (response, stream) = ask(&cache, &origin, &mut calls, "/stored", None).await;
    stream.send(chunk());
    stream.send(chunk());
    drop(stream);
    settle().await;
    assert_eq!(held(&cache), 2 * CHUNK);
    assert_eq!(text(response).await.len(), 2 * CHUNK);
    assert_eq!(held(&cache), 0);
}
