//! Fields: those of a connection stay there, those of the proxy are added.

use std::time::Duration;

use http::Version;
use tagcache::proxy::UpstreamHost;
use tower_tagcache::ManualClock;

use crate::client::{Raw, VERSIONS, get, get_with};
use crate::raw_origin::{RawOrigin, ok, reply};
use crate::site::{ProxySite, rules, settings};

#[tokio::test]
async fn safety_16_fields_of_the_clients_connection_do_not_reach_upstream() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    let answer = client
        .ask(
            "GET /a HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, x-secret\r\nx-secret: 1\r\n\
             keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nproxy-authorization: Basic eA==\r\n\
             te: gzip, trailers\r\nx-kept: 1\r\n\r\n",
        )
        .await;
    assert_eq!(answer.text(), "a page");
    let heard = origin.last();
    for name in [
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
    ] {
        assert_eq!(heard.field(name), None, "{name}");
    }
    assert_eq!(heard.field("x-kept"), Some("1"));
    assert_eq!(heard.field("te"), Some("trailers"), "RFC 9110 §10.1.4");
    assert_eq!(heard.fields("connection"), ["te"]);
}

#[tokio::test]
async fn safety_16_fields_of_upstreams_connection_reach_neither_client_nor_store() {
    for version in VERSIONS {
        let fields = "connection: x-secret\nx-secret: 1\nkeep-alive: timeout=5\n\
                      proxy-authenticate: Basic\nx-kept: 1\nupgrade: h2c";
        let origin = RawOrigin::start(move |_| ok(fields, "a page")).await;
        let site = ProxySite::before(&origin).await;
        for hit in [false, true] {
            let answer = get(site.address, version, "/a").await;
            assert_eq!(answer.is_hit(), hit, "{version:?}");
            for name in [
                "x-secret",
                "keep-alive",
                "proxy-authenticate",
                "connection",
                "upgrade",
            ] {
                assert_eq!(answer.field(name), None, "{version:?} {name}");
            }
            assert_eq!(answer.field("x-kept"), Some("1"));
        }
    }
}

#[tokio::test]
async fn via_and_date_are_added_once_and_date_only_where_it_is_missing() {
    for version in VERSIONS {
        for date in ["", "date: Sun, 06 Nov 1994 08:49:37 GMT"] {
            let origin =
                RawOrigin::start(move |_| ok(&format!("via: 1.0 inner\n{date}"), "a page")).await;
            let clock = ManualClock::default();
            clock.advance(Duration::from_secs(3600));
            let mut settings = settings(origin.url());
            settings.clock = std::sync::Arc::new(clock.clone());
            settings.name = "edge".into();
            let site = ProxySite::start(settings, rules().clock(clock.clone())).await;
            let made: std::time::SystemTime = tower_tagcache::Clock::now(&clock).into();
            let expected = match date {
                "" => httpdate::fmt_http_date(made),
                _ => "Sun, 06 Nov 1994 08:49:37 GMT".into(),
            };
            for _ in 0..2 {
                let answer = get(site.address, version, "/a").await;
                assert_eq!(answer.fields("date"), [expected.as_bytes()], "{version:?}");
                assert_eq!(answer.fields("via"), [&b"1.0 inner"[..], b"1.1 edge"]);
                clock.advance(Duration::from_secs(7));
            }
            let expected: &[&str] = match version {
                Version::HTTP_2 => &["2.0 edge"],
                _ => &["1.1 edge"],
            };
            assert_eq!(origin.last().fields("via"), expected);
        }
    }
}

