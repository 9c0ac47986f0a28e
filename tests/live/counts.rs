//! What clients cost, in numbers that no load on the machine changes. The times are in `make bench-live`.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use http::Request;
use http_body::Body;
use tagcache_test_support::{Fleet, ends, until};
use tower::ServiceExt;
use tower_tagcache::live::{LiveBody, LiveService, LiveSettings};
use tower_tagcache::{ResyncReason, UpdateMessage, Updates};

use super::{ADDRESS, House, amount, sale};

const CLIENTS: usize = 50;

/// A client without a socket, which has its opening.
async fn client(live: LiveService) -> LiveBody {
    let request = Request::get("/events").body(()).unwrap();
    let mut body = live.oneshot(request).await.unwrap().into_body();
    assert!(next(&mut body).unwrap().starts_with(b"retry: "));
    assert_eq!(next(&mut body), None, "nothing has happened");
    body
}

/// What it is sent now, if there is anything.
fn next(body: &mut LiveBody) -> Option<Bytes> {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(body).poll_frame(&mut cx) {
        Poll::Ready(Some(frame)) => frame.unwrap().into_data().ok(),
        Poll::Ready(None) => panic!("it has ended"),
        Poll::Pending => None,
    }
}

async fn clients(house: &House) -> Vec<LiveBody> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(client(house.live.clone()).await);
        // Who polls much in one go is held up by tokio.
        tokio::task::yield_now().await;
    }
    clients
}

/// Waits until so many were told.
async fn heard(updates: &mut Updates, mut count: u64) {
    while count > 0 {
        count -= match ends("an update", updates.recv()).await.unwrap() {
            UpdateMessage::Update(_) => 1,
            UpdateMessage::Resync(resync) => match resync.reason {
                ResyncReason::Lagged(missed) => missed,
                _ => 0,
            },
            _ => 0,
        };
    }
}

#[tokio::test]
async fn an_update_allocates_nothing_for_each_client() {
    let house = House::open(LiveSettings::open()).await;
    let (mut clients, mut updates) = (clients(&house).await, house.cache.updates());
    for n in 1..4_u64 {
        house.tell(sale(ADDRESS, n.into())).await;
        heard(&mut updates, 1).await;
        let mut first = None;
        let written = measure(|| first = next(&mut clients[0]));
        assert!(written.count_total > 0, "the first one has it written");
        let mut others = Vec::with_capacity(CLIENTS);
        let told = measure(|| others.extend(clients[1..].iter_mut().map(next)));
        assert_eq!(told.count_total, 0, "update {n}");
        assert!(first.is_some() && others.iter().all(|other| *other == first));
        assert_eq!(house.live.stats().written, n);
        assert_eq!(clients.iter_mut().find_map(next), None, "and once only");
    }
}

#[tokio::test]
async fn who_does_not_read_is_owed_no_more_than_a_bound() {
    let house = House::open(LiveSettings::open()).await;
    let (mut clients, mut updates) = (clients(&house).await, house.cache.updates());
    let purger = (0..1_100).fold(house.cache.purger(), |purger, n| {
        purger.announcing(sale(ADDRESS, n))
    });
    purger.tag(ADDRESS).await.unwrap();
    heard(&mut updates, 1_100).await;
    for (slow, client) in (1..).zip(&mut clients) {
        let end = next(client).unwrap();
        assert!(end.starts_with(b"event: end\n"), "{end:?}");
        assert_eq!(house.live.stats().too_slow, slow);
        tokio::task::yield_now().await;
    }
    assert_eq!(house.live.stats().written, 0, "nobody is told");
}

#[tokio::test]
async fn clients_cost_redis_nothing() {
    const UPDATES: u32 = 20;
    let fleet = Fleet::private();
    let house = House::closed(fleet.builder(), LiveSettings::open()).await;
    house.joined().await;
    let tell = async |from: u32| {
        for n in from..from + UPDATES {
            house.tell(sale(ADDRESS, n.into())).await;
        }
    };
    tell(0).await;
    let (connections, begin) = (connections(&fleet).await, commands(&fleet).await);
    tell(UPDATES).await;
    let alone = commands(&fleet).await - begin;
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(house.listen("/events").await);
    }
    let begin = commands(&fleet).await;
    tell(2 * UPDATES).await;
    for client in &mut clients {
        for n in 2 * UPDATES..3 * UPDATES {
            assert_eq!(amount(&client.event().await), n.to_string());
        }
    }
    let beside = commands(&fleet).await - begin;
    assert_eq!(house.live.stats().written, u64::from(UPDATES));
    // Heartbeats go by the clock: one command a client would be 100, one a client and update 2,000.
    assert!(beside < alone + 100, "{alone} commands, then {beside}");
    until("there are no more connections", async || {
        self::connections(&fleet).await <= connections
    })
    .await;
}

/// To Redis. The one that asks is among them.
async fn connections(fleet: &Fleet) -> u64 {
    let clients = fleet.server.info("clients").await;
    number(&clients, "connected_clients:")
}

/// That Redis has done.
async fn commands(fleet: &Fleet) -> u64 {
    let stats = fleet.server.info("stats").await;
    number(&stats, "total_commands_processed:")
}

fn number(info: &str, name: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}
