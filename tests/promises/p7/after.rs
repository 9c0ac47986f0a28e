//! A client that was told of a purge names its position, and no node answers it with what is older (PROTOCOL 26–28).

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderValue, Request};
use http_body_util::Empty;
use tagcache_test_support::{
    Answer, Fleet, Node, Origin, Site, item_rule, path, request, secs, settle, until,
};
use tokio::time::timeout;
use tower_tagcache::{Position, Rule, TellPosition};

const FIELD: &str = "cache-after";
const PAIRS: usize = 1_000;

fn after(uri: &str, position: impl ToString) -> Request<Empty<Bytes>> {
    with_lines(uri, &[position.to_string().as_bytes()])
}

fn with_lines(uri: &str, lines: &[&[u8]]) -> Request<Empty<Bytes>> {
    let mut request = path(uri);
    for line in lines {
        let line = HeaderValue::from_bytes(line).expect("a field value");
        request.headers_mut().append(FIELD, line);
    }
    request
}

/// A node with near rules that has heard from the log once and never will again: the test's clock stands still, so
/// that the lease never ends. No follower can lag more.
async fn deaf(fleet: &Fleet) -> Node {
    let node = fleet.companied();
    until("it has the lease", async || node.cache.health().followed).await;
    node.kill().await;
    node
}

async fn copied(node: &Node, uri: &str) {
    for _ in 0..3 {
        node.get(uri).await;
    }
}

/// > copy of v1 on B · purge on A @n · the client hears of n · asks B, which has not read n
#[tokio::test]
async fn pos_near_who_names_a_purge_never_gets_what_it_purged() {
    let fleet = Fleet::private().copying().rule(item_rule().near());
    let (a, b, c) = (fleet.node(), deaf(&fleet).await, deaf(&fleet).await);
    copied(&b, "/item/7").await;
    copied(&c, "/item/7").await;
    let (mut old, mut old_without) = (0, 0);
    for pair in 0..PAIRS {
        let (reading, other) = if pair % 2 == 0 { (&b, &c) } else { (&c, &b) };
        let version = format!("v{}", pair + 2);
        fleet.origin.set(&version);
        let purged = a.purger().tag("item:7").await.expect("redis is there");
        let answer = reading.send(after("/item/7", purged.position)).await;
        old += usize::from(answer.body != version);
        old_without += usize::from(other.get("/item/7").await.body != version);
        copied(reading, "/item/7").await;
    }
    assert_eq!(old, 0, "of {PAIRS}");
    // Without the position they do get it: they lag.
    assert!(old_without > PAIRS / 2, "{old_without} of {PAIRS}");
}

/// > soft purge @n · the client hears of n · asks · v1, "stale"
#[tokio::test]
async fn soft_pos_who_names_a_soft_purge_gets_nothing_stale() {
    let rule = || {
        item_rule()
            .stale_while_revalidate(secs(60))
            .stale_if_error(secs(60))
    };
    for rule in [rule(), rule().near()] {
        let fleet = Fleet::new().copying().rule(rule);
        let (a, b) = (fleet.companied(), fleet.companied());
        for node in [&a, &b] {
            node.warm("/item/7").await;
        }
        fleet.origin.set("v2");
        let purged = a
            .purger()
            .soft()
            .tag("item:7")
            .await
            .expect("redis is there");
        let told = b.send(after("/item/7", purged.position)).await;
        assert_eq!(told.body, "v2", "{}", told.how());
        assert_eq!(told.param("fwd"), Some("stale"), "{}", told.how());
        assert_eq!(told.detail(), "soft-purged");
    }
}

/// What is not exactly one position, as if it were not there; and positions that are not in the log.
fn mistakes(tip: Position) -> (Vec<Vec<Vec<u8>>>, Vec<Position>) {
    let tip_text = tip.to_string().into_bytes();
    let ignored = vec![
        vec![b"".to_vec()],
        vec![b"tomorrow".to_vec()],
        vec![b"-1-0".to_vec()],
        vec![b"1".to_vec()],
        vec![b"01-1".to_vec()],
        vec![b"1-1, 1-2".to_vec()],
        vec![vec![b'1'; 8_000]],
        vec![b"18446744073709551616-1".to_vec()],
        vec![b"1-\xff\xfe".to_vec()],
        vec!["１-１".as_bytes().to_vec()],
        vec![tip_text.clone(), tip_text],
    ];
    let epoch = tip.epoch.get();
    let unknown = vec![
        Position::new(epoch, tip.ordinal + 1),
        Position::new(epoch, u64::MAX),
        Position::new(epoch - 1, 0),
        Position::new(epoch + 1, tip.ordinal),
        Position::new(0, 0),
        Position::new(u64::MAX, u64::MAX),
    ];
    (ignored, unknown)
}

