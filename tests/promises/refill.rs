//! SAFETY 61 and 62 on several nodes: what a fleet asks of its inner service when responses end or are
//! gone.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use bytes::Bytes;
use http::Response;
use tagcache_test_support::{Answer, Fleet, Held, Node, Origin, item_rule, until};
use tokio::task::JoinHandle;
use tower_tagcache::{ManualClock, Rule};

/// An origin that takes a second to answer, by the clock of the fleet.
fn slow(fleet: Fleet) -> Fleet {
    let clock: ManualClock = fleet.clock.clone();
    fleet.origin(Origin::of_data(move |_, data| {
        clock.advance(Duration::from_secs(1));
        Response::new(Bytes::copy_from_slice(data.as_bytes()))
    }))
}

/// A node of `fleet` whose near copies hold for a minute, and whose hits are chosen whenever they can.
fn eager(fleet: &Fleet) -> Node {
    let lease = Duration::from_secs(60);
    let builder = fleet.builder().longest_lease(lease).lease(lease);
    let builder = builder.fleet_claim(2 * BUDGET).coalesce_timeout(2 * BUDGET);
    fleet.companied_by(builder.chance(|| 0.0))
}

/// Whether `uri` is a hit that Redis was not asked about.
async fn is_near_hit(fleet: &Fleet, node: &Node, uri: &str) -> bool {
    let before = fleet.server.calls("get").await;
    let hit = node.get(uri).await.is_hit();
    hit && fleet.server.calls("get").await == before
}

#[tokio::test]
async fn safety_61_a_near_hit_is_chosen_to_fetch_behind_and_the_copy_is_replaced() {
    let rule = item_rule().near().refresh_early(1.0);
    let fleet = slow(Fleet::private().copying().rule(rule));
    let node = eager(&fleet);
    until("the copy answers", async || {
        is_near_hit(&fleet, &node, "/item/7").await
    })
    .await;
    fleet.clock.advance(Duration::from_secs(40));
    assert!(
        is_near_hit(&fleet, &node, "/item/7").await,
        "asks nothing yet"
    );
    assert_eq!(fleet.origin.calls(), 1);
    fleet.origin.set("v2");
    // In the last 14 s, in which one may be chosen.
    fleet.clock.advance(Duration::from_secs(10));
    let chosen = node.get("/item/7").await;
    assert_eq!((chosen.is_hit(), chosen.text()), (true, "v1"));
    until("the copy is replaced", async || {
        let answer = node.get("/item/7").await;
        assert!(answer.is_hit(), "nobody waits: {}", answer.how());
        answer.body == "v2"
    })
    .await;
    assert!(is_near_hit(&fleet, &node, "/item/7").await);
    assert_eq!(fleet.origin.calls(), 2);
}

#[tokio::test]
async fn safety_61_how_long_a_response_took_is_known_to_the_other_nodes() {
    let rule = item_rule().refresh_early(1.0);
    let fleet = slow(Fleet::private().rule(rule));
    let (one, other) = (eager(&fleet), eager(&fleet));
    one.warm("/item/7").await;
    fleet.clock.advance(Duration::from_secs(50));
    assert!(other.get("/item/7").await.is_hit());
    until("it is fetched behind", async || fleet.origin.calls() == 2).await;
}

const NODES: usize = 4;
const BUDGET: Duration = Duration::from_secs(60);

/// Nodes of a fleet in which one fetches for all, and the name of their claims.
struct Together {
    fleet: Fleet,
    nodes: Vec<Arc<Node>>,
}

impl Together {
    fn new(rule: Rule) -> Self {
        Self::of(Fleet::private().rule(rule))
    }

    fn of(fleet: Fleet) -> Self {
        let nodes = (0..NODES).map(|_| Arc::new(eager(&fleet))).collect();
        Self { fleet, nodes }
    }

    /// Waits until every node knows the purge log: what it has from before the log was lost does not
    /// show that, so it is asked for something new each time.
    async fn know_the_log(&self) {
        let asked = self.fleet.origin.calls();
        for (number, node) in self.nodes.iter().enumerate() {
            node.warm(&format!("/item/warm{number}-{asked}")).await;
        }
    }

