//! [`PushService`]: where browsers say that they want alerts, and that they do not any more.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_service::Service;

use super::subscribers::{Subscribers, Unsubscribed};
use crate::activity::Subscribed;
use crate::error::{BoxError, ConfigError, Error, ErrorKind};
use crate::secret::Secret;
use crate::web::{FaceWords, Guard, Origins, Preflight, Problem, path_of};

const WORDS: FaceWords = FaceWords {
    table: "push_service",
    act: "subscribe",
    act_on: "subscribe to",
};
/// The largest body, in bytes.
const LARGEST_BODY: usize = 8 * 1024;
/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How many requests are worked on at once.
const AT_ONCE: usize = 64;
const KEY_METHODS: &str = "GET, HEAD, OPTIONS";
const SUBSCRIPTION_METHODS: &str = "POST, DELETE, OPTIONS";

/// Who may subscribe browsers to alerts, for [`Cache::push_service`](crate::Cache::push_service).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct PushServiceSettings {
    /// Whether anyone who can connect may subscribe. Default: false, so a client needs the token; true for a `tagcache proxy`
    /// that listens on this machine only and has none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub open: Option<bool>,
    /// Token that lets a client subscribe: 16 characters or more, sent as `Authorization: Bearer`, usually by the server of
    /// the site, which knows its users. Prefer `token_file`. Default: none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "crate::secret::masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub token: Option<Secret>,
    /// A file with the token. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub token_file: Option<PathBuf>,
    /// Origins whose pages may ask besides pages of this host: `["https://auctions.example"]`. Default: none.
    pub origins: Vec<String>,
    /// Path below which `/push/key` and `/push/subscriptions` are: `/api`. Default: "".
    pub below: String,
}

/// The service that keeps browsers which want alerts. Made by [`Cache::push_service`](crate::Cache::push_service); a cheap
/// clone. See the [module docs](super).
#[derive(Debug, Clone)]
pub struct PushService {
    desk: Arc<Desk>,
}

/// What all requests share.
struct Desk {
    subscribers: Arc<Subscribers>,
    guard: Guard,
    origins: Origins,
    /// The paths of the key and of subscriptions.
    paths: [String; 2],
    turns: Semaphore,
}

impl PushServiceSettings {
    /// Anyone who can connect may subscribe.
    #[must_use]
    pub fn open() -> Self {
        Self {
            open: Some(true),
            ..Self::default()
        }
    }

    /// A client that sends `token` may subscribe.
    #[must_use]
    pub fn guarded(token: impl Into<String>) -> Self {
        Self {
            token: Some(Secret(token.into())),
            ..Self::default()
        }
    }

    /// Sets the origins whose pages may ask besides pages of this host. Default: none.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the path below which `/push/key` and `/push/subscriptions` are. Default: "".
    #[must_use]
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.below = path.into();
        self
    }
}

impl PushService {
    pub(crate) fn new(
        subscribers: Arc<Subscribers>,
        settings: &PushServiceSettings,
    ) -> Result<Self, ConfigError> {
        let guard = Guard::of_token(WORDS, settings.open, &settings.token, &settings.token_file)?;
        let below = WORDS.path("below", &settings.below)?;
        let desk = Desk {
            subscribers,
            guard,
            origins: Origins::compile(WORDS, &settings.origins)?,
            paths: ["key", "subscriptions"].map(|name| format!("{below}/push/{name}")),
            turns: Semaphore::new(AT_ONCE),
        };
        Ok(Self {
            desk: Arc::new(desk),
        })
    }

    /// Whether a request for `path` is for this service. For who puts it in front of another one.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.desk.paths.iter().any(|own| own == path)
    }

    /// A router with this service at its two [paths](PushServiceSettings::below), to be merged into another one.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        let paths = self.desk.paths.iter();
        paths.fold(axum::Router::new(), |router, path| {
            router.route_service(path, self.clone())
        })
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

impl Desk {
    async fn answer<B: Body<Error: Into<BoxError>>>(
        &self,
        parts: &Parts,
        body: B,
    ) -> Response<String> {
        let asker = match self.origins.asker(parts) {
            Ok(asker) => asker,
            Err(problem) => return problem.response(),
        };
        let served = self.serve(parts, body).await;
        let mut response = served.unwrap_or_else(Problem::response);
        asker.admit(&mut response);
        response
    }

