//! Fields and targets at the edges, as the layer sees them: what the inner service may read in another
//! way than the cache.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tagcache_test_support::{Body, Failure, Origin, Site, append, empty, get, ok, response, rule};
use tower_tagcache::{Authorization, Cookies, Forward, Query, Rule};

use crate::sockets::ask_with;

/// Reads fields as Rack, CGI, WSGI and PHP do.
fn lenient() -> Origin {
    Origin::answering(|asked| {
        let read = |name: &str| -> Vec<String> {
            let lines = asked.parts.headers.iter();
            let named = lines.filter(|(found, _)| found.as_str().replace('_', "-") == name);
            named
                .map(|(_, line)| line.to_str().expect("text").to_owned())
                .collect()
        };
        let seen = ["accept-language", "x-forwarded-host", "x-tenant"].map(read);
        ok(&[("vary", "accept-language")], format!("{seen:?}"))
    })
}

#[tokio::test]
async fn safety_66_what_the_inner_service_may_take_for_a_keyed_field_counts() {
    let rows: [&[(&str, &str)]; 8] = [
        &[("accept-language", "de")],
        &[("accept-language", "de"), ("accept_language", "evil")],
        &[("accept_language", "de")],
        &[("x_forwarded_host", "evil")],
        &[("x-forwarded_host", "evil"), ("x-forwarded-host", "good")],
        &[("x_tenant", "1")],
        &[("x-tenant", "1"), ("x_tenant", "2")],
        &[],
    ];
    for rule in [
        rule().header("x-tenant"),
        rule().tag("tenant:{request.x-tenant}"),
    ] {
        let tagged = rule == self::rule().tag("tenant:{request.x-tenant}");
        let site = Site::new(rule, &lenient());
        for _ in 0..2 {
            for fields in rows {
                let expected = Site::new(self::rule(), &lenient())
                    .get_with("/a", fields)
                    .await;
                let answer = site.get_with("/a", fields).await;
                assert_eq!(answer.body, expected.body, "{fields:?}");
            }
        }
        if tagged {
            let both = [("x-tenant", "1"), ("x_tenant", "2")];
            assert!(site.get_with("/a", &both).await.is_hit());
            site.cache.purger().tag("tenant:2").await.expect("a purge");
            assert!(
                !site.get_with("/a", &both).await.is_hit(),
                "it may be of either"
            );
        }
    }
}

#[tokio::test]
async fn safety_66_a_method_in_a_field_of_another_spelling_is_one() {
    let site = Site::new(rule(), &Origin::answering(|_| ok(&[], "a page")));
    site.get("/a").await;
    let answer = site
        .get_with("/a", &[("x_http_method_override", "DELETE")])
        .await;
    assert!(answer.how().contains("method-override"), "{}", answer.how());
    assert!(
        !site.get("/a").await.is_hit(),
        "it may have changed something"
    );
}

