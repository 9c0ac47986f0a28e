//! A site: an inner service written by hand, the layer around it, and a clock that stands still.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tower::{Layer, Service, ServiceExt};
use tower_tagcache::{
    Cache, CacheBody, CacheBuilder, CacheLayer, CacheService, ManualClock, Notice, Rule,
};

pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

/// How an inner service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) &'static str);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {}

pub(crate) type Answer = Result<Response<Body>, Failure>;

/// The rule that most tests use: every path, fresh for a minute unless the response says otherwise.
pub(crate) fn rule() -> Rule {
    Rule::new("page", "/{*path}").ttl(secs(60))
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A request as the inner service got it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// 1 for the first.
    pub(crate) number: usize,
    pub(crate) parts: Parts,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

type Handler = dyn Fn(Asked, Body) -> BoxFuture<'static, Answer> + Send + Sync;

/// An inner service that remembers what it was asked.
#[derive(Clone)]
pub(crate) struct Origin {
    handler: Arc<Handler>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

impl Origin {
    /// Answers at once.
    pub(crate) fn new(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::with(move |asked, _| std::future::ready(Ok(answer(&asked))))
    }

    /// Answers in its own time, or not at all; may read the request's body.
    pub(crate) fn with<F>(handler: impl Fn(Asked, Body) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self {
            handler: Arc::new(move |asked, body| handler(asked, body).boxed()),
            asked: Arc::default(),
        }
    }

    /// Answers `n` with the `n`th of `answers`, and all after them with the last.
    pub(crate) fn script<const N: usize>(answers: [fn() -> Response<Body>; N]) -> Self {
        Self::new(move |asked| answers[(asked.number - 1).min(N - 1)]())
    }

    /// The same inner service, asked for the first time.
    pub(crate) fn anew(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            asked: Arc::default(),
        }
    }

    pub(crate) fn calls(&self) -> usize {
        self.asked.lock().len()
    }

    pub(crate) fn calls_to(&self, path: &str) -> usize {
        let asked = self.asked.lock();
        asked
            .iter()
            .filter(|asked| asked.parts.uri.path() == path)
            .count()
    }

    /// The last request that it got.
    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().last().expect("a request").clone()
    }
}

impl Service<Request<Body>> for Origin {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Failure>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let mut all = self.asked.lock();
        let number = all.len() + 1;
        let asked = Asked { number, parts };
        all.push(asked.clone());
        drop(all);
        (self.handler)(asked, body)
    }
}

/// The layer around an origin, without companion: what it promises holds without.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) cache: Cache,
    pub(crate) clock: ManualClock,
    pub(crate) origin: Origin,
    pub(crate) layer: CacheLayer,
    pub(crate) service: CacheService<Origin>,
    pub(crate) outcomes: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(crate) fn new(rule: Rule, origin: &Origin) -> Self {
        Self::built(|builder| builder.rule(rule), origin)
    }

    pub(crate) fn built(rules: impl FnOnce(CacheBuilder) -> CacheBuilder, origin: &Origin) -> Self {
        let clock = ManualClock::default();
        let outcomes = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&outcomes);
        let builder = Cache::builder()
            .clock(clock.clone())
            .observer(move |notice: &Notice<'_>| {
                if let Notice::Request { outcome, .. } = notice {
                    seen.lock().push(format!("{outcome:?}"));
                }
            });
        let (cache, _companion) = rules(builder).build().expect("a good configuration");
        let layer = cache.layer();
        Self {
            service: layer.layer(origin.clone()),
            layer,
            cache,
            clock,
            origin: origin.clone(),
            outcomes,
        }
    }

    /// The head of the answer, with its body still to be read.
    pub(crate) async fn start(
        &self,
        request: Request<Body>,
    ) -> Result<Response<CacheBody<Body>>, Failure> {
        self.service.clone().oneshot(request).await
    }

    /// The whole answer, or what broke it off.
    pub(crate) async fn fetch(&self, request: Request<Body>) -> Result<Reply, String> {
        let response = self
            .start(request)
            .await
            .map_err(|failure| failure.to_string())?;
        Reply::read(response)
            .await
            .map_err(|error| error.to_string())
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let reply = self.fetch(request).await.expect("an answer");
        settle().await;
        reply
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(get(path, &[])).await
    }

    pub(crate) async fn get_with(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send(get(path, fields)).await
    }

    pub(crate) async fn head(&self, path: &str) -> Reply {
        self.send(request("HEAD", path, &[])).await
    }
}

/// Lets every task that can run do so: fills that nobody waits for, for example.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Reply {
    pub(crate) async fn read<B>(response: Response<B>) -> Result<Self, B::Error>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (parts, body) = response.into_parts();
        let whole = body.collect().await?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            trailers: whole.trailers().cloned(),
            body: whole.to_bytes(),
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What this cache says in `Cache-Status`, without its name; empty if no rule took the request.
    pub(crate) fn cache(&self) -> &str {
        let mut lines = self.headers.get_all("cache-status").into_iter();
        let ours = lines.next_back().and_then(|line| line.to_str().ok());
        ours.and_then(|line| line.strip_prefix("tagcache; "))
            .unwrap_or_default()
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache().starts_with("hit")
    }

    /// The fields that the inner service could have sent: without those that the cache adds.
    pub(crate) fn sent_fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let ours = ["age", "cache-status", "etag", "date"];
        let fields = self.headers.iter();
        fields
            .filter(|(name, _)| !ours.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

pub(crate) fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::new(empty());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
    *request.uri_mut() = target.parse().expect("a target");
    append(request.headers_mut(), fields);
    request
}

pub(crate) fn get(target: &str, fields: &[(&str, &str)]) -> Request<Body> {
    request("GET", target, fields)
}

pub(crate) fn append(headers: &mut HeaderMap, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(
            name,
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
}

pub(crate) fn empty() -> Body {
    body(Bytes::new())
}

pub(crate) fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A 200 with these fields.
pub(crate) fn ok(fields: &[(&str, &str)], text: impl Into<Bytes>) -> Response<Body> {
    response(200, fields, body(text))
}

pub(crate) fn response(status: u16, fields: &[(&str, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    append(response.headers_mut(), fields);
    response
}
