//! What is before and behind the cache in every part: requests, an inner service, and what was used up.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{CACHE_STATUS, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_tagcache::{Cache, CacheBuilder, Companion, Rule};

pub type Body = Empty<Bytes>;

/// Bytes of a body, small so that a million fit.
pub const BODY: usize = 256;
pub const HOUR: Duration = Duration::from_secs(3600);
/// Requests under way at a time while responses are stored.
const AT_ONCE: usize = 64;

/// Fields of a response, beside its tags.
pub const FIELDS: [(&str, &str); 8] = [
    ("content-type", "application/json"),
    ("content-length", "256"),
    ("x-frame-options", "DENY"),
    ("etag", "\"6f1c2f0e6f3a4b57\""),
    ("cache-control", "public, max-age=3600"),
    ("x-content-type-options", "nosniff"),
    ("access-control-allow-origin", "*"),
    ("server", "auction-house"),
];

static RESPONSE: LazyLock<HeaderMap> = LazyLock::new(|| fields(&FIELDS));
static REQUEST: LazyLock<HeaderMap> = LazyLock::new(|| {
    fields(&[
        ("host", "api.example.org"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/145"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://www.example.org/auctions"),
    ])
});

fn fields(list: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |&(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    list.iter().map(field).collect()
}

/// The inner service. Response `number` carries the tags `group:{number modulo groups}` and `t:0`,
/// `t:1` and so on, `tags` in all.
#[derive(Debug, Clone)]
pub struct Origin {
    pub tags: usize,
    pub groups: usize,
    pub delay: Duration,
    pub calls: Arc<AtomicU64>,
}

impl Origin {
    pub fn new(tags: usize, groups: usize) -> Self {
        Self {
            tags,
            groups,
            delay: Duration::ZERO,
            calls: Arc::default(),
        }
    }

    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let number = request.uri().path().rsplit('/').next();
        let number: usize = number.and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut tags = format!("group:{}", number % self.groups);
        for other in 1..self.tags {
            tags += &format!(" t:{other}");
        }
        let mut response = Response::new(Full::from(vec![b'x'; BODY]));
        *response.headers_mut() = RESPONSE.clone();
        let tags = HeaderValue::try_from(tags).expect("visible characters");
        response.headers_mut().insert("surrogate-key", tags);
        Ok(response)
    }

    /// This service behind `cache`.
    pub fn behind(&self, cache: &Cache) -> impl CachedService {
        let this = self.clone();
        let inner = service_fn(move |request| this.clone().answer(request));
        cache.layer().layer(inner)
    }
}

/// The layered service, whose types are nobody's business.
pub trait CachedService:
    Service<
        Request<Body>,
        Response = Response<Self::Sent>,
        Error = Infallible,
        Future = Self::Answer,
    > + Clone
    + Send
    + Sync
    + 'static
{
    type Sent: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Send;
    type Answer: Future<Output = Result<Response<Self::Sent>, Infallible>> + Send;
}

impl<S, B> CachedService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Send,
{
    type Sent = B;
    type Answer = S::Future;
}

/// The request for `number` in the section `section`, one of as many as there are rules.
pub fn request(section: usize, number: usize) -> Request<Body> {
    let uri = Bytes::from(format!("/section{section}/items/{number}"));
    let mut request = Request::new(Body::new());
    *request.uri_mut() = Uri::from_maybe_shared(uri).expect("a path");
    *request.headers_mut() = REQUEST.clone();
    request
}

/// `count` rules, one for each section.
pub fn rules(builder: CacheBuilder, count: usize) -> CacheBuilder {
    (0..count).fold(builder, |builder, section| {
        let route = format!("/section{section}/items/{{number}}");
        builder.rule(Rule::new(format!("section{section}"), route).ttl(HOUR))
    })
}

/// Patient with a machine that does other things as well, and with room for a million.
pub fn patient(builder: CacheBuilder) -> CacheBuilder {
    let patience = Duration::from_secs(60);
    let builder = builder.read_timeout(patience).write_timeout(patience);
    builder
        .store_bytes(16 << 30)
        .longest_lease(patience)
        .lease(patience)
}

/// Asks, and reads all of the answer: whether it was a hit.
pub async fn ask<S: CachedService>(service: &S, request: Request<Body>) -> bool {
    let Ok(response) = service.clone().oneshot(request).await;
    let (head, body) = response.into_parts();
    let length = body.collect().await.expect("a body").to_bytes().len();
    assert_eq!(length, BODY);
    is_hit(&head.headers)
}

pub fn is_hit(headers: &HeaderMap) -> bool {
    let status = headers.get(CACHE_STATUS);
    status.is_some_and(|status| status.as_bytes().starts_with(b"tagcache; hit"))
}

/// Asks for the first `entries` until each is a hit.
pub async fn fill<S: CachedService>(service: &S, section: usize, entries: usize) {
    for pass in 0..10 {
        let misses = AtomicU64::new(0);
        let (misses_seen, done) = (&misses, &AtomicU64::new(0));
        let asking =
            futures_util::stream::iter(0..entries).for_each_concurrent(AT_ONCE, async |number| {
                if !ask(service, request(section, number)).await {
                    misses_seen.fetch_add(1, Ordering::Relaxed);
                }
                // Hits are ready at once: others must have their turn as well.
                if done.fetch_add(1, Ordering::Relaxed) % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            });
        asking.await;
        let misses = misses.into_inner();
        eprintln!("pass {pass}: {misses} of {entries} were no hits");
        if misses == 0 {
            return;
        }
    }
    panic!("responses are not kept");
}

/// Runs the companion on a thread of its own, as long as the program lives.
pub fn run_aside(companion: Companion) {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(companion.run(std::future::pending()));
    });
}

/// CPU time of all threads of this process that live.
pub fn cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// Resident memory of this process in bytes.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The value that `percent` of `values` do not exceed. Sorts.
pub fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    values
        .get((last * percent / 100.0) as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
