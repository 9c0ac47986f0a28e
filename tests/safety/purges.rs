//! SAFETY 48, and purges as a client sees them: tags, their sources, and the reasons told.

use std::sync::Arc;

use tokio::sync::Notify;
use tower::Layer;
use tower_tagcache::{Cache, ManualClock, Purger, Rule, Statuses};

use crate::support::{Answer, Origin, Reply, Site, get, ok, request, response, rule, secs, settle};

const MIXED: &str = "0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B";

fn numbered() -> Origin {
    Origin::new(|asked| ok(&[], asked.number.to_string()))
}

#[tokio::test]
async fn safety_48_spellings_of_one_address_are_one_tag() {
    let (lower, upper) = (
        MIXED.to_lowercase(),
        MIXED.to_uppercase().replace("0X", "0x"),
    );
    let encoded = MIXED.replace("0x", "%30x").replace('b', "%62");
    for template in ["auction:{address:address}", "auction:{address}"] {
        for path in [MIXED, &lower, &upper, &encoded] {
            for named in [MIXED, &lower, &upper] {
                let rule = Rule::new("auction", "/auctions/{address}")
                    .ttl(secs(60))
                    .tag(template);
                let site = Site::new(rule, &numbered());
                let path = format!("/auctions/{path}");
                site.get(&path).await;
                let purger = site.cache.purger();
                purger
                    .tag(format!("auction:{named}"))
                    .await
                    .expect("a purge");
                let reply = site.get(&path).await;
                assert_eq!(reply.text(), "2", "{template}: {path} by {named}");
            }
        }
    }
}

#[tokio::test]
async fn safety_48_a_tag_taken_as_it_is_can_be_purged_as_it_is() {
    let rule = Rule::new("auction", "/auctions/{address}")
        .ttl(secs(60))
        .tag("auction:{address:text}");
    let site = Site::new(rule, &numbered());
    let path = format!("/auctions/{MIXED}");
    site.get(&path).await;
    site.cache
        .purger()
        .tag(format!("auction:{MIXED}"))
        .await
        .expect("a purge");
    assert_eq!(site.get(&path).await.text(), "2");
}

#[tokio::test]
async fn safety_48_tags_are_decoded_and_trimmed_but_else_told_apart() {
    let rule = || {
        Rule::new("by", "/by/{what}")
            .ttl(secs(60))
            .tag("p:{what}")
            .tag("q:{query.id:lower}")
    };
    let rows = [
        ("/by/a%3Ab?id=x", "p:a:b", true),
        ("/by/a%3ab?id=x", "p:a:b", true),
        ("/by/a%20b?id=x", "p:a b", true),
        ("/by/a?id=%58", "q:x", true),
        ("/by/a?i%64=X", "q:x", true),
        ("/by/a?id=1&id=2", "q:2", true),
        ("/by/A?id=x", "p:a", false),
        ("/by/a%253Ab?id=x", "p:a:b", false),
        ("/by/a+b?id=x", "p:a b", false),
    ];
    for (path, tag, purged) in rows {
        let site = Site::new(rule(), &numbered());
        site.get(path).await;
        assert!(site.get(path).await.is_hit(), "{path}");
        site.cache.purger().tag(tag).await.expect("a purge");
        assert_eq!(
            site.get(path).await.text() == "2",
            purged,
            "{path} by {tag}"
        );
    }
}

type Purge = fn(Purger) -> futures_util::future::BoxFuture<'static, ()>;

