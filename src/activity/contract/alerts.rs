//! Alerts, and browsers that want them.

use super::*;

pub(crate) fn alert(id: u128, queues: &[&str], limit: Option<(u32, Duration)>) -> AlertToRaise {
    AlertToRaise {
        id,
        rule: "big".into(),
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
        json: format!("{{\"n\":{id},\"text\":\"a b\\n\"}}"),
        limit,
    }
}

pub(crate) fn raising(block: u64, now: u64, alerts: Vec<AlertToRaise>) -> ActivityChange {
    let update = update(1, block, 0, "all");
    let mut sighting = sighting(&update, "all", Some((block, 0)), now);
    sighting.alerts = alerts;
    ActivityChange::Event(Box::new(sighting))
}

pub(crate) async fn alerts_wait_in_order_until_they_are_settled(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let both = ["big/webhook/ops", "big/live"];
    let raise = |block, id| raising(block, 0, vec![alert(id, &both, None)]);
    teller
        .tell(vec![
            raise(1, 11),
            raise(2, 12),
            raise(1, 13),
            raise(3, 11),
            raise(4, 14),
        ])
        .await;
    let mut queues = store.queues().await.unwrap();
    queues.sort();
    assert_eq!(queues.join(" "), "big/live big/webhook/ops");
    let ops = both[0];
    let first = async || store.first(KEEPER, ops).await.unwrap();
    let alert = first().await.unwrap();
    assert_eq!((alert.id, alert.attempts, alert.suppressed), (11, 0, 0));
    assert_eq!(alert.json, "{\"n\":11,\"text\":\"a b\\n\"}");
    let again = Settlement::Again {
        attempts: 3,
        next: at(5),
    };
    let settle = async |id, settlement: &Settlement| {
        store.settle(KEEPER, ops, id, settlement).await.unwrap()
    };
    assert!(!settle(12, &again).await, "it is not the first");
    assert!(settle(11, &again).await);
    let alert = first().await.unwrap();
    assert_eq!((alert.attempts, alert.next), (3, at(5)));
    assert!(settle(11, &Settlement::Delivered).await);
    assert!(!settle(11, &Settlement::Delivered).await, "it is gone");
    let alert = first().await.unwrap();
    assert_eq!(
        (alert.id, alert.attempts),
        (12, 0),
        "one that is tried anew"
    );
    alerts_that_are_given_up_can_be_sent_again(&store).await;
}

async fn alerts_that_are_given_up_can_be_sent_again(store: &Arc<dyn ActivityStore>) {
    let ops = "big/webhook/ops";
    let first = async || store.first(KEEPER, ops).await.unwrap();
    let settle = async |id, settlement: &Settlement| {
        let settled = store.settle(KEEPER, ops, id, settlement).await;
        settled.unwrap()
    };
    let given_up = Settlement::GivenUp {
        reason: "refused: \"no\"".into(),
        at: at(7),
    };
    assert!(settle(12, &given_up).await);
    assert!(
        settle(14, &given_up).await,
        "13 was raised by a repeat, and 11 twice"
    );
    assert_eq!(first().await, None);
    assert_eq!(store.queues().await.unwrap().join(" "), "big/live");
    let failed = store.failed(10).await.unwrap();
    assert_eq!(
        failed.iter().map(|failed| failed.id).collect::<Vec<_>>(),
        [14, 12]
    );
    assert_eq!(
        (&*failed[0].reason, failed[0].at),
        ("refused: \"no\"", at(7))
    );
    assert_eq!(&*failed[0].queue, ops);
    assert_eq!(store.failed(1).await.unwrap().len(), 1);
    assert_eq!(store.send_again(Some(12)).await.unwrap(), 1);
    assert_eq!(store.send_again(Some(99)).await.unwrap(), 0);
    assert_eq!(store.send_again(None).await.unwrap(), 1);
    let alert = first().await.unwrap();
    assert_eq!(
        (alert.id, &*alert.json),
        (12, "{\"n\":12,\"text\":\"a b\\n\"}")
    );
    assert_eq!(store.failed(10).await.unwrap(), []);
}

#[cfg(feature = "push")]
pub(crate) async fn browsers_are_kept_in_the_order_of_their_numbers(
    fixture: &impl ActivityFixture,
) {
    use crate::activity::Subscribed::{Again, Full, New};
    let store = fixture.store(bounds());
    let kept = |id: u128, text: &str| (id, text.to_owned());
    let subscribe = async |id: u128, text: &str| store.subscribe(&kept(id, text), 3).await.unwrap();
    assert_eq!(subscribe(u128::MAX, "z").await, New);
    assert_eq!(subscribe(7, "a b").await, New);
    assert_eq!(subscribe(0x70, "c").await, New);
    assert_eq!(subscribe(8, "d").await, Full);
    assert_eq!(subscribe(7, "e").await, Again);
    let page = async |from, limit| store.subscriptions(from, limit).await.unwrap();
    let all = [kept(7, "e"), kept(0x70, "c"), kept(u128::MAX, "z")];
    assert_eq!(page(0, 10).await, all);
    assert_eq!(page(0, 2).await, all[..2]);
    assert_eq!(page(8, 10).await, all[1..]);
    assert!(store.unsubscribe(0x70).await.unwrap());
    assert!(!store.unsubscribe(0x70).await.unwrap());
    assert_eq!(subscribe(8, "d").await, New);
}

pub(crate) async fn a_rule_raises_no_more_alerts_than_its_limit(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let limit = Some((2, Duration::from_secs(60)));
    for (block, now) in [(1, 0), (2, 10), (3, 20), (4, 59), (5, 60), (6, 61), (7, 62)] {
        let alerts = vec![alert(block.into(), &["big/live"], limit)];
        teller.tell(vec![raising(block, now, alerts)]).await;
    }
    let mut raised = Vec::new();
    while let Some(first) = store.first(KEEPER, "big/live").await.unwrap() {
        raised.push((first.id, first.suppressed));
        let delivered = Settlement::Delivered;
        assert!(
            store
                .settle(KEEPER, "big/live", first.id, &delivered)
                .await
                .unwrap()
        );
    }
    assert_eq!(raised, [(1, 0), (2, 0), (5, 2), (6, 0)]);
}
