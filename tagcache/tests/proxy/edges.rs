//! Fields and targets at the edges: what one reader takes for another thing than the next one.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::body::Incoming;
use tagcache::proxy::UpstreamProtocol;
use tagcache_test_support::{Answer, Served};
use tower_tagcache::{BoxError, Cache, Cookies, Forward, Query, Rule};

use crate::client::{Raw, VERSIONS, get, get_with, request, send};
use crate::raw_origin::{RawOrigin, Reply, fields, ok, reply};
use crate::site::{ProxySite, settings};
use crate::streams::serve;

type Page = Response<UnsyncBoxBody<Bytes, Infallible>>;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    map
}

/// An origin that speaks HTTP/2, and a site before it.
async fn before_http2(
    answer: impl Fn(Request<Incoming>) -> Page + Clone + Send + 'static,
) -> (Served, ProxySite) {
    let upstream = serve(move |request| std::future::ready(answer(request))).await;
    let mut settings = settings(upstream.url());
    settings.upstreams[0].protocol = UpstreamProtocol::Http2;
    (upstream, ProxySite::with(settings).await)
}

fn page(fields: &[(&str, &str)], trailers: Option<HeaderMap>) -> Page {
    let body = match trailers {
        Some(trailers) => trailed("a page", trailers).boxed_unsync(),
        None => Full::from("a page").boxed_unsync(),
    };
    let mut answer = Response::new(body);
    *answer.headers_mut() = map(fields);
    answer
}

/// Of no known length: over HTTP/1.1 there are no trailers beside one.
fn trailed(
    text: &'static str,
    trailers: HeaderMap,
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin {
    let frames = [Frame::data(Bytes::from(text)), Frame::trailers(trailers)];
    StreamBody::new(stream::iter(frames.map(Ok)))
}

#[tokio::test]
async fn safety_66_a_field_that_upstream_may_take_for_another_is_dropped() {
    let sent = [
        ("accept_language", "evil"),
        ("x_forwarded_host", "evil"),
        ("x_forwarded-proto", "https"),
        ("x_http_method_override", "DELETE"),
        ("x.forwarded.host", "evil"),
        ("content_length", "5"),
        ("transfer_encoding", "chunked"),
        ("x-kept", "1"),
    ];
    for version in VERSIONS {
        let origin = RawOrigin::start(|_| ok("vary: accept-language", "a page")).await;
        let site = ProxySite::before(&origin).await;
        let answer = get_with(site.address, version, "/a", &sent).await;
        assert_eq!((answer.status.as_u16(), answer.is_hit()), (200, false));
        let heard = origin.last();
        let odd = |name: &str| name.contains(['_', '.']);
        let names = heard.head.split("\r\n").skip(1);
        let odd: Vec<_> = names
            .filter(|line| odd(line.split(':').next().unwrap()))
            .collect();
        assert!(odd.is_empty(), "{version:?}: {odd:?}");
        assert_eq!(heard.field("x-kept"), Some("1"));
        assert!(
            get(site.address, version, "/a").await.is_hit(),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn safety_66_what_is_passed_on_all_the_same_makes_a_response_of_its_own() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| {
            let read = |name: &str| heard.field(name).map(str::to_owned);
            let language = read("accept_language").or_else(|| read("accept-language"));
            let host = read("x_forwarded_host").unwrap_or_default();
            ok("vary: accept-language", &format!("{language:?} {host}"))
        })
        .await;
        let mut settings = settings(origin.url());
        settings.underscores_in_headers = true;
        let site = ProxySite::with(settings).await;
        let plain = [("accept-language", "de")];
        let both = [("accept-language", "de"), ("accept_language", "evil")];
        let expected = get_with(site.address, version, "/a", &plain).await;
        for evil in [&both[..], &[("accept_language", "evil")]] {
            let answer = get_with(site.address, version, "/a", evil).await;
            assert_eq!(answer.text(), "Some(\"evil\") ", "{version:?}");
        }
        let answer = get_with(site.address, version, "/a", &plain).await;
        assert_eq!((answer.text(), answer.is_hit()), (expected.text(), true));
        // A rule of the proxy: nobody but a trusted peer says who asked.
        let claims = [("x_forwarded_host", "evil"), ("x_real_ip", "1.1.1.1")];
        get_with(site.address, version, "/b", &claims).await;
        for (name, _) in claims {
            assert_eq!(origin.last().field(name), None, "{name}");
        }
        let method = [("x_http_method_override", "DELETE")];
        let answer = get_with(site.address, version, "/a", &method).await;
        let status = answer.field("cache-status").unwrap_or_default();
        assert!(status.contains("method-override"), "{version:?} {status}");
    }
}

#[tokio::test]
async fn safety_66_the_connection_takes_a_field_away_in_every_spelling() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let mut settings = settings(origin.url());
    settings.underscores_in_headers = true;
    let site = ProxySite::with(settings).await;
    let mut client = Raw::connect(site.address).await;
    let asked = "GET /a HTTP/1.1\r\nhost: x\r\nconnection: X_Secret\r\nx-kept: 1\r\n\
                 x_secret: 1\r\nProxy_Connection: close\r\nKeep_Alive: 5\r\n\r\n";
    assert_eq!(client.ask(asked).await.status(), 200);
    let heard = origin.last();
    for name in ["x_secret", "proxy_connection", "keep_alive"] {
        assert_eq!(heard.field(name), None, "{name}");
    }
    assert_eq!(heard.field("x-kept"), Some("1"));
}