    /// Asks every node so many times at once.
    fn ask(&self, times: usize, uri: &str) -> Vec<JoinHandle<Answer>> {
        let each = |node: &Arc<Node>| {
            let (node, uri) = (Arc::clone(node), uri.to_owned());
            tokio::spawn(async move { node.get(&uri).await })
        };
        let nodes = self.nodes.iter();
        nodes
            .flat_map(|node| (0..times).map(move |_| each(node)))
            .collect()
    }

    /// The first node fetches `/item/7`, and its call is held.
    async fn fetching(&self) -> (Held, JoinHandle<Answer>) {
        let mut held = self.fleet.origin.hold();
        let first = Arc::clone(&self.nodes[0]);
        let first = tokio::spawn(async move { first.get("/item/7").await });
        held.arrived().await;
        (held, first)
    }

    /// The claims that there are.
    async fn claims(&self) -> Vec<String> {
        let pattern = format!("{}:claim:*", self.fleet.namespace);
        let keys = self.fleet.server.command(&["KEYS", &pattern]).await;
        ::redis::from_redis_value(keys).expect("a list of keys")
    }

    async fn claim(&self) -> String {
        let claims = self.claims().await;
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims.into_iter().next().unwrap()
    }

    async fn until_no_claim_is_left(&self) {
        until("claims are given back", async || {
            self.claims().await.is_empty()
        })
        .await;
    }
}

async fn bodies(asking: Vec<JoinHandle<Answer>>) -> Vec<Bytes> {
    let mut bodies = Vec::new();
    for asked in asking {
        bodies.push(asked.await.expect("an answer").body);
    }
    bodies.dedup();
    bodies
}

#[tokio::test]
async fn safety_62_a_fleet_that_starts_cold_after_a_flush_calls_once_for_each_key() {
    for rule in [item_rule(), item_rule().near()] {
        let together = Together::new(rule.fleet_coalesce(BUDGET));
        together.know_the_log().await;
        together.fleet.server.command(&["FLUSHALL"]).await;
        together.know_the_log().await;
        let before = together.fleet.origin.calls();
        let keys = (0..20).map(|key| together.ask(5, &format!("/item/{key}")));
        for asking in keys.collect::<Vec<_>>() {
            assert_eq!(bodies(asking).await, ["v1"]);
        }
        assert_eq!(together.fleet.origin.calls() - before, 20);
        together.until_no_claim_is_left().await;
    }
}

#[tokio::test]
async fn safety_62_one_node_fetches_while_all_others_wait_for_it_if_the_rule_says_so() {
    for (rule, calls) in [
        (item_rule(), NODES),
        (item_rule().fleet_coalesce(BUDGET), 1),
    ] {
        let together = Together::new(rule);
        together.know_the_log().await;
        let (fleet, before) = (&together.fleet, together.fleet.origin.calls());
        let mut held: Vec<_> = (0..calls).map(|_| fleet.origin.hold()).collect();
        let asking = together.ask(1, "/item/7");
        for held in &mut held {
            held.arrived().await;
        }
        if calls == 1 {
            let sets = fleet.server.calls("set").await;
            until("the others look, and look again", async || {
                fleet.server.calls("set").await >= sets + 3 * NODES as u64
            })
            .await;
        }
        held.into_iter().for_each(Held::release);
        assert_eq!(bodies(asking).await, ["v1"]);
        assert_eq!(fleet.origin.calls() - before, calls);
    }
}

#[tokio::test]
async fn the_claim_of_a_dead_holder_ends_with_its_time_or_the_budget_of_who_waits() {
    let patient = (item_rule().fleet_coalesce(BUDGET), "300");
    let short = Duration::from_millis(200);
    for (rule, lasts) in [patient, (item_rule().fleet_coalesce(short), "600000")] {
        let together = Together::new(rule);
        together.know_the_log().await;
        let (fleet, before) = (&together.fleet, together.fleet.origin.calls());
        let (held, first) = together.fetching().await;
        let claim = together.claim().await;
        let holder = fleet.server.command(&["GET", &claim]).await;
        let holder: String = ::redis::from_redis_value(holder).unwrap();
        held.release();
        first.await.unwrap();
        together.until_no_claim_is_left().await;
        // As if it had died in the middle.
        fleet.forget_entries().await;
        fleet
            .server
            .command(&["SET", &claim, &holder, "PX", lasts])
            .await;
        let answer = together.nodes[1].get("/item/7").await;
        assert_eq!(answer.body, "v1");
        assert_eq!(fleet.origin.calls() - before, 2);
        let left = fleet.server.command(&["GET", &claim]).await;
        let by_itself = lasts == "600000";
        assert_eq!(
            left == Value::BulkString(holder.into()),
            by_itself,
            "{left:?}"
        );
    }
}

