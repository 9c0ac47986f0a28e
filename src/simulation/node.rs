//! A node: the real cache over the real `src/redis`, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::network::{Host, Network};
use super::server::{PORT as REDIS, sentinel::PORT as SENTINEL};
use super::witness::{Observed, Question, Start, Witness};
use crate::builder::Cache;
use crate::clock::{Clock, Timestamp};
use crate::invalidation::Purger;
use crate::log::UpdateMessage;
use crate::middleware::CacheService;
use crate::position::Position;
use crate::rules::Rule;
use crate::sync::Process;

pub(super) const PAGES: [&str; 3] = ["a", "b", "c"];
/// The longest lease of a node.
pub(super) const LONGEST_LEASE: Duration = Duration::from_secs(1);

/// The clocks of one machine: one that may be set, and one that runs a little too fast or too slow.
#[derive(Debug)]
pub(super) struct MachineClock {
    start: Instant,
    /// Millionths of the time that has passed.
    drift: i64,
    /// What the wall clock is off by, in milliseconds.
    pub(super) off: AtomicI64,
}

impl MachineClock {
    pub(super) fn new(start: Instant, drift: i64) -> Self {
        let off = AtomicI64::new(0);
        Self { start, drift, off }
    }
}

impl Clock for Arc<MachineClock> {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(0);
        let wall = 1_795_392_000_000 + passed + self.off.load(Ordering::Relaxed);
        Timestamp::from_millis(wall.unsigned_abs())
    }

    fn monotonic(&self) -> Duration {
        let passed = self.start.elapsed();
        let micros = i64::try_from(passed.as_micros()).unwrap_or(0);
        let drifted =
            micros + micros / 1_000_000 * self.drift + micros % 1_000_000 * self.drift / 1_000_000;
        Duration::from_secs(3_600) + Duration::from_micros(drifted.unsigned_abs())
    }
}

/// How the origin is at present. Shared by all nodes.
#[derive(Debug, Default)]
pub(super) struct Mood {
    pub(super) fails: bool,
    pub(super) slow: Duration,
}

/// What every node wraps: answers with when its answer began, and what it read then.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) witness: Arc<Mutex<Witness>>,
    pub(super) mood: Arc<Mutex<Mood>>,
    pub(super) random: Arc<Mutex<fastrand::Rng>>,
}

impl Service<Request<Full<Bytes>>> for Origin {
    type Response = Response<Full<Bytes>>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let page = PAGES
            .into_iter()
            .find(|page| request.uri().path().ends_with(page))
            .unwrap_or("a");
        let (began, version) = self.witness.lock().generation(page);
        let etag = format!("\"v{version}\"");
        let unchanged = request
            .headers()
            .get(IF_NONE_MATCH)
            .is_some_and(|tag| tag == etag.as_str());
        let takes = {
            let mut random = self.random.lock();
            match random.u32(..10) {
                0 => Duration::from_millis(random.u64(1..400)),
                _ => Duration::from_micros(random.u64(200..8_000)),
            }
        };
        let (takes, fails) = {
            let mood = self.mood.lock();
            (takes + mood.slow, mood.fails)
        };
        let witness = Arc::clone(&self.witness);
        Box::pin(async move {
            sleep(takes).await;
            if fails {
                return Err(std::io::Error::other("the origin fails"));
            }
            let mut response = Response::new(Full::from(format!("{began} {version}")));
            if unchanged {
                witness.lock().confirm(page, version, began);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                *response.body_mut() = Full::default();
            }
            response
                .headers_mut()
                .insert(ETAG, etag.parse().expect("an etag of digits"));
            Ok(response)
        })
    }
}

pub(super) struct Node {
    pub(super) start: Start,
    pub(super) process: Process,
    pub(super) clock: Arc<MachineClock>,
    cache: Option<Cache>,
    service: Option<CacheService<Origin>>,
}

/// What all nodes have in common.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) network: Network,
    pub(super) origin: Origin,
    pub(super) url: String,
}