async fn judge_mistakes(fleet: &Fleet, node: &Node) {
    let position = node
        .purger()
        .tag("item:1")
        .await
        .expect("redis is there")
        .position;
    let plain = node.warm("/item/7").await;
    let entries = fleet.entries().await;
    let (ignored, unknown) = mistakes(position);
    for lines in ignored {
        let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
        let answer = node.send(with_lines("/item/7", &lines)).await;
        assert!(answer.is_hit(), "{lines:?}: {}", answer.how());
        assert_eq!(answer.body, plain.body);
    }
    let known = node.send(after("/item/7", position)).await;
    assert!(known.is_hit(), "{}", known.how());
    for position in unknown {
        let answer = node.send(after("/item/7", position)).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &plain.body));
        assert_eq!(
            answer.param("fwd"),
            Some("request"),
            "{position}: {}",
            answer.how()
        );
        assert_eq!(answer.detail(), "unknown-position");
        assert_eq!(
            fleet.origin.last().field(FIELD),
            None,
            "nobody else hears of it"
        );
        assert!(node.warm("/item/7").await.is_hit(), "it is stored as ever");
    }
    assert_eq!(
        fleet.entries().await,
        entries,
        "no other key for any of them"
    );
}

#[tokio::test]
async fn a_position_that_is_none_or_not_in_the_log_is_a_miss_at_the_most() {
    for rule in [item_rule(), item_rule().near()] {
        let fleet = Fleet::new().copying().rule(rule);
        judge_mistakes(&fleet, &fleet.companied()).await;
        judge_mistakes(&fleet, &fleet.node()).await;
    }
}

fn page() -> Rule {
    Rule::new("page", "/{page}")
        .ttl(secs(60))
        .tag("page:{page}")
}

async fn ask(site: &Site, target: &str, position: Option<Position>) -> Answer {
    let text = position.map(|position| position.to_string());
    let field = text.as_deref().map(|text| (FIELD, text));
    site.send(request("GET", target, field.as_slice())).await
}

#[tokio::test]
async fn on_an_embedded_store_it_is_the_same() {
    let site = Site::new(page(), &Origin::new());
    let purged = site
        .cache
        .purger()
        .tag("page:b")
        .await
        .expect("it is in this process");
    assert!(!site.get("/a").await.is_hit());
    assert!(ask(&site, "/a", Some(purged.position)).await.is_hit());
    let unknown = Position::new(purged.position.epoch.get(), purged.position.ordinal + 1);
    let missed = ask(&site, "/a", Some(unknown)).await;
    assert_eq!(
        (missed.param("fwd"), missed.detail()),
        (Some("request"), "unknown-position")
    );
    assert_eq!(site.origin.last().field(FIELD), None);
    site.cache
        .purger()
        .tag("page:b")
        .await
        .expect("it is in this process");
    assert!(
        ask(&site, "/a", Some(unknown)).await.is_hit(),
        "now it is there"
    );
}

#[tokio::test]
async fn what_liars_force_is_bounded_by_rule_and_second() {
    let site = Site::built(
        |builder| {
            builder
                .rule(page())
                .rule(Rule::new("other", "/o/{page}").ttl(secs(60)))
        },
        &Origin::new(),
    );
    let lie = Some(Position::new(1, 1));
    for target in ["/a", "/o/a"] {
        site.get(target).await;
    }
    let before = site.origin.calls();
    for _ in 0..1_000 {
        assert_eq!(ask(&site, "/a", lie).await.status, 200);
    }
    assert_eq!(site.origin.calls() - before, 100);
    let ignored = ask(&site, "/a", lie).await;
    assert!(
        ignored.is_hit(),
        "as if it had said nothing: {}",
        ignored.how()
    );
    assert!(
        !ask(&site, "/o/a", lie).await.is_hit(),
        "another rule has its own"
    );
    site.clock.advance(secs(1));
    assert!(!ask(&site, "/a", lie).await.is_hit());
}

