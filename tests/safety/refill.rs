//! SAFETY 61: what was stored together does not expire together, and is fetched before it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tower_tagcache::{CacheBuilder, Rule};

use crate::support::{Origin, Site, ok, rule, secs};

/// How many of `pages`, stored at one moment for 100 s, are asked for anew in each of the last 20 s.
async fn expiries(rule: Rule, pages: u32) -> Vec<usize> {
    let origin = Origin::new(|_| ok(&[("cache-control", "max-age=100")], "page"));
    let spread = Arc::new(AtomicU32::new(0));
    // 0, 1/pages, 2/pages …: evenly, as chance would in the long run.
    let chance = move || f64::from(spread.fetch_add(1, Ordering::SeqCst) % pages) / f64::from(pages);
    let site = Site::built(|builder| builder.chance(chance).rule(rule), &origin);
    let fetch = async |site: &Site| {
        let before = origin.calls();
        for page in 0..pages {
            site.get(&format!("/{page}")).await;
        }
        origin.calls() - before
    };
    assert_eq!(fetch(&site).await, pages as usize);
    site.clock.advance(secs(80));
    let mut each = Vec::new();
    for _ in 0..20 {
        site.clock.advance(secs(1));
        each.push(fetch(&site).await);
    }
    each
}

#[tokio::test]
async fn safety_61_with_jitter_what_was_stored_together_expires_apart() {
    let together = expiries(rule(), 100).await;
    assert_eq!(together.iter().max(), Some(&100), "{together:?}");
    let apart = expiries(rule().lifetime_jitter(20), 100).await;
    assert_eq!(apart.iter().sum::<usize>(), 100, "none lives longer: {apart:?}");
    assert!(apart.iter().all(|number| *number <= 6), "{apart:?}");
}

#[tokio::test]
async fn safety_61_jitter_shortens_what_is_left_and_never_lengthens() {
    let origin = Origin::new(|_| ok(&[("cache-control", "max-age=100"), ("age", "90")], "page"));
    for (chance, lasts) in [(0.0, 10), (0.5, 8), (1.0, 5), (-7.0, 10), (7.0, 5)] {
        let chance = move |builder: CacheBuilder| builder.chance(move || chance);
        let jittered = rule().lifetime_jitter(50);
        let site = Site::built(|builder| chance(builder).rule(jittered), &origin.anew());
        site.get("/a").await;
        site.clock.advance(secs(lasts - 1));
        assert!(site.get("/a").await.is_hit(), "after {} s", lasts - 1);
        site.clock.advance(secs(1));
        assert!(!site.get("/a").await.is_hit(), "after {lasts} s");
        let told = site.get("/a").await;
        assert_eq!(told.field("cache-control"), Some("max-age=100"));
    }
}

#[test]
fn a_jitter_that_cannot_be_meant_is_refused_by_the_rules_name() {
    let built = tower_tagcache::Cache::builder().rule(rule().lifetime_jitter(51));
    let error = format!("{:#}", built.build().unwrap_err());
    assert!(error.contains("rule `page`") && error.contains("51"), "{error}");
}
