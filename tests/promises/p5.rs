//! **P5 — Private stays private.** Without an explicit word, nothing is stored that a shared cache must not store, nor
//! shared what may be one client's own. Everything that can change a response is in its key or keeps it out of the cache.
//!
//! Here: each case is a sequence of clients, and which call of the inner service each is answered from. They run on one
//! embedded cache, and again with the clients in turn on two nodes that share a Redis server, where what one node
//! stored must be as private on the other. Several layers of one cache are in `places`.

mod cases;
mod places;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};
use tower_tagcache::{Cache, CacheBody, CacheBuilder, Notice, Outcome, Rule, Storing};

use self::cases::CASES;

type Page = BoxCloneSyncService<Request<Empty<Bytes>>, Response<Bytes>, BoxError>;

struct Case {
    name: &'static str,
    rule: fn(Rule) -> Rule,
    /// The fields of each response, one a line.
    response: &'static str,
    /// Each client's fields, one a line (`:query` for the query), and the call that answers it.
    clients: &'static [(&'static str, u32)],
    /// What becomes of the first client's response: `stored`, or why not.
    first: &'static str,
}

/// `"a: 1\nb: 2"` as pairs.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(|line| line.rsplit_once(": ").unwrap())
}

/// The caches of a case, and what they said.
struct Nodes {
    pages: Vec<Page>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Nodes {
    fn new(case: &Case, set_ups: &[&dyn Fn(CacheBuilder) -> CacheBuilder]) -> Self {
        let outcomes = Arc::<Mutex<Vec<Outcome>>>::default();
        let calls = Arc::new(AtomicU32::new(0));
        let page = |set_up: &&dyn Fn(CacheBuilder) -> CacheBuilder| {
            let told = Arc::clone(&outcomes);
            let rule = Rule::new("page", "/page").ttl(Duration::from_secs(60));
            let builder =
                Cache::builder()
                    .rule((case.rule)(rule))
                    .observer(move |notice: &Notice<'_>| {
                        if let Notice::Request { outcome, .. } = notice {
                            told.lock().unwrap().push((*outcome).clone());
                        }
                    });
            let (cache, _) = set_up(builder).build().unwrap();
            page(&cache, Arc::clone(&calls), case.response)
        };
        let pages = set_ups.iter().map(page).collect();
        Self { pages, outcomes }
    }

    fn last_outcome(&self) -> Outcome {
        self.outcomes.lock().unwrap().last().unwrap().clone()
    }
}

/// An inner service that says which call it is, and who asked, behind the cache.
fn page(cache: &Cache, calls: Arc<AtomicU32>, response: &'static str) -> Page {
    let inner = tower::service_fn(move |request: Request<Empty<Bytes>>| {
        let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
        let who = request.headers().get("authorization").cloned();
        let mut answer = Response::builder().header("x-call", call);
        for (name, value) in fields(response) {
            answer = answer.header(name, value);
        }
        let body = format!("{who:?}");
        async move { Ok::<_, BoxError>(answer.body(Full::from(body))?) }
    });
    let cached = cache.layer().layer(inner);
    let whole = cached.map_err(BoxError::from).and_then(
        |response: Response<CacheBody<Full<Bytes>>>| async {
            let (parts, body) = response.into_parts();
            Ok(Response::from_parts(
                parts,
                body.collect().await?.to_bytes(),
            ))
        },
    );
    BoxCloneSyncService::new(whole)
}

fn request(client: &str) -> Request<Empty<Bytes>> {
    let mut uri = "http://one.example/page".to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in fields(client) {
        match name {
            ":query" => uri = format!("{uri}?{value}"),
            ":host" => uri = uri.replace("one.example", value),
            _ => {
                let name: HeaderName = name.parse().unwrap();
                headers.append(name, value.parse().unwrap());
            }
        }
    }
    let mut request = Request::get(uri).body(Empty::new()).unwrap();
    *request.headers_mut() = headers;
    request
}

