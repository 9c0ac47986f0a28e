use super::*;
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderValue, Request};
use proptest::prelude::*;

fn keying() -> Keying {
    let mut keying = Keying {
        takes_after: false,
        forward: Forward::default(),
        query: Query::all(),
        headers: ["x-region", "x-shop"].map(HeaderName::from_static).into(),
        automatic: AutomaticFields::ALL,
        cookies: Cookies::ignore(["_ga*"]).key(["session"]),
        authorization: Authorization::Upstream,
        host: Host::Key,
        fingerprint: [0; 8],
    };
    keying.fingerprint = keying.fingerprint("");
    keying
}

fn request(uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::get(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a good request").into_parts().0
}

/// What a keying says of a request.
#[derive(Debug)]
struct Said {
    key: KeyBuilder,
    has_authorization: bool,
}

fn keyed(keying: &Keying, parts: &Parts) -> Result<Said, (ForwardReason, Detail)> {
    let mut key = KeyBuilder::new();
    let mut seen = KeyFields::new(&parts.headers, keying);
    keying
        .key(&parts.uri, &parts.headers, &mut seen, &mut key)
        .map_err(|why| (why.reason, why.detail.expect("it says more")))?;
    let has_authorization = keying.leaves_authorization(&seen);
    Ok(Said {
        key,
        has_authorization,
    })
}

fn key(keying: &Keying, uri: &str, fields: &[(&str, &str)]) -> CacheKey {
    let keyed = keyed(keying, &request(uri, fields)).expect("no bypass");
    keyed.key.finish()
}

type Named = &'static [(&'static str, &'static str)];

#[test]
fn safety_09_host_and_scheme_are_part_of_the_key() {
    let rows: &[(&str, Named, &str, Named, bool)] = &[
        ("/", &[("host", "a")], "/", &[("host", "b")], false),
        // The inner service sees the difference (SAFETY 67).
        ("/", &[("host", "a")], "/", &[("host", "A")], false),
        ("/", &[("host", "a")], "/", &[], false),
        ("/", &[("host", "a")], "/", &[("host", "a:8080")], false),
        ("/", &[("host", "a")], "/", &[("host", "a:443")], false),
        ("http://a/", &[], "http://a:80/", &[], false),
        ("https://a/", &[], "https://a:443/", &[], false),
        ("http://a/", &[], "http://a:443/", &[], false),
        ("http://a/", &[], "https://a/", &[], false),
        ("http://a/", &[], "http://b/", &[], false),
        ("http://a/", &[], "http://a/", &[("host", "a")], true),
        ("http://a/", &[], "http://a/", &[("host", "a:80")], false),
        // The inner service may read either.
        ("http://a/", &[], "http://a/", &[("host", "evil")], false),
        (
            "/",
            &[("host", "a")],
            "/",
            &[("host", "a"), ("host", "evil")],
            false,
        ),
        ("http://u@a/", &[], "http://U@a/", &[], false),
        (
            "/",
            &[("x-forwarded-proto", "http")],
            "/",
            &[("x-forwarded-proto", "https")],
            false,
        ),
    ];
    for (one, fields, other, others, same) in rows {
        let equal = key(&keying(), one, fields) == key(&keying(), other, others);
        assert_eq!(equal, *same, "{one} {fields:?} and {other} {others:?}");
    }
}

#[test]
fn safety_66_what_may_be_taken_for_a_keyed_field_is_keyed_too() {
    let mut named = keying();
    named.headers = [HeaderName::from_static("x-tenant")].into();
    let rows: &[&[(&str, &str)]] = &[
        &[],
        &[("x_forwarded_host", "evil")],
        &[("x-forwarded_host", "evil")],
        &[("x-forwarded-host", "evil")],
        &[("x-forwarded-host", "good"), ("x_forwarded_host", "evil")],
        &[("x_forwarded_host", "evil"), ("x-forwarded-host", "good")],
        &[("x_api_key", "1")],
        &[("x_api_key", "2")],
        &[("x.api.key", "1")],
        &[("x_tenant", "1")],
        &[("x-tenant", "1")],
        &[("x-tenant", "1"), ("x_tenant", "2")],
        &[("x_tenant", "2"), ("x-tenant", "1")],
    ];
    for (place, one) in rows.iter().enumerate() {
        for other in &rows[..place] {
            let same = key(&named, "/", one) == key(&named, "/", other);
            assert!(!same, "{one:?} {other:?}");
        }
    }
    for name in [
        "x_http_method_override",
        "x-http_method",
        "x.method.override",
    ] {
        let refused = keyed(&named, &request("/", &[(name, "DELETE")])).map(|keyed| keyed.key);
        let why = (ForwardReason::Method, Detail::MethodOverride);
        assert_eq!(refused, Err(why), "{name}");
    }
}

#[test]
fn an_ignored_host_is_not_part_of_the_key_but_forwarded_ones_are() {
    let ignore = Keying {
        host: Host::Ignore,
        ..keying()
    };
    let one = key(&ignore, "/", &[("host", "a")]);
    assert_eq!(one, key(&ignore, "/", &[("host", "b"), ("host", "c")]));
    assert_ne!(
        one,
        key(&ignore, "/", &[("host", "a"), ("x-forwarded-host", "b")])
    );
}

#[test]
fn safety_15_the_path_is_keyed_as_it_was_sent() {
    let paths = [
        "/a/b", "/a%2fb", "/a/%62", "/a//b", "/a/./b", "/a/b/", "/A/b", "/a/b;x", "/a/b%00",
    ];
    for (place, one) in paths.iter().enumerate() {
        for other in &paths[..place] {
            assert_ne!(
                key(&keying(), one, &[]),
                key(&keying(), other, &[]),
                "{one} {other}"
            );
        }
    }
}

#[test]
fn safety_11_unkeyed_input_is_keyed_or_bypasses() {
    let plain = key(&keying(), "/", &[]);
    for (name, value) in [
        ("x-forwarded-host", "evil"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil"),
        ("forwarded", "for=1;proto=http"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
    ] {
        assert_ne!(key(&keying(), "/", &[(name, value)]), plain, "{name}");
    }
    for name in [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    ] {
        let refused = keyed(&keying(), &request("/", &[(name, "DELETE")])).map(|keyed| keyed.key);
        assert_eq!(
            refused,
            Err((ForwardReason::Method, Detail::MethodOverride)),
            "{name}"
        );
    }
}

#[test]
fn a_client_address_is_not_part_of_the_key() {
    let plain = key(&keying(), "/", &[]);
    let fields = [
        ("x-forwarded-for", "1.2.3.4"),
        ("user-agent", "x"),
        ("accept", "y"),
    ];
    assert_eq!(key(&keying(), "/", &fields), plain);
}

#[test]
fn a_field_that_the_rule_ignores_is_not_part_of_the_key() -> Result<(), crate::ConfigError> {
    let ignore = Keying {
        automatic: AutomaticFields::ALL.without("x-forwarded-host")?,
        ..keying()
    };
    let fields = [("x-forwarded-host", "a")];
    assert_eq!(key(&ignore, "/", &fields), key(&ignore, "/", &[]));
    Ok(())
}

#[test]
fn a_request_bypasses_with_its_reason() {
    let long = "x".repeat(20_000);
    let rows = [
        ("cookie", "other=1", ForwardReason::Bypass, Detail::Cookie),
        (
            "upgrade",
            "websocket",
            ForwardReason::Bypass,
            Detail::Upgrade,
        ),
        (
            "x-region",
            long.as_str(),
            ForwardReason::Bypass,
            Detail::KeyLimit,
        ),
    ];
    for (name, value, reason, detail) in rows {
        let refused = keyed(&keying(), &request("/", &[(name, value)])).map(|keyed| keyed.key);
        assert_eq!(refused, Err((reason, detail)), "{name}");
    }
}

#[test]
fn authorization_is_left_to_the_response_ignored_or_keyed() {
    let of = |authorization, fields: &[(&str, &str)]| {
        let keying = Keying {
            authorization,
            ..keying()
        };
        keyed(&keying, &request("/", fields)).expect("no bypass")
    };
    let (alice, bob) = ([("authorization", "alice")], [("authorization", "bob")]);
    for (policy, shared, left_to_response) in [
        (Authorization::Upstream, true, true),
        (Authorization::Ignore, true, false),
        (Authorization::Key, false, false),
    ] {
        let (one, other, none) = (of(policy, &alice), of(policy, &bob), of(policy, &[]));
        assert_eq!(one.key == other.key, shared, "{policy:?}");
        assert_eq!(one.key == none.key, shared, "{policy:?}");
        assert_eq!(one.has_authorization, left_to_response, "{policy:?}");
        assert!(!none.has_authorization);
        assert!(!one.key.as_bytes().windows(5).any(|part| part == b"alice"));
    }
}

#[test]
fn another_configuration_of_the_rule_has_other_keys() {
    let allow = |names: &[&str]| {
        let mut keying = keying();
        keying.query = Query::allow(names.iter().copied());
        keying.fingerprint = keying.fingerprint("");
        key(&keying, "/", &[])
    };
    assert_eq!(allow(&["a"]), allow(&["a"]));
    assert_ne!(allow(&["a"]), allow(&["a", "b"]));
}

/// What of a request counts, written down plainly.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    target: (String, String, Option<String>),
    named: [Vec<String>; 2],
    session: Vec<(usize, Option<String>)>,
    proxied: Vec<(String, Vec<String>)>,
}

#[derive(Debug, Clone)]
struct Sample {
    host: String,
    path: String,
    query: Option<String>,
    fields: Vec<(&'static str, String)>,
    cookies: Vec<String>,
}

impl Sample {
    fn parts(&self) -> Parts {
        let query = self
            .query
            .as_ref()
            .map_or(String::new(), |query| format!("?{query}"));
        let mut parts = request(&format!("/{}{query}", self.path), &[("host", &self.host)]);
        for (name, value) in &self.fields {
            let value = HeaderValue::from_str(value).expect("a good value");
            parts.headers.append(*name, value);
        }
        for cookie in &self.cookies {
            let value = HeaderValue::from_str(cookie).expect("a good value");
            parts.headers.append(COOKIE, value);
        }
        parts
    }

    fn counts(&self) -> Counts {
        let lines = |name: &str| -> Vec<String> {
            let lines = self.fields.iter().filter(|(other, _)| *other == name);
            lines.map(|(_, value)| value.clone()).collect()
        };
        let sessions = self
            .cookies
            .iter()
            .enumerate()
            .filter_map(|(line, cookie)| match cookie.split_once('=') {
                Some(("session", value)) => Some((line, Some(value.to_owned()))),
                None if cookie == "session" => Some((line, None)),
                _ => None,
            });
        let proxied = ["rsc", "x-api-key", "x-forwarded-host", "x-host"];
        let proxied = proxied.iter().map(|name| ((*name).to_owned(), lines(name)));
        Counts {
            target: (self.host.clone(), self.path.clone(), self.query.clone()),
            named: ["x-region", "x-shop"].map(lines),
            session: sessions.collect(),
            proxied: proxied.collect(),
        }
    }
}

/// Few and short, and with bytes that a key is made of, so that requests are often nearly the same.
fn a_sample() -> impl Strategy<Value = Sample> {
    let value = "[ab\t]{0,2}";
    let names = [
        "x-region",
        "x-shop",
        "rsc",
        "x-api-key",
        "x-forwarded-host",
        "x-host",
        "accept",
    ];
    let field = (prop::sample::select(names.to_vec()), value);
    let cookie = prop::sample::select(vec![
        "session=a",
        "session=b",
        "session",
        "session=",
        "_ga=1",
    ]);
    (
        "[aAb]{1,2}",
        "[ab]{0,2}",
        prop::option::of("[ab=&]{0,2}"),
        prop::collection::vec(field, 0..4),
        prop::collection::vec(cookie.prop_map(str::to_owned), 0..3),
    )
        .prop_map(|(host, path, query, fields, cookies)| Sample {
            host,
            path,
            query,
            fields,
            cookies,
        })
}

/// Two requests that differ in one place, if at all: those are the ones that a key may confuse.
fn neighbours() -> impl Strategy<Value = (Sample, Sample)> {
    (a_sample(), a_sample(), 0..7, any::<prop::sample::Index>()).prop_map(
        |(one, from, place, at)| {
            let mut other = one.clone();
            match place {
                0 => other.host = from.host,
                1 => other.path = from.path,
                2 => other.query = from.query,
                3 => other.cookies = from.cookies,
                4 => other.fields = from.fields,
                // The lines stay: one under another name, or all in another order.
                5 if !other.fields.is_empty() && !from.fields.is_empty() => {
                    let at = at.index(other.fields.len());
                    other.fields[at].0 = from.fields[0].0;
                }
                _ => other.fields.reverse(),
            }
            (one, other)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn safety_10_requests_share_a_key_only_if_all_that_counts_is_equal(
        (one, other) in neighbours()
    ) {
        let keying = keying();
        let keys = [&one, &other].map(|sample| keyed(&keying, &sample.parts()).map(|k| k.key));
        let [Ok(a), Ok(b)] = keys else { return Err(TestCaseError::fail("bypass")) };
        prop_assert_eq!(a == b, one.counts() == other.counts());
    }

    #[test]
    fn safety_10_order_of_fields_and_ignored_ones_do_not_count(sample in a_sample()) {
        let keying = keying();
        let mut other = sample.clone();
        // Stable, so that the lines of a name keep their order.
        other.fields.sort_by_key(|(name, _)| std::cmp::Reverse(*name));
        other.fields.push(("accept", "x".into()));
        other.cookies.push("_ga_other=1".into());
        let keys = [&sample, &other].map(|sample| keyed(&keying, &sample.parts()).map(|k| k.key));
        prop_assert_eq!(&keys[0], &keys[1]);
    }
}

#[test]
fn every_field_that_a_pass_knows_gets_through_the_sieve() {
    let known = [
        "host",
        "authorization",
        "cookie",
        "upgrade",
        "range",
        "if-none-match",
        "if-modified-since",
        "x-api-key",
        "forwarded",
        "cf-access-authenticated-user-email",
        "rsc",
    ];
    for name in known {
        assert!(LOOKED_AT.passes(name.as_bytes()), "{name}");
    }
    for name in ["user-agent", "accept", "referer", "sec-fetch-mode"] {
        assert!(!LOOKED_AT.passes(name.as_bytes()), "{name}");
    }
}
