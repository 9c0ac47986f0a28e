//! Bodies that are long: passed on as they come, at the reader's pace.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Frame, Incoming};
use tagcache::proxy::UpstreamProtocol;
use tagcache_test_support::{Served, ends, until};
use tokio::sync::mpsc;
use tower::service_fn;

use crate::client::{VERSIONS, get, request, send, start};
use crate::site::{ProxySite, settings};

type Made = UnsyncBoxBody<Bytes, Infallible>;

/// Serves both versions of HTTP on a free port.
pub(crate) async fn serve<F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> Served
where
    F: Future<Output = Response<Made>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    tagcache_test_support::serve(service).await
}

/// Blocks of a quarter of a mebibyte, counted as they are taken.
struct Blocks {
    left: u64,
    made: Arc<AtomicU64>,
    block: Bytes,
}

const BLOCK: u64 = 256 * 1024;

impl Body for Blocks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.made.fetch_add(BLOCK, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(self.block.clone()))))
    }
}

/// Waits until the number has stood still for a while.
async fn settled(number: &AtomicU64) -> u64 {
    let (mut last, mut same) = (0, 0);
    until("it stands still", async || {
        let now = number.load(Relaxed);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        same > 60
    })
    .await;
    last
}

#[tokio::test]
async fn safety_55_a_body_of_any_size_is_held_by_nobody() {
    const TOTAL: u64 = 1024 * BLOCK;
    for version in VERSIONS {
        let made = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&made);
        let upstream = serve(move |_| {
            let made = Arc::clone(&counted);
            async move {
                let block = Bytes::from(vec![b'x'; BLOCK as usize]);
                let left = TOTAL / BLOCK;
                Response::new(Blocks { left, made, block }.boxed_unsync())
            }
        })
        .await;
        let site = ProxySite::with(settings(upstream.url())).await;
        let asked = request(site.address, Method::GET, "/a", &[]);
        let asked = asked.body(Empty::<Bytes>::new()).unwrap();
        let answer = start(site.address, version, asked).await.unwrap();
        let mut body = answer.into_body();
        let mut read = 0;
        // Nobody reads: what the origin has made is in the buffers of four sockets, and in no memory.
        let ahead = settled(&made).await;
        assert!(ahead < 48 * 1024 * 1024, "{version:?}: {ahead}");
        while let Some(frame) = ends("a frame", body.frame()).await {
            read += frame.expect("whole").into_data().expect("data").len() as u64;
            assert!(made.load(Relaxed) - read < 48 * 1024 * 1024, "{version:?}");
        }
        assert_eq!(read, TOTAL, "{version:?}");
    }
}

#[tokio::test]
async fn safety_55_an_upload_of_any_size_is_held_by_nobody() {
    const TOTAL: u64 = 1024 * BLOCK;
    for version in VERSIONS {
        let upstream = serve(|request: Request<Incoming>| async move {
            let (mut body, mut read) = (request.into_body(), 0);
            while let Some(frame) = body.frame().await {
                read += frame.expect("whole").into_data().expect("data").len();
            }
            Response::new(Full::from(read.to_string()).boxed_unsync())
        })
        .await;
        let site = ProxySite::with(settings(upstream.url())).await;
        let made = Arc::new(AtomicU64::new(0));
        let block = Bytes::from(vec![b'x'; BLOCK as usize]);
        let left = TOTAL / BLOCK;
        let asked = request(site.address, Method::POST, "/a", &[]);
        let asked = asked.body(Blocks { left, made, block }).unwrap();
        let answer = send(site.address, version, asked).await;
        assert_eq!(answer.text(), TOTAL.to_string(), "{version:?}");
    }
}

/// A body that the test feeds.
struct Fed(mpsc::UnboundedReceiver<Bytes>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|data| data.map(|data| Ok(Frame::data(data))))
    }
}

