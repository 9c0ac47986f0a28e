//! [`ActivityService`]: from a request to what happened.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tower_service::Service;

use super::settings::{ActivityServiceSettings, WORDS};
use crate::activity::{ActivityFeed, CountersAsked, EntriesAsked};
use crate::error::{ConfigError, Error};
use crate::telling::Telling;
use crate::web::{Guard, Origins, Preflight, Problem, Subjects, path_of};

const METHODS: &str = "GET, HEAD, OPTIONS";
/// What a page of another host may send.
const PREFLIGHT: Preflight = Preflight {
    methods: METHODS,
    headers: "authorization, cache-control",
};
/// How many answers are read at once: behind more, others would wait too long on the connection.
const READS: usize = 16;
/// How long further ones wait for their turn.
const TURN: Duration = Duration::from_secs(2);

/// The service that tells clients what happened. Made by [`Cache::activity_service`](crate::Cache::activity_service); a cheap
/// clone. See the [module docs](crate::feed).
#[derive(Debug, Clone)]
pub struct ActivityService {
    desk: Arc<Desk>,
}

/// What all requests share.
#[derive(Debug)]
struct Desk {
    feed: ActivityFeed,
    guard: Guard,
    origins: Origins,
    subjects: Subjects,
    /// The paths of the entries and of the counters.
    paths: [String; 2],
    turns: Semaphore,
    /// Held for moments, by each request that was read.
    telling: Mutex<Telling>,
}

/// What a path is of.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Entries,
    Counters,
}

impl ActivityService {
    pub(crate) fn new(
        feed: ActivityFeed,
        settings: &ActivityServiceSettings,
    ) -> Result<Self, ConfigError> {
        let desk = Arc::new(Desk::new(feed, settings)?);
        Ok(Self { desk })
    }

    /// Whether a request for `path` is for this service. For who puts it in front of another one.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        self.desk.wanted(path).is_some()
    }

    /// A router with this service at its two [paths](ActivityServiceSettings::below), to be merged into another one.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        let paths = self.desk.paths.iter();
        paths.fold(axum::Router::new(), |router, path| {
            router
                .route_service(path, self.clone())
                .route_service(&format!("{path}/"), self.clone())
        })
    }

    /// Says in words what a request for `path?query` would be told, or why it would be refused.
    ///
    /// # Errors
    /// The reason that a client would be told.
    pub fn explain(&self, path: &str, query: Option<&str>) -> Result<String, String> {
        self.desk
            .explain(path, query)
            .map_err(|problem| problem.detail().to_owned())
    }
}

impl Desk {
    fn new(feed: ActivityFeed, settings: &ActivityServiceSettings) -> Result<Self, ConfigError> {
        let guard = Guard::of_token(WORDS, settings.open, &settings.token, &settings.token_file)?;
        let below = WORDS.path("below", &settings.below)?;
        Ok(Self {
            feed,
            guard,
            origins: Origins::compile(WORDS, &settings.origins)?,
            subjects: Subjects::compile(WORDS, &settings.subjects)?,
            paths: ["activity", "analytics"].map(|name| format!("{below}/{name}")),
            turns: Semaphore::new(READS),
            telling: Mutex::new(Telling::of_well()),
        })
    }