#[tokio::test]
async fn the_parameter_is_heard_where_the_rule_says_so_and_nowhere_else() {
    let site = Site::new(page().after_parameter(), &Origin::new());
    let lie = Position::new(1, 1);
    for (target, forwarded) in [
        ("/a", "/a"),
        (&*format!("/a?after={lie}"), "/a"),
        ("/a?after=", "/a"),
        (&format!("/a?b=1&after={lie}&c=2"), "/a?b=1&c=2"),
    ] {
        let first = site.get(target).await;
        if !first.is_hit() {
            assert_eq!(site.origin.last().parts.uri, forwarded, "{target}");
        }
        assert!(site.get(forwarded).await.is_hit(), "{target}");
    }
    assert_eq!(
        site.get(&format!("/a?after={lie}")).await.detail(),
        "unknown-position"
    );
    let purged = site
        .cache
        .purger()
        .tag("page:b")
        .await
        .expect("it is in this process");
    let named = site.get(&format!("/a?after={}", purged.position)).await;
    assert!(named.is_hit(), "{}", named.how());

    let site = Site::new(page(), &Origin::new());
    let target = format!("/a?after={lie}");
    site.get(&target).await;
    assert_eq!(
        site.origin.last().parts.uri,
        &*target,
        "a parameter like any other"
    );
    assert!(site.get(&target).await.is_hit());
    assert!(!site.get("/a").await.is_hit());
}

#[tokio::test]
async fn the_position_of_an_answer_is_told_to_whom_the_program_says() {
    let site = Site::new(page().stale_while_revalidate(secs(60)), &Origin::new());
    let ask = async |target: &str| {
        let mut request = request("GET", target, &[]);
        request.extensions_mut().insert(TellPosition);
        site.send(request).await
    };
    let first = site
        .cache
        .purger()
        .tag("page:b")
        .await
        .expect("it is in this process");
    let at = |position: Position| format!("\"{position}\"");
    assert_eq!(
        ask("/a").await.param("position"),
        Some(&*at(first.position)),
        "a miss"
    );
    let second = site
        .cache
        .purger()
        .tag("page:b")
        .await
        .expect("it is in this process");
    let hit = ask("/a").await;
    assert!(hit.is_hit());
    assert_eq!(
        hit.param("position"),
        Some(&*at(first.position)),
        "known before its generation"
    );
    site.clock.advance(secs(61));
    let stale = ask("/a").await;
    assert_eq!(stale.detail(), "stale-while-revalidate");
    assert_eq!(stale.param("position"), Some(&*at(first.position)));
    assert_eq!(
        ask("/a").await.param("position"),
        Some(&*at(second.position)),
        "refreshed"
    );
    assert_eq!(
        site.get("/a").await.param("position"),
        None,
        "to nobody else"
    );
}

/// > a fill reads v1 · purge on the new master · the client asks a node on the old one, which knows nothing of it, and
/// > joins · v1
#[tokio::test]
async fn pos_epoch_who_names_what_the_log_has_not_joins_nobody_who_began_before() {
    let site = Site::new(page(), &Origin::new());
    let held = site.origin.hold();
    let early = tokio::spawn({
        let site = site.clone();
        async move { site.get("/a").await }
    });
    until("it is called", async || site.origin.calls() == 1).await;
    site.origin.set("v2");
    let asked = async {
        settle().await;
        held.release();
    };
    let (told, ()) = tokio::join!(ask(&site, "/a", Some(Position::new(2, 1))), asked);
    assert_eq!(told.body, "v2", "{}", told.how());
    assert_eq!(early.await.expect("no panic").body, "v1");
}

#[tokio::test]
async fn those_who_name_what_the_log_has_not_share_a_call_that_is_still_to_come() {
    let site = Site::new(page(), &Origin::new());
    site.get("/a").await;
    let unknown = || ask(&site, "/a", Some(Position::new(2, 1)));
    let answers = join_all((0..50).map(|_| unknown())).await;
    for answer in &answers {
        assert_eq!(
            (answer.param("fwd"), answer.detail()),
            (Some("request"), "unknown-position")
        );
    }
    assert_eq!(site.origin.calls(), 2, "one for all of them");
}

#[tokio::test]
async fn who_names_what_the_log_has_not_waits_for_no_claim_of_another_node() {
    let fleet = Fleet::new().rule(item_rule().fleet_coalesce(secs(15)));
    let (a, b) = (fleet.node(), fleet.node());
    let mut held = fleet.origin.hold();
    let early = a.begin(path("/item/7"));
    held.arrived().await;
    fleet.origin.set("v2");
    let told = b.send(after("/item/7", Position::new(2, 1)));
    let told = timeout(secs(5), told).await.expect("A has the claim still");
    assert_eq!(told.body, "v2", "{}", told.how());
    held.release();
    assert_eq!(early.await.expect("no panic").body, "v1");
}