#[tokio::test]
async fn safety_67_what_is_one_in_the_key_is_one_for_upstream() {
    let tell = |heard: &crate::raw_origin::Heard| {
        let read = |name: &str| heard.field(name).unwrap_or_default().to_owned();
        let forwarded = (read("x-forwarded-host"), read("forwarded"));
        ok(
            "",
            &format!("{} {} {}", read("host"), forwarded.0, forwarded.1),
        )
    };
    let rows = [
        (
            "http",
            vec!["a.example:80", "A.Example", "a.example:", "a.example:080"],
        ),
        ("https", vec!["a.example:443", "A.EXAMPLE:443", "a.example"]),
    ];
    for (proto, hosts) in rows {
        for first in &hosts {
            let origin = RawOrigin::start(tell).await;
            let mut settings = settings(origin.url());
            settings.trusted_peers = vec!["127.0.0.1".parse().unwrap()];
            let site = ProxySite::with(settings).await;
            for host in [first].into_iter().chain(&hosts) {
                let mut client = Raw::connect(site.address).await;
                let asked = format!(
                    "GET /a HTTP/1.1\r\nhost: {host}\r\nx-forwarded-proto: {proto}\r\n\r\n"
                );
                let answer = client.ask(&asked).await;
                let expected =
                    format!("a.example a.example for=127.0.0.1;host=\"a.example\";proto={proto}");
                assert_eq!(answer.text(), expected, "{proto} {first} {host}");
            }
            assert_eq!(origin.calls(), 1, "{proto} {first}");
        }
    }
}

#[tokio::test]
async fn safety_67_a_query_in_any_order_reaches_upstream_in_one() {
    for version in VERSIONS {
        for first in ["/a?b=1&a=2&utm_source=x", "/a?a=2&utm_source=y&b=1"] {
            let origin = RawOrigin::start(|heard| ok("", heard.path())).await;
            let all = Rule::new("all", "/{*path}").ttl(std::time::Duration::from_secs(60));
            let rule = all.query(Query::deny(["utm_*"])).forward(Forward::Keyed);
            let site = ProxySite::start(settings(origin.url()), Cache::builder().rule(rule)).await;
            for target in [first, "/a?b=1&a=2", "/a?a=2&b=1"] {
                let answer = get(site.address, version, target).await;
                assert_eq!(answer.text(), "/a?a=2&b=1", "{version:?} {first} {target}");
            }
            assert_eq!(origin.calls(), 1);
        }
    }
}

