//! Who may listen, how many, and what is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use tagcache_test_support::{EventClient, SocketClient, serve, until};
use tower::ServiceExt;
use tower_tagcache::live::{ClientAddress, LiveSettings};
use tower_tagcache::{Cache, Clock, ManualClock};

use super::{ADDRESS, House, SOON, address, amount, sale};

const TOKEN: &str = "Bearer a-token-that-nobody-guesses";

fn guarded() -> LiveSettings {
    LiveSettings::guarded("a-token-that-nobody-guesses").ticket_key("k".repeat(32))
}

async fn problem(client: EventClient) -> Value {
    assert_eq!(client.headers["content-type"], "application/problem+json");
    assert_eq!(client.headers["cache-control"], "no-store");
    let status = client.status.as_u16();
    let problem: Value = serde_json::from_str(&client.text().await).unwrap();
    assert_eq!(problem["status"], status);
    assert!(!problem["detail"].as_str().unwrap().is_empty());
    problem
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_a_reason() {
    let house = House::open(LiveSettings::open()).await;
    for path in [
        "/events/auction/7",
        "/events/auction/0x12",
        "/events/auction/",
        "/events?subject=auction:7",
        "/events?subject=",
        "/events?type=a%20b",
        "/events?type=",
        "/events?network=",
        "/events?min_amount=lots",
        "/events?min_=1",
        "/events?limit=5",
        "/events?last_event_id=x",
        "/events?seconds=5",
    ] {
        let client = EventClient::open(house.address(), path, &[]).await;
        assert_eq!(client.status, 400, "{path}");
        problem(client).await;
    }
    let client = EventClient::resume(house.address(), "/events", "yesterday").await;
    assert_eq!(client.status, 400);
    assert!(
        problem(client).await["detail"]
            .as_str()
            .unwrap()
            .contains("Last-Event-ID")
    );
    let client = EventClient::open(house.address(), "/other", &[]).await;
    assert_eq!(client.status, 404);
    let client = EventClient::send("POST", house.address(), "/events", &[])
        .await
        .unwrap();
    assert_eq!(
        (client.status.as_u16(), &client.headers["allow"]),
        (405, &"GET, HEAD, OPTIONS".parse().unwrap())
    );
    let upgrade = [
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "8"),
    ];
    let client = EventClient::open(house.address(), "/events", &upgrade).await;
    assert_eq!(
        (
            client.status.as_u16(),
            &client.headers["sec-websocket-version"]
        ),
        (426, &"13".parse().unwrap())
    );
    assert_eq!(client.headers["upgrade"], "websocket");
    let client = EventClient::send("HEAD", house.address(), "/events", &[])
        .await
        .unwrap();
    assert_eq!(client.headers["content-type"], "text/event-stream");
    assert_eq!(house.live.stats().clients, 0);
}

#[tokio::test]
async fn who_has_neither_token_nor_ticket_is_let_in_nowhere() {
    let house = House::open(guarded()).await;
    let ask = async |path: &str, lines: &[(&str, &str)]| {
        EventClient::open(house.address(), path, lines).await
    };
    for (path, line) in [
        ("/events", None),
        ("/events", Some("Bearer another-token-of-somebody")),
        ("/events?ticket=abc", None),
        ("/events?ticket=", None),
    ] {
        let lines: Vec<_> = line
            .map(|line| ("authorization", line))
            .into_iter()
            .collect();
        let client = ask(path, &lines).await;
        assert_eq!(client.status, 401, "{path}");
        assert_eq!(client.headers["www-authenticate"], "Bearer");
        problem(client).await;
    }
    let refused = SocketClient::open(house.address(), "/events", &[])
        .await
        .unwrap_err();
    assert_eq!(refused.0, 401);
    assert_eq!(
        ask("/events", &[("authorization", TOKEN)]).await.status,
        200
    );
    let socket = [("authorization", TOKEN)];
    SocketClient::open(house.address(), "/events", &socket)
        .await
        .unwrap();
}

