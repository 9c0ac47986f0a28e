//! Whoever is told and asks any node at once, sending nothing back, gets what is new.
//!
//! `make everywhere` runs more of it: `TAGCACHE_UPDATES` says how many updates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::Response;
use tagcache_test_support::{EventClient, Fleet, Origin, body, item_rule, serve, until};
use tower_tagcache::live::LiveSettings;
use tower_tagcache::{SystemClock, Update};

const ITEMS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_122_who_is_told_and_asks_another_node_gets_what_is_new() {
    let rounds = std::env::var("TAGCACHE_UPDATES").ok();
    let rounds = rounds.map_or(500, |rounds| rounds.parse().expect("a number"));
    let data: Arc<[AtomicU64]> = (0..ITEMS).map(|_| AtomicU64::new(0)).collect();
    let shown = Arc::clone(&data);
    let origin = Origin::answering(move |asked| {
        let item = asked.parts.uri.path().rsplit('/').next();
        let item: usize = item.and_then(|item| item.parse().ok()).expect("an item");
        Response::new(body(shown[item].load(Ordering::SeqCst).to_string()))
    });
    let fleet = Fleet::private().copying().rule(item_rule().near());
    let fleet = fleet.origin(origin);
    let node = || fleet.companied_by(fleet.builder().clock(SystemClock::new()));
    let nodes = [node(), node(), node()];
    let mut clients = Vec::new();
    for node in &nodes {
        until("the log is joined", async || {
            node.cache.position().is_some()
        })
        .await;
        let served = serve(node.cache.live(&LiveSettings::open()).unwrap()).await;
        let mut client = EventClient::open(served.address, "/events", &[]).await;
        client.next().await.expect("the opening");
        clients.push((client, served));
    }
    // Who begins first may open the log anew, which is a resync for those that began at once.
    let first = Update::new("first", "item:0").unwrap();
    nodes[0]
        .purger()
        .announcing(first)
        .tag("item:0")
        .await
        .unwrap();
    for (client, _) in &mut clients {
        while client.event().await.text("type") != "first" {}
    }
    let mut old = 0;
    for version in 1..=rounds {
        let item = fastrand::u64(..ITEMS);
        let read = async |node: usize| -> u64 {
            let answer = nodes[node].get(&format!("/item/{item}")).await;
            answer.text().parse().expect("a version")
        };
        // So that there is something old to be found.
        for node in 0..nodes.len() {
            read(node).await;
        }
        data[item as usize].store(version, Ordering::SeqCst);
        let update = Update::new("change", format!("item:{item}")).unwrap();
        let purger = nodes[fastrand::usize(..3)].purger().announcing(update);
        let telling = tokio::spawn(async move { purger.tag(format!("item:{item}")).await });
        let listener = fastrand::usize(..3);
        for (node, (client, _)) in clients.iter_mut().enumerate() {
            let event = client.event().await;
            assert_eq!(event.text("subject"), format!("item:{item}"));
            if node == listener {
                let other = (node + fastrand::usize(1..3)) % 3;
                old += u64::from(read(other).await < version);
            }
        }
        telling.await.unwrap().unwrap();
    }
    assert_eq!(old, 0, "of {rounds}");
}
