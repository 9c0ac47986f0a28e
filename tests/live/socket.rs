//! WebSocket: subscribing, unsubscribing, resuming, and how it ends.

use serde_json::{Value, json};
use tagcache_test_support::{SocketClient, until};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tower_tagcache::live::LiveSettings;

use super::{ADDRESS, House, SOON, address, sale};

async fn open(house: &House, path: &str) -> SocketClient {
    SocketClient::open(house.address(), path, &[])
        .await
        .unwrap()
}

/// The next message that is not about the position.
async fn next(socket: &mut SocketClient) -> Value {
    loop {
        let message = socket.next().await.expect("it goes on");
        if message["op"] != "position" {
            return message;
        }
    }
}

async fn ending(socket: &mut SocketClient) -> CloseFrame {
    loop {
        if let Err(frame) = socket.next().await {
            return frame.expect("it says why");
        }
    }
}

#[tokio::test]
async fn subscriptions_come_and_go_on_one_socket() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, "/events").await;
    let (one, two) = (address(1), address(2));
    for (name, auction) in [("a", &one), ("b", &two)] {
        let subjects = [format!("auction:{auction}")];
        let wish = json!({ "op": "subscribe", "name": name, "subjects": subjects, "min": { "amount": "5" } });
        socket.say(wish).await;
        let answer = next(&mut socket).await;
        assert_eq!(
            (&answer["op"], &answer["name"]),
            (&json!("subscribed"), &json!(name))
        );
        assert!(answer["id"].is_string());
    }
    house.tell(sale(&one, 4)).await;
    house.tell(sale(&one, 5)).await;
    house.tell(sale(&address(3), 6)).await;
    house.tell(sale(&two, 7)).await;
    for expected in ["5", "7"] {
        let message = next(&mut socket).await;
        assert_eq!(message["type"], "sale");
        assert_eq!(message["data"]["amount"], expected);
    }
    socket
        .say(json!({ "op": "unsubscribe", "name": "a" }))
        .await;
    assert_eq!(next(&mut socket).await["op"], "unsubscribed");
    house.tell(sale(&one, 8)).await;
    house.tell(sale(&two, 9)).await;
    assert_eq!(next(&mut socket).await["data"]["amount"], "9");
}

#[tokio::test]
async fn a_socket_says_the_same_as_a_stream_and_is_subscribed_by_its_url() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, &format!("/events/auction/{ADDRESS}?type=sale")).await;
    let mut stream = house.listen("/events").await;
    assert_eq!(next(&mut socket).await["op"], "subscribed");
    house.tell(sale(ADDRESS, 1)).await;
    assert_eq!(Some(next(&mut socket).await), stream.event().await.data);
    assert_eq!(house.live.stats().written, 1);
}