#[tokio::test]
async fn safety_54_an_event_arrives_before_the_next_is_made() {
    for (kind, version) in ["text/event-stream", "text/plain"]
        .into_iter()
        .flat_map(|kind| VERSIONS.map(|version| (kind, version)))
    {
        let (feed, fed) = mpsc::unbounded_channel();
        let fed = Arc::new(parking_lot::Mutex::new(Some(fed)));
        let upstream = serve(move |_| {
            let fed = fed.lock().take().expect("one call");
            async move {
                let mut answer = Response::new(Fed(fed).boxed_unsync());
                let kind = kind.parse().expect("a type");
                answer.headers_mut().insert("content-type", kind);
                answer
            }
        })
        .await;
        let site = ProxySite::with(settings(upstream.url())).await;
        let asked = request(site.address, Method::GET, "/events", &[]);
        let asked = asked.body(Empty::<Bytes>::new()).unwrap();
        let mut answer = start(site.address, version, asked).await.unwrap();
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            feed.send(event.into()).unwrap();
            let frame = ends("an event", answer.body_mut().frame()).await;
            let frame = frame.expect("a frame").expect("whole");
            assert_eq!(
                frame.into_data().expect("data"),
                event,
                "{kind} {version:?}"
            );
        }
        drop(feed);
        let rest = ends("the end", answer.into_body().collect()).await;
        assert_eq!(rest.expect("whole").to_bytes(), "", "{kind} {version:?}");
    }
}

#[tokio::test]
async fn safety_54_a_client_that_leaves_an_endless_response_ends_it() {
    let (feed, fed) = mpsc::unbounded_channel::<Bytes>();
    let fed = Arc::new(parking_lot::Mutex::new(Some(fed)));
    let upstream = serve(move |_| {
        let fed = fed.lock().take().expect("one call");
        async move {
            let mut answer = Response::new(Fed(fed).boxed_unsync());
            let kind = "text/event-stream".parse().expect("a type");
            answer.headers_mut().insert("content-type", kind);
            answer
        }
    })
    .await;
    let site = ProxySite::with(settings(upstream.url())).await;
    let asked = request(site.address, Method::GET, "/events", &[]);
    let asked = asked.body(Empty::<Bytes>::new()).unwrap();
    let mut answer = start(site.address, Version::HTTP_11, asked).await.unwrap();
    feed.send("data: 1\n\n".into()).unwrap();
    ends("an event", answer.body_mut().frame()).await;
    drop(answer);
    ends("the origin is told", feed.closed()).await;
}

#[tokio::test]
async fn http2_is_spoken_to_an_upstream_that_is_said_to() {
    let upstream = serve(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let text = format!(
            "{:?} {} {}",
            parts.version,
            parts.uri,
            String::from_utf8_lossy(&body)
        );
        Response::new(Full::from(text).boxed_unsync())
    })
    .await;
    let mut settings = settings(upstream.url());
    settings.upstreams[0].protocol = UpstreamProtocol::Http2;
    let site = ProxySite::with(settings).await;
    let own = site.address;
    for version in VERSIONS {
        let answer = get(own, version, "/a?b").await;
        assert_eq!(
            answer.text(),
            format!("HTTP/2.0 http://{own}/a?b "),
            "{version:?}"
        );
        assert_eq!(answer.field("via"), Some("2.0 tagcache"));
        let asked = request(
            own,
            Method::POST,
            "/a",
            &[("upgrade", "x"), ("connection", "upgrade")],
        );
        if version == Version::HTTP_11 {
            let asked = asked.body(Full::<Bytes>::from("abc")).unwrap();
            let answer = send(own, version, asked).await;
            assert_eq!(answer.text(), format!("HTTP/2.0 http://{own}/a abc"));
        }
    }
}

#[tokio::test]
async fn safety_54_grpc_passes_with_its_trailers() {
    let upstream = serve(|request: Request<Incoming>| async move {
        let asked = request.headers().get("te").cloned();
        assert_eq!(asked.expect("te"), "trailers");
        let body = request
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        let trailers = async {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            Some(Ok(trailers))
        };
        let body = Full::from(body).with_trailers(trailers).boxed_unsync();
        let mut answer = Response::new(body);
        let kind = "application/grpc".parse().expect("a type");
        answer.headers_mut().insert("content-type", kind);
        answer
    })
    .await;
    let mut settings = settings(upstream.url());
    settings.upstreams[0].protocol = UpstreamProtocol::Http2;
    let site = ProxySite::with(settings).await;
    let fields = [("te", "trailers"), ("content-type", "application/grpc")];
    let asked = request(site.address, Method::POST, "/svc/Method", &fields);
    let asked = asked.body(Full::<Bytes>::from("message")).unwrap();
    let answer = send(site.address, Version::HTTP_2, asked).await;
    assert_eq!(answer.text(), "message");
    assert_eq!(answer.trailers.expect("trailers")["grpc-status"], "0");
}
