//! SAFETY 61: what was stored together does not expire together, and is fetched before it does; and
//! how much is fetched at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tagcache_test_support::{Answer, Origin, Site, empty, get, ok, response, rule, secs, settle};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_tagcache::{Cache, CacheBuilder, ManualClock, Rule};

/// How many of `pages`, stored at one moment for 100 s, are asked for anew in each of the last 20 s.
async fn expiries(rule: Rule, pages: u32) -> Vec<usize> {
    let origin = Origin::answering(|_| ok(&[("cache-control", "max-age=100")], "page"));
    let spread = Arc::new(AtomicU32::new(0));
    // 0, 1/pages, 2/pages …: evenly, as chance would in the long run.
    let chance =
        move || f64::from(spread.fetch_add(1, Ordering::SeqCst) % pages) / f64::from(pages);
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
    assert_eq!(
        apart.iter().sum::<usize>(),
        100,
        "none lives longer: {apart:?}"
    );
    assert!(apart.iter().all(|number| *number <= 6), "{apart:?}");
}

#[tokio::test]
async fn safety_61_jitter_shortens_what_is_left_and_never_lengthens() {
    let origin =
        Origin::answering(|_| ok(&[("cache-control", "max-age=100"), ("age", "90")], "page"));
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

/// A site whose origin takes `took` to answer, by its clock, with the number of the call; its hits draw
/// `chance`.
fn slow(rule: Rule, took: Duration, chance: f64) -> (Site, ManualClock) {
    let clock = ManualClock::default();
    let passes = clock.clone();
    let origin = Origin::answering(move |asked| {
        passes.advance(took);
        let number = asked.number.to_string();
        match asked.field("if-none-match") {
            Some("\"304\"") => response(304, &[("etag", "\"304\"")], empty()),
            _ if asked.parts.uri.path() == "/304" => ok(&[("etag", "\"304\"")], number),
            _ if asked.parts.uri.path() == "/fails" && asked.number > 1 => {
                response(500, &[], empty())
            }
            _ => ok(&[], number),
        }
    });
    let site = Site::built(
        |builder| {
            builder
                .clock(clock.clone())
                .chance(move || chance)
                .rule(rule)
        },
        &origin,
    );
    (site, clock)
}

/// e^-2: two fetches before the end.
const TWO: f64 = 0.135_335_283_236_612_7;

#[tokio::test]
async fn safety_61_a_hit_near_the_end_that_chance_chooses_fetches_behind() {
    for (factor, left) in [(1.0, 2), (2.0, 4)] {
        let (site, clock) = slow(rule().refresh_early(factor), secs(1), TWO);
        assert_eq!(site.get("/a").await.text(), "1");
        // It was a second old when it came.
        clock.advance(secs(59 - left - 1));
        assert_eq!(site.get("/a").await.text(), "1");
        assert_eq!(site.origin.calls(), 1, "{} s left", left + 1);
        clock.advance(secs(1));
        let chosen = site.get("/a").await;
        assert!(
            chosen.is_hit() && chosen.text() == "1",
            "nobody waits for it"
        );
        assert_eq!(site.origin.calls(), 2, "{left} s left");
        let next = site.get("/a").await;
        assert!(next.is_hit() && next.text() == "2", "{}", next.how());
        assert_eq!(site.origin.calls(), 2);
    }
}

#[tokio::test]
async fn safety_61_nothing_is_fetched_early_unless_the_rule_asks_and_chance_has_it() {
    for (rule, chance) in [(rule(), 0.0), (rule().refresh_early(1.0), 1.0)] {
        let (site, clock) = slow(rule, secs(1), chance);
        site.get("/a").await;
        for _ in 0..58 {
            clock.advance(secs(1));
            assert!(site.get("/a").await.is_hit());
        }
        assert_eq!(site.origin.calls(), 1);
    }
}

#[tokio::test]
async fn safety_61_an_early_refresh_asks_by_validator_and_freshens() {
    let (site, clock) = slow(rule().refresh_early(1.0), secs(1), TWO);
    site.get("/304").await;
    clock.advance(secs(59));
    site.get("/304").await;
    assert_eq!(site.origin.last().field("if-none-match"), Some("\"304\""));
    clock.advance(secs(30));
    let freshened = site.get("/304").await;
    assert!(
        freshened.is_hit() && freshened.text() == "1",
        "{}",
        freshened.how()
    );
    assert_eq!(site.origin.calls(), 2);
}

#[tokio::test]
async fn safety_61_an_early_refresh_that_fails_is_not_repeated_before_the_end() {
    let (site, clock) = slow(rule().refresh_early(1.0), Duration::from_millis(500), TWO);
    site.get("/fails").await;
    clock.advance(Duration::from_millis(58_500));
    for _ in 0..10 {
        assert!(site.get("/fails").await.is_hit());
    }
    assert_eq!(site.origin.calls(), 2);
    assert!(site.get("/fails").await.is_hit(), "what there is stays");
}

#[tokio::test]
async fn safety_61_what_takes_longer_than_it_lasts_is_not_fetched_without_end() {
    let (site, clock) = slow(rule().refresh_early(100.0), secs(20), 0.0);
    site.get("/a").await;
    for _ in 0..20 {
        assert!(site.get("/a").await.is_hit());
        assert_eq!(site.origin.calls(), 1, "not in the first half");
        clock.advance(secs(1));
    }
    clock.advance(secs(1));
    assert!(site.get("/a").await.is_hit());
    assert_eq!(site.origin.calls(), 2, "in the second");
}

#[tokio::test]
async fn safety_61_of_many_hits_near_the_end_one_fetches() {
    let (site, clock) = slow(rule().refresh_early(1.0), secs(1), 0.0);
    site.get("/a").await;
    clock.advance(secs(55));
    let asking = (0..1000).map(|_| {
        let site = site.clone();
        tokio::spawn(async move { site.fetch(get("/a", &[])).await })
    });
    for asked in asking.collect::<Vec<_>>() {
        let reply = asked.await.expect("a reply").expect("a body");
        assert!(reply.is_hit(), "{}", reply.how());
    }
    assert_eq!(site.origin.calls(), 2);
}

/// An origin whose calls wait until they are let go, and how many of them wait at a time.
fn gated() -> (Origin, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (open, inside) = (Arc::new(Semaphore::new(0)), Arc::<AtomicUsize>::default());
    let (gate, count) = (Arc::clone(&open), Arc::clone(&inside));
    let origin = Origin::with(move |asked, _| {
        let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.expect("open").forget();
            count.fetch_sub(1, Ordering::SeqCst);
            Ok(ok(&[], asked.number.to_string()))
        }
    });
    (origin, open, inside)
}