async fn fetch_ticket(house: &House, query: &str) -> String {
    let path = format!("/events/ticket?{query}");
    let lines = [("authorization", TOKEN)];
    let client = EventClient::send("POST", house.address(), &path, &lines)
        .await
        .unwrap();
    assert_eq!(
        (client.status.as_u16(), &client.headers["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let answer: Value = serde_json::from_str(&client.text().await).unwrap();
    answer["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_is_for_its_subjects_and_a_watch_list() {
    let house = House::open(guarded()).await;
    let query = format!("subject=auction:{},auction:{}", address(1), address(2));
    let ticket = fetch_ticket(&house, &query).await;
    // Who names nothing listens to all that the ticket is for.
    let mut client = house.listen(&format!("/events?ticket={ticket}")).await;
    for n in [3, 1, 2] {
        house.tell(sale(&address(n), n.into())).await;
    }
    assert_eq!(amount(&client.event().await), "1");
    assert_eq!(amount(&client.event().await), "2");
    let path = format!("/events/auction/{}?ticket={ticket}", address(3));
    let client = EventClient::open(house.address(), &path, &[]).await;
    assert_eq!(client.status, 403);
    problem(client).await;
    let path = format!("/events?ticket={ticket}");
    let mut socket = SocketClient::open(house.address(), &path, &[])
        .await
        .unwrap();
    let subjects = [format!("auction:{}", address(3))];
    socket
        .say(json!({ "op": "subscribe", "subjects": subjects }))
        .await;
    assert_eq!(socket.next().await.unwrap()["op"], "error");
    socket.say(json!({ "op": "subscribe" })).await;
    assert_eq!(socket.next().await.unwrap()["op"], "subscribed");
    house.tell(sale(&address(3), 30)).await;
    house.tell(sale(&address(2), 20)).await;
    assert_eq!(socket.next().await.unwrap()["data"]["amount"], "20");
}

#[tokio::test]
async fn tickets_are_for_who_sends_the_token_and_asks_for_something() {
    let house = House::open(guarded()).await;
    for (query, line, status) in [
        ("subject=*", None, 401),
        ("", Some(TOKEN), 400),
        ("subject=auction:7", Some(TOKEN), 400),
        ("subject=*&seconds=0", Some(TOKEN), 400),
        ("subject=*&seconds=soon", Some(TOKEN), 400),
        ("subject=*&type=sale", Some(TOKEN), 400),
        ("subject=*&min_amount=5", Some(TOKEN), 400),
        ("subject=*&seconds=1000000", Some(TOKEN), 400),
        ("subject=*&seconds=600", Some(TOKEN), 200),
    ] {
        let lines: Vec<_> = line
            .map(|line| ("authorization", line))
            .into_iter()
            .collect();
        let path = format!("/events/ticket?{query}");
        let client = EventClient::send("POST", house.address(), &path, &lines)
            .await
            .unwrap();
        assert_eq!(client.status.as_u16(), status, "{query}");
    }
    let client = EventClient::open(house.address(), "/events/ticket", &[]).await;
    assert_eq!(client.status, 405);
    let open = House::open(LiveSettings::open()).await;
    let client = EventClient::send("POST", open.address(), "/events/ticket", &[])
        .await
        .unwrap();
    assert_eq!(client.status, 404, "there are none");
}

#[tokio::test]
async fn a_stream_ends_when_its_ticket_expires() {
    let clock = ManualClock::default();
    let builder = Cache::builder().clock(clock.clone());
    let house = House::closed(builder, guarded().keep_alive(SOON)).await;
    house.joined().await;
    let until = clock.now().plus(Duration::from_secs(60));
    let ticket = house.live.tickets().unwrap().issue(["*"], until).unwrap();
    let path = format!("/events?ticket={ticket}");
    let mut stream = house.listen(&path).await;
    let mut socket = SocketClient::open(house.address(), &path, &[])
        .await
        .unwrap();
    clock.advance(Duration::from_secs(60));
    house.tell(sale(ADDRESS, 1)).await;
    let event = stream.event().await;
    assert_eq!(
        event.event.as_deref(),
        Some("end"),
        "nothing is told after that"
    );
    assert_eq!(event.text("reason"), "the ticket has expired");
    let frame = loop {
        if let Err(frame) = socket.next().await {
            break frame.unwrap();
        }
    };
    assert_eq!(
        (u16::from(frame.code), &*frame.reason),
        (1008, "the ticket has expired")
    );
    assert_eq!(
        EventClient::open(house.address(), &path, &[]).await.status,
        401
    );
}

#[tokio::test]
async fn pages_of_other_sites_may_listen_if_they_are_named() {
    let house = House::open(LiveSettings::open().origins(["https://auctions.example"])).await;
    let own = format!("http://{}", house.address());
    for (origin, status, allowed) in [
        (
            "https://auctions.example",
            200,
            Some("https://auctions.example"),
        ),
        (&*own, 200, None),
        ("https://evil.example", 403, None),
        ("null", 403, None),
    ] {
        let client = EventClient::open(house.address(), "/events", &[("origin", origin)]).await;
        assert_eq!(client.status.as_u16(), status, "{origin}");
        let field = client.headers.get("access-control-allow-origin");
        assert_eq!(
            field.map(|field| field.to_str().unwrap()),
            allowed,
            "{origin}"
        );
        let exposed = client.headers.get("access-control-expose-headers");
        assert_eq!(exposed.is_some(), allowed.is_some(), "{origin}");
        let socket = SocketClient::open(house.address(), "/events", &[("origin", origin)]).await;
        assert_eq!(socket.is_ok(), status == 200, "{origin}");
    }
    // Before a page sends a header of its own, its browser asks.
    let lines = [
        ("origin", "https://auctions.example"),
        ("access-control-request-method", "GET"),
    ];
    let client = EventClient::send("OPTIONS", house.address(), "/events", &lines)
        .await
        .unwrap();
    assert_eq!(client.status, 204);
    assert_eq!(
        client.headers["access-control-allow-origin"],
        "https://auctions.example"
    );
    assert!(
        client.headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("authorization")
    );
}

#[tokio::test]
async fn there_are_places_for_so_many_in_all_and_of_one_address() {
    let house = House::open(LiveSettings::open().connections(3, 2)).await;
    let by = |address: IpAddr| {
        let live = house.live.clone();
        async move {
            let mut request = Request::get("/events").body(()).unwrap();
            request.extensions_mut().insert(ClientAddress(address));
            live.oneshot(request).await.unwrap()
        }
    };
    let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let network = |host: u16| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host));
    let held = [by(one).await, by(one).await];
    let refused = by(one).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers().contains_key("retry-after")
        ),
        (429, true)
    );
    assert_eq!(refused.headers()["cache-control"], "no-store");
    // `HEAD` says what `GET` would be told.
    let mut head = Request::head("/events").body(()).unwrap();
    head.extensions_mut().insert(ClientAddress(one));
    let head = house.live.clone().oneshot(head).await.unwrap();
    assert_eq!(head.status(), 429);
    let third = by(network(1)).await;
    assert_eq!(third.status(), 200);
    let refused = by(network(2)).await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers().contains_key("retry-after")
        ),
        (503, true)
    );
    drop(held);
    let fourth = by(network(2)).await;
    assert_eq!(
        (
            fourth.status().as_u16(),
            by(network(3)).await.status().as_u16()
        ),
        (200, 429)
    );
}

