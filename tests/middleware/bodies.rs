//! Bodies: whose they are, how long they say they are, and when they say that they have ended.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tagcache_test_support::Origin;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

use crate::{cache, get, is_hit, rule, settle, text};

/// Asks twice through the cache, for a body that `make` makes.
async fn twice<B>(name: &str, make: fn() -> B) -> String
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let inner = service_fn(move |_: Request<Empty<Bytes>>| async move {
        Ok::<_, Infallible>(Response::new(make()))
    });
    let mut service = cache(rule()).layer().layer(inner);
    let first = service.call(get("/a")).await.expect("it answers");
    let first = text(first).await;
    let second = service.call(get("/a")).await.expect("it answers");
    assert!(is_hit(&second), "{name}");
    assert_eq!(text(second).await, first, "{name}");
    first
}

#[tokio::test]
async fn any_kind_of_body_can_be_inside() {
    let frames = || {
        let frames = ["a", "b"].map(|text| Ok::<_, std::io::Error>(Frame::data(Bytes::from(text))));
        StreamBody::new(tokio_stream::iter(frames))
    };
    assert_eq!(twice("full", || Full::<Bytes>::from("ab")).await, "ab");
    assert_eq!(twice("empty", Empty::<Bytes>::new).await, "");
    assert_eq!(twice("text", || String::from("ab")).await, "ab");
    assert_eq!(twice("stream", frames).await, "ab");
    assert_eq!(twice("axum", || axum::body::Body::from("ab")).await, "ab");
    let boxed = || BoxBody::new(Full::<Bytes>::from("ab"));
    assert_eq!(twice("boxed", boxed).await, "ab");
    let unsync = || UnsyncBoxBody::new(Full::<Bytes>::from("ab"));
    assert_eq!(twice("boxed, not sync", unsync).await, "ab");
}

/// What a body says of itself before and after each frame: bytes left, at least and at most, and
/// whether it has ended.
async fn told<B>(body: B) -> Vec<(u64, Option<u64>, bool)>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let mut body = std::pin::pin!(body);
    let tell = |body: &B| {
        let size = body.size_hint();
        (size.lower(), size.upper(), body.is_end_stream())
    };
    let mut told = vec![tell(&body)];
    while let Some(frame) = body.frame().await {
        frame.expect("the body is whole");
        told.push(tell(&body));
    }
    told
}

/// A body of two chunks, with trailers or not, of a known size or not.
fn two_chunks(trailers: bool, sized: bool) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    struct Chunks(Vec<Frame<Bytes>>, bool);
    impl Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            std::task::Poll::Ready(self.0.pop().map(Ok))
        }
        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
        }
        fn size_hint(&self) -> SizeHint {
            let left = self.0.iter().filter_map(Frame::data_ref);
            let left: usize = left.map(Bytes::len).sum();
            if self.1 {
                SizeHint::with_exact(left as u64)
            } else {
                SizeHint::new()
            }
        }
    }
    let mut frames = vec![Frame::data("cde".into()), Frame::data("ab".into())];
    if trailers {
        let value = HeaderValue::from_static("v");
        let fields = HeaderMap::from_iter([(http::HeaderName::from_static("x-last"), value)]);
        frames.insert(0, Frame::trailers(fields));
    }
    Chunks(frames, sized)
}

#[tokio::test]
async fn safety_34_a_body_says_what_the_inner_one_would_say() {
    for (trailers, sized) in [(false, true), (true, true), (false, false), (true, false)] {
        let inner = service_fn(move |_: Request<Empty<Bytes>>| async move {
            Ok::<_, Infallible>(Response::new(two_chunks(trailers, sized)))
        });
        let mut service = cache(rule()).layer().layer(inner);
        let of_inner = told(two_chunks(trailers, sized)).await;

        let forwarded = service
            .call(get("/a/b"))
            .await
            .expect("it answers")
            .into_body();
        assert_eq!(
            told(forwarded).await,
            of_inner,
            "forwarded {trailers} {sized}"
        );

        // Nobody knows of an end that is not there yet: wait until all of it is.
        let shared = service
            .call(get("/a"))
            .await
            .expect("it answers")
            .into_body();
        settle().await;
        assert_eq!(told(shared).await, of_inner, "shared {trailers} {sized}");

        let stored = service
            .call(get("/a"))
            .await
            .expect("it answers")
            .into_body();
        // With a length of its own, HTTP/1.1 would leave no room for trailers.
        let upper = |bytes| (!trailers).then_some(bytes);
        let mut expected = vec![(5, upper(5), false), (0, upper(0), !trailers)];
        expected.extend(trailers.then_some((0, Some(0), true)));
        assert_eq!(told(stored).await, expected, "stored {trailers} {sized}");
    }
}