#[tokio::test]
async fn joiner_a_waiter_on_a_claim_does_not_get_what_a_purge_has_made_old() {
    let together = Together::new(item_rule().fleet_coalesce(BUDGET));
    together.know_the_log().await;
    let (fleet, before) = (&together.fleet, together.fleet.origin.calls());
    let (held, first) = together.fetching().await;
    fleet.origin.set("v2");
    together.nodes[1].purger().tag("item:7").await.unwrap();
    // Neither waits for the first: its claim is taken over, and by one of them.
    let asking: Vec<_> = together.ask(3, "/item/7").split_off(3);
    assert_eq!(bodies(asking).await, ["v2"]);
    assert_eq!(fleet.origin.calls() - before, 2);
    held.release();
    assert_eq!(first.await.unwrap().body, "v1", "asked before the purge");
    for node in &together.nodes {
        assert_eq!(node.get("/item/7").await.body, "v2");
    }
}

#[tokio::test]
async fn a_stale_response_is_refreshed_by_one_node_and_nobody_waits() {
    let early = item_rule().refresh_early(1.0).fleet_coalesce(BUDGET);
    let stale = item_rule()
        .stale_while_revalidate(Duration::from_secs(60))
        .fleet_coalesce(BUDGET);
    for (rule, after) in [(early, 50), (stale, 61)] {
        let together = Together::of(slow(Fleet::private().rule(rule)));
        together.know_the_log().await;
        let fleet = &together.fleet;
        together.nodes[0].warm("/item/7").await;
        fleet.clock.advance(Duration::from_secs(after));
        let before = fleet.origin.calls();
        let mut held = fleet.origin.hold();
        assert!(together.nodes[0].get("/item/7").await.is_hit());
        held.arrived().await;
        let claims = fleet.server.calls("set").await;
        for node in &together.nodes {
            let answer = node.get("/item/7").await;
            assert!(answer.is_hit() && answer.body == "v1", "{}", answer.how());
        }
        until("the others have tried", async || {
            fleet.server.calls("set").await >= claims + NODES as u64 - 1
        })
        .await;
        held.release();
        together.until_no_claim_is_left().await;
        assert_eq!(fleet.origin.calls() - before, 1);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_claim_on_what_is_not_for_others() {
    let private = Origin::of_data(|_, data| {
        let mut response = Response::new(Bytes::copy_from_slice(data.as_bytes()));
        let value = "private".parse().unwrap();
        response.headers_mut().insert("cache-control", value);
        response
    });
    let rule = item_rule().fleet_coalesce(BUDGET);
    let together = Together::of(Fleet::private().rule(rule).origin(private));
    together.nodes[0].get("/item/7").await;
    let claim = together.claim().await;
    until("the fleet is told", async || {
        together.fleet.server.command(&["GET", &claim]).await == Value::BulkString(b"-".into())
    })
    .await;
    for node in &together.nodes {
        let answer = node.get("/item/7").await;
        assert_eq!(answer.param("fwd-status"), None);
        assert!(!answer.how().contains("collapsed"), "{}", answer.how());
    }
    assert_eq!(together.fleet.origin.calls(), 1 + NODES);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_node_waits_for_another_strands_nobody() {
    let together = Together::new(item_rule().fleet_coalesce(BUDGET));
    together.know_the_log().await;
    let (fleet, before) = (&together.fleet, together.fleet.origin.calls());
    let (held, first) = together.fetching().await;
    let leaves = Arc::clone(&together.nodes[1]);
    let leaves = tokio::spawn(async move { leaves.get("/item/7").await });
    let sets = fleet.server.calls("set").await;
    until("it waits", async || fleet.server.calls("set").await > sets).await;
    leaves.abort();
    let stays = together.ask(1, "/item/7");
    held.release();
    assert_eq!(bodies(stays).await, ["v1"]);
    first.await.unwrap();
    assert_eq!(fleet.origin.calls() - before, 1);
}
