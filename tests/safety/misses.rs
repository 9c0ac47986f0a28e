//! SAFETY 119: the answer to a miss has the `ETag` that hits have, where it can be known.

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tagcache_test_support::{
    Body, Failure, Origin, Site, body, empty, get, response, rule, settle,
};

/// In two frames that are both there, of no known length.
fn chunked() -> Body {
    let frames = ["a ", "page"].map(|text| Ok::<_, Failure>(Frame::data(Bytes::from(text))));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// One frame, and nothing more for ever.
fn endless() -> Body {
    let first = stream::iter([Ok::<_, Failure>(Frame::data(Bytes::from("first")))]);
    StreamBody::new(futures_util::StreamExt::chain(first, stream::pending())).boxed_unsync()
}

#[tokio::test]
async fn safety_119_a_miss_has_the_entity_tag_of_its_hits() {
    let none: &[(&str, &str)] = &[];
    for (name, make, fields) in [
        ("whole", (|| body("a page")) as fn() -> Body, none),
        ("empty", empty as fn() -> Body, none),
        ("theirs", || body("a page"), &[("etag", "\"1\"")]),
        ("weak", || body("a page"), &[("etag", "W/\"1\"")]),
    ] {
        let origin = Origin::answering(move |_| response(200, fields, make()));
        let site = Site::new(rule(), &origin);
        let (miss, hit) = (site.get("/a").await, site.get("/a").await);
        assert!(!miss.is_hit() && hit.is_hit(), "{name}");
        assert!(miss.field("etag").is_some(), "{name}");
        assert_eq!(miss.field("etag"), hit.field("etag"), "{name}");
        // It holds over a refill with the same bytes: the client has them.
        let tag = miss.field("etag").unwrap_or_default().to_owned();
        let refill = Site::new(rule(), &origin);
        let asked = refill.get_with("/a", &[("if-none-match", &tag)]).await;
        assert_eq!(asked.status, StatusCode::NOT_MODIFIED, "{name}");
        assert_eq!(refill.get("/a").await.field("etag"), Some(&*tag), "{name}");
    }
}

#[tokio::test]
async fn safety_119_no_first_byte_waits_for_an_entity_tag() {
    let large = || body(vec![b'x'; 1 << 20]);
    for (name, make) in [
        ("in pieces", chunked as fn() -> Body),
        ("large", large as fn() -> Body),
    ] {
        let origin = Origin::answering(move |_| response(200, &[], make()));
        let site = Site::new(rule(), &origin);
        let miss = site.get("/a").await;
        assert_eq!(miss.field("etag"), None, "{name}");
        let hit = site.get("/a").await;
        assert!(hit.is_hit() && hit.field("etag").is_some(), "{name}");
        assert_eq!(hit.body, miss.body, "{name}");
    }
    let site = Site::new(
        rule(),
        &Origin::answering(|_| response(200, &[], endless())),
    );
    let mut begun: Response<_> = site.start(get("/a", &[])).await.expect("a head");
    assert!(!begun.headers().contains_key("etag"));
    let frame = begun.body_mut().frame().await.expect("a frame");
    assert_eq!(
        frame.expect("bytes").into_data().ok().as_deref(),
        Some(&b"first"[..])
    );
}

#[tokio::test]
async fn safety_119_what_is_not_stored_is_left_as_it_came() {
    for fields in [
        &[("cache-control", "no-store")][..],
        &[("cache-control", "private")],
        &[("set-cookie", "a=b")],
    ] {
        let site = Site::new(
            rule(),
            &Origin::answering(move |_| response(200, fields, body("a page"))),
        );
        let reply = site.get("/a").await;
        assert_eq!(reply.field("etag"), None, "{fields:?}");
    }
    let part = &[
        ("content-range", "bytes 0-3/9"),
        ("cache-control", "max-age=9"),
    ];
    let site = Site::new(
        rule(),
        &Origin::answering(move |_| response(206, part, body("0123"))),
    );
    let reply = site.get_with("/a", &[("range", "bytes=0-3")]).await;
    assert_eq!(reply.field("etag"), None);
    settle().await;
}