macro_rules! purge {
    ($purger:ident => $call:expr) => {
        |$purger: Purger| Box::pin(async move { drop($call.await.expect("a purge")) })
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
        assert_eq!((reply.cache(), reply.text()), (told, "2"));
        assert_eq!(site.get("/a").await.cache(), "hit; ttl=60");
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
    let origin = Origin::new(|asked| ok(&[("vary", "accept")], asked.number.to_string()));
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
    site.cache.purger().url("/a").await.expect("a purge");
    for (target, fields) in asked {
        let head = request("HEAD", target, fields);
        assert!(!site.send(head).await.is_hit(), "HEAD {target} {fields:?}");
        let mut part = get(target, fields);
        part.headers_mut()
            .insert("range", http::HeaderValue::from_static("bytes=0-0"));
        assert!(
            !site.send(part).await.is_hit(),
            "a part of {target} {fields:?}"
        );
        assert!(
            !site.get_with(target, fields).await.is_hit(),
            "{target} {fields:?}"
        );
    }
}

#[tokio::test]
async fn safety_41_a_response_carries_the_tags_that_it_was_stored_with() {
    let origin = Origin::new(|asked| {
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
async fn tags_listed_in_response_fields_purge_and_are_not_sent() {
    let fields = [
        ("surrogate-key", "one two"),
        ("Surrogate-Key", " three\tfour "),
        ("cache-tag", "five six,seven"),
        ("edge-cache-tag", "eight"),
        ("x-other", "nine"),
    ];
    let tags = ["one", "two", "three", "four", "five six", "seven", "eight"];
    for (tag, purged) in tags
        .map(|tag| (tag, true))
        .into_iter()
        .chain([("nine", false), ("five", false)])
    {
        let origin = Origin::new(move |asked| ok(&fields, asked.number.to_string()));
        let site = Site::new(rule(), &origin);
        let miss = site.get("/a").await;
        site.cache.purger().tag(tag).await.expect("a purge");
        let reply = site.get("/a").await;
        assert_eq!(reply.text() == "2", purged, "{tag}");
        for reply in [miss, reply, site.get("/a").await, site.head("/a").await] {
            for (name, _) in &fields[..4] {
                assert_eq!(reply.field(name), None, "{name}: {}", reply.cache());
            }
            assert_eq!(reply.field("x-other"), Some("nine"));
            assert_eq!(
                reply.field("cache-control"),
                Some("no-cache"),
                "a purge can reach it"
            );
        }
    }
    let origin = Origin::new(move |_| ok(&fields, "page"));
    let site = Site::new(rule().keep_tag_headers(), &origin);
    site.get("/a").await;
    assert_eq!(
        site.get("/a")
            .await
            .headers
            .get_all("surrogate-key")
            .iter()
            .count(),
        2
    );
}

#[tokio::test]
async fn a_response_that_could_not_be_purged_is_not_stored() {
    let many: Vec<_> = (0..65).map(|n| n.to_string()).collect();
    let (many, long) = (many.join(" "), "y".repeat(257));
    let rows = [
        (
            rule().tag("x:{response.x-id}"),
            ("x-other", "1"),
            "tag-missing",
        ),
        (
            rule().tag("x:{/id}"),
            ("content-encoding", "gzip"),
            "tag-missing",
        ),
        (rule().tag("x:{query.id}"), ("x-other", "1"), "tag-missing"),
        (rule(), ("surrogate-key", &*many), "tag-limit"),
        (rule(), ("surrogate-key", &*long), "tag-limit"),
    ];
    for (rule, (name, value), reason) in rows {
        let value = value.to_owned();
        let origin = Origin::new(move |asked| ok(&[(name, &value)], asked.number.to_string()));
        let site = Site::new(rule, &origin);
        site.get("/a").await;
        let reply = site.get("/a").await;
        assert_eq!(reply.text(), "2", "{reason}");
        // What the body lacks is known too late to be told.
        if !reply.cache().ends_with("stored") {
            assert!(reply.cache().ends_with(reason), "{}", reply.cache());
        }
    }
}

fn listed() -> Origin {
    Origin::new(|asked| {
        let auctions = match asked.number {
            1 => format!("[{{\"id\":\"{MIXED}\",\"bids\":[1,2]}},{{\"id\":\"b\",\"bids\":[]}}]"),
            2 => "[]".into(),
            _ => "[{\"id\":\"c\"}]".into(),
        };
        ok(&[], format!("{{\"auctions\":{auctions},\"page\":7}}"))
    })
}

#[tokio::test]
async fn tags_read_from_a_json_body_purge() {
    let lower = format!("auction:{}", MIXED.to_lowercase());
    for (tag, purged) in [
        (&*lower, true),
        ("auction:b", true),
        ("page:7", true),
        ("auction:c", false),
        ("page:8", false),
    ] {
        let site = Site::new(
            rule().tag("auction:{/auctions/*/id}").tag("page:{/page}"),
            &listed(),
        );
        site.get("/a").await;
        assert!(site.get("/a").await.is_hit());
        site.cache.purger().tag(tag).await.expect("a purge");
        assert_eq!(!site.get("/a").await.is_hit(), purged, "{tag}");
    }
}

#[tokio::test]
async fn an_empty_list_goes_with_the_family_that_its_members_would_have() {
    let origin = listed();
    let site = Site::new(rule().tag("auction:{/auctions/*/id}"), &origin);
    site.get("/a").await;
    site.cache.purger().all().await.expect("a purge");
    assert_eq!(site.get("/a").await.text(), "{\"auctions\":[],\"page\":7}");
    site.cache
        .purger()
        .family("auction")
        .await
        .expect("a purge");
    assert!(!site.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_missing_page_is_stored_for_as_long_as_the_rule_says() {
    let origin = Origin::new(|asked| match asked.number {
        1 => response(404, &[], crate::support::body("none")),
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
        assert!(
            reply.cache().ends_with("detail=settling"),
            "{}",
            reply.cache()
        );
    }
    site.clock.advance(secs(5));
    site.get("/a").await;
    assert_eq!(site.get("/a").await.text(), "4");
}

/// Asks through `outer`, which wraps the site's own layer, and says how often the origin was called.
async fn nested(outer: &Cache, site: &Site) -> (Reply, usize) {
    let before = site.origin.calls();
    let service = outer.layer().layer(site.service.clone());
    let response = tower::ServiceExt::oneshot(service, get("/a", &[]))
        .await
        .expect("an answer");
    let reply = Reply::read(response).await.expect("a body");
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
            Answer::Ok(ok(&[], asked.number.to_string()))
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
    assert_eq!(site.get("/a").await.text(), "2");
}