    async fn serve<B: Body<Error: Into<BoxError>>>(
        &self,
        parts: &Parts,
        body: B,
    ) -> Result<Response<String>, Problem> {
        let path = path_of(parts);
        let [key, subscriptions] = &self.paths;
        let methods = match path {
            _ if path == key => KEY_METHODS,
            _ if path == subscriptions => SUBSCRIPTION_METHODS,
            _ => return Err(Problem::new(StatusCode::NOT_FOUND, "nothing here")),
        };
        let _turn = self.turns.try_acquire().map_err(|_| later())?;
        match (&parts.method, methods) {
            (&Method::OPTIONS, _) => {
                let headers = "authorization, content-type";
                Ok(Preflight { methods, headers }.response(String::new()))
            }
            (method @ (&Method::GET | &Method::HEAD), KEY_METHODS) => {
                let json = json!({ "key": self.subscribers.public_key() });
                let mut response = told(StatusCode::OK, &json);
                if method == Method::HEAD {
                    response.body_mut().clear();
                }
                Ok(response)
            }
            (&Method::POST, SUBSCRIPTION_METHODS) => {
                // Before the body is read.
                self.guard.admit(&parts.headers)?;
                self.subscribe(&self.read(body).await?).await
            }
            // The subscription's own secret is what it takes.
            (&Method::DELETE, SUBSCRIPTION_METHODS) => {
                self.unsubscribe(&self.read(body).await?).await
            }
            _ => Err(Problem::method(methods)),
        }
    }

    async fn read<B: Body<Error: Into<BoxError>>>(&self, body: B) -> Result<Value, Problem> {
        let read = timeout(
            BODY_TIME,
            Limited::new(Box::pin(body), LARGEST_BODY).collect(),
        )
        .await;
        let too_large = "the body cannot be read, or has more than 8 KiB";
        let body: Bytes = match read {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => return Err(Problem::bad_request(too_large)),
            Err(_) => {
                return Err(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body takes too long",
                ));
            }
        };
        serde_json::from_slice(&body).map_err(|_| Problem::bad_request("the body is no JSON"))
    }

    async fn subscribe(&self, asked: &Value) -> Result<Response<String>, Problem> {
        let unknown = asked.as_object().into_iter().flatten();
        let mut unknown =
            unknown.filter(|(name, _)| !["subscription", "rules"].contains(&&***name));
        if let Some((name, _)) = unknown.next() {
            let name = crate::spelling::shown(name);
            let detail = format!("member {name:?} is not known; known are subscription and rules");
            return Err(Problem::bad_request(detail));
        }
        let rules = match &asked["rules"] {
            Value::Null => Vec::new(),
            rules => serde_json::from_value(rules.clone())
                .map_err(|_| Problem::bad_request("`rules` is no list of names"))?,
        };
        match self
            .subscribers
            .subscribe(&asked["subscription"], &rules)
            .await
        {
            Ok(Subscribed::New) => Ok(told(StatusCode::CREATED, &json!({ "subscribed": true }))),
            Ok(Subscribed::Again) => Ok(told(StatusCode::OK, &json!({ "subscribed": true }))),
            Ok(Subscribed::Full) => {
                let detail = "there are as many subscriptions as there may be";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
                Err(problem.with(RETRY_AFTER, "3600"))
            }
            Err(error) => Err(problem_of(&error)),
        }
    }

    async fn unsubscribe(&self, asked: &Value) -> Result<Response<String>, Problem> {
        let endpoint = asked["endpoint"].as_str();
        let auth = asked["keys"]["auth"].as_str();
        let Some((endpoint, auth)) = endpoint.zip(auth) else {
            let detail = "send the subscription: its `endpoint`, and `auth` of its `keys`";
            return Err(Problem::bad_request(detail));
        };
        match self.subscribers.unsubscribe(endpoint, auth).await {
            Ok(Unsubscribed::Gone) => {
                let mut response = Response::new(String::new());
                *response.status_mut() = StatusCode::NO_CONTENT;
                Ok(response)
            }
            // One answer, so that nobody learns who is subscribed.
            Ok(Unsubscribed::Unknown | Unsubscribed::NotYours) => {
                let detail = "no subscription has this endpoint and this secret";
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
            Err(error) => Err(problem_of(&error)),
        }
    }
}

fn told(status: StatusCode, json: &Value) -> Response<String> {
    let mut response = Response::new(json.to_string());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn later() -> Problem {
    let detail = "subscriptions cannot be kept now; try again in 5 seconds";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "5")
}

fn problem_of(error: &Error) -> Problem {
    match error.kind() {
        ErrorKind::Invalid => Problem::bad_request(error.to_string()),
        _ => later(),
    }
}

impl<B> Service<Request<B>> for PushService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    /// Always ready: who asks while too many do is refused.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let desk = Arc::clone(&self.desk);
        Box::pin(async move { Ok(desk.answer(&parts, body).await) })
    }
}