/// In a router of axum, which knows the address of who asks, merged and nested.
#[tokio::test]
async fn a_router_of_axum_takes_it_in() {
    let house = House::open(LiveSettings::open().path("/api/events").connections(10, 1)).await;
    let nested = axum::Router::new().route_service("/events/{*below}", house.live.clone());
    let router = axum::Router::new()
        .merge(house.live.router())
        .nest("/other", nested.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let make = router.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, make).await });
    let path = format!("/api/events/auction/{ADDRESS}");
    let mut client = EventClient::open(at, &path, &[]).await;
    assert_eq!(client.status, 200);
    assert_eq!(
        EventClient::open(at, "/api/events", &[]).await.status,
        429,
        "one of one address"
    );
    house.tell(sale(ADDRESS, 1)).await;
    assert_eq!(amount(&client.event().await), "1");
    drop(client);
    until("its place is free", async || {
        house.live.stats().clients == 0
    })
    .await;
    let mut socket = SocketClient::open(at, &path, &[]).await.unwrap();
    assert_eq!(socket.next().await.unwrap()["op"], "subscribed");
    server.abort();
    // What is nested is found by the whole path.
    let inner = axum::Router::new().route_service("/events", house.live.clone());
    let served = serve(axum::Router::new().nest("/api", inner)).await;
    assert_eq!(
        EventClient::open(served.address, "/api/events", &[])
            .await
            .status,
        200
    );
}
