//! Rules that are replaced while requests go on.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use tower_tagcache::{Cache, CacheLayer, Rule, Statuses};

const MINUTE: Duration = Duration::from_secs(60);

/// A cache in front of a service that counts, and gives the path and the count back.
struct House {
    cache: Cache,
    /// Made once: layers that are made side by side before the first request share nothing (SAFETY 109).
    layer: CacheLayer,
    calls: Arc<AtomicU32>,
}

impl House {
    fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let builder = rules
            .into_iter()
            .fold(Cache::builder(), |builder, rule| builder.rule(rule));
        let (cache, _companion) = builder.build().expect("good rules");
        Self {
            layer: cache.layer(),
            cache,
            calls: Arc::default(),
        }
    }

    /// The body of the answer, and what `Cache-Status` says.
    async fn ask(&self, path: &str) -> (String, Option<String>) {
        let calls = Arc::clone(&self.calls);
        let inner = service_fn(move |request: Request<Full<Bytes>>| {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let body = format!("{} {call}", request.uri().path());
            async move { Ok::<_, Infallible>(Response::new(Full::from(body))) }
        });
        let request = Request::get(path).body(Full::default()).expect("a request");
        let response = self.layer.layer(inner).oneshot(request).await;
        let response = response.expect("infallible");
        let status = response.headers().get("cache-status");
        let status = status.map(|line| line.to_str().expect("text").to_owned());
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        (String::from_utf8(body.to_vec()).expect("text"), status)
    }

    async fn body(&self, path: &str) -> String {
        self.ask(path).await.0
    }
}

fn rule(name: &str) -> Rule {
    Rule::new(name, format!("/{name}/{{id}}")).ttl(MINUTE)
}

#[tokio::test]
async fn a_rule_that_is_switched_off_lets_its_requests_pass() {
    let house = House::new([rule("a"), rule("b")]);
    for path in ["/a/1", "/b/1", "/a/1", "/b/1"] {
        house.ask(path).await;
    }
    assert_eq!(house.calls.load(Ordering::SeqCst), 2);
    let rules = vec![rule("a").enabled(false), rule("b")];
    house.cache.replace_rules(rules).unwrap();
    assert_eq!(house.ask("/a/1").await, ("/a/1 3".to_owned(), None));
    assert_eq!(house.body("/b/1").await, "/b/1 2");
    // On again, it finds what it had stored.
    house
        .cache
        .replace_rules(vec![rule("a"), rule("b")])
        .unwrap();
    assert_eq!(house.body("/a/1").await, "/a/1 1");
}

#[tokio::test]
async fn rules_that_cannot_be_used_leave_the_old_ones() {
    let house = House::new([rule("a")]);
    house.ask("/a/1").await;
    let bad = vec![rule("a").enabled(false), Rule::new("b", "/{")];
    let error = house.cache.replace_rules(bad).unwrap_err();
    assert_eq!(error.place(), "rule `b`, route");
    assert_eq!(house.body("/a/1").await, "/a/1 1");
}

/// By a purge of the new tag the old response would not be found; by the old permission it would be
/// shared.
#[tokio::test]
async fn what_was_stored_by_other_tags_or_permissions_answers_nobody() {
    for (what, changed) in [
        ("a tag", rule("a").tag("item:{id}")),
        (
            "a header that lists tags",
            rule("a").tag_headers(["x-tags"]),
        ),
        ("a permission", rule("a").ignore_private()),
        ("the key", rule("a").header("accept")),
        ("the captures", Rule::new("a", "/a/{key}").ttl(MINUTE)),
    ] {
        let house = House::new([rule("a")]);
        assert_eq!(house.body("/a/1").await, "/a/1 1");
        house.cache.replace_rules(vec![changed.clone()]).unwrap();
        assert_eq!(house.body("/a/1").await, "/a/1 2", "{what}");
        assert_eq!(house.body("/a/1").await, "/a/1 2", "{what}");
    }
}

#[tokio::test]
async fn what_was_stored_stays_where_only_lifetimes_changed() {
    let house = House::new([rule("a")]);
    house.ask("/a/1").await;
    let longer = rule("a")
        .ttl(2 * MINUTE)
        .ttl_for(Statuses::code(404), MINUTE);
    house.cache.replace_rules(vec![longer]).unwrap();
    let (body, status) = house.ask("/a/1").await;
    assert_eq!(body, "/a/1 1");
    assert!(status.unwrap().contains("hit"));
}

#[tokio::test]
async fn warnings_of_the_new_rules_are_returned() {
    let house = House::new([rule("a")]);
    let twice = rule("a").tag("x").tag("x");
    let warnings = house.cache.replace_rules(vec![twice]).unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].place(), "rule `a`");
}

/// Requests on several threads, while the rules change under them: each gets the answer to its own
/// path, and the last rules are those that count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_rules_are_replaced() {
    const ROUNDS: u32 = 300;
    let house = Arc::new(House::new([rule("a"), rule("b")]));
    let asking = |path: &'static str| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let body = house.body(path).await;
                assert!(body.starts_with(&format!("{path} ")), "{body}");
            }
        })
    };
    let tasks = [
        asking("/a/1"),
        asking("/b/1"),
        asking("/a/2"),
        asking("/c/1"),
    ];
    for round in 0..ROUNDS {
        let off = rule("a").enabled(round % 2 == 0);
        let tagged = rule("b").tag(format!("round:{}", round % 3));
        house
            .cache
            .replace_rules(vec![off, tagged, rule("c")])
            .unwrap();
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    house.cache.replace_rules(vec![rule("c")]).unwrap();
    let (_, status) = house.ask("/a/1").await;
    assert_eq!(status, None);
    let (first, stored) = house.ask("/c/9").await;
    let (second, status) = house.ask("/c/9").await;
    assert_eq!(second, first, "{stored:?}, then {status:?}");
}
