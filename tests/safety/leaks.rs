//! SAFETY 1–8: cookies, `Authorization`, what clients ask for, `Vary`.

use std::sync::Arc;

use http::Response;
use tagcache_test_support::{Body, Origin, OriginResult, Site, ok, response, rule, secs, settle};
use tokio::sync::Notify;
use tower_tagcache::{Authorization, Cookies, Rule, SetCookie};

/// Sets a cookie of its own for each call.
fn cookie_per_call(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::answering(move |asked| {
        let cookie = format!("session={}", asked.number);
        let mut all = vec![("set-cookie", cookie.as_str())];
        all.extend_from_slice(fields);
        ok(&all, "page")
    })
}

#[tokio::test]
async fn safety_01_a_response_that_sets_a_cookie_is_not_stored() {
    let rows: [&[(&str, &str)]; 4] = [
        &[],
        &[("cache-control", "max-age=60")],
        &[("cache-control", "public, s-maxage=60")],
        &[("set-cookie", "theme=dark")],
    ];
    for fields in rows {
        let origin = cookie_per_call(fields);
        let site = Site::new(rule(), &origin);
        for number in 1..=3 {
            let reply = site.get("/a").await;
            assert_eq!(
                reply.field("set-cookie"),
                Some(&*format!("session={number}")),
                "{fields:?}"
            );
            assert!(reply.how().ends_with("detail=set-cookie"), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn safety_01_a_stripped_cookie_reaches_the_one_who_asked_and_nobody_else() {
    let origin = cookie_per_call(&[]);
    let site = Site::new(rule().set_cookie(SetCookie::Strip), &origin);
    assert_eq!(
        site.get("/a").await.field("set-cookie"),
        Some("session=1"),
        "the client whose request was forwarded"
    );
    let hit = site.get("/a").await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("set-cookie"), None);
}

#[tokio::test]
async fn safety_01_a_cookie_set_by_a_304_is_not_stored() {
    let origin = Origin::script([
        || ok(&[("etag", "\"1\"")], "page"),
        || {
            response(
                304,
                &[("etag", "\"1\""), ("set-cookie", "s=1")],
                Body::default(),
            )
        },
    ]);
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(61));
    site.get("/a").await;
    assert_eq!(origin.last().field("if-none-match"), Some("\"1\""));
    let after = site.get("/a").await;
    assert_eq!(after.field("set-cookie"), None);
    assert_eq!(after.text(), "page");
}

/// Asks `clients` times at once while the inner service waits, then lets it answer.
async fn at_once(rule: Rule, answer: fn(usize) -> Response<Body>, clients: usize) -> Vec<String> {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let origin = Origin::with(move |asked, _| {
        let gate = Arc::clone(&waiting);
        async move {
            if asked.number == 1 {
                gate.notified().await;
            }
            OriginResult::Ok(answer(asked.number))
        }
    });
    let site = Site::new(rule, &origin);
    let asking: Vec<_> = (0..clients)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.get("/a").await })
        })
        .collect();
    settle().await;
    assert_eq!(origin.calls(), 1, "the others wait for the first");
    gate.notify_one();
    let mut cookies = Vec::new();
    for reply in asking {
        let reply = reply.await.expect("a reply");
        cookies.push(reply.field("set-cookie").unwrap_or_default().to_owned());
    }
    cookies
}

#[tokio::test]
async fn safety_02_coalesced_clients_never_share_a_cookie() {
    let private = |number: usize| {
        let cookie = format!("s={number}");
        ok(
            &[("set-cookie", &cookie), ("cache-control", "no-store")],
            "x",
        )
    };
    let mut cookies = at_once(rule(), private, 5).await;
    cookies.sort();
    assert_eq!(cookies, ["s=1", "s=2", "s=3", "s=4", "s=5"]);
}

#[tokio::test]
async fn safety_02_coalesced_clients_do_not_get_the_leaders_stripped_cookie() {
    let cookie = |number: usize| ok(&[("set-cookie", &*format!("s={number}"))], "x");
    let cookies = at_once(rule().set_cookie(SetCookie::Strip), cookie, 4).await;
    let own = cookies.iter().filter(|cookie| *cookie == "s=1").count();
    let none = cookies.iter().filter(|cookie| cookie.is_empty()).count();
    assert_eq!((own, none), (1, 3), "{cookies:?}");
}

