//! Alerts: in order, once by their key, whatever becomes of receivers and nodes; and on the live channel.

use std::time::Duration;

use serde_json::Value as Json;
use tagcache_test_support::{EventClient, RedisServer, ends, serve, until};
use tokio::task::JoinHandle;
use tower_tagcache::live::LiveSettings;
use tower_tagcache::outgoing::{OutgoingSettings, WebhookSettings};
use tower_tagcache::{ActivityQuery, AlertRule, Cache, CacheBuilder, ManualClock, Update};

use crate::receiver::{Posted, Receiver};

const SECRET: &str = "a secret of thirty-two bytes or more";

/// A node, which dies when this is dropped.
struct Node {
    cache: Cache,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    fn begin(builder: CacheBuilder) -> Self {
        let (cache, companion) = builder.build().unwrap();
        let task = tokio::spawn(companion.run(std::future::pending()));
        Self { cache, task }
    }

    async fn sell(&self, n: u64, amount: &str) {
        let sale = Update::new("sale", format!("auction:{n}")).unwrap();
        let sale = sale.with_identity(format!("sale/{n}")).unwrap();
        let sale = sale.with_field("amount", amount).unwrap();
        let purger = self.cache.purger().announcing(sale);
        ends("a sale", purger.targets([])).await.unwrap();
    }

    async fn failed(&self) -> Vec<String> {
        let failed = self.cache.activity().unwrap().failed_alerts(100).await;
        failed
            .unwrap()
            .into_iter()
            .map(|failed| failed.queue)
            .collect()
    }
}

fn rule(name: &str, webhooks: &[&str]) -> AlertRule {
    AlertRule::new(name)
        .when("amount >= 100")
        .webhooks(webhooks.iter().copied())
}

/// With a webhook for each receiver.
fn builder(receivers: &[(&str, &Receiver)]) -> CacheBuilder {
    let outgoing = OutgoingSettings::default()
        .allow_plain(true)
        .networks(["127.0.0.0/8"])
        .timeout(Duration::from_millis(500));
    let webhooks = receivers
        .iter()
        .map(|(name, receiver)| WebhookSettings::new(*name, receiver.url()).secret(SECRET));
    webhooks.fold(Cache::builder().outgoing(outgoing), CacheBuilder::webhook)
}

fn sales(posted: &[Posted]) -> Vec<String> {
    posted.iter().map(Posted::identity).collect()
}