#[tokio::test]
async fn safety_66_a_condition_of_another_spelling_is_no_answer_to_ours() {
    let fields = [("etag", "\"1\""), ("cache-control", "max-age=5")];
    let origin = Origin::answering(move |asked| {
        let theirs = asked.field("if_none_match").is_some();
        match theirs && asked.number > 1 {
            true => response(304, &[], empty()),
            false => ok(&fields, asked.number.to_string()),
        }
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(tagcache_test_support::secs(6));
    let answer = site.get_with("/a", &[("if_none_match", "\"2\"")]).await;
    assert_eq!((answer.text(), origin.calls()), ("2", 2));
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
}

#[tokio::test]
async fn safety_67_the_layer_folds_nothing_that_the_inner_service_sees() {
    type Fields = &'static [(&'static str, &'static str)];
    let rows: [(&str, Fields, &str, Fields); 7] = [
        (
            "/a",
            &[("host", "a.example")],
            "/a",
            &[("host", "A.example")],
        ),
        (
            "/a",
            &[("host", "a.example")],
            "/a",
            &[("host", "a.example:80")],
        ),
        ("http://a/a", &[], "http://a:80/a", &[]),
        ("https://a/a", &[], "https://A/a", &[]),
        (
            "http://a/a",
            &[("host", "a")],
            "http://a/a",
            &[("host", "a:80")],
        ),
        (
            "/a",
            &[("accept-language", "EN")],
            "/a",
            &[("accept-language", "en")],
        ),
        (
            "/a",
            &[("accept-language", "a,b")],
            "/a",
            &[("accept-language", "a, b")],
        ),
    ];
    for (one, fields, other, others) in rows {
        let origin = Origin::answering(|asked| {
            let told = format!("{} {:?}", asked.parts.uri, asked.parts.headers);
            ok(&[("vary", "accept-language")], told)
        });
        let site = Site::new(rule(), &origin);
        let first = site.get_with(one, fields).await;
        let second = site.get_with(other, others).await;
        assert!(!second.is_hit(), "{other} {others:?}");
        assert_ne!(first.body, second.body);
        assert!(
            site.get_with(one, fields).await.is_hit(),
            "{one} {fields:?}"
        );
    }
}

/// Answers with what it reads of a request.
fn mirror() -> Origin {
    Origin::answering(|asked| {
        let line = |name| asked.field(name).unwrap_or_default();
        let fields = ["cookie", "authorization", "x-host", "x-any"].map(line);
        let query = asked.parts.uri.query().unwrap_or_default();
        let private = [("cache-control", "public, max-age=60")];
        ok(&private, format!("{query}|{}", fields.join("|")))
    })
}

#[tokio::test]
async fn safety_67_a_query_whose_order_does_not_count_is_forwarded_in_one() {
    let asks = ["/a?b=1&a=2", "/a?a=2&b=1"];
    for rule in [
        rule().query(Query::sorted()),
        rule().query(Query::allow(["a", "b"])),
        rule().query(Query::deny(["utm_*"])),
    ] {
        for first in asks {
            let site = Site::new(rule.clone(), &mirror());
            for target in [first].into_iter().chain(asks) {
                assert_eq!(
                    site.get(target).await.text(),
                    "a=2&b=1||||",
                    "{first} {target}"
                );
            }
            assert_eq!(site.origin.calls(), 1);
            assert_eq!(site.head("/a?b=1&c=0&a=2").await.status, 200);
            let query = site.origin.last().parts.uri.query().map(str::to_owned);
            let head = query.unwrap_or_default();
            assert!(head.starts_with("a=2&b=1"), "HEAD {head}");
        }
    }
    let site = Site::new(rule(), &mirror());
    assert_eq!(
        site.get("/a?b=1&a=2").await.text(),
        "b=1&a=2||||",
        "all counts"
    );
}

#[tokio::test]
async fn safety_67_what_a_rule_ignores_is_forwarded_unless_it_says_otherwise() {
    let cookies = Cookies::ignore(["_ga"]).key(["session"]);
    let rule = rule()
        .query(Query::deny(["utm_*"]))
        .cookies(cookies)
        .authorization(Authorization::Ignore)
        .ignore_header("x-host");
    let asked = [
        ("cookie", "_ga=1; session=2"),
        ("authorization", "Bearer x"),
        ("x-host", "evil"),
        ("x_host", "evil"),
        ("x-any", "1"),
    ];
    let target = "/a?utm_source=mail&b=1&a=2";
    let whole = "a=2&b=1&utm_source=mail|_ga=1; session=2|Bearer x|evil|1";
    let site = Site::new(rule.clone(), &mirror());
    assert_eq!(site.get_with(target, &asked).await.text(), whole);
    let site = Site::new(rule.forward(Forward::Keyed), &mirror());
    for hit in [false, true] {
        let answer = site.get_with(target, &asked).await;
        assert_eq!(
            (answer.text(), answer.is_hit()),
            ("a=2&b=1|session=2|||1", hit)
        );
    }
    assert_eq!(site.origin.last().field("x_host"), None);
    let other = site
        .get_with("/a?a=2&b=1", &[("cookie", "session=2")])
        .await;
    assert!(other.is_hit(), "{}", other.how());
    // What is behind a stale response is asked for in the same way.
    site.clock.advance(tagcache_test_support::secs(61));
    let answer = site.get_with(target, &asked).await;
    assert_eq!(
        (answer.text(), answer.is_hit()),
        ("a=2&b=1|session=2|||1", false)
    );
}

#[tokio::test]
async fn safety_69_under_http2_cookies_are_one_line() {
    let cookies = Cookies::ignore(["a"]).key(["session"]);
    let rules: [Rule; 3] = [
        rule(),
        rule().cookies(cookies),
        Rule::new("other", "/other"),
    ];
    for rule in rules {
        let origin = Origin::answering(|asked| {
            let lines = asked.parts.headers.get_all("cookie").iter();
            let lines: Vec<_> = lines.map(|line| line.to_str().expect("text")).collect();
            ok(&[("vary", "cookie")], lines.join("|"))
        });
        let site = Site::new(rule, &origin);
        let served = site.serve().await;
        let address = served.address;
        let crumbs = [("cookie", "a=1"), ("cookie", "session=3")];
        let answer = ask_with(address, Version::HTTP_2, Method::GET, "/a", &crumbs).await;
        assert_eq!(answer.text(), "a=1; session=3");
        let asked = ask_with(address, Version::HTTP_2, Method::POST, "/a", &crumbs).await;
        assert_eq!(asked.text(), "a=1; session=3");
        // What came as two lines over HTTP/1.1 stays so, and is no hit for the other.
        let mut request: Request<Body> = get("/a", &crumbs);
        *request.version_mut() = Version::HTTP_11;
        assert_eq!(site.send(request).await.text(), "a=1|session=3");
    }
}

fn trailed(trailers: &[(&str, &str)]) -> Body {
    let mut fields = HeaderMap::new();
    append(&mut fields, trailers);
    let frames = [Frame::data(Bytes::from("a page")), Frame::trailers(fields)];
    let frames = frames.map(Ok::<_, Failure>);
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

#[tokio::test]
async fn safety_70_trailers_pass_the_sieve_of_fields_stored_and_forwarded() {
    const SENT: [(&str, &str); 9] = [
        ("set-cookie", "sid=v"),
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("vary", "*"),
        ("x-mine", "1"),
        ("surrogate-key", "a"),
        ("x-sum", "1"),
        ("grpc-status", "0"),
    ];
    let private = ("cache-control", "max-age=60, private=\"x-mine\"");
    let origin = Origin::answering(move |asked| match asked.parts.uri.path() {
        "/stored" => response(200, &[private], trailed(&SENT)),
        "/all" => response(200, &[private], trailed(&SENT[..6])),
        _ => response(200, &[("cache-control", "no-store")], trailed(&SENT)),
    });
    let site = Site::new(rule(), &origin);
    let mut left = HeaderMap::new();
    append(&mut left, &SENT[7..]);
    for hit in [false, true] {
        let answer = site.get("/stored").await;
        assert_eq!((answer.text(), answer.is_hit()), ("a page", hit));
        assert_eq!(answer.trailers.as_ref(), Some(&left), "{hit}");
        let answer = site.get("/all").await;
        assert_eq!((answer.is_hit(), answer.trailers), (hit, None));
    }
    for target in ["/forwarded", "/changed"] {
        let mut request = get(target, &[]);
        if target == "/changed" {
            *request.method_mut() = Method::POST;
        }
        let trailers = site.send(request).await.trailers.expect("trailers");
        for (name, _) in &SENT[..5] {
            assert!(!trailers.contains_key(*name), "{target} {name}");
        }
        assert_eq!(
            (&trailers["x-sum"], &trailers["grpc-status"]),
            (&left["x-sum"], &left["grpc-status"])
        );
    }
    // Over HTTP/2, where a field of the connection is an error.
    let served = site.serve().await;
    let address = served.address;
    for path in ["/stored", "/forwarded"] {
        let answer = ask_with(address, Version::HTTP_2, Method::GET, path, &[]).await;
        assert_eq!(answer.text(), "a page", "{path}");
    }
}

#[tokio::test]
async fn safety_70_trailers_that_the_connection_names_go_no_further() {
    const SENT: [(&str, &str); 2] = [("x-hop", "1"), ("x-sum", "1")];
    let origin = Origin::answering(|asked| {
        let lifetime = match asked.parts.uri.path() {
            "/stored" => ("cache-control", "max-age=60"),
            _ => ("cache-control", "no-store"),
        };
        response(200, &[lifetime, ("connection", "X-Hop")], trailed(&SENT))
    });
    let site = Site::new(rule(), &origin);
    let mut left = HeaderMap::new();
    append(&mut left, &SENT[1..]);
    for (method, target) in [
        (Method::GET, "/stored"),
        (Method::GET, "/stored"),
        (Method::GET, "/forwarded"),
        (Method::POST, "/changed"),
        (Method::OPTIONS, "/asked"),
    ] {
        let mut request = get(target, &[]);
        *request.method_mut() = method.clone();
        let trailers = site.send(request).await.trailers;
        assert_eq!(trailers.as_ref(), Some(&left), "{method} {target}");
    }
}

#[tokio::test]
async fn safety_86_87_a_length_is_stored_as_a_number_or_not_at_all() {
    for (status, sent, told) in [(200, "03", Some("3")), (204, "5", None), (204, "0", None)] {
        let origin = Origin::answering(move |_| {
            let body = if status == 204 {
                empty()
            } else {
                tagcache_test_support::body("abc")
            };
            response(status, &[("content-length", sent)], body)
        });
        let site = Site::new(rule(), &origin);
        for hit in [false, true] {
            let answer = site.get("/a").await;
            assert_eq!(
                (answer.status.as_u16(), answer.is_hit()),
                (status, hit),
                "{sent}"
            );
            assert_eq!(answer.field("content-length"), told, "{status} {sent}");
        }
    }
}
