//! SAFETY 71: a path that the upstream may read as another one is not stored by a rule's word.

use std::time::Duration;

use tower_tagcache::{Cache, Cookies, Rule};

use crate::client::{VERSIONS, get_with};
use crate::raw_origin::{RawOrigin, ok};
use crate::site::{ProxySite, settings};

fn rule(route: &str) -> Rule {
    Rule::new("static", route)
        .ttl(Duration::from_secs(60))
        .cookies(Cookies::ignore_all())
}

async fn hits(rule: Rule, path: &str, fields: &'static str) -> Vec<bool> {
    let mut hits = Vec::new();
    for version in VERSIONS {
        let origin = RawOrigin::start(move |_| ok(fields, "a page")).await;
        let builder = Cache::builder().rule(rule.clone());
        let site = ProxySite::start(settings(origin.url()), builder).await;
        get_with(site.address, version, path, &[]).await;
        let again = get_with(site.address, version, path, &[]).await;
        hits.push(again.is_hit());
    }
    hits
}

#[tokio::test]
async fn safety_71_no_capture_takes_a_path_that_the_upstream_may_read_as_another() {
    for path in [
        "/static/..%2faccount",
        "/static/%2e%2e/account",
        "/static/a%00.css",
        "/static/a%252f",
    ] {
        assert!(
            !hits(rule("/static/{*path}"), path, "")
                .await
                .contains(&true),
            "{path}"
        );
    }
    let one = "/static/a%2faccount";
    assert!(!hits(rule("/static/{id}"), one, "").await.contains(&true));
    assert!(
        !hits(rule("/static/{id}").encoded_paths(), one, "")
            .await
            .contains(&false)
    );
    assert!(
        !hits(rule("/static/{id}"), "/static/a%20b.css", "")
            .await
            .contains(&false)
    );
}

#[tokio::test]
async fn safety_71_a_path_parameter_is_stored_by_the_upstreams_word_alone() {
    let path = "/static/a;x.css";
    assert!(!hits(rule("/static/{id}"), path, "").await.contains(&true));
    let said = "cache-control: max-age=60\r\n";
    assert!(
        !hits(rule("/static/{id}"), path, said)
            .await
            .contains(&false)
    );
}
