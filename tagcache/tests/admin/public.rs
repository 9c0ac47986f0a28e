//! `PURGE`, and the calls of a load test, on the listener that clients use.

use std::net::SocketAddr;

use http::Method;
use tagcache::admin::{Admin, AdminHooks, AdminSettings, AdminToken, PublicPurge, Telemetry};
use tagcache::proxy::{Listen, Proxy, ProxySettings};
use tagcache_test_support::{Origin, Served, body, response};

use crate::site::{TOKEN, Told, call, closed, rules, with_token};

/// Answers 404 to what is no `GET`, so that nothing but the door purges.
fn origin() -> Origin {
    Origin::answering(|asked| {
        let found = asked.parts.method == Method::GET;
        response(if found { 200 } else { 404 }, &[], body("ok"))
    })
}

struct Front {
    address: SocketAddr,
    origin: Origin,
    _upstream: Served,
}

impl Front {
    async fn with(settings: AdminSettings) -> Self {
        let origin = origin();
        let upstream = origin.serve().await;
        let telemetry = Telemetry::new();
        let (cache, companion) = rules().observer(telemetry.clone()).build().unwrap();
        tokio::spawn(companion.run(std::future::pending()));
        let mut proxied = ProxySettings::new(upstream.url());
        proxied.listen = vec![Listen::new(SocketAddr::from(([127, 0, 0, 1], 0)))];
        let proxy = Proxy::new(proxied, cache.clone()).unwrap();
        let hooks = AdminHooks::new(telemetry).upstreams(proxy.upstreams());
        let admin = Admin::new(settings, cache, hooks);
        let bound = proxy.door(admin.door()).bind().await.unwrap();
        let address = bound.local_addresses()[0];
        tokio::spawn(bound.run(std::future::pending()));
        Self {
            address,
            origin,
            _upstream: upstream,
        }
    }

