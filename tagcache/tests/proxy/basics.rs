//! What a proxy does on an ordinary day.

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::Full;

use tower_tagcache::Cache;

use crate::client::{Raw, VERSIONS, get, get_with, request, send};
use crate::raw_origin::{RawOrigin, ok, reply};
use crate::site::{ProxySite, settings};

#[tokio::test]
async fn a_miss_is_forwarded_and_a_hit_is_not() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| ok("x-a: 1", heard.path())).await;
        let site = ProxySite::before(&origin).await;
        for hit in [false, true] {
            let answer = get(site.address, version, "/a?b=1").await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "/a?b=1"));
            assert_eq!(answer.field("x-a"), Some("1"));
            assert_eq!(answer.is_hit(), hit, "{version:?} {answer:?}");
        }
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let origin = RawOrigin::start(|heard| ok("cache-control: no-store", heard.path())).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    for path in ["/a", "/b", "/c"] {
        let answer = client
            .ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        assert_eq!(answer.text(), path);
    }
    assert_eq!((origin.calls(), origin.connections()), (3, 1));
}

#[tokio::test]
async fn any_method_passes_with_its_body() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| {
            let body = String::from_utf8_lossy(&heard.body).into_owned();
            ok(
                "",
                &format!(
                    "{} {body}",
                    heard.line().split(' ').next().unwrap_or_default()
                ),
            )
        })
        .await;
        let site = ProxySite::before(&origin).await;
        for method in ["POST", "PUT", "DELETE", "PATCH", "PURGE", "M-SEARCH", "GET"] {
            let asked = request(site.address, method.parse::<Method>().unwrap(), "/a", &[]);
            let asked = asked.body(Full::<Bytes>::from("a body")).unwrap();
            let answer = send(site.address, version, asked).await;
            assert_eq!(answer.text(), format!("{method} a body"), "{version:?}");
        }
        assert_eq!(origin.calls(), 7);
    }
}

#[tokio::test]
async fn any_status_passes() {
    let origin = RawOrigin::start(|heard| {
        let status = &heard.path()[1..];
        let length = if ["204", "304"].contains(&status) {
            ""
        } else {
            "content-length: 0\r\n"
        };
        reply(format!(
            "HTTP/1.1 {status} Fine\r\ncache-control: no-store\r\n{length}\r\n"
        ))
    })
    .await;
    let site = ProxySite::before(&origin).await;
    for version in VERSIONS {
        for status in (200..=599).chain([600, 777, 999]) {
            let answer = get(site.address, version, &format!("/{status}")).await;
            // A 304 that nobody asked for is no answer (SAFETY 84).
            let expected = if status == 304 { 502 } else { status };
            assert_eq!(answer.status, expected, "{version:?} {status}");
        }
    }
}

#[tokio::test]
async fn http_1_0_is_understood() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    client.write("GET /a HTTP/1.0\r\n\r\n").await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.ends_with("\r\n\r\na page"), "{answer}");
    assert_eq!(origin.last().field("host"), Some(&origin.url()[7..]));
    assert!(origin.last().line().ends_with("HTTP/1.1"));
    assert_eq!(get(site.address, Version::HTTP_11, "/b").await.status, 200);
}

#[tokio::test]
async fn without_configuration_upstream_decides() {
    for version in VERSIONS {
        let origin = RawOrigin::start(|heard| match heard.path() {
            "/kept" => ok("cache-control: max-age=60", "a page"),
            "/private" => ok("cache-control: private, max-age=60", "a page"),
            _ => ok("", "a page"),
        })
        .await;
        let rules = Cache::builder().upstream_rule();
        let site = ProxySite::start(settings(origin.url()), rules).await;
        for (path, kept) in [
            ("/kept", true),
            ("/private", false),
            ("/", false),
            ("/silent", false),
        ] {
            for time in 0..2 {
                let answer = get(site.address, version, path).await;
                assert_eq!(answer.is_hit(), kept && time == 1, "{version:?} {path}");
            }
        }
        let fields = [("cache-control", "no-cache")];
        let answer = get_with(site.address, version, "/kept", &fields).await;
        assert!(!answer.is_hit(), "request directives are honoured");
    }
}
