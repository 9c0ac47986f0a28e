//! People in the other region are told when its own copy of a purge is everywhere there.

use std::collections::BTreeMap;
use std::time::Duration;

use tagcache_test_support::{Fleet, Origin, item_rule};
use tokio::time::timeout;
use tower_tagcache::{SystemClock, Update, UpdateMessage};

use crate::Running;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn safety_158_who_is_told_in_the_other_region_gets_nothing_old_on_any_node_there() {
    let origin = Origin::new();
    let fleet = || {
        let fleet = Fleet::private().copying().rule(item_rule().near());
        fleet.origin(origin.clone())
    };
    let (us, eu) = (fleet(), fleet());
    let node = |fleet: &Fleet| fleet.companied_by(fleet.builder().clock(SystemClock::new()));
    let in_us = node(&us);
    let in_eu = [(); 3].map(|()| node(&eu));
    let mut relay = Running::between("us", &us, &eu);
    relay.begun().await;
    let mut updates = in_eu[0].cache.updates();
    let mut told = BTreeMap::new();
    for version in 1..=20_u32 {
        for node in &in_eu {
            node.get("/item/7").await;
        }
        let text = format!("v{version}");
        origin.set(&text);
        let update = Update::new("change", "item:7").expect("an update");
        let update = update.with_identity(&text).expect("a word");
        let purger = in_us.cache.purger().in_log();
        let purger = match version % 3 {
            0 => purger.settle(Duration::from_millis(20)),
            _ => purger,
        };
        purger
            .announcing(update)
            .tag("item:7")
            .await
            .expect("it is in the log");
        if version == 10 {
            relay.kill().await;
            relay = Running::between("us", &us, &eu);
        }
        loop {
            let message = timeout(PATIENCE, updates.recv()).await;
            let Some(UpdateMessage::Update(announced)) = message.expect("it is told") else {
                continue;
            };
            *told
                .entry(announced.update.identity().to_owned())
                .or_insert(0) += 1;
            if announced.update.identity() == text {
                break;
            }
        }
        for node in &in_eu {
            assert_eq!(node.get("/item/7").await.text(), text, "told, and then old");
        }
    }
    assert!(
        told.values().all(|times| *times == 1),
        "each once: {told:?}"
    );
    assert_eq!(told.len(), 20);
}