/// What a stored response never has.
const NEVER_SHARED: [&str; 2] = ["set-cookie", "x-private"];

async fn run(case: &Case, nodes: &Nodes, stored: impl AsyncFn(&Outcome)) {
    let mut answered = Vec::new();
    for (turn, (client, _)) in case.clients.iter().enumerate() {
        let page = nodes.pages[turn % nodes.pages.len()].clone();
        let response = page.oneshot(request(client)).await.unwrap();
        let call = response.headers()["x-call"].to_str().unwrap();
        let call: u32 = call.parse().unwrap();
        let outcome = nodes.last_outcome();
        if answered.contains(&call) {
            for name in NEVER_SHARED {
                let shared = response.headers().contains_key(name);
                assert!(!shared, "{}: {name} for {client:?}", case.name);
            }
        }
        if turn == 0 {
            let first = match outcome.storing {
                Some(Storing::Stored) => "stored",
                Some(Storing::NotStored(reason)) => reason.as_str(),
                None => "nothing forwarded",
            };
            assert_eq!(first, case.first, "{}", case.name);
        }
        answered.push(call);
        stored(&outcome).await;
    }
    let expected: Vec<u32> = case.clients.iter().map(|(_, call)| *call).collect();
    assert_eq!(answered, expected, "{}", case.name);
}

#[tokio::test]
async fn safety_01_to_20_private_responses_stay_private_in_one_process() {
    for case in CASES {
        let nodes = Nodes::new(case, &[&|builder| builder]);
        run(case, &nodes, async |_| {}).await;
    }
}

#[tokio::test]
async fn safety_01_to_20_private_responses_stay_private_among_nodes() {
    let server = tagcache_test_support::RedisServer::start();
    let patience = Duration::from_secs(30);
    for case in CASES {
        server.run("FLUSHALL").await;
        let set_up = |builder: CacheBuilder| {
            let builder = builder.redis(server.url()).write_timeout(patience);
            builder.read_timeout(patience)
        };
        let nodes = Nodes::new(case, &[&set_up, &set_up]);
        server.run("CONFIG RESETSTAT").await;
        // The next client asks another node: what is being stored must be there.
        let sets = AtomicU32::new(0);
        let writes = if case.response.contains("vary: ") {
            2
        } else {
            1
        };
        let stored = async |outcome: &Outcome| {
            if outcome.storing == Some(Storing::Stored) {
                let expected = sets.fetch_add(writes, Ordering::SeqCst) + writes;
                while server.calls("set").await < expected.into() {
                    tokio::task::yield_now().await;
                }
            }
        };
        tokio::time::timeout(patience, run(case, &nodes, stored))
            .await
            .unwrap_or_else(|_| panic!("not stored in time: {}", case.name));
    }
}

#[tokio::test]
async fn safety_02_clients_that_ask_at_once_share_nothing_private() {
    for (response, private) in [
        ("", true),
        ("cache-control: private, max-age=60", true),
        ("set-cookie: id=1", true),
        ("cache-control: no-store", true),
        ("vary: authorization", true),
        // Permitted by RFC 9111 §3.5, and not asked for by the rule: each still has its own flight.
        ("cache-control: public, max-age=60", false),
    ] {
        let (cache, _) = Cache::builder()
            .rule(Rule::new("page", "/page").ttl(Duration::from_secs(60)))
            .build()
            .unwrap();
        let page = page(&cache, Arc::default(), response);
        let clients = (0..50).map(|n| {
            let page = page.clone();
            async move {
                let who = format!("authorization: client {n}");
                let response = page.oneshot(request(&who)).await.unwrap();
                let own = format!("Some(\"client {n}\")");
                response.body() == &own
            }
        });
        let own = futures_util::future::join_all(clients).await;
        assert!(!private || own.iter().all(|own| *own), "{response}");
    }
}