fn ask(site: &Site, path: impl Into<String>) -> JoinHandle<Result<Answer, String>> {
    let (site, path) = (site.clone(), path.into());
    tokio::spawn(async move { site.fetch(get(&path, &[])).await })
}

#[tokio::test(start_paused = true)]
async fn after_a_large_purge_no_more_forwards_than_the_rule_permits_are_under_way() {
    let (origin, open, inside) = gated();
    let site = Site::new(rule().forward_limit(3), &origin);
    open.add_permits(20);
    for page in 0..20 {
        site.get(&format!("/{page}")).await;
    }
    site.cache.purger().all().await.expect("purged");
    let began = Instant::now();
    let asking: Vec<_> = (0..20)
        .flat_map(|page| (0..5).map(move |_| page))
        .map(|page| ask(&site, format!("/{page}")))
        .collect();
    for _ in 0..20 {
        settle().await;
        let now = inside.load(Ordering::SeqCst);
        assert!(now <= 3, "{now} at a time");
        open.add_permits(1);
    }
    for asked in asking {
        assert!(asked.await.expect("a reply").is_ok());
    }
    assert_eq!(origin.calls(), 40, "each page once more");
    assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
}

#[tokio::test(start_paused = true)]
async fn a_miss_that_gets_no_permit_in_time_is_forwarded_or_answered_stale() {
    let (origin, open, inside) = gated();
    let limited = rule().forward_limit(1).stale_if_error(secs(600));
    let site = Site::built(
        |builder| builder.rule(limited).coalesce_timeout(secs(4)),
        &origin,
    );
    open.add_permits(1);
    site.get("/known").await;
    site.clock.advance(secs(100));
    let hangs = ask(&site, "/hangs");
    settle().await;
    let began = Instant::now();
    let (new, stale) = (ask(&site, "/new"), ask(&site, "/known"));
    let stale = stale.await.expect("a reply").expect("a body");
    assert_eq!(began.elapsed(), secs(4), "as long as for identical ones");
    assert!(
        stale.how().ends_with("detail=stale-if-error"),
        "{}",
        stale.how()
    );
    settle().await;
    assert_eq!(
        inside.load(Ordering::SeqCst),
        2,
        "it is not kept waiting for ever"
    );
    open.add_permits(2);
    for asked in [hangs, new] {
        assert!(asked.await.expect("a reply").is_ok());
    }
    assert_eq!(origin.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_waits_for_a_permit_takes_none_with_it() {
    let (origin, open, inside) = gated();
    let site = Site::new(rule().forward_limit(1), &origin);
    let first = ask(&site, "/first");
    settle().await;
    let leaves: Vec<_> = (0..10).map(|page| ask(&site, format!("/{page}"))).collect();
    settle().await;
    for leaving in leaves {
        leaving.abort();
    }
    let last = ask(&site, "/last");
    settle().await;
    assert_eq!(inside.load(Ordering::SeqCst), 1);
    open.add_permits(12);
    for asked in [first, last] {
        assert!(asked.await.expect("a reply").is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_while_a_miss_waits_for_a_permit_is_before_its_call() {
    let (origin, open, _) = gated();
    let site = Site::new(rule().forward_limit(1).tag("page"), &origin);
    let first = ask(&site, "/first");
    settle().await;
    let waits = ask(&site, "/waits");
    settle().await;
    site.cache.purger().tag("page").await.expect("purged");
    open.add_permits(10);
    for asked in [first, waits] {
        assert!(asked.await.expect("a reply").is_ok());
    }
    settle().await;
    assert!(
        !site.get("/first").await.is_hit(),
        "called before the purge"
    );
    assert!(site.get("/waits").await.is_hit(), "called after it");
}

#[test]
fn what_cannot_be_meant_is_refused_by_the_rules_name() {
    let fleet = |budget| rule().fleet_coalesce(budget);
    for (rule, place, quoted) in [
        (rule().lifetime_jitter(51), "lifetime_jitter", "51"),
        (rule().refresh_early(0.0), "refresh_early", "\"0\""),
        (rule().refresh_early(f64::NAN), "refresh_early", "NaN"),
        (rule().refresh_early(101.0), "refresh_early", "101"),
        (rule().forward_limit(0), "forward_limit", "\"0\""),
        (fleet(secs(0)), "fleet_coalesce", "0s"),
        // Longer than a claim holds; than leaves requests time.
        (fleet(secs(31)), "fleet_coalesce", "31s"),
        (fleet(secs(16)), "fleet_coalesce", "16s"),
    ] {
        let built = Cache::builder().rule(rule).build();
        let error = format!("{:#}", built.unwrap_err());
        let told = [place, quoted, "rule `page`"];
        assert!(told.iter().all(|part| error.contains(part)), "{error}");
    }
    let claim = Cache::builder().fleet_claim(secs(0)).rule(fleet(secs(1)));
    let error = format!("{:#}", claim.build().unwrap_err());
    assert!(
        error.contains("rule `page`") && error.contains("claim"),
        "{error}"
    );
    drop(
        Cache::builder()
            .fleet_claim(secs(5))
            .rule(fleet(secs(5)))
            .build()
            .unwrap(),
    );
}