fn identities(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| format!("sale/{n}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_for_ten_minutes_gets_each_alert_once_and_in_order() {
    let redis = RedisServer::start();
    let clock = ManualClock::default();
    let (ops, other, hangs) = tokio::join!(Receiver::start(), Receiver::start(), Receiver::start());
    let node = || {
        let receivers = [("ops", &ops), ("other", &other), ("hangs", &hangs)];
        let builder = builder(&receivers).redis(redis.url()).clock(clock.clone());
        let builder = builder.alert(rule("big", &["ops", "other", "hangs"]));
        Node::begin(builder.alert(rule("also", &["ops"])))
    };
    ops.answer(503);
    hangs.answer(0);
    let mut first = node();
    for n in 0..20 {
        first.sell(n, "100").await;
    }
    first.sell(99, "99").await;
    until("another receiver has all of them", async || {
        sales(&other.all()) == identities(0..20)
    })
    .await;
    // Ten minutes, in which the process is killed twice.
    for second in (0..600).step_by(5) {
        clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(4)).await;
        if second == 200 || second == 400 {
            first = node();
        }
    }
    assert_eq!(ops.all().len(), 0);
    ops.answer(200);
    let (advance, by) = (clock.clone(), Duration::from_secs(20));
    let goes_on = tokio::spawn(async move {
        loop {
            advance.advance(by);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let of_rule = |rule: &str| {
        let mut posts = ops.all();
        posts.retain(|posted| posted.json["rule"] == rule);
        sales(&posts)
    };
    for rule in ["big", "also"] {
        until("all alerts of a rule", async || of_rule(rule).len() >= 20).await;
        assert_eq!(of_rule(rule), identities(0..20), "{rule}: once, in order");
    }
    goes_on.abort();
    assert_eq!(ops.distinct().len(), 40, "a key for each rule and sale");
    let alert = &ops.all()[0].json;
    assert_eq!(alert["data"]["amount"], "100");
    assert_eq!(alert["id"].as_str().unwrap().len(), 32);
    assert_eq!(hangs.all().len(), 0);
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_refuses_can_be_sent_again() {
    let (redis, ops) = (RedisServer::start(), Receiver::start().await);
    for shared in [false, true] {
        let builder = builder(&[("ops", &ops)]).alert(rule("big", &["ops"]));
        let builder = if shared {
            builder.redis(redis.url())
        } else {
            builder
        };
        let node = Node::begin(builder);
        ops.answer(410);
        let before = ops.all().len();
        for n in 0..3 {
            node.sell(n, "7000").await;
        }
        let failed = ["big/webhook/ops"; 3];
        until("they are given up", async || node.failed().await == failed).await;
        ops.answer(204);
        let activity = node.cache.activity().unwrap();
        let all = activity.failed_alerts(3).await.unwrap();
        assert!(all[0].reason.contains("410"), "{}", all[0].reason);
        assert_eq!(activity.send_again(Some(&all[1].id)).await.unwrap(), 1);
        assert!(activity.send_again(Some("1")).await.is_err());
        until("one is there", async || ops.all().len() == before + 1).await;
        assert_eq!(activity.send_again(None).await.unwrap(), 2);
        until("all are there", async || ops.all().len() == before + 3).await;
        let order = sales(&ops.all()[before..]);
        assert_eq!(order, ["sale/1", "sale/0", "sale/2"]);
        assert!(node.failed().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_alerts_is_told_of_them_and_others_are_not() {
    let big = rule("big", &[]).message("Sale of {amount}");
    let node = Node::begin(Cache::builder().alert(big));
    until("the log is joined", async || {
        node.cache.position().is_some()
    })
    .await;
    let live = serve(node.cache.live(&LiveSettings::open()).unwrap()).await;
    let open = |path| EventClient::open(live.address, path, &[]);
    let mut alerts = open("/events/alerts").await;
    let mut of_rule = open("/events/alerts/big").await;
    let mut of_other = open("/events/alerts/other").await;
    let mut updates = open("/events").await;
    node.sell(1, "99").await;
    node.sell(2, "100").await;
    for client in [&mut alerts, &mut of_rule] {
        let told = loop {
            let event = ends("an alert", client.next()).await.unwrap();
            if event.data.is_some() {
                break event;
            }
        };
        assert_eq!(told.event.as_deref(), Some("alert"));
        let data = told.data.unwrap();
        assert_eq!(data["subject"], "alerts:big");
        assert_eq!(data["data"]["message"], "Sale of 100");
        assert_eq!(data["data"]["identity"], "sale/2");
    }
    // What tells that all before it was told.
    node.sell(3, "1").await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = ends("a sale", updates.next()).await.unwrap();
        if event.data.is_some() {
            seen.push(event.text("identity").to_owned());
        }
    }
    assert_eq!(seen, ["sale/1", "sale/2", "sale/3"], "sales alone");
    let other = tokio::time::timeout(Duration::from_millis(50), async {
        loop {
            let event = of_other.next().await.unwrap();
            if event.data.is_some() {
                break event;
            }
        }
    });
    assert!(other.await.is_err(), "no rule has this name");
    let page = node
        .cache
        .activity()
        .unwrap()
        .read(&ActivityQuery::new())
        .await;
    let kinds: Vec<Json> = page
        .unwrap()
        .entries
        .iter()
        .map(|entry| serde_json::from_str::<Json>(&entry.json).unwrap()["type"].clone())
        .collect();
    assert_eq!(kinds, ["sale", "sale", "sale"], "an alert is no activity");
}

#[tokio::test]
async fn a_webhook_into_a_private_network_is_refused_when_the_cache_is_built() {
    for url in [
        "http://hooks.example.org/",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://2130706433/",
        "https://localhost/",
        "ftp://hooks.example.org/",
        "hooks",
    ] {
        let webhook = WebhookSettings::new("ops", url).secret(SECRET);
        let built = Cache::builder()
            .webhook(webhook)
            .alert(rule("big", &["ops"]))
            .build();
        let error = built.map(drop).expect_err(url);
        assert!(
            error.to_string().contains("webhook `ops`"),
            "{url}: {error}"
        );
    }
}
