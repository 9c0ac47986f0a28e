//! Live updates through the proxy: what a stream without an end asks of the limits of connections, and of a drain.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tagcache::proxy::{Proxy, ProxySettings};
use tagcache_test_support::{EventClient, SocketClient, ends, until};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::{Cache, Update};

use crate::client::{Raw, VERSIONS, get, request, start, start_over};
use crate::raw_origin::{RawOrigin, ok};
use crate::site::{ProxySite, rules, settings};

const SHORT: Duration = Duration::from_millis(60);
const AUCTION: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
const LISTEN: &str = "GET /events HTTP/1.1\r\nhost: x\r\n\r\n";

/// A proxy with live updates, whose companion runs.
struct LiveSite {
    cache: Cache,
    live: LiveService,
    site: ProxySite,
    origin: RawOrigin,
    companion: JoinHandle<()>,
}

impl LiveSite {
    async fn start(
        change: impl FnOnce(&mut ProxySettings),
        change_live: impl FnOnce(LiveSettings) -> LiveSettings,
    ) -> Self {
        let origin = RawOrigin::start(|heard| ok("cache-control: no-store", heard.path())).await;
        let mut settings = settings(origin.url());
        change(&mut settings);
        let (cache, companion) = rules().build().unwrap();
        let peers = settings.trusted_peers.iter().map(ToString::to_string);
        let live = change_live(LiveSettings::open()).trusted_proxies(peers);
        let live = cache.live(&live).unwrap();
        let proxy = Proxy::new(settings, cache.clone()).unwrap();
        let site = ProxySite::of(proxy.live(Some(live.clone()))).await;
        let companion = tokio::spawn(companion.run(std::future::pending()));
        until("the log is joined", async || cache.position().is_some()).await;
        Self {
            cache,
            live,
            site,
            origin,
            companion,
        }
    }

    async fn tell(&self, text: &str) {
        let update = Update::new("sale", AUCTION).unwrap();
        let update = update.with_field("text", text).unwrap();
        let purge = self.cache.purger().announcing(update);
        ends("a purge", purge.tag(AUCTION)).await.unwrap();
    }

    async fn listen(&self, version: Version) -> Listener {
        let asked = request(self.site.address, Method::GET, "/events?type=sale", &[]);
        let asked = asked.body(Empty::<Bytes>::new()).unwrap();
        let answer = start(self.site.address, version, asked).await.unwrap();
        assert_eq!(answer.status(), 200, "{version:?}");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Listener {
            body: answer.into_body(),
            heard: String::new(),
        }
    }

    async fn has_clients(&self, number: usize) {
        until("as many clients", async || {
            self.live.stats().clients == number
        })
        .await;
    }

    /// Waits until a connection without requests has been closed for that.
    async fn idle_time(&self) {
        let mut client = Raw::connect(self.site.address).await;
        client.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.rest().await, b"");
    }
}

impl Drop for LiveSite {
    fn drop(&mut self) {
        self.companion.abort();
    }
}

/// A client of either version of HTTP.
struct Listener {
    body: Incoming,
    heard: String,
}

impl Listener {
    /// Reads until `text` has come.
    async fn hears(&mut self, text: &str) {
        while !self.heard.contains(text) {
            assert!(self.read().await, "it ended: {}", self.heard);
        }
    }

    async fn read(&mut self) -> bool {
        let Some(Ok(frame)) = ends("a frame", self.body.frame()).await else {
            return false;
        };
        let data = frame.into_data().unwrap_or_default();
        self.heard.push_str(std::str::from_utf8(&data).unwrap());
        true
    }
}

#[tokio::test]
async fn updates_come_over_either_version_of_http_and_upstream_is_not_asked() {
    let site = LiveSite::start(|_| {}, |live| live).await;
    for version in VERSIONS {
        let mut client = site.listen(version).await;
        client.hears("retry: ").await;
        site.tell("first").await;
        client.hears("event: auction_update\nid: ").await;
        client.hears("\"text\":\"first\"").await;
        site.tell("second").await;
        client.hears("\"text\":\"second\"").await;
        drop(client);
        site.has_clients(0).await;
    }
    assert_eq!(site.origin.calls(), 0);
    let other = get(site.site.address, Version::HTTP_11, "/eventsx").await;
    assert_eq!((other.text(), site.origin.calls()), ("/eventsx", 1));
}