#[tokio::test]
async fn safety_67_variants_are_told_apart_as_upstream_can() {
    for version in VERSIONS {
        for (one, other) in [("a,b", "a, b"), ("EN", "en"), ("a", "A"), ("b,a", "a,b")] {
            for name in ["x-any", "user-agent"] {
                let origin = RawOrigin::start(move |heard| {
                    let value = heard.field(name).unwrap_or_default();
                    ok(&format!("vary: {name}"), value)
                })
                .await;
                let site = ProxySite::before(&origin).await;
                for value in [one, other, one] {
                    let answer = get_with(site.address, version, "/a", &[(name, value)]).await;
                    assert_eq!(answer.text(), value, "{version:?} {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn safety_67_variants_that_are_one_reach_upstream_as_one() {
    let rows: [(&str, [&[&str]; 3], &str); 3] = [
        (
            "accept-language",
            [
                &["en-US,de;q=0.5"],
                &["EN-us , , De; Q=0.5"],
                &["en-us", "de;q=0.5"],
            ],
            "en-US,de;q=0.5",
        ),
        (
            "accept",
            [
                &["a/a,*/*;q=0.1"],
                &["a/a, */* ; q=0.1"],
                &["a/a", "*/*;q=0.1"],
            ],
            "a/a,*/*;q=0.1",
        ),
        ("x-any", [&["1, 2"], &["1", "2"], &["1, 2"]], "1, 2"),
    ];
    for version in VERSIONS {
        for (name, spellings, expected) in rows {
            for first in spellings {
                let origin = RawOrigin::start(move |heard| {
                    ok(&format!("vary: {name}"), &heard.fields(name).join("|"))
                })
                .await;
                let site = ProxySite::before(&origin).await;
                for lines in [first].into_iter().chain(spellings) {
                    let fields: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
                    let answer = get_with(site.address, version, "/a", &fields).await;
                    assert_eq!(answer.text(), expected, "{version:?} {lines:?}");
                }
                assert_eq!(origin.calls(), 1, "{version:?} {first:?}");
            }
        }
    }
}

#[tokio::test]
async fn safety_67_a_scheme_and_a_port_are_read_in_one_way() {
    let origin = RawOrigin::start(|heard| ok("", heard.field("host").unwrap_or_default())).await;
    let mut settings = settings(origin.url());
    settings.trusted_peers = vec!["127.0.0.1".parse().unwrap()];
    let site = ProxySite::with(settings).await;
    for (host, proto, status, expected) in [
        ("a.example:443", "HTTPS", 200, "a.example"),
        ("a.example:80", "https", 200, "a.example:80"),
        ("a.example:80", "Http", 200, "a.example"),
        ("a.example:+80", "http", 400, ""),
    ] {
        let mut client = Raw::connect(site.address).await;
        let asked =
            format!("GET /a HTTP/1.1\r\nhost: {host}\r\nx-forwarded-proto: {proto}\r\n\r\n");
        let answer = client.ask(&asked).await;
        assert_eq!(answer.status(), status, "{host} {proto}");
        if status == 200 {
            assert_eq!(answer.text(), expected, "{host} {proto}");
        }
    }
}

#[tokio::test]
async fn safety_16_upstreams_connection_takes_nothing_away_that_the_cache_has_to_read() {
    let origin = RawOrigin::start(|heard| {
        let named = match heard.path() {
            "/kept" => "connection: surrogate-control",
            _ => "surrogate-control: no-store\nconnection: surrogate-control, x-hop\nx-hop: 1",
        };
        ok(named, "a page")
    })
    .await;
    let site = ProxySite::before(&origin).await;
    for (path, hits) in [("/kept", true), ("/refused", false)] {
        get(site.address, Version::HTTP_11, path).await;
        let answer = get(site.address, Version::HTTP_11, path).await;
        assert_eq!(
            (answer.is_hit(), answer.field("x-hop")),
            (hits, None),
            "{path}"
        );
    }
}

#[tokio::test]
async fn safety_69_cookies_reach_upstream_as_one_line() {
    let crumbs = [
        ("cookie", "a=1"),
        ("cookie", "session=3"),
        ("cookie", "b=2"),
    ];
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| ok("", &heard.fields("cookie").join("|"))).await;
        let keyed = Cookies::ignore(["a", "b"]).key(["session"]);
        let rule = Rule::new("all", "/{*path}").ttl(std::time::Duration::from_secs(60));
        let cache = Cache::builder().rule(rule.cookies(keyed));
        let site = ProxySite::start(settings(origin.url()), cache).await;
        let answer = get_with(site.address, version, "/a", &crumbs).await;
        assert_eq!(answer.text(), "a=1; session=3; b=2", "{version:?}");
        let one = [("cookie", "a=1; session=3; b=2")];
        assert!(get_with(site.address, version, "/a", &one).await.is_hit());
        let other = [("cookie", "session=4"), ("cookie", "a=1")];
        let answer = get_with(site.address, version, "/a", &other).await;
        assert_eq!((answer.text(), answer.is_hit()), ("session=4; a=1", false));
        let (_upstream, site) = before_http2(|request| {
            let lines = request.headers().get_all("cookie").iter();
            let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
            page(&[("x-got", &lines.join("|"))], None)
        })
        .await;
        let answer = get_with(site.address, version, "/a", &crumbs).await;
        assert_eq!(
            answer.field("x-got"),
            Some("a=1; session=3; b=2"),
            "{version:?}"
        );
    }
}

/// Trailers that no message may have, and some that it may.
const TRAILERS: [(&str, &str); 8] = [
    ("set-cookie", "sid=v"),
    ("connection", "close"),
    ("transfer-encoding", "chunked"),
    ("content-length", "3"),
    ("x-hop", "1"),
    ("cache-control", "private"),
    ("x-sum", "1"),
    ("etag", "\"1\""),
];

#[tokio::test]
async fn safety_70_trailers_of_upstream_pass_the_sieve_of_fields() {
    for version in VERSIONS {
        let named = TRAILERS.map(|(name, _)| name).join(", ");
        let lines: String = TRAILERS
            .iter()
            .map(|(n, v)| format!("{n}: {v}\r\n"))
            .collect();
        let bytes = format!(
            "HTTP/1.1 200 OK\r\nconnection: x-hop\r\ntrailer: {named}\r\n\
             transfer-encoding: chunked\r\n\r\n6\r\na page\r\n0\r\n{lines}\r\n"
        );
        let origin = RawOrigin::start(move |_| reply(bytes.clone())).await;
        let over_http1 = ProxySite::before(&origin).await;
        // Those of the connection cannot be sent over HTTP/2.
        let (_upstream, over_http2) = before_http2(move |_| {
            let sent: Vec<_> = TRAILERS
                .into_iter()
                .filter(|(name, _)| {
                    !name.starts_with("conn") && !name.starts_with("transfer") && *name != "x-hop"
                })
                .collect();
            page(&[("trailer", "x-sum, etag, set-cookie")], Some(map(&sent)))
        })
        .await;
        for site in [over_http1, over_http2] {
            for (path, hits) in [("/a", [false, true]), ("/b?no-store", [false, true])] {
                for hit in hits {
                    let te = [("te", "trailers")];
                    let answer = get_with(site.address, version, path, &te).await;
                    assert_eq!(
                        (answer.text(), answer.is_hit()),
                        ("a page", hit),
                        "{version:?}"
                    );
                    let trailers = answer.trailers.expect("trailers");
                    assert_eq!(trailers, map(&TRAILERS[6..]), "{version:?} {hit}");
                }
            }
        }
    }
}

#[tokio::test]
async fn safety_70_trailers_of_a_client_pass_the_sieve_of_fields() {
    let sent: Vec<_> = TRAILERS
        .into_iter()
        .filter(|(name, _)| !["connection", "transfer-encoding"].contains(name))
        .chain([
            ("x_sum", "2"),
            ("authorization", "x"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("x-api-key", "1"),
        ])
        .collect();
    for version in VERSIONS {
        let upstream = serve(|request: Request<Incoming>| async move {
            let body = request.into_body().collect().await.expect("a body");
            let trailers = body.trailers().cloned().unwrap_or_default();
            let mut names: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            Response::new(Full::from(names.join(" ")).boxed_unsync())
        })
        .await;
        for protocol in [UpstreamProtocol::Http1, UpstreamProtocol::Http2] {
            let mut settings = settings(upstream.url());
            settings.upstreams[0].protocol = protocol;
            let site = ProxySite::with(settings).await;
            let names: Vec<_> = sent.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            let asked = request(site.address, Method::POST, "/a", &[("trailer", &names)]);
            let trailers = map(&sent);
            let asked = asked.body(trailed("abc", trailers)).unwrap();
            let answer = send(site.address, version, asked).await;
            // What goes on over HTTP/1.1 is what `Trailer` announces.
            assert_eq!(
                answer.text(),
                "etag x-hop x-sum",
                "{version:?} {protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn safety_78_the_number_of_fields_is_limited_in_both_versions() {
    let names: Vec<_> = (0..200).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let same: Vec<_> = many.iter().map(|_| ("x-same", "1")).collect();
    for version in VERSIONS {
        let origin = RawOrigin::start(|_| ok("", "a page")).await;
        let site = ProxySite::before(&origin).await;
        for fields in [&many, &same] {
            let answer = get_with(site.address, version, "/a", fields).await;
            assert_eq!(answer.status, 431, "{version:?}");
            assert!(origin.heard().iter().all(|heard| heard.path() == "/few"));
            let answer = get_with(site.address, version, "/few", &fields[..90]).await;
            assert_eq!(answer.status, 200, "{version:?}");
        }
        let trailers = map(&many);
        let asked = request(
            site.address,
            Method::POST,
            "/a",
            &[("trailer", &names.join(","))],
        );
        let answer = send(
            site.address,
            version,
            asked.body(trailed("abc", trailers)).unwrap(),
        )
        .await;
        assert_eq!(answer.status, 431, "{version:?}: trailers");
    }
}

#[tokio::test]
async fn safety_78_the_number_of_fields_is_limited_for_upstreams_of_both_versions() {
    let lines: String = (0..200).map(|number| format!("x-{number}: 1\n")).collect();
    let origin = RawOrigin::start(move |_| ok(&lines, "a page")).await;
    let over_http1 = ProxySite::before(&origin).await;
    let (_upstream, over_http2) = before_http2(|_| {
        let mut answer = page(&[], None);
        for number in 0..200 {
            let name: HeaderName = format!("x-{number}").parse().unwrap();
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_static("1"));
        }
        answer
    })
    .await;
    for site in [over_http1, over_http2] {
        for version in VERSIONS {
            let answer = get(site.address, version, "/a").await;
            assert_eq!(answer.status, 502, "{version:?}");
        }
    }
}

#[tokio::test]
async fn safety_80_an_expectation_over_http2_gets_a_final_answer() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|_| ok("", "taken")).await;
        let site = ProxySite::before(&origin).await;
        for method in [Method::POST, Method::PUT, Method::GET, Method::DELETE] {
            let fields = [("expect", "100-Continue"), ("content-length", "3")];
            let asked = request(site.address, method.clone(), "/a", &fields);
            if version == Version::HTTP_2 {
                // The body never comes: its sender waits.
                let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, BoxError>>());
                let answer = send(site.address, version, asked.body(body).unwrap()).await;
                assert_eq!(answer.status, 417, "{method}");
                assert!(origin.heard().iter().all(|heard| heard.path() != "/a"));
                // Without a body there is nothing to expect.
                let fields = [("expect", "100-continue")];
                let asked = request(site.address, method.clone(), "/b", &fields);
                let answer = send(
                    site.address,
                    version,
                    asked.body(Empty::<Bytes>::new()).unwrap(),
                )
                .await;
                assert_eq!(answer.status, 200, "{method}");
                assert_eq!(origin.last().field("expect"), None, "{method}");
            } else {
                let mut client = Raw::connect(site.address).await;
                let head = format!(
                    "{method} /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
                );
                client.write(head).await;
                assert!(client.head().await.starts_with("HTTP/1.1 100 "), "{method}");
                client.write("abc").await;
                assert_eq!(client.answer().await.expect("an answer").text(), "taken");
            }
        }
    }
}

#[tokio::test]
async fn safety_80_an_expectation_that_nobody_meets_is_answered_at_once() {
    let origin = RawOrigin::start(|_| ok("", "taken")).await;
    let site = ProxySite::before(&origin).await;
    for value in ["100-continue, x", "100-continue;q=1", "200-ok"] {
        let fields = [("expect", value), ("content-length", "3")];
        let asked = request(site.address, Method::POST, "/a", &fields);
        // The body never comes: its sender waits.
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, BoxError>>());
        let answer = send(site.address, Version::HTTP_2, asked.body(body).unwrap()).await;
        assert_eq!(answer.status, 417, "{value}");
        let mut client = Raw::connect(site.address).await;
        let head =
            format!("POST /a HTTP/1.1\r\nhost: x\r\nexpect: {value}\r\ncontent-length: 3\r\n\r\n");
        assert_eq!(client.ask(&head).await.status(), 417, "{value}");
        let heard = origin.heard();
        assert!(heard.iter().all(|heard| heard.path() != "/a"), "{value}");
        // Without a body nobody waits, and the call may be for many.
        let mut client = Raw::connect(site.address).await;
        let head = format!(
            "GET /{} HTTP/1.1\r\nhost: x\r\nexpect: {value}\r\n\r\n",
            value.len()
        );
        assert_eq!(client.ask(&head).await.status(), 200, "{value}");
        assert_eq!(origin.last().field("expect"), None, "{value}");
    }
}

#[tokio::test]
async fn safety_82_white_space_around_a_value_of_http2_is_refused() {
    let origin = RawOrigin::start(|_| ok("vary: x-a", "a page")).await;
    let site = ProxySite::before(&origin).await;
    for value in [" 1", "1 ", "\t1", "1\t"] {
        let fields = [("x-a", value)];
        let answer = get_with(site.address, Version::HTTP_2, "/a", &fields).await;
        assert_eq!(
            (answer.status.as_u16(), origin.calls()),
            (400, 0),
            "{value:?}"
        );
    }
    // In HTTP/1.1 it is none of the value (RFC 9112 §5).
    let mut client = Raw::connect(site.address).await;
    client
        .ask("GET /a HTTP/1.1\r\nhost: x\r\nx-a: \t 1 \r\n\r\n")
        .await;
    assert!(origin.last().head.contains("x-a: 1\r\n"));
    for value in [" 1", "1\t"] {
        let (_upstream, site) = before_http2(move |_| page(&[("x-a", value)], None)).await;
        let answer = get(site.address, Version::HTTP_11, "/a").await;
        assert_eq!(answer.status, 502, "{value:?}");
    }
}

#[tokio::test]
async fn safety_83_a_body_that_is_broken_from_the_start_is_answered_502() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let rows = [
        ("no chunk size", reply(format!("{chunked}ZZ\r\nabc\r\n"))),
        (
            "a chunk size with a sign",
            reply(format!("{chunked}+3\r\nabc\r\n0\r\n\r\n")),
        ),
        (
            "a huge chunk",
            reply(format!("{chunked}FFFFFFFFFFFFFFFFF\r\nabc\r\n")),
        ),
        ("nothing of a length", Reply::Last(long.into())),
        ("nothing of chunks", Reply::Last(chunked.into())),
    ];
    for (name, bad) in rows {
        for version in VERSIONS {
            let script = bad.clone();
            let origin = RawOrigin::start(move |_| script.clone()).await;
            let site = ProxySite::before(&origin).await;
            let cookie = [("cookie", "a=b")];
            // Shared with the cache, and past it.
            for fields in [&[][..], &cookie] {
                let answer = get_with(site.address, version, "/a", fields).await;
                assert_eq!(answer.status, 502, "{name} {version:?}");
                let detail = match name.starts_with("nothing") {
                    true => "detail=upstream-closed",
                    false => "detail=upstream-malformed",
                };
                let status = answer.field("cache-status").unwrap_or_default();
                assert!(status.contains(detail), "{name} {version:?} {status}");
            }
        }
    }
}