    async fn call(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Told {
        call(self.address, method, path, fields, "").await
    }

    /// Has the cache hold `/auctions`.
    async fn fill(&self) {
        while self.forwards().await {}
    }

    async fn forwards(&self) -> bool {
        let before = self.origin.calls_by("GET");
        let told = self.call("GET", "/auctions", &[]).await;
        assert_eq!((told.status, told.text.as_str()), (200, "ok"));
        self.origin.calls_by("GET") > before
    }
}

fn purge_from(networks: &[&str]) -> AdminSettings {
    let mut settings = closed();
    let networks = networks.iter().map(|network| network.parse().unwrap());
    settings.public_purge = Some(PublicPurge {
        networks: networks.collect(),
    });
    settings
}

#[tokio::test]
async fn safety_21_purge_is_not_ours_unless_it_is_opened() {
    let front = Front::with(closed()).await;
    front.fill().await;
    for fields in [
        &[][..],
        &[("x-invalidate-cache", "1")],
        &[("x-purge", "all")],
    ] {
        let told = front.call("PURGE", "/auctions", fields).await;
        assert_eq!(told.status, 404, "upstream's answer");
    }
    assert_eq!(front.origin.calls_by("PURGE"), 3);
    assert!(!front.forwards().await, "its 404 purged nothing");
}

#[tokio::test]
async fn safety_21_purge_from_elsewhere_is_refused_and_goes_no_further() {
    let front = Front::with(purge_from(&["10.0.0.0/8"])).await;
    front.fill().await;
    for fields in [
        &[][..],
        &[("x-forwarded-for", "10.0.0.1")],
        &[("authorization", "Bearer correct-horse-battery")],
    ] {
        assert_eq!(front.call("PURGE", "/auctions", fields).await.status, 403);
    }
    assert_eq!(front.origin.calls_by("PURGE"), 0);
    assert!(!front.forwards().await);
}

#[tokio::test]
async fn safety_21_a_listed_address_purges_unless_it_asks_for_others() {
    let front = Front::with(purge_from(&["127.0.0.0/8"])).await;
    front.fill().await;
    for fields in [
        &[("x-forwarded-for", "192.0.2.1")][..],
        &[("via", "1.1 front")],
        &[("forwarded", "for=192.0.2.1")],
        // What it names for removal would otherwise be gone before anybody looks.
        &[
            ("connection", "close, x-forwarded-for"),
            ("x-forwarded-for", "192.0.2.1"),
        ],
    ] {
        let told = front.call("PURGE", "/auctions", fields).await;
        assert_eq!(told.status, 403, "{fields:?}");
    }
    assert!(!front.forwards().await);
    let told = front.call("PURGE", "/auctions?page=2", &[]).await;
    assert_eq!(
        (told.status, told.json()["targets"][0].as_str()),
        (200, Some("p:/auctions"))
    );
    assert_eq!(front.origin.calls_by("PURGE"), 0);
    assert!(front.forwards().await);
}

#[tokio::test]
async fn safety_21_the_token_purges_from_wherever() {
    let mut settings = purge_from(&[]);
    settings.token = Some(AdminToken::new(TOKEN).unwrap());
    let front = Front::with(settings).await;
    front.fill().await;
    assert_eq!(front.call("PURGE", "/auctions", &[]).await.status, 401);
    assert!(!front.forwards().await);
    let bearer = format!("Bearer {TOKEN}");
    let fields = [
        ("authorization", &*bearer),
        ("x-forwarded-for", "192.0.2.1"),
    ];
    assert_eq!(front.call("PURGE", "/auctions", &fields).await.status, 200);
    assert!(front.forwards().await);
}

#[tokio::test]
async fn the_commands_of_the_requirement_work_on_the_public_port_in_dev_mode() {
    let mut settings = closed();
    settings.public_test_calls = true;
    let front = Front::with(settings.clone()).await;
    let (metrics, invalidate) = ("/metrics", "/test/invalidate-cache");
    assert_eq!(
        front.call("POST", invalidate, &[]).await.status,
        404,
        "not in dev mode"
    );
    assert_eq!(
        front.call("GET", metrics, &[]).await.text,
        "ok",
        "upstream's own"
    );
    settings.test_calls = true;
    let front = Front::with(settings).await;
    front.fill().await;
    assert_eq!(
        front.call("GET", metrics, &[]).await.json()["cache_hit_rate"],
        0.5
    );
    let browser = [("origin", "http://attacker.example")];
    assert_eq!(front.call("POST", invalidate, &browser).await.status, 403);
    assert!(!front.forwards().await);
    assert_eq!(front.call("POST", invalidate, &[]).await.status, 200);
    assert!(front.forwards().await);
    assert_eq!(front.origin.calls_by("POST"), 0);
}

#[tokio::test]
async fn who_shows_the_token_is_told_the_position_of_an_answer_and_upstream_sees_no_token() {
    let front = Front::with(with_token()).await;
    front.fill().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let ask = async |path: &str, token: &str| {
        let credentials = bearer(token);
        let told = front
            .call("GET", path, &[("authorization", &credentials)])
            .await;
        assert_eq!(told.status, 200);
        told.head.to_lowercase()
    };
    let told = ask("/auctions", TOKEN).await;
    assert!(
        told.contains("tagcache; hit") && told.contains("; position=\""),
        "{told}"
    );
    let missed = ask("/auctions?hours=7", TOKEN).await;
    assert!(
        missed.contains("fwd=uri-miss") && missed.contains("; position=\""),
        "{missed}"
    );
    assert_eq!(front.origin.last().field("authorization"), None);
    let stranger = ask("/auctions?hours=8", "another-token-of-mine").await;
    assert!(!stranger.contains("position="), "{stranger}");
    let passed_on = bearer("another-token-of-mine");
    assert_eq!(
        front.origin.last().field("authorization"),
        Some(&*passed_on)
    );
    let nobody = front.call("GET", "/auctions", &[]).await;
    assert!(!nobody.head.contains("position="), "{}", nobody.head);
}
