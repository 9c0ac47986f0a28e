//! SAFETY 37, 40, 41, and purges as a client sees them: what they take, and the reasons told.

use std::sync::Arc;

use tagcache_test_support::{
    Answer, Origin, OriginResult, Site, get, ok, request, response, rule, secs, settle,
};
use tokio::sync::Notify;
use tower::Layer;
use tower_tagcache::{Cache, ManualClock, Purger, Statuses};

fn numbered() -> Origin {
    Origin::answering(|asked| ok(&[], asked.number.to_string()))
}

type Purge = fn(Purger) -> futures_util::future::BoxFuture<'static, ()>;

macro_rules! purge {
    ($purger:ident => $call:expr) => {
        |$purger: Purger| Box::pin(async move { $call.await.map(drop).expect("a purge") })
    };
}

#[tokio::test]
async fn cache_status_names_the_purge_that_removed_the_response() {
    let rows: [(Purge, &str); 8] = [
        (
            purge!(p => p.tag("x:1")),
            "fwd=stale; stored; detail=purged",
        ),
        (
            purge!(p => p.tags(["y", "x:1"])),
            "fwd=stale; stored; detail=purged",
        ),
        (
            purge!(p => p.soft().tag("x:1")),
            "fwd=stale; stored; detail=soft-purged",
        ),
        (
            purge!(p => p.family("x")),
            "fwd=stale; stored; detail=purged-family",
        ),
        (
            purge!(p => p.rule("page")),
            "fwd=stale; stored; detail=purged-rule",
        ),
        (
            purge!(p => p.url("http://any.example/a?b=c")),
            "fwd=stale; stored; detail=purged-path",
        ),
        (
            purge!(p => p.glob("/a*")),
            "fwd=stale; stored; detail=purged-glob",
        ),
        (purge!(p => p.all()), "fwd=stale; stored; detail=purged-all"),
    ];
    for (purge, told) in rows {
        let site = Site::new(rule().tag("x:1"), &numbered());
        site.get("/a").await;
        purge(site.cache.purger()).await;
        let reply = site.get("/a").await;
        assert_eq!((reply.how(), reply.text()), (told, "2"));
        assert_eq!(site.get("/a").await.how(), "hit; ttl=60");
    }
    let rows: [Purge; 6] = [
        purge!(p => p.tag("x:2")),
        purge!(p => p.tag("x")),
        purge!(p => p.family("x:1")),
        purge!(p => p.rule("x:1")),
        purge!(p => p.url("/a/")),
        purge!(p => p.glob("/a/*")),
    ];
    for (place, purge) in rows.into_iter().enumerate() {
        let site = Site::new(rule().tag("x:1"), &numbered());
        site.get("/a").await;
        purge(site.cache.purger()).await;
        assert!(
            site.get("/a").await.is_hit(),
            "row {place} names something else"
        );
    }
}

#[tokio::test]
async fn safety_40_variants_queries_and_parts_go_with_their_url() {
    let origin = Origin::answering(|asked| ok(&[("vary", "accept")], asked.number.to_string()));
    let site = Site::new(rule(), &origin);
    let asked: [(&str, &[(&str, &str)]); 4] = [
        ("/a", &[("accept", "x")]),
        ("/a", &[("accept", "y")]),
        ("/a?q", &[]),
        ("/a", &[("host", "other")]),
    ];
    for (target, fields) in asked {
        site.get_with(target, fields).await;
    }
    for (target, fields) in asked {
        let head = request("HEAD", target, fields);
        let mut part = get(target, fields);
        part.headers_mut()
            .insert("range", http::HeaderValue::from_static("bytes=0-0"));
        let whole = get(target, fields);
        for (form, request) in [("HEAD", head), ("a part", part), ("the whole", whole)] {
            assert!(
                site.get_with(target, fields).await.is_hit(),
                "{target} {fields:?}"
            );
            site.cache.purger().url("/a").await.expect("a purge");
            assert!(
                !site.send(request).await.is_hit(),
                "{form} of {target} {fields:?}"
            );
            for (target, fields) in asked {
                site.get_with(target, fields).await;
            }
        }
    }
}