impl Node {
    pub(super) fn start(
        start: Start,
        clock: &Arc<MachineClock>,
        lease: Duration,
        around: &Surroundings,
    ) -> Self {
        let (network, from): (Network, Host) = (around.network.clone(), start.0);
        let process = Process::new(Box::new(move |host: &str, port| {
            let (network, host) = (
                network.clone(),
                host.strip_prefix("server-")
                    .and_then(|host| host.parse().ok()),
            );
            Box::pin(async move {
                let to = host.ok_or(std::io::ErrorKind::NotFound)?;
                let port = if port == SENTINEL { SENTINEL } else { REDIS };
                let stream = network.connect(from, to, port).await?;
                Ok(Box::new(stream) as Box<dyn crate::sync::Socket>)
            })
        }));
        let (cache, service) = process.run(|| {
            let page = |name, route: &str| {
                Rule::new(name, route)
                    .ttl(Duration::from_secs(60))
                    .stale_while_revalidate(Duration::from_secs(20))
                    .stale_if_error(Duration::from_secs(20))
                    .tag("page:{page}")
            };
            let (cache, companion) = Cache::builder()
                .rule(page("strict", "/strict/{page}").strict())
                .rule(page("near", "/near/{page}").near())
                .redis(around.url.clone())
                .lease(lease)
                .longest_lease(LONGEST_LEASE)
                .waiting_by_clock()
                .clock(Arc::clone(clock))
                .build()
                .expect("the configuration of the simulation is valid");
            let service = cache.layer().layer(around.origin.clone());
            tokio::spawn(process.own(companion.run(std::future::pending())));
            (cache, service)
        });
        let node = Self {
            start,
            process,
            clock: Arc::clone(clock),
            cache: Some(cache),
            service: Some(service),
        };
        node.hear(&around.origin.witness);
        node
    }

    /// Its clients hear what it tells.
    fn hear(&self, witness: &Arc<Mutex<Witness>>) {
        let Some(cache) = &self.cache else { return };
        let (mut updates, witness, start) = (cache.updates(), Arc::clone(witness), self.start);
        tokio::spawn(self.process.own(async move {
            witness.lock().resynced(start);
            while let Some(message) = updates.recv().await {
                match message {
                    UpdateMessage::Update(told) => {
                        let which = told.update.identity().parse().expect("a number");
                        witness.lock().told(start, which, told.id.position);
                    }
                    UpdateMessage::Resync(_) => witness.lock().resynced(start),
                }
            }
        }));
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.cache.as_ref().and_then(Cache::position)
    }

    pub(super) fn purger(&self) -> Option<Purger> {
        self.cache.as_ref().map(Cache::purger)
    }

    /// Whether anything waits to be in the log.
    pub(super) fn owes(&self) -> bool {
        self.cache.as_ref().is_some_and(Cache::owes)
    }

    /// Asks for a page; nothing if the node dies meanwhile, or has no answer.
    pub(super) fn ask(
        &self,
        page: &'static str,
        is_strict: bool,
        after: Option<Position>,
        witness: &Arc<Mutex<Witness>>,
    ) -> impl Future<Output = Option<(Question, Observed)>> + use<> {
        let (service, witness, at) = (self.service.clone(), Arc::clone(witness), self.start);
        let (done, answered) = oneshot::channel();
        tokio::spawn(self.process.own(async move {
            let Some(service) = service else { return };
            let arrived = witness.lock().tick();
            let question = Question {
                page,
                arrived,
                at,
                is_strict,
                after,
            };
            let mut request = Request::new(Full::default());
            let rule = if is_strict { "strict" } else { "near" };
            *request.uri_mut() = format!("/{rule}/{page}")
                .parse()
                .expect("a path of the simulation");
            if let Some(position) = after {
                let position = position.to_string().parse().expect("a field value");
                request.headers_mut().insert("cache-after", position);
            }
            let Ok(response) = service.oneshot(request).await else {
                return;
            };
            let status = response
                .headers()
                .get("cache-status")
                .and_then(|status| status.to_str().ok());
            let (is_stale, is_hit) = status.map_or((false, false), |status| {
                (status.contains("detail=stale-"), status.contains("; hit"))
            });
            let Ok(body) = response.into_body().collect().await else {
                return;
            };
            let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            let parts = body
                .split_once(' ')
                .and_then(|(began, version)| Some((began.parse().ok()?, version.parse().ok()?)));
            let Some((began, version)) = parts else {
                return;
            };
            let _ = done.send((
                question,
                Observed {
                    began,
                    version,
                    is_stale,
                    is_hit,
                },
            ));
        }));
        async move { answered.await.ok() }
    }

    /// It dies.
    pub(super) fn kill(&mut self) {
        self.process.kill();
        let (cache, service) = (self.cache.take(), self.service.take());
        self.process.run(|| drop((cache, service)));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
