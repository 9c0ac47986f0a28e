//! SAFETY 116: clients that could have one response share it, and upstream is asked for that one.

use std::time::Duration;

use tower_tagcache::{Cache, Rule};

use crate::client::{VERSIONS, get_with};
use crate::raw_origin::{RawOrigin, ok};
use crate::site::{ProxySite, settings};

const VARIES: &str = "vary: accept-encoding\ncache-control: max-age=60";

#[tokio::test]
async fn safety_116_upstream_is_asked_for_one_coding_that_the_client_accepts() {
    for (sent, gzip, either, as_sent) in [
        (Some("gzip"), Some("gzip"), Some("gzip"), Some("gzip")),
        (
            Some("gzip, deflate, br"),
            Some("gzip"),
            Some("br"),
            Some("gzip, deflate, br"),
        ),
        (
            Some("gzip;q=0"),
            Some("identity"),
            Some("identity"),
            Some("gzip;q=0"),
        ),
        (
            Some("br, identity;q=0, gzip;q=0.5"),
            Some("gzip, identity;q=0"),
            Some("br, identity;q=0"),
            Some("br, identity;q=0, gzip;q=0.5"),
        ),
        (
            Some("br, identity;q=0"),
            Some("br, identity;q=0"),
            Some("br, identity;q=0"),
            Some("br, identity;q=0"),
        ),
        (None, None, None, None),
    ] {
        for (codings, expected) in [
            (&["gzip"][..], gzip),
            (&["br", "gzip"][..], either),
            (&[][..], as_sent),
        ] {
            for version in VERSIONS {
                let origin = RawOrigin::start(|_| ok(VARIES, "a page")).await;
                let mut settings = settings(origin.url());
                settings.accept_encoding = codings.iter().map(|name| (*name).to_owned()).collect();
                let rule = Rule::new("page", "/page");
                let site = ProxySite::start(settings, Cache::builder().rule(rule)).await;
                let fields: Vec<_> = sent
                    .map(|sent| ("accept-encoding", sent))
                    .into_iter()
                    .collect();
                get_with(site.address, version, "/page", &fields).await;
                // What no rule takes arrives as it was sent.
                get_with(site.address, version, "/other", &fields).await;
                let heard = origin.heard();
                assert_eq!(
                    heard[0].field("accept-encoding"),
                    expected,
                    "{sent:?} {codings:?}"
                );
                assert_eq!(heard[1].field("accept-encoding"), sent, "{codings:?}");
            }
        }
    }
}

#[tokio::test]
async fn safety_116_clients_of_one_coding_share_a_stored_response() {
    for (one, other, shared) in [
        ("gzip", "gzip, deflate, br", true),
        ("gzip", "GZIP", true),
        ("br;q=0.5, gzip", "gzip;q=0.8, br", true),
        ("gzip;q=0", "identity", true),
        ("*", "x-gzip", true),
        ("gzip", "gzip;q=0", false),
        ("gzip", "gzip, identity;q=0", false),
        ("gzip", "gzip;q=0.5, identity", false),
    ] {
        let origin = RawOrigin::start(|_| ok(VARIES, "a page")).await;
        let rule = Rule::new("page", "/page").ttl(Duration::from_secs(60));
        let site = ProxySite::start(settings(origin.url()), Cache::builder().rule(rule)).await;
        get_with(
            site.address,
            VERSIONS[0],
            "/page",
            &[("accept-encoding", one)],
        )
        .await;
        // Over the other version of HTTP: it makes no difference either.
        let again = get_with(
            site.address,
            VERSIONS[1],
            "/page",
            &[("accept-encoding", other)],
        )
        .await;
        assert_eq!(again.is_hit(), shared, "{one} {other}");
    }
}
