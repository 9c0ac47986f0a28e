//! Server-sent events: what is sent, to whom, and how it ends.

use tagcache_test_support::{EventClient, SocketClient, ends, until};
use tower_tagcache::Update;
use tower_tagcache::live::LiveSettings;

use super::{ADDRESS, House, SOON, address, amount, sale};

#[tokio::test]
async fn who_listens_to_an_auction_is_told_of_it_and_of_no_other() {
    let house = House::open(LiveSettings::open()).await;
    let upper = ADDRESS.to_uppercase().replacen('X', "x", 1);
    let mut client = house.listen(&format!("/events/auction/{upper}")).await;
    assert_eq!(client.headers["content-type"], "text/event-stream");
    assert_eq!(client.headers["cache-control"], "no-store");
    house.tell(sale(&address(1), 1)).await;
    house.tell(sale(ADDRESS, u128::MAX)).await;
    let event = client.event().await;
    assert_eq!(event.event.as_deref(), Some("auction_update"));
    assert_eq!(event.id.as_deref(), Some(event.text("id")));
    assert_eq!(event.text("type"), "sale");
    assert_eq!(event.text("subject"), format!("auction:{ADDRESS}"));
    assert_eq!(amount(&event), u128::MAX.to_string(), "exactly");
    assert!(event.data.unwrap()["time"].as_u64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn filters_name_subjects_types_networks_and_amounts() {
    let house = House::open(LiveSettings::open()).await;
    let (one, two) = (address(1), address(2));
    let path = format!(
        "/events?subject=auction:{one},auction:{two}&type=sale&network=base&min_amount=1000000000000000000001"
    );
    let mut client = house.listen(&path).await;
    let on = |update: Update, network: &str| update.with_field("network", network).unwrap();
    let large = 1_000_000_000_000_000_000_001;
    let kick = Update::new("kick", format!("auction:{one}")).unwrap();
    for update in [
        on(sale(&address(3), large), "base"),
        on(sale(&one, large - 1), "base"),
        on(sale(&one, large), "ethereum"),
        sale(&one, large + 1),
        on(kick, "base"),
        on(sale(&two, large + 2), "base"),
    ] {
        house.tell(update).await;
    }
    assert_eq!(amount(&client.event().await), (large + 2).to_string());
}

#[tokio::test]
async fn the_name_of_the_event_is_a_setting() {
    let house = House::open(LiveSettings::open().event("sold").path("/api/live")).await;
    let mut client = house.listen("/api/live").await;
    house.tell(sale(ADDRESS, 1)).await;
    assert_eq!(client.event().await.event.as_deref(), Some("sold"));
}

#[tokio::test]
async fn a_message_is_written_once_for_all_clients() {
    let house = House::open(LiveSettings::open()).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(house.listen("/events").await);
    }
    assert_eq!(house.live.stats().clients, 50);
    house.tell(sale(ADDRESS, 1)).await;
    for client in &mut clients {
        assert_eq!(amount(&client.event().await), "1");
    }
    assert_eq!(house.live.stats().written, 1);
    drop(clients);
    until("their places are free", async || {
        house.live.stats().clients == 0
    })
    .await;
}

#[tokio::test]
async fn a_silent_stream_says_that_it_is_there_and_how_far_it_has_come() {
    let house = House::open(LiveSettings::open().keep_alive(SOON)).await;
    let mut client = house.listen("/events?type=never").await;
    house.tell(sale(ADDRESS, 1)).await;
    let position = || house.cache.position().unwrap().to_string();
    ends("it goes on", async {
        while client.last_id != Some(position()) {
            let block = client.next().await.unwrap();
            assert_eq!(
                (block.event.as_deref(), block.data),
                (Some("position"), None)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_resync_reaches_everybody_whatever_they_listen_to() {
    let (cache, companion) = tower_tagcache::Cache::builder().build().unwrap();
    let mut house = House::without_companion(cache, LiveSettings::open()).await;
    let mut client = house.listen("/events?type=never").await;
    house.accompany(companion);
    let event = client.event().await;
    assert_eq!(event.event.as_deref(), Some("resync"));
    assert_eq!(event.text("type"), "resync");
    assert_eq!(
        event.text("reason"),
        "this server joined the log; updates before may be missing"
    );
}

#[tokio::test]
async fn a_server_that_ends_ends_its_streams_with_a_reason() {
    let house = House::open(LiveSettings::open()).await;
    let mut client = house.listen("/events").await;
    house.live.close();
    let event = client.event().await;
    assert_eq!(event.event.as_deref(), Some("end"));
    assert!(event.text("reason").contains("connect again"), "{event:?}");
    assert_eq!(ends("the stream", client.next()).await, None);
    // A browser that is late connects again after the end of a stream, and never after another status.
    let mut late = EventClient::open(house.address(), "/events", &[]).await;
    assert_eq!(late.status, 200);
    assert!(late.next().await.unwrap().retry.is_some());
    assert_eq!(late.event().await.event.as_deref(), Some("end"));
    let refused = SocketClient::open(house.address(), "/events", &[])
        .await
        .unwrap_err();
    assert_eq!(
        (refused.0.as_u16(), &refused.1["retry-after"]),
        (503, &"1".parse().unwrap())
    );
}

/// One who does not read is told so as soon as it reads again, and costs the others nothing meanwhile.
#[tokio::test]
async fn a_slow_reader_is_dropped_with_a_reason_and_nobody_waits_for_it() {
    let house = House::open(LiveSettings::open()).await;
    let mut slow = house.listen("/events").await;
    let mut other = house.listen("/events").await;
    // More than the buffers of both sockets hold, and than messages wait for one receiver.
    let filler = "x".repeat(8_000);
    let mut told = 0_u64;
    while house.live.stats().too_slow == 0 && told < 20_000 {
        let batch: Vec<_> = (told..told + 20)
            .map(|n| {
                sale(ADDRESS, n.into())
                    .with_field("filler", &*filler)
                    .unwrap()
            })
            .collect();
        let sender = batch.into_iter().map(|update| house.tell(update));
        futures_util::future::join_all(sender).await;
        for _ in 0..20 {
            other.event().await;
        }
        told += 20;
        if told > 1_100 && told.is_multiple_of(500) {
            // It takes some of what it was sent, and nothing that came since.
            for _ in 0..20 {
                slow.event().await;
            }
        }
    }
    let end = ends("it is told", async {
        loop {
            let event = slow.event().await;
            if event.event.as_deref() == Some("end") {
                return event;
            }
        }
    })
    .await;
    assert_eq!(end.text("reason"), "too slow");
    assert_eq!(ends("the stream", slow.next()).await, None);
    assert_eq!(house.live.stats().too_slow, 1);
}