#[tokio::test]
async fn safety_41_a_response_carries_the_tags_that_it_was_stored_with() {
    let origin = Origin::answering(|asked| {
        let tag = if asked.number == 1 { "a" } else { "b" };
        ok(&[("surrogate-key", tag)], asked.number.to_string())
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    site.get("/a").await;
    site.cache.purger().tag("a").await.expect("a purge");
    assert_eq!(
        site.get("/a").await.text(),
        "2",
        "the new one never had this tag"
    );
    site.cache.purger().tag("b").await.expect("a purge");
    assert_eq!(site.get("/a").await.text(), "3");
}

#[tokio::test]
async fn a_missing_page_is_stored_for_as_long_as_the_rule_says() {
    let origin = Origin::answering(|asked| match asked.number {
        1 => response(404, &[], tagcache_test_support::body("none")),
        _ => ok(&[], "page"),
    });
    for (rule, stored) in [
        (rule().ttl_for(404, secs(5)), true),
        (rule().ttl_for(Statuses::CLIENT_ERROR, secs(5)), true),
        (rule().ttl_for(410, secs(5)), false),
        (rule(), false),
    ] {
        let site = Site::new(rule.tag("x"), &origin.anew());
        site.get("/a").await;
        let again = site.get("/a").await;
        assert_eq!((again.status == 404, again.is_hit()), (stored, stored));
        if stored {
            site.clock.advance(secs(5));
            assert_eq!(
                site.get("/a").await.text(),
                "page",
                "after its own lifetime"
            );
        }
    }
    let site = Site::new(rule().ttl_for(404, secs(5)).tag("x"), &origin.anew());
    site.get("/a").await;
    site.cache.purger().tag("x").await.expect("a purge");
    assert_eq!(
        site.get("/a").await.text(),
        "page",
        "a purge reaches it too"
    );
}

#[tokio::test]
async fn while_a_tag_settles_its_responses_are_served_and_not_stored() {
    let site = Site::new(rule().tag("x"), &numbered());
    site.get("/a").await;
    site.cache
        .purger()
        .settle(secs(5))
        .tag("x")
        .await
        .expect("a purge");
    for number in ["2", "3"] {
        let reply = site.get("/a").await;
        assert_eq!(reply.text(), number);
        assert!(reply.how().ends_with("detail=settling"), "{}", reply.how());
    }
    site.clock.advance(secs(5));
    site.get("/a").await;
    assert_eq!(site.get("/a").await.text(), "4");
}

/// Asks through `outer`, which wraps the site's own layer, and says how often the origin was called.
async fn nested(outer: &Cache, site: &Site) -> (Answer, usize) {
    let before = site.origin.calls();
    let service = outer.layer().layer(site.service.clone());
    let response = tower::ServiceExt::oneshot(service, get("/a", &[]))
        .await
        .expect("an answer");
    let reply = Answer::read(response).await.expect("a body");
    settle().await;
    (reply, site.origin.calls() - before)
}

#[tokio::test(start_paused = true)]
async fn two_layers_of_one_cache_do_not_wait_for_each_other() {
    let began = tokio::time::Instant::now();
    let site = Site::new(rule().tag("x"), &numbered());
    for _ in 0..2 {
        assert_eq!(nested(&site.cache, &site).await.1, 1);
        let (hit, calls) = nested(&site.cache, &site).await;
        assert_eq!((hit.is_hit(), hit.text().len(), calls), (true, 1, 0));
        assert_eq!(hit.headers.get_all("cache-status").iter().count(), 1);
        site.cache.purger().tag("x").await.expect("a purge");
    }
    assert_eq!(began.elapsed(), secs(0), "nobody waited for a time limit");
}

#[tokio::test(start_paused = true)]
async fn two_caches_around_each_other_both_answer() {
    let site = Site::new(rule(), &numbered());
    let other = Cache::builder()
        .clock(ManualClock::default())
        .rule(rule())
        .build();
    let (other, _companion) = other.expect("a rule");
    let (first, calls) = nested(&other, &site).await;
    assert_eq!((first.text(), calls), ("1", 1));
    other.purger().all().await.expect("a purge");
    let (second, calls) = nested(&other, &site).await;
    assert_eq!(
        (second.text(), calls),
        ("1", 0),
        "the inner one still has it"
    );
    assert_eq!(second.headers.get_all("cache-status").iter().count(), 2);
}

#[tokio::test]
async fn safety_37_a_fill_that_began_before_the_purge_answers_nobody_after_it() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let origin = Origin::with(move |asked, _| {
        let gate = Arc::clone(&waiting);
        async move {
            if asked.number == 1 {
                gate.notified().await;
            }
            OriginResult::Ok(ok(&[], asked.number.to_string()))
        }
    });
    let site = Site::new(rule().tag("x"), &origin);
    let early = site.clone();
    let early = tokio::spawn(async move { early.get("/a").await });
    settle().await;
    site.cache.purger().tag("x").await.expect("a purge");
    let late = site.clone();
    let late = tokio::spawn(async move { late.get("/a").await });
    settle().await;
    gate.notify_one();
    assert_eq!(
        early.await.expect("a reply").text(),
        "1",
        "asked before the purge"
    );
    assert_eq!(late.await.expect("a reply").text(), "2", "asked after it");
    // The late fill may have taken the newer one's place, which costs a miss and nothing else.
    assert_ne!(site.get("/a").await.text(), "1");
}