#[tokio::test]
async fn what_is_refused_is_told_and_the_connection_goes_on() {
    let site = LiveSite::start(|_| {}, |live| live).await;
    let mut client = Raw::connect(site.site.address).await;
    for (target, status) in [
        ("/events?x=1", 400),
        ("/events/ticket", 405),
        ("/events/auction?ticket=secret", 404),
        ("/a", 200),
    ] {
        let asked = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n");
        let answer = client.ask(&asked).await;
        assert_eq!(answer.status(), status, "{target}");
        if status == 400 {
            let kind = answer.field("content-type");
            assert_eq!(kind, Some("application/problem+json"));
        }
    }
    assert_eq!(site.live.stats().clients, 0);
    assert_eq!(site.origin.calls(), 1, "a ticket is for nobody behind");
}

#[tokio::test]
async fn a_websocket_ends_in_the_proxy() {
    let site = LiveSite::start(|_| {}, |live| live).await;
    let path = format!("/events/{}", AUCTION.replace(':', "/"));
    let mut socket = SocketClient::open(site.site.address, &path, &[])
        .await
        .unwrap();
    assert_eq!(socket.next().await.unwrap()["op"], "subscribed");
    socket.say(json!({ "op": "subscribe", "name": "n" })).await;
    assert_eq!(socket.next().await.unwrap()["name"], "n");
    site.tell("told").await;
    let told = socket.next().await.unwrap();
    assert_eq!(told["data"]["text"], "told", "{told}");
    assert_eq!(site.origin.calls(), 0);
    drop(socket);
    site.has_clients(0).await;
    let foreign = [("origin", "https://other.example")];
    let refused = SocketClient::open(site.site.address, "/events", &foreign).await;
    assert_eq!(refused.unwrap_err().0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_stream_on_which_nothing_happens_is_neither_idle_nor_too_slow() {
    let limits = |settings: &mut ProxySettings| {
        settings.timeouts.client_idle = SHORT;
        settings.timeouts.client_write = SHORT;
        settings.timeouts.client_head = SHORT * 4;
    };
    let site = LiveSite::start(limits, |live| live.keep_alive(Duration::from_secs(3_600))).await;
    let (mut old, mut new) = (
        site.listen(Version::HTTP_11).await,
        site.listen(Version::HTTP_2).await,
    );
    let mut socket = SocketClient::open(site.site.address, "/events?type=sale", &[])
        .await
        .unwrap();
    assert_eq!(socket.next().await.unwrap()["op"], "subscribed");
    for round in ["first", "second"] {
        // Three times as long as anything may take.
        for _ in 0..3 {
            site.idle_time().await;
        }
        site.tell(round).await;
        old.hears(round).await;
        new.hears(round).await;
        assert_eq!(socket.next().await.unwrap()["data"]["text"], round);
    }
    assert_eq!(site.live.stats().clients, 3);
}

#[tokio::test]
async fn safety_56_a_listener_that_does_not_read_is_cut_off() {
    let limits = |settings: &mut ProxySettings| settings.timeouts.client_write = SHORT;
    let site = LiveSite::start(limits, |live| live).await;
    let text = "x".repeat(8_000);
    for version in VERSIONS {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(site.site.address).await.unwrap();
        let asked = request(site.site.address, Method::GET, "/events", &[]);
        let asked = asked.body(Empty::<Bytes>::new()).unwrap();
        let answer = if version == Version::HTTP_2 {
            let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            client.initial_stream_window_size(4_096);
            let shaken = client.handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = shaken.unwrap();
            tokio::spawn(connection);
            ends("an answer", sender.send_request(asked)).await
        } else {
            start_over(stream, version, asked).await
        };
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200, "{version:?}");
        assert_eq!(site.live.stats().clients, 1);
        until("it is cut off", async || {
            site.tell(&text).await;
            site.live.stats().clients == 0
        })
        .await;
        // By the proxy, long before it would have missed something.
        assert_eq!(site.live.stats().too_slow, 0, "{version:?}");
        drop(answer);
    }
}

#[tokio::test]
async fn a_listener_that_goes_away_makes_room_at_once() {
    let site = LiveSite::start(
        |_| {},
        |live| {
            live.connections(1, 1)
                .keep_alive(Duration::from_secs(3_600))
        },
    )
    .await;
    let limit = Duration::from_secs(4);
    for half in [false, true] {
        let mut client = Raw::connect(site.site.address).await;
        client.write(LISTEN).await;
        assert!(client.head().await.starts_with("HTTP/1.1 200 "));
        if half {
            // Who says that nothing more will come waits for no answer to end: long before others are given up.
            client.end().await;
            let ended = tokio::time::timeout(limit, client.rest()).await;
            assert!(ended.is_ok(), "it was kept");
        } else {
            drop(client);
        }
        let gone = tokio::time::timeout(limit, site.has_clients(0)).await;
        assert!(gone.is_ok(), "half: {half}");
    }
    // Also where both were read at once.
    let mut client = Raw::connect(site.site.address).await;
    client.write(LISTEN).await;
    client.end().await;
    let ended = tokio::time::timeout(limit, client.rest()).await;
    assert!(ended.is_ok());
    site.has_clients(0).await;
}

#[tokio::test]
async fn over_http2_a_client_listens_and_asks_at_once() {
    let site = LiveSite::start(|_| {}, |live| live).await;
    let stream = tokio::net::TcpStream::connect(site.site.address).await;
    let io = TokioIo::new(stream.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let asked = |path: &str| {
        let asked = request(site.site.address, Method::GET, path, &[]);
        asked.body(Empty::<Bytes>::new()).unwrap()
    };
    let listening = ends("a stream", sender.send_request(asked("/events"))).await;
    let other = ends("an answer", sender.send_request(asked("/a"))).await;
    assert_eq!(other.unwrap().status(), 200);
    assert_eq!(site.live.stats().clients, 1);
    drop((listening, sender));
    site.has_clients(0).await;
}

#[tokio::test]
async fn a_drain_ends_all_streams_with_a_reason_and_waits_for_none() {
    let drain = Duration::from_secs(600);
    let mut site = LiveSite::start(|settings| settings.timeouts.drain = drain, |live| live).await;
    let mut old = EventClient::open(site.site.address, "/events", &[]).await;
    let mut new = site.listen(Version::HTTP_2).await;
    let mut socket = SocketClient::open(site.site.address, "/events", &[])
        .await
        .unwrap();
    site.has_clients(3).await;
    site.site.shut_down();
    let last = old.event().await;
    assert_eq!(last.event.as_deref(), Some("end"));
    assert!(last.text("reason").contains("connect again"), "{last:?}");
    assert_eq!(ends("the end", old.next()).await, None);
    new.hears("event: end").await;
    while new.read().await {}
    let closed = socket.next().await.unwrap_err().expect("a reason");
    assert_eq!(u16::from(closed.code), 1001);
    drop(socket);
    site.has_clients(0).await;
    until("it is over", async || site.site.is_over()).await;
}

#[tokio::test]
async fn who_asks_through_a_trusted_peer_is_counted_by_its_own_address() {
    let loopback = "127.0.0.1".parse().unwrap();
    let few = |live: LiveSettings| live.connections(10, 1);
    let first = [("x-forwarded-for", "198.51.100.1")];
    let second = [("x-forwarded-for", "198.51.100.2")];
    let site = LiveSite::start(|settings| settings.trusted_peers = vec![loopback], few).await;
    let open = async |site: &LiveSite, lines: &[(&str, &str)]| {
        EventClient::open(site.site.address, "/events", lines).await
    };
    let listening = open(&site, &first).await;
    assert_eq!(listening.status, 200);
    let refused = open(&site, &first).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let other = open(&site, &second).await;
    assert_eq!(other.status, 200);
    // Whoever is not trusted is who it is.
    let site = LiveSite::start(|_| {}, few).await;
    let listening = open(&site, &first).await;
    assert_eq!(listening.status, 200);
    let refused = open(&site, &second).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
}
