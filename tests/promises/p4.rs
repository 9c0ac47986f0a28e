//! **P4 — Caching is invisible.** Bytes, status, fields and trailers reach the client as the inner service sent them,
//! and as early, but for what DESIGN names.
//!
//! Here: what reaches a client over a socket, by HTTP/1 and HTTP/2, on a miss, on a hit, and through a flight that
//! others share. Beside it, bodies that Redis holds in chunks (`large`), or compressed (`packed`).

mod large;
#[cfg(feature = "zstd")]
mod packed;
mod wire;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use tagcache_test_support::serve;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tagcache::{Cache, Rule, Statuses};

use self::wire::{VERSIONS, ask, see, without_additions};

type Body = UnsyncBoxBody<Bytes, Infallible>;

const PATIENCE: Duration = Duration::from_secs(30);

fn chunked(chunks: Vec<Bytes>, trailers: Option<HeaderMap>) -> Body {
    let data = chunks.into_iter().map(Frame::data);
    let frames = data.chain(trailers.map(Frame::trailers)).map(Ok);
    StreamBody::new(futures_util::stream::iter(frames.collect::<Vec<_>>())).boxed_unsync()
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// The responses that the inner service gives, by path.
const CORPUS: [&str; 11] = [
    "/plain",
    "/empty",
    "/binary",
    "/chunks",
    "/trailers",
    "/repeated",
    "/odd",
    "/encoded",
    "/no-content",
    "/moved",
    "/missing",
];

fn corpus(path: &str) -> Response<Body> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut response = Response::new(match path {
        "/empty" | "/no-content" => Empty::new().boxed_unsync(),
        "/binary" => whole(every_byte),
        "/chunks" => {
            let chunk = |n: usize| Bytes::from(vec![u8::try_from(n).unwrap(); 10_000 + n]);
            chunked((0..100).map(chunk).collect(), None)
        }
        "/trailers" => {
            let mut trailers = HeaderMap::new();
            trailers.append("x-sum", HeaderValue::from_static("1"));
            trailers.append("x-sum", HeaderValue::from_static("2"));
            chunked(vec!["counted".into(), " twice".into()], Some(trailers))
        }
        _ => whole(format!("the page {path}\n")),
    });
    let fields: &[(&'static str, &'static [u8])] = match path {
        "/plain" => &[
            ("etag", b"\"v1\""),
            ("last-modified", b"Mon, 23 Nov 2026 08:00:00 GMT"),
        ],
        "/trailers" => &[("trailer", b"x-sum")],
        // The lines of a name stay lines, in their order (SAFETY 28).
        "/repeated" => &[
            ("link", b"</a>; rel=preload"),
            ("x-other", b"1"),
            ("link", b"</b>; rel=\"next, but one\""),
            ("warning", b"199 - \"b\", 199 - \"a\""),
        ],
        // Obs-text, spaces inside, an empty value.
        "/odd" => &[
            ("x-latin", b"caf\xe9"),
            ("x-spaces", b"a  b\tc"),
            ("x-empty", b""),
        ],
        "/encoded" => &[
            ("content-encoding", b"gzip"),
            ("content-type", b"application/json"),
        ],
        "/moved" => &[("location", b"/elsewhere?a=%20b#c")],
        _ => &[],
    };
    for (name, value) in fields {
        let value = HeaderValue::from_bytes(value).unwrap();
        response
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    // So that hyper adds none, which might differ from one request to the next.
    static NOW: LazyLock<String> = LazyLock::new(|| httpdate::fmt_http_date(SystemTime::now()));
    response.headers_mut().insert("date", NOW.parse().unwrap());
    *response.status_mut() = match path {
        "/no-content" => StatusCode::NO_CONTENT,
        "/moved" => StatusCode::MOVED_PERMANENTLY,
        "/missing" => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    response
}

#[tokio::test]
async fn safety_36_miss_and_hit_are_byte_for_byte_the_inner_services() {
    let origin = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(corpus(request.uri().path()))
    });
    for version in VERSIONS {
        let rule = Rule::new("page", "/{*path}")
            .ttl(Duration::from_secs(60))
            .ttl_for(Statuses::code(404), Duration::from_secs(60));
        let (cache, _) = Cache::builder().rule(rule).build().unwrap();
        let plain = serve(origin).await;
        let cached = serve(cache.layer().layer(origin)).await;
        for path in CORPUS {
            let expected = see(ask(plain.address, version, path).await).await;
            if path == "/trailers" {
                assert!(expected.trailers.is_some(), "the test sees trailers");
            }
            for turn in ["miss", "hit", "another hit"] {
                let seen = see(ask(cached.address, version, path).await).await;
                let status = seen.fields["cache-status"].to_str().unwrap().to_owned();
                let is_hit = status.contains("; hit");
                assert_eq!(
                    is_hit,
                    turn != "miss",
                    "{version:?} {path} {turn}: {status}"
                );
                let seen = without_additions(seen, &expected);
                assert_eq!(seen, expected, "{version:?} {path} {turn}");
            }
        }
    }
}

/// A body whose rest waits until it is released.
struct Paused {
    calls: Arc<AtomicUsize>,
    release: Arc<Notify>,
}

impl Paused {
    fn new() -> Self {
        Self {
            calls: Arc::default(),
            release: Arc::default(),
        }
    }