#[tokio::test]
async fn a_subscription_goes_on_where_it_was() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, "/events").await;
    socket.say(json!({ "op": "subscribe" })).await;
    let id = next(&mut socket).await["id"].clone();
    drop(socket);
    for n in 0..100 {
        house.tell(sale(ADDRESS, n)).await;
    }
    let mut socket = open(&house, "/events").await;
    socket
        .say(json!({ "op": "subscribe", "last_event_id": id }))
        .await;
    house.tell(sale(ADDRESS, 100)).await;
    assert_eq!(next(&mut socket).await["op"], "subscribed");
    for n in 0..=100 {
        assert_eq!(next(&mut socket).await["data"]["amount"], n.to_string());
    }
    // By the URL, and where it cannot.
    let mut socket = open(
        &house,
        &format!("/events?last_event_id={}", id.as_str().unwrap()),
    )
    .await;
    assert_eq!(next(&mut socket).await["op"], "subscribed");
    for n in 0..=100 {
        assert_eq!(next(&mut socket).await["data"]["amount"], n.to_string());
    }
    let mut socket = open(&house, "/events?last_event_id=1-1").await;
    assert_eq!(next(&mut socket).await["op"], "subscribed");
    assert_eq!(next(&mut socket).await["type"], "resync");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_an_error_and_what_is_not_understood_ends_the_connection() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, "/events").await;
    for wrong in [
        json!({ "op": "subscribe", "name": "x", "subjects": ["auction:7"] }),
        json!({ "op": "subscribe", "name": "x", "subjects": "auction:7" }),
        json!({ "op": "subscribe", "name": "x", "subjects": [7] }),
        json!({ "op": "subscribe", "name": "x", "types": ["a b"] }),
        json!({ "op": "subscribe", "name": "x", "min": { "amount": "1.5" } }),
        json!({ "op": "subscribe", "name": "x", "min": { "amount": 5 } }),
        json!({ "op": "subscribe", "name": "x", "last_event_id": "x" }),
        json!({ "op": "subscribe", "name": "x", "color": "red" }),
    ] {
        socket.say(wrong.clone()).await;
        let answer = next(&mut socket).await;
        assert_eq!(answer["op"], "error", "{wrong}");
        assert_eq!(answer["name"], "x");
        assert!(!answer["detail"].as_str().unwrap().is_empty());
    }
    let long = Message::text("x".repeat(40_000));
    for (message, code) in [
        (Message::binary(vec![1]), 1003),
        (Message::text("hello"), 1008),
        (Message::text(r#"{"op":"shout"}"#), 1008),
        (Message::text("[]"), 1008),
        (long, 1009),
    ] {
        let mut socket = open(&house, "/events").await;
        socket.send(message).await;
        let frame = ending(&mut socket).await;
        assert_eq!(u16::from(frame.code), code);
        assert!(!frame.reason.is_empty());
    }
    until("their places are free", async || {
        house.live.stats().clients == 1
    })
    .await;
}

#[tokio::test]
async fn there_are_only_so_many_subscriptions() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, "/events").await;
    for n in 0..64 {
        socket
            .say(json!({ "op": "subscribe", "name": n.to_string() }))
            .await;
        assert_eq!(next(&mut socket).await["op"], "subscribed");
    }
    socket.say(json!({ "op": "subscribe", "name": "65" })).await;
    assert_eq!(next(&mut socket).await["op"], "error");
    house.tell(sale(ADDRESS, 1)).await;
    house.tell(sale(ADDRESS, 2)).await;
    for expected in ["1", "2"] {
        assert_eq!(
            next(&mut socket).await["data"]["amount"],
            expected,
            "each once"
        );
    }
}

#[tokio::test]
async fn a_silent_socket_is_pinged_and_told_how_far_it_is() {
    let house = House::open(LiveSettings::open().keep_alive(SOON)).await;
    let mut socket = open(&house, "/events").await;
    socket
        .say(json!({ "op": "subscribe", "types": ["never"] }))
        .await;
    house.tell(sale(ADDRESS, 1)).await;
    let position = || json!(house.cache.position().unwrap().to_string());
    while socket.next().await.unwrap()["id"] != position() {}
}

/// Updates, and then a silence that is longer than they were.
#[tokio::test]
async fn a_client_that_only_reads_stays() {
    let house = House::open(LiveSettings::open().keep_alive(SOON)).await;
    let mut socket = open(&house, "/events").await;
    socket.say(json!({ "op": "subscribe" })).await;
    let mut told = 0;
    let begun = tokio::time::Instant::now();
    // For as long as several pings would take.
    while begun.elapsed() < SOON * 8 {
        house.tell(sale(ADDRESS, told)).await;
        told += 1;
        socket.next().await.unwrap();
    }
    let position = || json!(house.cache.position().unwrap().to_string());
    while socket.next().await.expect("it stays")["id"] != position() {}
    house.tell(sale(ADDRESS, told)).await;
    while socket.next().await.expect("it stays")["data"]["amount"] != told.to_string() {}
}

/// A client that is there and answers nothing is let go.
#[tokio::test]
async fn a_client_that_answers_no_ping_is_let_go() {
    let house = House::open(LiveSettings::open().keep_alive(SOON)).await;
    let _silent = open(&house, "/events").await;
    until("it is let go", async || house.live.stats().clients == 0).await;
}

#[tokio::test]
async fn a_server_that_ends_says_so() {
    let house = House::open(LiveSettings::open()).await;
    let mut socket = open(&house, "/events").await;
    house.live.close();
    let frame = ending(&mut socket).await;
    assert_eq!(u16::from(frame.code), 1001);
    assert!(frame.reason.contains("connect again"), "{frame}");
}