#[tokio::test]
async fn safety_83_what_came_before_a_break_reaches_the_client() {
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n";
    let origin = RawOrigin::start(move |_| reply(bytes)).await;
    let site = ProxySite::before(&origin).await;
    for _ in 0..20 {
        let mut client = Raw::connect(site.address).await;
        client.write("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let rest = String::from_utf8(client.rest().await).unwrap();
        assert!(rest.starts_with("HTTP/1.1 "), "{rest:?}");
        let (head, body) = rest.split_once("\r\n\r\n").expect("a head");
        if head.starts_with("HTTP/1.1 200") {
            assert_eq!(body, "3\r\nabc\r\n");
        } else {
            assert!(head.starts_with("HTTP/1.1 502"), "{head}");
        }
        assert_eq!(fields(head, "age"), Vec::<&str>::new(), "it was kept");
    }
}

#[tokio::test]
async fn safety_86_a_length_is_written_as_the_number_that_it_is() {
    for (sent, told) in [("03", "3"), ("3, 3", "3"), ("0003", "3")] {
        let bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {sent}\r\n\r\nabc");
        let origin = RawOrigin::start(move |_| reply(bytes.clone())).await;
        let site = ProxySite::before(&origin).await;
        for version in VERSIONS {
            for _ in 0..2 {
                let answer = get(site.address, version, "/a").await;
                assert_eq!(answer.text(), "abc", "{sent}");
                assert_eq!(answer.fields("content-length"), [told.as_bytes()], "{sent}");
            }
        }
        let mut client = Raw::connect(site.address).await;
        let head = format!("POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: {sent}\r\n\r\nabc");
        let status = client.ask(&head).await.status();
        if sent.contains(',') {
            assert_eq!(status, 400, "the server library reads no list here");
            continue;
        }
        assert_eq!(origin.last().fields("content-length"), [told], "{sent}");
        assert_eq!(origin.last().body, b"abc");
        let asked = request(
            site.address,
            Method::POST,
            "/a",
            &[("content-length", sent)],
        );
        let asked = asked.body(Full::<Bytes>::from("abc")).unwrap();
        assert_eq!(send(site.address, Version::HTTP_2, asked).await.status, 200);
        assert_eq!(
            origin.last().fields("content-length"),
            [told],
            "HTTP/2 {sent}"
        );
    }
}

#[tokio::test]
async fn safety_87_a_204_with_a_length_is_stored_without_it() {
    for version in VERSIONS {
        for length in ["5", "0"] {
            let bytes = format!("HTTP/1.1 204 No Content\r\ncontent-length: {length}\r\n\r\n");
            let origin = RawOrigin::start(move |_| reply(bytes.clone())).await;
            let site = ProxySite::before(&origin).await;
            for hit in [false, true] {
                let answer: Answer = get(site.address, version, "/a").await;
                let told = (
                    answer.status.as_u16(),
                    answer.is_hit(),
                    answer.field("content-length"),
                );
                assert_eq!(told, (204, hit, None), "{version:?} {length}");
            }
            let (_upstream, site) = before_http2(move |_| {
                let mut answer = Response::new(Empty::new().boxed_unsync());
                *answer.status_mut() = http::StatusCode::NO_CONTENT;
                answer
            })
            .await;
            for hit in [false, true] {
                let answer = get(site.address, version, "/a").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.is_hit()),
                    (204, hit),
                    "{version:?}"
                );
            }
        }
    }
}