#[tokio::test]
async fn safety_02_a_request_with_a_cookie_is_neither_answered_from_nor_put_into_the_cache() {
    let origin =
        Origin::answering(|asked| ok(&[], asked.field("cookie").unwrap_or("none").to_owned()));
    let site = Site::new(rule(), &origin);
    let mine = [("cookie", "session=1")];
    assert_eq!(site.get_with("/a", &mine).await.text(), "session=1");
    assert_eq!(site.get("/a").await.text(), "none");
    let again = site.get_with("/a", &mine).await;
    assert_eq!(again.text(), "session=1");
    assert_eq!(again.how(), "fwd=bypass; detail=cookie");

    let named = rule().cookies(Cookies::ignore(["_ga*"]).key(["session"]));
    let site = Site::new(named, &origin);
    for (cookie, hit) in [
        ("session=1; _ga=1", false),
        ("_ga=2; session=1", true),
        ("session=2; _ga=1", false),
        ("session=1; other=1", false),
    ] {
        let reply = site.get_with("/a", &[("cookie", cookie)]).await;
        assert_eq!(reply.is_hit(), hit, "{cookie}");
    }
}

#[tokio::test]
async fn safety_03_authorised_answers_are_shared_only_where_the_response_permits() {
    let rows = [
        ("max-age=60", false),
        ("max-age=60, private", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
        ("max-age=60, proxy-revalidate", false),
        ("s-maxage=x", false),
        ("", false),
    ];
    let alice = [("authorization", "Bearer alice")];
    for (directives, shared) in rows {
        let origin = Origin::answering(move |asked| {
            let who = asked.field("authorization").unwrap_or("nobody").to_owned();
            ok(&[("cache-control", directives)], who)
        });
        let first_alice = Site::new(rule(), &origin);
        first_alice.get_with("/a", &alice).await;
        for fields in [&[][..], &[("authorization", "Bearer bob")]] {
            let reply = first_alice.get_with("/a", fields).await;
            assert_eq!(
                reply.text() == "Bearer alice",
                shared,
                "{directives}: {fields:?}"
            );
        }
        // What nobody in particular was told may be told to Alice only by the same permission.
        let first_nobody = Site::new(rule(), &origin);
        first_nobody.get("/a").await;
        let reply = first_nobody.get_with("/a", &alice).await;
        assert_eq!(
            reply.text() == "nobody",
            shared,
            "{directives}: alice second"
        );
    }
}

#[tokio::test]
async fn safety_03_authorised_requests_at_once_do_not_share() {
    let gate = Arc::new(Notify::new());
    let waiting = Arc::clone(&gate);
    let origin = Origin::with(move |asked, _| {
        let gate = Arc::clone(&waiting);
        async move {
            gate.notified().await;
            let who = asked.field("authorization").unwrap_or("nobody").to_owned();
            OriginResult::Ok(ok(&[("cache-control", "max-age=60")], who))
        }
    });
    let site = Site::new(rule(), &origin);
    let clients = ["alice", "bob", "alice"];
    let asking = clients.map(|who| {
        let site = site.clone();
        tokio::spawn(async move { site.get_with("/a", &[("authorization", who)]).await })
    });
    settle().await;
    assert_eq!(origin.calls(), 3, "each has a call of its own");
    gate.notify_waiters();
    for (who, asked) in clients.into_iter().zip(asking) {
        assert_eq!(asked.await.expect("a reply").text(), who);
    }
}

#[tokio::test]
async fn safety_03_a_rule_can_key_or_ignore_authorization() {
    let origin = Origin::answering(|asked| {
        ok(
            &[],
            asked.field("authorization").unwrap_or("nobody").to_owned(),
        )
    });
    let site = Site::new(rule().authorization(Authorization::Key), &origin);
    for (who, hit) in [("a", false), ("b", false), ("a", true), ("b", true)] {
        let reply = site.get_with("/a", &[("authorization", who)]).await;
        assert_eq!((reply.text(), reply.is_hit()), (who, hit));
    }
    assert_eq!(site.get("/a").await.text(), "nobody");
    let site = Site::new(rule().authorization(Authorization::Ignore), &origin);
    site.get_with("/a", &[("authorization", "a")]).await;
    assert!(
        site.get_with("/a", &[("authorization", "b")])
            .await
            .is_hit()
    );
}

#[tokio::test]
async fn safety_04_a_clients_max_stale_unlocks_nothing() {
    let rows: [&[(&str, &str)]; 6] = [
        &[("cache-control", "max-age=10, no-cache"), ("etag", "\"1\"")],
        &[("cache-control", "s-maxage=10"), ("etag", "\"1\"")],
        &[
            ("cache-control", "max-age=10, proxy-revalidate"),
            ("etag", "\"1\""),
        ],
        &[
            ("cache-control", "max-age=10, must-revalidate"),
            ("etag", "\"1\""),
        ],
        &[("cache-control", "max-age=10"), ("set-cookie", "s=1")],
        &[("cache-control", "max-age=10"), ("etag", "\"1\"")],
    ];
    for fields in rows {
        let origin = Origin::answering(move |asked| ok(fields, asked.number.to_string()));
        let site = Site::new(rule(), &origin);
        let asks = [("cache-control", "max-stale=9999, max-stale")];
        site.get_with("/a", &asks).await;
        site.clock.advance(secs(11));
        let reply = site.get_with("/a", &asks).await;
        assert_eq!(reply.text(), "2", "{fields:?}");
    }
}

#[tokio::test]
async fn safety_04_a_client_cannot_bypass_a_cache_that_protects_an_origin() {
    let origin = Origin::answering(|asked| ok(&[], asked.number.to_string()));
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    for fields in [
        [("cache-control", "no-cache")],
        [("cache-control", "no-store, max-age=0")],
        [("pragma", "no-cache")],
    ] {
        assert!(site.get_with("/a", &fields).await.is_hit(), "{fields:?}");
    }
}

fn by_language() -> Origin {
    Origin::answering(|asked| {
        let lines = asked.parts.headers.get_all("accept-language").into_iter();
        let said: Vec<_> = lines.map(|line| line.to_str().unwrap_or("?")).collect();
        ok(&[("vary", "Accept-Language")], said.join("|"))
    })
}

#[tokio::test]
async fn safety_05_two_variants_that_alternate_both_hit() {
    let origin = by_language();
    let site = Site::new(rule(), &origin);
    for round in 0..4 {
        for language in ["de", "en"] {
            let reply = site.get_with("/a", &[("accept-language", language)]).await;
            assert_eq!(reply.text(), language);
            assert_eq!(reply.is_hit(), round > 0, "{language} in round {round}");
        }
    }
    let reply = site.get("/a").await;
    assert_eq!((reply.text(), reply.how()), ("", "fwd=vary-miss; stored"));
    assert!(site.get("/a").await.is_hit(), "absence is a variant too");
}

#[tokio::test]
async fn safety_06_vary_compares_every_line_of_a_field() {
    let rows: [&[(&str, &str)]; 5] = [
        &[("accept-language", "de"), ("accept-language", "en")],
        &[("accept-language", "de"), ("accept-language", "fr")],
        &[("accept-language", "de")],
        &[("accept-language", "en"), ("accept-language", "de")],
        &[("accept-language", "")],
    ];
    let origin = by_language();
    let site = Site::new(rule(), &origin);
    for fields in rows {
        let fresh = site.get_with("/a", fields).await;
        assert!(!fresh.is_hit(), "{fields:?}");
        let stored = site.get_with("/a", fields).await;
        assert!(stored.is_hit(), "{fields:?}");
        assert_eq!(stored.body, fresh.body, "{fields:?}");
    }
}

#[tokio::test]
async fn safety_07_a_star_in_vary_forbids_storing_however_it_is_spelled() {
    let rows: [&[(&str, &str)]; 6] = [
        &[("vary", "*")],
        &[("vary", "*, *")],
        &[("vary", "Foo, *")],
        &[("vary", "Foo"), ("vary", "*")],
        &[("vary", ", ,\t* ,")],
        &[("vary", "*,Accept")],
    ];
    for fields in rows {
        let origin = Origin::answering(move |asked| ok(fields, asked.number.to_string()));
        let site = Site::new(rule(), &origin);
        site.get("/a").await;
        let reply = site.get("/a").await;
        assert_eq!(reply.text(), "2", "{fields:?}");
    }
}

#[tokio::test]
async fn safety_08_a_304_that_adds_vary_makes_the_next_variant_refetch() {
    let origin = Origin::answering(|asked| match asked.field("if-none-match") {
        Some(_) => response(
            304,
            &[("etag", "\"1\""), ("vary", "accept-language")],
            Body::default(),
        ),
        None => {
            let language = asked.field("accept-language").unwrap_or("none").to_owned();
            ok(
                &[("etag", "\"1\""), ("cache-control", "max-age=10")],
                language,
            )
        }
    });
    let site = Site::new(rule(), &origin);
    let (de, en) = ([("accept-language", "de")], [("accept-language", "en")]);
    site.get_with("/a", &de).await;
    assert_eq!(
        site.get_with("/a", &en).await.text(),
        "de",
        "nothing said that they differ"
    );
    site.clock.advance(secs(11));
    assert_eq!(site.get_with("/a", &de).await.text(), "de");
    assert!(site.get_with("/a", &de).await.is_hit());
    assert_eq!(site.get_with("/a", &en).await.text(), "en");
}
