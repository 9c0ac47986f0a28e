//! What a stored response answers: never a request for another host, scheme or client.

use http::Version;
use tagcache::proxy::UpstreamHost;

use crate::client::{Raw, VERSIONS, get_with};
use crate::raw_origin::{RawOrigin, ok, reply};
use crate::site::{ProxySite, settings};

#[tokio::test]
async fn safety_9_each_host_has_its_own_responses_however_it_is_named() {
    let origin = RawOrigin::start(|heard| ok("", heard.field("host").unwrap_or_default())).await;
    let site = ProxySite::before(&origin).await;
    let asks = [
        ("GET /a HTTP/1.1\r\nhost: x\r\n\r\n", "x", 1),
        ("GET /a HTTP/1.1\r\nhost: y\r\n\r\n", "y", 2),
        ("GET http://x/a HTTP/1.1\r\nhost: z\r\n\r\n", "x", 2),
        ("GET http://y/a HTTP/1.1\r\nhost: x\r\n\r\n", "y", 2),
        ("GET https://x/a HTTP/1.1\r\nhost: x\r\n\r\n", "x", 2),
        ("GET /a HTTP/1.1\r\nhost: X\r\n\r\n", "x", 2),
        ("GET /a HTTP/1.1\r\nhost: x:80\r\n\r\n", "x", 2),
        ("GET /a HTTP/1.1\r\nhost: x:81\r\n\r\n", "x:81", 3),
    ];
    for (asked, expected, calls) in asks {
        let mut client = Raw::connect(site.address).await;
        assert_eq!(client.ask(asked).await.text(), expected, "{asked}");
        assert_eq!(origin.calls(), calls, "{asked}");
    }
}

#[tokio::test]
async fn safety_9_both_versions_share_a_response_and_schemes_do_not() {
    let origin =
        RawOrigin::start(|heard| ok("", heard.field("x-forwarded-proto").unwrap_or_default()))
            .await;
    let mut settings = settings(origin.url());
    settings.trusted_peers = vec!["127.0.0.1".parse().unwrap()];
    let site = ProxySite::with(settings).await;
    for proto in ["http", "https"] {
        let mut hit = false;
        for version in VERSIONS {
            let fields = [("x-forwarded-proto", proto)];
            let answer = get_with(site.address, version, "/a", &fields).await;
            assert_eq!(
                (answer.text(), answer.is_hit()),
                (proto, hit),
                "{version:?}"
            );
            hit = true;
        }
    }
}

#[tokio::test]
async fn safety_9_an_http2_target_with_a_host_of_its_own_is_refused() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let site = ProxySite::before(&origin).await;
    let answer = get_with(site.address, Version::HTTP_2, "/a", &[("host", "evil")]).await;
    assert_eq!((answer.status.as_u16(), origin.calls()), (400, 0));
}

#[tokio::test]
async fn safety_11_what_a_stranger_claims_changes_neither_response_nor_key() {
    let origin = RawOrigin::start(|heard| {
        let host = heard.field("x-forwarded-host").unwrap_or_default();
        ok("", &format!("<a href=http://{host}/>"))
    })
    .await;
    let site = ProxySite::before(&origin).await;
    let own = format!("<a href=http://{}/>", site.address);
    for (claims, hit) in [(&[("x-forwarded-host", "evil")][..], false), (&[], true)] {
        let answer = get_with(site.address, Version::HTTP_11, "/a", claims).await;
        assert_eq!((answer.text(), answer.is_hit()), (own.as_str(), hit));
    }
}

#[tokio::test]
async fn a_response_that_varies_by_what_the_proxy_adds_is_kept_apart() {
    for name in ["x-forwarded-for", "forwarded", "x-forwarded-host"] {
        let origin = RawOrigin::start(move |heard| {
            ok(
                &format!("vary: {name}"),
                heard.field(name).unwrap_or_default(),
            )
        })
        .await;
        let mut settings = settings(origin.url());
        settings.trusted_peers = vec!["127.0.0.1".parse().unwrap()];
        settings.host = UpstreamHost::Upstream;
        let site = ProxySite::with(settings).await;
        let mut told = Vec::new();
        for client in ["1.1.1.1", "2.2.2.2", "1.1.1.1", "2.2.2.2"] {
            let fields = [("x-forwarded-for", client)];
            let answer = get_with(site.address, Version::HTTP_11, "/a", &fields).await;
            told.push((answer.text().to_owned(), answer.is_hit()));
        }
        let same = name == "x-forwarded-host";
        assert_eq!(
            told[0].0 == told[1].0,
            same || name == "forwarded",
            "{name}: {told:?}"
        );
        assert!(told[2].1 && told[3].1, "{name}: {told:?}");
        assert_eq!((&told[2].0, &told[3].0), (&told[0].0, &told[1].0), "{name}");
    }
}

#[tokio::test]
async fn safety_19_a_clients_condition_does_not_make_its_304_the_response() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| {
            if heard.field("if-none-match").is_some() {
                return reply("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n");
            }
            ok("etag: \"1\"", "a page")
        })
        .await;
        let site = ProxySite::before(&origin).await;
        let conditional = [("if-none-match", "\"1\"")];
        let first = get_with(site.address, version, "/a", &conditional).await;
        assert_eq!(
            (first.status.as_u16(), first.text()),
            (304, ""),
            "{version:?}"
        );
        assert_eq!(origin.last().field("if-none-match"), None);
        for (fields, status, body) in [(&[][..], 200, "a page"), (&conditional, 304, "")] {
            let answer = get_with(site.address, version, "/a", fields).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text()),
                (status, body),
                "{version:?}"
            );
            assert!(answer.is_hit(), "{version:?}");
        }
    }
}
