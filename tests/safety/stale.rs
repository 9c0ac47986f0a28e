//! SAFETY 31: stale responses are served where that is allowed, and no longer.

use tagcache_test_support::{Failure, Origin, OriginResult, Site, empty, ok, response, rule, secs};

/// What an inner service does when it is asked again.
#[derive(Clone, Copy)]
enum Again {
    Answers,
    Status(u16),
    Fails,
}

/// Answers once with `fields`, then as `again` says.
fn once_then(fields: &'static [(&'static str, &'static str)], again: Again) -> Origin {
    Origin::with(move |asked, _| async move {
        match (asked.number, again) {
            (1, _) => Ok(ok(fields, "1")),
            (number, Again::Answers) => Ok(ok(fields, number.to_string())),
            (_, Again::Status(status)) => Ok(response(status, &[], empty())),
            (_, Again::Fails) => OriginResult::Err(Failure("down")),
        }
    })
}

#[tokio::test]
async fn safety_31_stale_while_revalidate_ends_with_its_window() {
    let fields = &[("cache-control", "max-age=10, stale-while-revalidate=20")];
    for (wait, stale) in [
        (9, false),
        (11, true),
        (29, true),
        (30, false),
        (1000, false),
    ] {
        let origin = once_then(fields, Again::Answers);
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        site.clock.advance(secs(wait));
        let reply = site.get("/a").await;
        let told = reply.how().ends_with("detail=stale-while-revalidate");
        assert_eq!(told, stale, "after {wait} s: {}", reply.how());
        assert_eq!(
            reply.text(),
            if wait < 30 { "1" } else { "2" },
            "after {wait} s"
        );
        if stale {
            let next = site.get("/a").await;
            assert_eq!(
                (next.text(), next.is_hit()),
                ("2", true),
                "refreshed behind"
            );
            assert_eq!(origin.calls(), 2);
        }
    }
}

#[tokio::test]
async fn safety_31_stale_while_revalidate_is_not_for_ever_while_upstream_fails() {
    let fields = &[("cache-control", "max-age=10, stale-while-revalidate=20")];
    for again in [Again::Fails, Again::Status(500), Again::Status(429)] {
        let origin = once_then(fields, again);
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        for _ in 0..4 {
            site.clock.advance(secs(5));
            assert_eq!(site.get("/a").await.text(), "1");
        }
        site.clock.advance(secs(10));
        let reply = site.fetch(tagcache_test_support::get("/a", &[])).await;
        assert_ne!(
            reply.map(|reply| reply.status.as_u16()),
            Ok(200),
            "the window is over"
        );
    }
}

/// The answers that a client gets after the lifetime while the inner service misbehaves: `true`
/// where the stored response stands in.
async fn spared(
    directives: &'static [(&'static str, &'static str)],
    again: Again,
    wait: u64,
) -> bool {
    let origin = once_then(directives, again);
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(wait));
    match site.fetch(tagcache_test_support::get("/a", &[])).await {
        Ok(reply) => {
            let stands_in = reply.text() == "1";
            assert_eq!(stands_in, reply.how().ends_with("detail=stale-if-error"));
            stands_in
        }
        Err(_) => false,
    }
}

#[tokio::test]
async fn safety_31_stale_if_error_is_for_errors_within_its_window() {
    let fields = &[
        ("cache-control", "max-age=10, stale-if-error=20"),
        ("etag", "\"1\""),
    ];
    for (again, stands_in) in [
        (Again::Fails, true),
        (Again::Status(500), true),
        (Again::Status(502), true),
        (Again::Status(503), true),
        (Again::Status(504), true),
        (Again::Status(501), false),
        (Again::Status(404), false),
        (Again::Status(403), false),
    ] {
        for (wait, within) in [(11, true), (29, true), (30, false), (999, false)] {
            assert_eq!(
                spared(fields, again, wait).await,
                stands_in && within,
                "after {wait} s"
            );
        }
    }
}

#[tokio::test]
async fn safety_31_stale_is_not_served_where_the_response_forbids_it() {
    let forbidding: [&[(&str, &str)]; 4] = [
        &[(
            "cache-control",
            "max-age=10, must-revalidate, stale-if-error=99, stale-while-revalidate=99",
        )],
        &[(
            "cache-control",
            "max-age=10, proxy-revalidate, stale-if-error=99",
        )],
        &[(
            "cache-control",
            "s-maxage=10, stale-if-error=99, stale-while-revalidate=99",
        )],
        &[(
            "cache-control",
            "max-age=10, no-cache, stale-if-error=99, stale-while-revalidate=99",
        )],
    ];
    for fields in forbidding {
        assert!(!spared(fields, Again::Status(503), 11).await, "{fields:?}");
        assert!(!spared(fields, Again::Fails, 11).await, "{fields:?}");
        let origin = once_then(fields, Again::Answers);
        let site = Site::new(
            rule()
                .stale_if_error(secs(99))
                .stale_while_revalidate(secs(99)),
            &origin,
        );
        site.get("/a").await;
        site.clock.advance(secs(11));
        assert_eq!(site.get("/a").await.text(), "2", "{fields:?}");
    }
}

#[tokio::test]
async fn safety_31_a_hard_purge_ends_every_stale_window() {
    let fields = &[(
        "cache-control",
        "max-age=10, stale-if-error=99, stale-while-revalidate=99",
    )];
    let origin = once_then(fields, Again::Status(503));
    let site = Site::new(rule().tag("x"), &origin);
    site.get("/a").await;
    site.clock.advance(secs(11));
    site.cache.purger().tag("x").await.expect("a purge");
    let reply = site.get("/a").await;
    assert_eq!(reply.status, 503, "{}", reply.how());
}

#[tokio::test]
async fn safety_31_the_rules_windows_are_for_responses_that_do_not_say() {
    let origin = once_then(&[], Again::Answers);
    let site = Site::new(rule().stale_while_revalidate(secs(20)), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    assert_eq!(site.get("/a").await.text(), "1");
    assert_eq!(site.get("/a").await.text(), "2");
    let origin = once_then(&[], Again::Fails);
    let site = Site::new(rule().stale_if_error(secs(20)), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    assert!(
        site.get("/a")
            .await
            .how()
            .ends_with("detail=stale-if-error")
    );
}

#[tokio::test]
async fn a_soft_purge_is_served_stale_only_where_that_is_allowed() {
    let fields = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
    for (soft, stale) in [(true, true), (false, false)] {
        let origin = once_then(fields, Again::Answers);
        let site = Site::new(rule().tag("x"), &origin);
        site.get("/a").await;
        let purger = site.cache.purger();
        let purger = if soft { purger.soft() } else { purger };
        purger.tag("x").await.expect("a purge");
        assert_eq!(site.get("/a").await.text(), if stale { "1" } else { "2" });
        let next = site.get("/a").await;
        assert_eq!((next.text(), next.is_hit()), ("2", true));
    }
}