#[tokio::test]
async fn safety_34_trailers_reach_the_first_the_second_and_a_follower() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let (leader, follower) = (ask(), ask());
    let call = calls.next().await;
    settle().await;
    call.respond(Response::new(UnsyncBoxBody::new(
        two_chunks(true, false).map_err(|never| match never {}),
    )));
    let mut bodies = Vec::new();
    for waiting in [leader, follower] {
        bodies.push(waiting.await.expect("no panic").expect("it answers"));
    }
    settle().await;
    bodies.push(
        service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers"),
    );
    assert!(is_hit(&bodies[2]) && calls.are_over().await);
    for response in bodies {
        let read = response
            .into_body()
            .collect()
            .await
            .expect("the body is whole");
        assert_eq!(read.trailers().expect("trailers")["x-last"], "v");
        assert_eq!(read.to_bytes(), "abcde");
    }
}

#[tokio::test]
async fn the_first_bytes_are_there_before_the_last() {
    let (origin, mut calls) = Origin::by_hand();
    let service = cache(rule()).layer().layer(origin);
    let leader = tokio::spawn(service.clone().oneshot(get("/a")));
    let stream = calls.next().await.stream();
    let mut body = leader
        .await
        .expect("no panic")
        .expect("it answers")
        .into_body();
    stream.send("first");
    let frame = body.frame().await.expect("a frame").expect("no error");
    assert_eq!(frame.into_data().expect("data"), "first");
    // Another who comes now reads from the beginning.
    let follower = service
        .clone()
        .oneshot(get("/a"))
        .await
        .expect("it answers");
    stream.send(" last");
    drop(stream);
    assert_eq!(text(follower).await, "first last");
}

#[tokio::test]
async fn the_body_of_a_request_that_is_not_for_the_cache_arrives_whole() {
    let echo = service_fn(|request: Request<Full<Bytes>>| async move {
        let (parts, body) = request.into_parts();
        let mut response = Response::new(body);
        response.extensions_mut().insert(parts.method);
        Ok::<_, Infallible>(response)
    });
    let mut service = cache(rule()).layer().layer(echo);
    let rows = [
        (Method::POST, "/a"),
        (Method::PUT, "/a"),
        (Method::from_bytes(b"M-SEARCH").expect("a method"), "/a"),
        (Method::GET, "/a"),
        (Method::GET, "/a/b"),
    ];
    for (method, uri) in rows {
        for round in ["one", "two"] {
            let request = Request::builder().method(method.clone()).uri(uri);
            let request = request.body(Full::from(round)).expect("a request");
            let response = service.call(request).await.expect("it answers");
            assert!(!is_hit(&response), "{method} {uri}");
            assert_eq!(response.extensions().get(), Some(&method));
            assert_eq!(text(response).await, round, "{method} {uri}");
        }
    }
}

#[tokio::test]
async fn safety_18_a_get_with_a_body_does_not_meet_the_stored_response() {
    let inner = service_fn(|request: Request<Full<Bytes>>| async move {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let mut service = cache(rule()).layer().layer(inner);
    let ask = |body: &'static str| {
        Request::get("/a")
            .body(Full::<Bytes>::from(body))
            .expect("a request")
    };
    assert_eq!(
        text(service.call(ask("")).await.expect("it answers")).await,
        ""
    );
    assert!(is_hit(&service.call(ask("")).await.expect("it answers")));
    let with_body = service.call(ask("query")).await.expect("it answers");
    assert_eq!(
        crate::status(&with_body),
        "tagcache; fwd=bypass; detail=body"
    );
    assert_eq!(text(with_body).await, "query");
}

#[tokio::test]
async fn the_one_who_asked_gets_the_extensions_and_version_of_the_response() {
    #[derive(Debug, Clone, PartialEq)]
    struct Note(u8);
    let inner = service_fn(|_: Request<Empty<Bytes>>| async {
        let mut response = Response::new(Full::<Bytes>::from("a"));
        *response.version_mut() = http::Version::HTTP_10;
        response.extensions_mut().insert(Note(7));
        Ok::<_, Infallible>(response)
    });
    let mut service = cache(rule()).layer().layer(inner);
    for (name, uri) in [("stored", "/a"), ("forwarded", "/a/b")] {
        let response = service.call(get(uri)).await.expect("it answers");
        assert_eq!(response.extensions().get(), Some(&Note(7)), "{name}");
        assert_eq!(response.version(), http::Version::HTTP_10, "{name}");
    }
    settle().await;
    let hit = service.call(get("/a")).await.expect("it answers");
    assert!(is_hit(&hit) && hit.extensions().is_empty());
}
