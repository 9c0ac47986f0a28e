//! P5: nothing private is stored or shared without an explicit word.
//!
//! Each case is a sequence of clients, and which call of the inner service each is answered from.
//! They run on one embedded cache, and again with the clients in turn on two nodes that share a
//! Redis server, where what one node stored must be as private on the other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, ServiceExt};
use tower_tagcache::{
    Authorization, Cache, CacheBody, CacheBuilder, Cookies, Host, Notice, Outcome, Query, Rule,
    SetCookie, Storing,
};

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
    let server = crate::support::RedisServer::start();
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

const fn as_is(rule: Rule) -> Rule {
    rule
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Authorization (RFC 9111 §3.5).
    Case {
        name: "an answer to Authorization is nobody else's",
        rule: as_is,
        response: "",
        clients: &[
            ("authorization: a", 1), ("authorization: a", 2), ("authorization: b", 3),
            ("", 4), ("", 4), ("authorization: a", 5),
        ],
        first: "authorization",
    },
    Case {
        name: "a lifetime alone permits nothing",
        rule: as_is,
        response: "cache-control: max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 2), ("", 3)],
        first: "authorization",
    },
    Case {
        name: "upstream's public is its permission",
        rule: as_is,
        response: "cache-control: public, max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "upstream's s-maxage is its permission",
        rule: as_is,
        response: "cache-control: s-maxage=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "upstream's must-revalidate is its permission",
        rule: as_is,
        response: "cache-control: must-revalidate, max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "a rule's word that Authorization changes nothing",
        rule: |rule| rule.authorization(Authorization::Ignore),
        response: "",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "Authorization in the key",
        rule: |rule| rule.authorization(Authorization::Key),
        response: "",
        clients: &[
            ("authorization: a", 1), ("authorization: b", 2), ("authorization: a", 1), ("", 3),
            ("authorization: b", 2), ("", 3),
        ],
        first: "stored",
    },
    Case {
        name: "cookies that are ignored do not open Authorization",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "",
        clients: &[("authorization: a\ncookie: s=1", 1), ("authorization: b", 2), ("cookie: s=1", 3)],
        first: "authorization",
    },
    // Cookies of requests.
    Case {
        name: "a request with a cookie is not the cache's",
        rule: as_is,
        response: "",
        clients: &[("cookie: s=1", 1), ("cookie: s=1", 2), ("", 3), ("", 3), ("cookie: s=1", 4)],
        first: "cookie",
    },
    Case {
        name: "upstream's public does not change that",
        rule: as_is,
        response: "cache-control: public, max-age=60",
        clients: &[("cookie: s=1", 1), ("cookie: s=2", 2), ("", 3)],
        first: "cookie",
    },
    Case {
        name: "cookies that the rule names to be ignored",
        rule: |rule| rule.cookies(Cookies::ignore(["_ga*"])),
        response: "",
        clients: &[("cookie: _ga_X=1", 1), ("", 1), ("cookie: _ga=2; s=1", 2), ("cookie: _ga=2", 1)],
        first: "stored",
    },
    Case {
        name: "a cookie hidden on a second line or behind a comma",
        rule: |rule| rule.cookies(Cookies::ignore(["_ga*"])),
        response: "",
        clients: &[("cookie: _ga=1\ncookie: s=1", 1), ("cookie: _ga=1, s=1", 2), ("", 3)],
        first: "cookie",
    },
    Case {
        name: "cookies in the key",
        rule: |rule| rule.cookies(Cookies::keyed(["s"])),
        response: "",
        clients: &[
            ("cookie: s=1", 1), ("cookie: s=2", 2), ("cookie: s=1", 1), ("", 3),
            ("cookie: s=1; t=1", 4), ("cookie: s=2", 2),
        ],
        first: "stored",
    },
    Case {
        name: "all cookies ignored",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "",
        clients: &[("cookie: s=1", 1), ("cookie: t=2", 1), ("", 1)],
        first: "stored",
    },
    // Responses that say that they are one client's.
    Case {
        name: "a response that sets a cookie",
        rule: as_is,
        response: "set-cookie: id=1\ncache-control: public, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "set-cookie",
    },
    Case {
        name: "a response that sets a cookie, stored without it",
        rule: |rule| rule.set_cookie(SetCookie::Strip),
        response: "set-cookie: id=1",
        clients: &[("", 1), ("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "private",
        rule: as_is,
        response: "cache-control: private, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "a rule's TTL does not go past private",
        rule: |rule| rule.override_upstream(),
        response: "cache-control: private",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "private, named by the rule",
        rule: |rule| rule.ignore_private(),
        response: "cache-control: private",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "a field that is private",
        rule: as_is,
        response: "cache-control: private=\"x-private\", max-age=60\nx-private: 1",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "no-store",
        rule: as_is,
        response: "cache-control: no-store",
        clients: &[("", 1), ("", 2)],
        first: "no-store",
    },
    Case {
        name: "a rule's TTL does not go past no-store",
        rule: |rule| rule.override_upstream(),
        response: "cache-control: no-store, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "no-store",
    },
    Case {
        name: "ignoring no-store does not ignore private",
        rule: |rule| rule.ignore_no_store(),
        response: "cache-control: no-store, private",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "no-store, named by the rule",
        rule: |rule| rule.ignore_no_store(),
        response: "cache-control: no-store",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    // Vary.
    Case {
        name: "Vary selects",
        rule: as_is,
        response: "vary: accept-language",
        clients: &[
            ("accept-language: en", 1), ("accept-language: de", 2), ("accept-language: en", 1),
            ("accept-language: de", 2), ("", 3), ("accept-language: en", 1),
        ],
        first: "stored",
    },
    Case {
        name: "Vary on any",
        rule: as_is,
        response: "vary: accept, *",
        clients: &[("", 1), ("", 2)],
        first: "vary-any",
    },
    Case {
        name: "Vary on a cookie that the rule ignores",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "vary: cookie",
        clients: &[("cookie: s=1", 1), ("cookie: s=2", 2), ("cookie: s=1", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "Vary on Authorization that the rule ignores",
        rule: |rule| rule.authorization(Authorization::Ignore),
        response: "vary: authorization",
        clients: &[("authorization: a", 1), ("authorization: b", 2), ("authorization: a", 1)],
        first: "stored",
    },
    // Everything that can change a response is in its key.
    Case {
        name: "a header in the key",
        rule: |rule| rule.header("x-tenant"),
        response: "",
        clients: &[("x-tenant: a", 1), ("x-tenant: b", 2), ("x-tenant: a", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "a header that a tag is made from",
        rule: |rule| rule.tag("tenant:{request.x-tenant}"),
        response: "",
        clients: &[("x-tenant: a", 1), ("x-tenant: b", 2), ("x-tenant: a", 1)],
        first: "stored",
    },
    Case {
        name: "what proxies pass on is in the key unasked",
        rule: as_is,
        response: "",
        clients: &[("", 1), ("x-forwarded-host: evil.example", 2), ("", 1), ("x-original-url: /admin", 3)],
        first: "stored",
    },
    Case {
        name: "unless the rule says that nobody reads it",
        rule: |rule| rule.ignore_header("x-forwarded-host"),
        response: "",
        clients: &[("", 1), ("x-forwarded-host: evil.example", 1)],
        first: "stored",
    },
    Case {
        name: "hosts are apart",
        rule: as_is,
        response: "",
        clients: &[(":host: one.example", 1), (":host: two.example", 2), (":host: ONE.example", 1)],
        first: "stored",
    },
    Case {
        name: "hosts together, if the rule says so",
        rule: |rule| rule.host(Host::Ignore),
        response: "",
        clients: &[(":host: one.example", 1), (":host: two.example", 1)],
        first: "stored",
    },
    Case {
        name: "the query as it was sent",
        rule: as_is,
        response: "",
        clients: &[(":query: user=1", 1), (":query: user=2", 2), (":query: user=1", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "the parameters that the rule names",
        rule: |rule| rule.query(Query::allow(["user"])),
        response: "",
        clients: &[(":query: user=1", 1), (":query: user=2", 2), (":query: user=1&utm=x", 1)],
        first: "stored",
    },
    Case {
        name: "a request that would be another method's",
        rule: as_is,
        response: "",
        clients: &[("", 1), ("x-http-method-override: DELETE", 2), ("", 1)],
        first: "stored",
    },
    Case {
        name: "a client cannot ask for what the rule protects",
        rule: as_is,
        response: "",
        clients: &[("", 1), ("cache-control: no-cache", 1), ("pragma: no-cache", 1)],
        first: "stored",
    },
];
