//! The layer against another implementation of the same specification, `http-cache-semantics`, on
//! generated headers. Where the two are meant to differ, [`fault`] says why.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tower_tagcache::Timestamp;

use crate::subject::{Layer, NOW, Subject};

const DIRECTIVES: [&str; 15] = [
    "max-age=47",
    "max-age=3607",
    "Max-Age=61",
    "max-age=x",
    "max-age=\"67\"",
    "s-maxage=53",
    "no-store",
    "private",
    "no-cache",
    "public",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "immutable",
    "foo=\"bar\"",
];

const WISHES: [&str; 7] = [
    "foo",
    "no-cache",
    "max-age=29",
    "min-fresh=13",
    "max-stale",
    "max-stale=19",
    "only-if-cached",
];

#[derive(Debug, Clone)]
struct Case {
    status: u16,
    directives: Vec<&'static str>,
    age: Option<&'static str>,
    /// Seconds from now.
    date: Option<i64>,
    expires: Option<i64>,
    modified: Option<i64>,
    elapsed: u64,
    wish: &'static str,
}

fn case() -> impl Strategy<Value = Case> {
    let status = select(vec![200, 200, 200, 301, 302, 404]);
    let directives = subsequence(DIRECTIVES.to_vec(), 0..4);
    let age = proptest::option::of(select(vec!["0", "31", "7200", "-5", "a", "11, 12"]));
    let date = proptest::option::of(select(vec![0_i64, 0, 0, -3600, 120]));
    let expires = proptest::option::of(select(vec![-100_i64, 0, 59, 7200]));
    let modified = proptest::option::of(select(vec![-36_000_i64, -400_000, 100]));
    let elapsed = select(vec![0_u64, 1, 23, 50, 64, 1000]);
    let wish = select(WISHES.to_vec());
    (
        status, directives, age, date, expires, modified, elapsed, wish,
    )
        .prop_map(
            |(status, directives, age, date, expires, modified, elapsed, wish)| Case {
                status,
                directives,
                age,
                date,
                expires,
                modified,
                elapsed,
                wish,
            },
        )
}

impl Case {
    fn has(&self, directive: &str) -> bool {
        self.directives
            .iter()
            .any(|other| other.starts_with(directive))
    }

    fn has_lifetime(&self) -> bool {
        let explicit = ["max-age=4", "max-age=3", "max-age=\"", "s-maxage"];
        let expires = self.expires.unwrap_or(0) > self.date.unwrap_or(0);
        explicit.iter().any(|text| self.has(text)) || !self.has("max-age") && expires
    }

    fn response(&self) -> Response<()> {
        let mut response = Response::builder().status(self.status);
        if !self.directives.is_empty() {
            response = response.header("cache-control", self.directives.join(", "));
        }
        if let Some(age) = self.age {
            response = response.header("age", age);
        }
        for (name, offset) in [
            ("date", self.date),
            ("expires", self.expires),
            ("last-modified", self.modified),
        ] {
            if let Some(offset) = offset {
                response = response.header(name, at(offset));
            }
        }
        response.body(()).expect("a response")
    }

    fn request(&self) -> Request<Bytes> {
        let request = Request::get("http://h.example/").header("cache-control", self.wish);
        request.body(Bytes::new()).expect("a request")
    }
}

fn at(offset: i64) -> HeaderValue {
    let millis = i64::try_from(NOW.as_millis()).expect("small") + offset * 1000;
    let time = Timestamp::from_millis(u64::try_from(millis).expect("after 1970"));
    HeaderValue::try_from(httpdate::fmt_http_date(time.into())).expect("a value")
}

/// Why the oracle is not believed, if it is not.
fn fault(case: &Case) -> Option<&'static str> {
    let lifetimes = case
        .directives
        .iter()
        .filter(|text| text.to_ascii_lowercase().starts_with("max-age"));
    let several = lifetimes.count() > 1;
    Some(if case.has("Max-Age") {
        "it compares directives with case (RFC 9111 §5.2)"
    } else if several {
        "of two lifetimes it takes the first (§4.2.1 encourages the more restrictive)"
    } else if case.date.is_some_and(|date| date < 0) {
        "an old Date is no age to it (§4.2.3 apparent_age)"
    } else if case.age == Some("11, 12") {
        "it ignores an Age with more than one member (§5.1: the first counts)"
    } else if case.has("proxy-revalidate") {
        "it takes proxy-revalidate for a lifetime of zero (§5.2.2.8)"
    } else if case.wish.starts_with("max-stale") && case.has("s-maxage") {
        "its max-stale unlocks s-maxage (§4.2.4; SAFETY 4)"
    } else if case.wish.starts_with("max-stale") && !case.has_lifetime() && case.modified.is_none()
    {
        "it keeps what has neither lifetime nor validator, for clients that take anything (§4.2.4)"
    } else if case.has("immutable") {
        "it makes immutable a lifetime of a day, and reloads it (RFC 8246 §2)"
    } else if case.has("must-understand") && case.has("no-store") {
        "it does not know must-understand (§5.2.2.3)"
    } else if case.wish.starts_with("max-stale") && case.has("no-cache") {
        "its max-stale unlocks no-cache (§4.2.4; SAFETY 4)"
    } else {
        return None;
    })
}

fn oracle_reuses(case: &Case) -> bool {
    let now: SystemTime = NOW.into();
    let request = case.request().map(drop);
    let policy = CachePolicy::new_options(&request, &case.response(), now, CacheOptions::default());
    let later = now + Duration::from_secs(case.elapsed);
    policy.is_storable()
        && matches!(
            policy.before_request(&request, later),
            BeforeRequest::Fresh(_)
        )
}

/// Whether the layer answers the second of two requests without asking.
async fn layer_reuses(case: &Case) -> bool {
    let layer = Layer::rfc9111();
    layer.script().answer_all(case.response());
    let first = Request::get("http://h.example/")
        .body(Bytes::new())
        .expect("a request");
    layer.ask(first).await.expect("an answer");
    layer.settle().await;
    layer.pass(Duration::from_secs(case.elapsed)).await;
    let answer = layer.ask(case.request()).await.expect("an answer");
    layer.origin().calls() == 1 && answer.status().as_u16() == case.status
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_reused_is_what_the_oracle_reuses(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let ours = runtime.block_on(layer_reuses(&case));
        if fault(&case).is_none() {
            prop_assert_eq!(ours, oracle_reuses(&case));
        }
    }
}

#[test]
fn the_oracle_has_the_faults_that_are_held_against_it() {
    let plain = Case {
        status: 200,
        directives: vec!["max-age=47"],
        age: None,
        date: Some(0),
        expires: None,
        modified: None,
        elapsed: 1,
        wish: "foo",
    };
    let rows = [
        Case {
            directives: vec!["Max-Age=61"],
            ..plain.clone()
        },
        Case {
            date: Some(-3600),
            ..plain.clone()
        },
        Case {
            directives: vec!["max-age=47", "proxy-revalidate"],
            ..plain.clone()
        },
        Case {
            directives: vec!["s-maxage=53"],
            wish: "max-stale",
            elapsed: 64,
            ..plain.clone()
        },
        Case {
            directives: vec!["no-store", "must-understand", "max-age=47"],
            ..plain.clone()
        },
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    assert!(fault(&plain).is_none() && oracle_reuses(&plain));
    for case in rows {
        let ours = runtime.block_on(layer_reuses(&case));
        assert!(
            fault(&case).is_some() && oracle_reuses(&case) != ours,
            "{case:?}"
        );
    }
}
