//! P6: what cannot be understood is put aside with its reason, and holds nothing up.

use redis::Value;
use tower_tagcache::{On, Stream};

use crate::captures::{self, Entry};
use crate::house::{House, Told, applied, everything, sample, touchable};

const STREAM: &str = "auction_sales";

/// The records put aside, each as its fields in turn.
async fn put_aside(house: &House) -> Vec<Vec<String>> {
    let range = format!("XRANGE tagcache:quarantine:{STREAM} - +");
    let Value::Array(records) = house.server.run(&range).await else {
        panic!("no list of entries");
    };
    let fields = |record| match record {
        Value::Array(parts) => redis::from_redis_value::<Vec<String>>(parts[1].clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    records.into_iter().map(fields).collect()
}

#[tokio::test]
async fn safety_47_a_poison_entry_is_put_aside_and_the_rest_goes_on() {
    let no_data = r#"{"event_name":"AuctionSale"}"#;
    let no_name = r#"{"event_data":[{}]}"#;
    let no_address = r#"{"event_name":"AuctionSale","event_data":[{"auction":"0x1"}]}"#;
    for (fields, reason) in [
        (&[("payload", "{")][..], "not-json"),
        (&[("payload", "")], "not-json"),
        (&[("payload", no_data)], "no-events"),
        (&[("payload", no_name)], "no-event-name"),
        (&[("payload", no_address)], "no-tag"),
        (&[("data", "{}")], "no-payload"),
        // The requirement's own consumer expects this form, which never comes.
        (&[("auction", "0xa16e"), ("amount_paid", "1")], "no-payload"),
    ] {
        let house = House::open();
        let node = house
            .node([sample(STREAM, "AuctionSale")])
            .join(&house, STREAM)
            .await;
        node.store(&everything()).await;
        house
            .publish(STREAM, &captures::first("AuctionRoundKicked").again())
            .await;
        house.publish(STREAM, &Entry::with(fields)).await;
        house
            .publish(STREAM, &captures::first("AuctionSale").again())
            .await;
        node.until("the rest is applied", |told| {
            applied(told).contains(&"AuctionSale")
        })
        .await;

        assert_eq!(applied(&node.told()), ["AuctionRoundKicked", "AuctionSale"]);
        let aside = |told: &Told| matches!(told, Told::Quarantined(_, _, why) if why == reason);
        assert!(node.told().iter().any(aside), "{reason}: {:?}", node.told());
        // It may have been an event of anything.
        assert_eq!(node.missing(&everything()).await, touchable(), "{reason}");
        assert_eq!(house.unacknowledged(STREAM).await, 0, "{reason}");
        let records = put_aside(&house).await;
        assert_eq!(records.len(), 1, "{reason}");
        assert_eq!(&records[0][0], "_id");
        assert_eq!(&records[0][2], "_reason");
        assert!(records[0][3].starts_with(reason), "{records:?}");
        let kept: Vec<&str> = fields
            .iter()
            .flat_map(|(name, value)| [*name, *value])
            .collect();
        assert_eq!(records[0][6..], kept, "{reason}");
    }
}

#[tokio::test]
async fn an_oversize_entry_is_put_aside() {
    let house = House::open();
    let stream = sample(STREAM, "AuctionSale").max_entry_bytes(10_000);
    let node = house.node([stream]).join(&house, STREAM).await;
    let chunk = captures::entries(captures::EVENTS)
        .into_iter()
        .max_by_key(|entry| entry.fields[1].len())
        .unwrap();
    house.publish(STREAM, &chunk).await;
    house
        .publish(STREAM, &captures::first("AuctionSale").again())
        .await;
    node.until("the rest is applied", |told| {
        applied(told) == ["AuctionSale"]
    })
    .await;
    let told = Told::Quarantined(STREAM.into(), chunk.id.clone(), "too-large".into());
    assert!(node.told().contains(&told), "{:?}", node.told());
    assert_eq!(put_aside(&house).await.len(), 1);
}

#[tokio::test]
async fn safety_47_an_entry_that_kills_its_consumers_is_put_aside_unread() {
    let house = House::open();
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    node.stop().await;
    let sale = captures::first("AuctionSale");
    house.publish(STREAM, &sale).await;
    // Six consumers took it, one after the other, and died.
    let take = format!("XREADGROUP GROUP tagcache dead COUNT 1 STREAMS {STREAM} >");
    house.server.run(&take).await;
    for n in 0..5 {
        let claim = format!("XCLAIM {STREAM} tagcache dead{n} 0 {}", sale.id);
        house.server.run(&claim).await;
    }
    let next = house.node_with([sample(STREAM, "AuctionSale")], |builder| {
        builder
            .redis(house.server.url())
            .claim_events_after(std::time::Duration::from_millis(20))
    });
    let next = next.run();
    let reason = "too-many-deliveries".to_owned();
    next.tells(Told::Quarantined(STREAM.into(), sale.id, reason))
        .await;
    assert_eq!(house.unacknowledged(STREAM).await, 0);
    assert!(applied(&next.told()).is_empty());
}

#[tokio::test]
async fn a_wrong_condition_is_seen_and_not_silent() {
    let house = House::open();
    // The requirement's spelling; the ABI's is `amountPaid`.
    let large = |condition: &str| {
        On::event("AuctionSale")
            .when(condition)
            .purge("auction:{transaction_information.address}")
    };
    let wrong = Stream::rindexer("wrong").on(large("amount_paid >= 1000000000000000000"));
    let right = Stream::rindexer("right").on(large("amountPaid >= 1000000000000000000"));
    let node = house.node([wrong, right]).join(&house, "wrong").await;
    node.tells(Told::Gap("right".into(), "no group")).await;
    node.store(&everything()).await;
    let sale = captures::first("AuctionSale");
    let auction = format!("/auctions/{}", captures::AUCTIONS[0]);

    house.publish("right", &sale).await;
    node.tells(Told::Applied("right".into(), "AuctionSale".into(), 1))
        .await;
    assert_eq!(node.missing(&everything()).await, [auction].into());

    house.publish("wrong", &sale).await;
    let told = Told::Quarantined("wrong".into(), sale.id.clone(), "no-number".into());
    node.tells(told).await;
    let scope = everything().into_iter();
    let scope = scope.filter(|path| path.starts_with("/auctions/") && !path.ends_with("history"));
    assert_eq!(node.missing(&everything()).await, scope.collect());
}

#[tokio::test]
async fn unknown_events_are_counted_and_purge_nothing() {
    let house = House::open();
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    node.store(&everything()).await;
    for _ in 0..3 {
        house
            .publish(
                STREAM,
                &Entry::made("AuctionEnabled", captures::AUCTIONS[0]),
            )
            .await;
    }
    let unknown = Told::Ignored(STREAM.into(), "no mapping fits");
    node.until("three are counted", |told| {
        told.iter().filter(|told| **told == unknown).count() == 3
    })
    .await;
    assert!(node.missing(&everything()).await.is_empty());
    assert_eq!(house.unacknowledged(STREAM).await, 0);
    assert_eq!(put_aside(&house).await.len(), 0);
}

#[tokio::test]
async fn an_unknown_control_message_purges_what_the_stream_can_touch() {
    let house = House::open();
    let node = house
        .node([sample(STREAM, "AuctionSale")])
        .join(&house, STREAM)
        .await;
    node.store(&everything()).await;
    let news = r#"{"event_name":"__rindexer_news","event_data":[]}"#;
    house
        .publish(STREAM, &Entry::with(&[("payload", news)]))
        .await;
    node.tells(Told::Gap(STREAM.into(), "unknown control message"))
        .await;
    assert_eq!(node.missing(&everything()).await, touchable());
}