#[tokio::test]
async fn upstream_learns_who_asked_and_for_what() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|_| ok("", "a page")).await;
        let claims = [
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ];
        for trusted in [false, true] {
            let mut settings = settings(origin.url());
            if trusted {
                settings.trusted_peers = vec!["127.0.0.0/8".parse().unwrap()];
            }
            let site = ProxySite::with(settings).await;
            get_with(site.address, version, "/a", &claims).await;
            let heard = origin.last();
            let host = site.address.to_string();
            let expected = match trusted {
                false => ["127.0.0.1", &host, "http"].map(str::to_owned),
                true => ["1.2.3.4, 127.0.0.1", "evil", "https"].map(str::to_owned),
            };
            let names = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
            assert_eq!(
                names.map(|name| heard.field(name).unwrap_or_default()),
                expected
            );
            assert_eq!(heard.field("x-forwarded-prefix").is_some(), trusted);
            assert_eq!(heard.field("x-real-ip").is_some(), trusted);
            let scheme = if trusted { "https" } else { "http" };
            let own = format!("for=127.0.0.1;host=\"{host}\";proto={scheme}");
            let forwarded = match trusted {
                false => own,
                true => format!("for=1.2.3.4, {own}"),
            };
            assert_eq!(heard.fields("forwarded"), [forwarded]);
        }
    }
}

#[tokio::test]
async fn upstream_sees_the_host_that_the_settings_say() {
    let origin = RawOrigin::start(|_| ok("cache-control: no-store", "a page")).await;
    let own = origin.address().to_string();
    for (host, expected) in [
        (UpstreamHost::Client, "x.example"),
        (UpstreamHost::Upstream, own.as_str()),
        (UpstreamHost::Fixed("fixed.example".into()), "fixed.example"),
    ] {
        let mut settings = settings(origin.url());
        settings.host = host;
        let site = ProxySite::with(settings).await;
        get_with(
            site.address,
            Version::HTTP_11,
            "/a",
            &[("host", "x.example")],
        )
        .await;
        assert_eq!(origin.last().field("host"), Some(expected));
        assert_eq!(origin.last().field("x-forwarded-host"), Some("x.example"));
    }
}

#[tokio::test]
async fn safety_33_an_interim_response_is_not_the_response() {
    for interim in [
        "102 Processing\r\n",
        "103 Early Hints\r\nlink: </a.css>\r\n",
        "100 Continue\r\n",
        "199 Odd\r\n",
    ] {
        for version in VERSIONS {
            let bytes = format!(
                "HTTP/1.1 {interim}\r\nHTTP/1.1 {interim}\r\nHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na page"
            );
            let origin = RawOrigin::start(move |_| reply(bytes.clone())).await;
            let site = ProxySite::before(&origin).await;
            for hit in [false, true] {
                let answer = get(site.address, version, "/a").await;
                assert_eq!(
                    (answer.status.as_u16(), answer.text()),
                    (200, "a page"),
                    "{interim} {version:?}"
                );
                assert_eq!((answer.is_hit(), answer.field("link")), (hit, None));
            }
        }
    }
}

#[tokio::test]
async fn max_forwards_is_counted_down_and_at_zero_not_forwarded() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let site = ProxySite::before(&origin).await;
    for (method, max, status, forwarded) in [
        ("OPTIONS", "0", 200, None),
        ("TRACE", "0", 405, None),
        ("OPTIONS", "3", 200, Some("2")),
        ("TRACE", "1", 200, Some("0")),
        ("OPTIONS", "nonsense", 200, Some("nonsense")),
        ("GET", "0", 200, Some("0")),
    ] {
        let before = origin.calls();
        let mut client = Raw::connect(site.address).await;
        let asked = format!("{method} /{max} HTTP/1.1\r\nhost: x\r\nmax-forwards: {max}\r\n\r\n");
        assert_eq!(client.ask(&asked).await.status(), status, "{method} {max}");
        assert_eq!(
            origin.calls() - before,
            usize::from(forwarded.is_some()),
            "{method} {max}"
        );
        if forwarded.is_some() {
            assert_eq!(origin.last().field("max-forwards"), forwarded, "{method}");
        }
    }
}

#[tokio::test]
async fn a_question_about_the_server_reaches_it_as_one() {
    let origin = RawOrigin::start(|_| ok("allow: GET", "")).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    let answer = client.ask("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((answer.status(), answer.field("allow")), (200, Some("GET")));
    assert_eq!(origin.last().line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test]
async fn a_proxy_that_is_its_own_upstream_says_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut settings = settings(format!("http://{address}"));
    settings.listen[0].address = address;
    let site = ProxySite::with(settings).await;
    let answer = get_with(site.address, Version::HTTP_11, "/a", &[("cookie", "a=b")]).await;
    assert_eq!(answer.status, 508);
}
