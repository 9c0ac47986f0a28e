//! A client that comes back goes on where it was, or is told that it cannot.

use tagcache_test_support::{EventClient, Fleet, ends};
use tower_tagcache::live::LiveSettings;
use tower_tagcache::{Cache, Position};

use super::{ADDRESS, House, amount, sale};

async fn amounts(client: &mut EventClient, count: usize) -> Vec<String> {
    let mut amounts = Vec::new();
    for _ in 0..count {
        let event = client.event().await;
        assert_eq!(event.event.as_deref(), Some("auction_update"), "{event:?}");
        amounts.push(amount(&event).to_owned());
    }
    amounts
}

#[tokio::test]
async fn a_client_that_comes_back_is_told_what_it_missed_and_nothing_twice() {
    let house = House::open(LiveSettings::open()).await;
    let client = house.listen("/events").await;
    // Before the first update, the opening says where it stands.
    let opening = client.last_id.clone().unwrap();
    drop(client);
    for n in 0..200 {
        house.tell(sale(ADDRESS, n)).await;
    }
    let mut client = EventClient::resume(house.address(), "/events", &opening).await;
    let all: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(amounts(&mut client, 200).await, all);
    // In the middle, and with one that comes meanwhile.
    let event = {
        let mut client = EventClient::resume(house.address(), "/events", &opening).await;
        amounts(&mut client, 100).await;
        client.last_id.clone().unwrap()
    };
    let mut client = EventClient::resume(house.address(), "/events", &event).await;
    house.tell(sale(ADDRESS, 200)).await;
    let rest: Vec<_> = (100..=200).map(|n| n.to_string()).collect();
    assert_eq!(amounts(&mut client, 101).await, rest);
    // By the URL, where no header can be sent.
    let path = format!("/events?last_event_id={}", client.last_id.clone().unwrap());
    let mut client = EventClient::open(house.address(), &path, &[]).await;
    house.tell(sale(ADDRESS, 201)).await;
    assert_eq!(amounts(&mut client, 1).await, ["201"]);
}

#[tokio::test]
async fn updates_that_were_announced_together_are_told_apart() {
    let house = House::open(LiveSettings::open()).await;
    let opening = house.listen("/events").await.last_id.unwrap();
    let purger = (0..150).fold(house.cache.purger(), |purger, n| {
        purger.announcing(sale(ADDRESS, n))
    });
    purger.tag(&format!("auction:{ADDRESS}")).await.unwrap();
    let mut client = EventClient::resume(house.address(), "/events", &opening).await;
    amounts(&mut client, 70).await;
    let last = client.last_id.clone().unwrap();
    assert!(last.ends_with(".69"), "{last}");
    let mut client = EventClient::resume(house.address(), "/events", &last).await;
    let rest: Vec<_> = (70..150).map(|n| n.to_string()).collect();
    assert_eq!(amounts(&mut client, 80).await, rest);
}

#[tokio::test]
async fn who_cannot_go_on_is_told_so_and_goes_on_from_there() {
    let house = House::open(LiveSettings::open()).await;
    house.tell(sale(ADDRESS, 0)).await;
    let position = house.cache.position().unwrap();
    let other = Position::new(position.epoch.get() ^ 1, position.ordinal);
    let ahead = Position::new(position.epoch.get(), position.ordinal + 1_000);
    for (n, (cursor, reason)) in (1..).zip([
        (
            other.to_string(),
            "the log began anew, and that id is of the old one",
        ),
        (
            format!("{ahead}.3"),
            "this server has not read as far as that id",
        ),
    ]) {
        let mut client = EventClient::resume(house.address(), "/events", &cursor).await;
        let event = client.event().await;
        assert_eq!(event.event.as_deref(), Some("resync"), "{cursor}");
        assert_eq!(event.text("reason"), reason);
        assert_eq!(event.id, Some(house.cache.position().unwrap().to_string()));
        house.tell(sale(ADDRESS, n)).await;
        let event = client.event().await;
        assert_eq!(event.event.as_deref(), Some("auction_update"));
    }
}

#[tokio::test]
async fn the_history_is_bounded_and_says_so() {
    let house = House::open(LiveSettings::open()).await;
    let opening = house.listen("/events").await.last_id.unwrap();
    for record in 0..60 {
        let purger = (0..150).fold(house.cache.purger(), |purger, n| {
            purger.announcing(sale(ADDRESS, record * 1_000 + n))
        });
        purger.tag("auction:1").await.unwrap();
    }
    let mut client = EventClient::resume(house.address(), "/events", &opening).await;
    let event = client.event().await;
    assert_eq!(
        event.text("reason"),
        "what came after that id is no longer kept"
    );
}

/// What one process told, another one goes on with, also one that was not there.
#[tokio::test]
async fn a_client_goes_on_at_another_node_and_at_one_that_begins() {
    let fleet = Fleet::private();
    let open = async || House::closed(fleet.builder(), LiveSettings::open()).await;
    let (first, second) = (open().await, open().await);
    first.joined().await;
    second.joined().await;
    let mut client = first.listen("/events").await;
    for n in 0..20 {
        second.tell(sale(ADDRESS, n)).await;
    }
    amounts(&mut client, 10).await;
    let last = client.last_id.clone().unwrap();
    let mut client = EventClient::resume(second.address(), "/events", &last).await;
    let rest: Vec<_> = (10..20).map(|n| n.to_string()).collect();
    assert_eq!(amounts(&mut client, 10).await, rest);
    drop((first, second));
    // Before it has joined the log.
    let third = open().await;
    let mut client = EventClient::resume(third.address(), "/events", &last).await;
    assert_eq!(amounts(&mut client, 10).await, rest);
    third.tell(sale(ADDRESS, 20)).await;
    assert_eq!(amounts(&mut client, 1).await, ["20"]);
}

#[tokio::test]
async fn an_embedded_store_remembers_nothing_of_the_process_before() {
    let house = House::open(LiveSettings::open()).await;
    house.tell(sale(ADDRESS, 0)).await;
    let last = house.cache.position().unwrap().to_string();
    drop(house);
    let house = House::closed(Cache::builder(), LiveSettings::open()).await;
    let mut client = EventClient::resume(house.address(), "/events", &last).await;
    let event = ends("it is told", client.event()).await;
    assert_eq!(event.event.as_deref(), Some("resync"));
}
