//! **P5 — Private stays private.** Without an explicit word, nothing is stored that a shared cache must not store, nor
//! shared what may be one client's own. Everything that can change a response is in its key or keeps it out of the cache.
//!
//! Here: each case is a sequence of clients, and which call of the inner service each is answered from. They run on one
//! embedded cache, and again with the clients in turn on two nodes that share a Redis server, where what one node
//! stored must be as private on the other. Several layers of one cache are in `places`.

mod cases;
mod places;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request};
use http_body_util::Empty;
use tagcache_test_support::{Fleet, HANG, Node, Notices, Origin, RedisServer, Said, ok};
use tower_tagcache::{Cache, Outcome, Rule, Storing};

use self::cases::CASES;

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

impl Case {
    fn rule(&self) -> Rule {
        (self.rule)(Rule::new("page", "/page").ttl(Duration::from_secs(60)))
    }

    /// One process, with an embedded cache.
    fn node(&self) -> Node {
        embedded(self.rule(), origin(self.response))
    }
}

fn embedded(rule: Rule, origin: Origin) -> Node {
    let notices = Notices::new();
    let builder = Cache::builder().rule(rule).observer(notices.clone());
    let (cache, _) = builder.build().unwrap();
    Node::new(cache, notices, origin)
}

/// An inner service that says which call it is, and who asked.
fn origin(response: &'static str) -> Origin {
    Origin::answering(move |asked| {
        let call = asked.number.to_string();
        let mut all = vec![("x-call", call.as_str())];
        all.extend(fields(response));
        let who = asked.parts.headers.get("authorization");
        ok(&all, format!("{who:?}"))
    })
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

async fn run(case: &Case, nodes: &[Node], stored: impl AsyncFn(&Outcome)) {
    let mut answered = Vec::new();
    for (turn, (client, _)) in case.clients.iter().enumerate() {
        let node = &nodes[turn % nodes.len()];
        let answer = node.send(request(client)).await;
        let call = answer.headers["x-call"].to_str().unwrap();
        let call: u32 = call.parse().unwrap();
        let answered_so = |said| match said {
            Said::Answered(outcome) => Some(outcome),
            _ => None,
        };
        let mut said = node.notices.all().into_iter().rev();
        let outcome = said.find_map(answered_so).unwrap();
        if answered.contains(&call) {
            for name in NEVER_SHARED {
                let shared = answer.headers.contains_key(name);
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
        run(case, &[case.node()], async |_| {}).await;
    }
}

#[tokio::test]
async fn safety_01_to_20_private_responses_stay_private_among_nodes() {
    let server = Arc::new(RedisServer::start());
    for case in CASES {
        let fleet = Fleet::on(Arc::clone(&server)).copying();
        let fleet = fleet.rule(case.rule()).origin(origin(case.response));
        let nodes = [fleet.node(), fleet.node()];
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
        tokio::time::timeout(HANG, run(case, &nodes, stored))
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
        let rule = Rule::new("page", "/page").ttl(Duration::from_secs(60));
        let node = embedded(rule, origin(response));
        let clients = (0..50).map(|n| {
            let node = &node;
            async move {
                let who = format!("authorization: client {n}");
                let answer = node.send(request(&who)).await;
                let own = format!("Some(\"client {n}\")");
                answer.body == own
            }
        });
        let own = futures_util::future::join_all(clients).await;
        assert!(!private || own.iter().all(|own| *own), "{response}");
    }
}
