//! A purge while a call of the inner service is under way (SAFETY 37, 38).

use tagcache_test_support::{Call, Origin, Stream};
use tokio_test::{assert_pending, task};
use tower::{Layer, ServiceExt};

use crate::{cache, get, is_hit, rule, settle, status, text};

/// How far the old response has come when the purge returns.
enum Stage {
    Called(Box<Call>),
    Headed(Stream),
    Half(Stream),
}

impl Stage {
    fn finish(self) {
        match self {
            Self::Called(call) => call.answer("old"),
            Self::Headed(stream) => stream.send("old"),
            Self::Half(stream) => stream.send("ld"),
        }
    }
}

#[tokio::test]
async fn safety_37_and_38_who_comes_after_the_purge_never_gets_the_old_response() {
    type Reach = fn(Call) -> Stage;
    let stages: [(&str, Reach); 3] = [
        ("called", |call| Stage::Called(Box::new(call))),
        ("headed", |call| Stage::Headed(call.stream())),
        ("half read", |call| {
            let stream = call.stream();
            stream.send("o");
            Stage::Half(stream)
        }),
    ];
    for (name, reach) in stages {
        let (origin, mut calls) = Origin::by_hand();
        let cache = cache(rule());
        let service = cache.layer().layer(origin);
        let ask = || task::spawn(service.clone().oneshot(get("/a")));
        let mut leader = ask();
        assert_pending!(leader.poll(), "{name}");
        let stage = reach(calls.next().await);
        settle().await;

        cache.purger().tag("page:a").await.expect("the log is here");
        // Two who come after: one new call for both.
        let after = [
            tokio::spawn(service.clone().oneshot(get("/a"))),
            tokio::spawn(service.clone().oneshot(get("/a"))),
        ];
        settle().await;
        stage.finish();
        settle().await;
        let call = calls.next().await;
        call.answer("new");
        for asked in after {
            let response = asked.await.expect("no panic").expect("it answers");
            assert_eq!(text(response).await, "new", "{name}");
        }
        assert!(calls.are_over().await, "{name}");
        // The one who asked before gets what it asked for.
        assert_eq!(
            text(leader.await.expect("it answers")).await,
            "old",
            "{name}"
        );
        let hit = service
            .clone()
            .oneshot(get("/a"))
            .await
            .expect("it answers");
        assert!(is_hit(&hit), "{name}: {}", status(&hit));
        assert_eq!(text(hit).await, "new", "{name}");
    }
}

#[tokio::test]
async fn purges_that_come_one_upon_the_other_do_not_keep_a_request_for_ever() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache(rule());
    let service = cache.layer().layer(origin);
    let ask = || tokio::spawn(service.clone().oneshot(get("/a")));
    let mut asked: Vec<_> = (0..20).map(|_| ask()).collect();
    settle().await;
    // Each flight is purged before its head is there; its followers replace it.
    let mut rounds = 0;
    loop {
        let under_way = calls.all().await;
        rounds += 1;
        cache.purger().tag("page:a").await.expect("the log is here");
        for call in under_way {
            call.answer("purged");
        }
        settle().await;
        asked.retain(|asked| !asked.is_finished());
        if asked.is_empty() {
            break;
        }
    }
    assert!(rounds <= 5, "{rounds} rounds");
}

#[tokio::test]
async fn a_purge_before_the_first_request_is_not_held_against_those_after_it() {
    let (origin, mut calls) = Origin::by_hand();
    let cache = cache(rule());
    cache.purger().tag("page:a").await.expect("the log is here");
    let service = cache.layer().layer(origin);
    let first = tokio::spawn(service.clone().oneshot(get("/a")));
    calls.next().await.answer("a");
    text(first.await.expect("no panic").expect("it answers")).await;
    let second = service.oneshot(get("/a")).await.expect("it answers");
    assert!(is_hit(&second), "{}", status(&second));
}