    /// An inner service whose every body sends `first`, and `rest` once it is released. Under
    /// `/private` it may not be stored.
    fn service(
        &self,
    ) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static {
        let (calls, release) = (Arc::clone(&self.calls), Arc::clone(&self.release));
        service_fn(move |request: Request<Incoming>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let release = Arc::clone(&release);
            let (frames, received) = mpsc::channel(1);
            tokio::spawn(async move {
                let frame =
                    |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
                frames.send(frame("first")).await.unwrap();
                release.notified().await;
                frames.send(frame("rest")).await.unwrap();
            });
            let mut response =
                Response::new(StreamBody::new(ReceiverStream::new(received)).boxed_unsync());
            if request.uri().path() == "/private" {
                let value = HeaderValue::from_static("private");
                response.headers_mut().insert("cache-control", value);
            }
            async move { Ok(response) }
        })
    }
}

/// The next piece of a body, which must come before the rest does.
async fn next_piece(response: &mut Response<Incoming>) -> Bytes {
    let frame = tokio::time::timeout(PATIENCE, response.body_mut().frame());
    let frame = frame.await.expect("the piece is held back");
    frame.unwrap().unwrap().into_data().unwrap()
}

async fn rest_of(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn safety_54_first_byte_is_not_held_back() {
    for version in VERSIONS {
        for path in ["/page", "/private", "/unmatched/page"] {
            let paused = Paused::new();
            let rule = Rule::new("page", "/{page}").ttl(Duration::from_secs(60));
            let (cache, _) = Cache::builder().rule(rule).build().unwrap();
            let served = serve(cache.layer().layer(paused.service())).await;
            let mut leader = ask(served.address, version, path).await;
            assert_eq!(next_piece(&mut leader).await, "first", "{version:?} {path}");
            paused.release.notify_one();
            assert_eq!(next_piece(&mut leader).await, "rest", "{version:?} {path}");
            assert_eq!(rest_of(leader).await, "", "{version:?} {path}");
        }
    }
}

#[tokio::test]
async fn safety_54_first_byte_is_not_held_back_from_a_follower() {
    for version in VERSIONS {
        let paused = Paused::new();
        let rule = Rule::new("page", "/page").ttl(Duration::from_secs(60));
        let (cache, _) = Cache::builder().rule(rule).build().unwrap();
        let served = serve(cache.layer().layer(paused.service())).await;
        let mut leader = ask(served.address, version, "/page").await;
        let mut follower = ask(served.address, version, "/page").await;
        let status = follower.headers()["cache-status"].to_str().unwrap();
        assert!(status.contains("collapsed"), "{status}");
        // In the other order, too.
        assert_eq!(next_piece(&mut follower).await, "first", "{version:?}");
        assert_eq!(next_piece(&mut leader).await, "first", "{version:?}");
        // And one who comes when the first piece is long gone.
        let mut late = ask(served.address, version, "/page").await;
        assert_eq!(next_piece(&mut late).await, "first", "{version:?}");
        paused.release.notify_one();
        for each in [leader, follower, late] {
            assert_eq!(rest_of(each).await, "rest", "{version:?}");
        }
        assert_eq!(paused.calls.load(Ordering::SeqCst), 1, "one shared forward");
    }
}

/// The addresses of the pieces of a body.
async fn places<B>(body: B) -> Vec<(*const u8, usize)>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    let mut body = body;
    let mut places = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        places.push((data.as_ptr(), data.len()));
    }
    places
}

#[tokio::test]
async fn bytes_that_are_not_stored_are_the_inner_services_own() {
    let pieces: Vec<Bytes> = (1..=3).map(|n| vec![n; 70_000].into()).collect();
    let own: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.as_ptr(), piece.len()))
        .collect();
    let rule = Rule::new("page", "/{page}").ttl(Duration::from_secs(60));
    let small = Rule::new("small", "/small/{page}").ttl(Duration::from_secs(60));
    let rules = Cache::builder().rule(rule).rule(small.body_limit(100_000));
    let (cache, _) = rules.build().unwrap();
    for (name, method, path, request_field, response_field) in [
        ("no rule", Method::GET, "/no/rule", "x: 1", "x: 1"),
        ("method", Method::POST, "/page", "x: 1", "x: 1"),
        ("bypass", Method::GET, "/page", "cookie: a=1", "x: 1"),
        (
            "authorization",
            Method::GET,
            "/page",
            "authorization: a",
            "x: 1",
        ),
        (
            "no-store",
            Method::GET,
            "/page",
            "x: 1",
            "cache-control: no-store",
        ),
        (
            "set-cookie",
            Method::GET,
            "/page",
            "x: 1",
            "set-cookie: a=1",
        ),
        ("too large", Method::GET, "/small/page", "x: 1", "x: 1"),
    ] {
        let pieces = pieces.clone();
        let inner = service_fn(move |_: Request<Empty<Bytes>>| {
            let mut response = Response::new(chunked(pieces.clone(), None));
            let (name, value) = response_field.split_once(": ").unwrap();
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
            async move { Ok::<_, Infallible>(response) }
        });
        let request = Request::builder().method(method).uri(path);
        let (field, value) = request_field.split_once(": ").unwrap();
        let request = request.header(field, value).body(Empty::new()).unwrap();
        let response = cache.layer().layer(inner).oneshot(request).await.unwrap();
        assert_eq!(places(response.into_body()).await, own, "{name}");
    }
}

#[tokio::test]
async fn bytes_that_are_stored_whole_are_not_copied_either() {
    let piece = Bytes::from(vec![7; 70_000]);
    let own = [(piece.as_ptr(), piece.len())];
    let rule = Rule::new("page", "/page").ttl(Duration::from_secs(60));
    let (cache, _) = Cache::builder().rule(rule).build().unwrap();
    let inner = service_fn(move |_: Request<Empty<Bytes>>| {
        let response = Response::new(Full::new(piece.clone()));
        async move { Ok::<_, Infallible>(response) }
    });
    let service = cache.layer().layer(inner);
    for turn in ["miss", "hit"] {
        let request = Request::get("/page").body(Empty::new()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(places(response.into_body()).await, own, "{turn}");
    }
}