    fn wanted(&self, path: &str) -> Option<Wanted> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let [entries, counters] = &self.paths;
        match path {
            _ if path == entries => Some(Wanted::Entries),
            _ if path == counters => Some(Wanted::Counters),
            _ => None,
        }
    }

    fn explain(&self, path: &str, query: Option<&str>) -> Result<String, Problem> {
        match self.wanted(path).ok_or_else(not_found)? {
            Wanted::Entries => {
                let asked = EntriesAsked::parse(query, &self.subjects)?;
                asked.query().map(|_| asked.to_string())
            }
            Wanted::Counters => {
                let asked = CountersAsked::parse(query, &self.subjects, self.feed.hours())?;
                asked.query().map(|_| asked.to_string())
            }
        }
    }

    /// Answers a request, or says why not.
    async fn answer(&self, parts: &Parts) -> Response<String> {
        let asker = match self.origins.asker(parts) {
            Ok(asker) => asker,
            Err(problem) => return bodiless_if_head(parts, problem.response()),
        };
        let answered = self.serve(parts).await;
        let mut response = answered.unwrap_or_else(Problem::response);
        asker.admit(&mut response);
        bodiless_if_head(parts, response)
    }

    async fn serve(&self, parts: &Parts) -> Result<Response<String>, Problem> {
        let wanted = self.wanted(path_of(parts)).ok_or_else(not_found)?;
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(PREFLIGHT.response(String::new())),
            _ => return Err(Problem::method(METHODS)),
        }
        self.guard.admit(&parts.headers)?;
        let json = match wanted {
            Wanted::Entries => self.entries(parts.uri.query()).await?,
            Wanted::Counters => self.counters(parts.uri.query()).await?,
        };
        let mut response = Response::new(json);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    async fn entries(&self, query: Option<&str>) -> Result<String, Problem> {
        let asked = EntriesAsked::parse(query, &self.subjects)?.query()?;
        let _turn = self.turn().await?;
        let page = self.told(self.feed.read(&asked).await)?;
        Ok(page.to_json())
    }

    async fn counters(&self, query: Option<&str>) -> Result<String, Problem> {
        let asked = CountersAsked::parse(query, &self.subjects, self.feed.hours())?;
        let query = asked.query()?;
        let _turn = self.turn().await?;
        self.told(self.feed.analytics_json(&query).await)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = timeout(TURN, self.turns.acquire()).await;
        let turn = turn.ok().and_then(Result::ok);
        turn.ok_or_else(|| later("too many ask at once; try again in 5 seconds"))
    }

    /// What was read. Why not is for the operator: a line for each change.
    fn told<T>(&self, read: Result<T, Error>) -> Result<T, Problem> {
        let mut telling = self.telling.lock();
        match &read {
            Ok(_) => {
                if telling.well().is_some() {
                    tracing::info!("activity is read again");
                }
            }
            Err(error) => {
                if telling.failing(error.kind() as u64).is_some() {
                    tracing::warn!("activity cannot be read, clients are answered 503: {error:#}");
                }
            }
        }
        read.map_err(|_| later("what happened cannot be read now; try again in 5 seconds"))
    }
}

fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no activity here")
}

fn later(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "5")
}

/// RFC 9110 §9.3.2: the fields of the answer to a `GET`, without its content.
fn bodiless_if_head(parts: &Parts, mut response: Response<String>) -> Response<String> {
    if parts.method == Method::HEAD {
        let length = std::mem::take(response.body_mut()).len();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

impl<B> Service<Request<B>> for ActivityService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    /// Always ready: who asks while too many do waits for a bounded time.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Nothing is asked by a body.
        let (parts, _) = request.into_parts();
        let desk = Arc::clone(&self.desk);
        Box::pin(async move { Ok(desk.answer(&parts).await) })
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;
    use crate::activity::ActivitySettings;
    use crate::builder::Cache;

    /// Nothing but the timer is waited for: there is no socket.
    #[tokio::test(start_paused = true)]
    async fn who_asks_while_too_many_do_waits_for_a_turn_or_is_told_to_come_back() {
        let builder = Cache::builder().activity(ActivitySettings::new());
        let (cache, _companion) = builder.build().unwrap();
        let settings = ActivityServiceSettings::open();
        let service = cache.activity_service(&settings).unwrap();
        let ask = async |target: &str| {
            let request = Request::get(target).body(()).unwrap();
            service.clone().oneshot(request).await.unwrap()
        };
        let turns = service.desk.turns.acquire_many(READS as u32).await.unwrap();
        for target in ["/activity", "/analytics"] {
            let refused = ask(target).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(refused.headers()[RETRY_AFTER], "5");
            assert!(refused.body().contains("too many"));
        }
        assert_eq!(ask("/activity?limit=0").await.status(), 400, "at once");
        let given_back = async {
            tokio::time::sleep(TURN / 2).await;
            drop(turns);
        };
        let (waited, ()) = tokio::join!(ask("/activity"), given_back);
        assert_eq!(waited.status(), 200);
    }
}
