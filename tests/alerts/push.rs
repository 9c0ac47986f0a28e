//! Web Push: browsers subscribe, are told, and are forgotten when they are gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tagcache_test_support::{RedisServer, ends, until};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower_tagcache::outgoing::OutgoingSettings;
use tower_tagcache::outgoing::push::{PushService, PushServiceSettings, PushSettings};
use tower_tagcache::{AlertRule, Cache, CacheBuilder, Update};

/// The keys of the browser in RFC 8291, appendix A.
const P256DH: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
const TOKEN: &str = "a-token-that-nobody-guesses";

/// What a push service answers, by browser, and how often each was told.
type Browsers = Arc<Mutex<BTreeMap<String, (u16, usize)>>>;

/// A push service, which ends when it is dropped.
struct PushServer {
    address: SocketAddr,
    browsers: Browsers,
    task: JoinHandle<()>,
}

impl Drop for PushServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PushServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let browsers = Browsers::default();
        let router = axum::Router::new().route("/to/{browser}", post(take));
        let router = router.with_state(Arc::clone(&browsers));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            browsers,
            task,
        }
    }

    /// What the page of a browser sends, which is answered `status` from now on.
    fn browser(&self, name: &str, status: u16) -> Json {
        self.browsers.lock().insert(name.to_owned(), (status, 0));
        json!({
            "endpoint": format!("http://{}/to/{name}", self.address), "expirationTime": null,
            "keys": { "p256dh": P256DH, "auth": AUTH },
        })
    }

    fn told(&self, name: &str) -> usize {
        self.browsers.lock()[name].1
    }
}

async fn take(
    State(browsers): State<Browsers>,
    Path(browser): Path<String>,
    fields: HeaderMap,
) -> StatusCode {
    assert_eq!(fields["content-encoding"], "aes128gcm");
    assert!(
        fields["authorization"]
            .to_str()
            .unwrap()
            .starts_with("vapid t=")
    );
    assert!(fields.contains_key("ttl") && fields.contains_key("topic"));
    let mut browsers = browsers.lock();
    let known = browsers.get_mut(&browser).unwrap();
    known.1 += 1;
    StatusCode::from_u16(known.0).unwrap()
}

fn builder() -> CacheBuilder {
    let outgoing = OutgoingSettings::default()
        .allow_plain(true)
        .networks(["127.0.0.0/8"]);
    let push = PushSettings::new("mailto:ops@example.org")
        .key("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE")
        .hosts(["127.0.0.1"]);
    let big = AlertRule::new("big").when("amount >= 100").push();
    let all = AlertRule::new("all").push();
    Cache::builder()
        .outgoing(outgoing)
        .push(push)
        .alert(big)
        .alert(all)
}

async fn ask(service: &PushService, method: &str, token: bool, body: &Json) -> (StatusCode, Json) {
    let request = http::Request::builder()
        .method(method)
        .uri("/push/subscriptions");
    let request = match token {
        true => request.header("authorization", format!("Bearer {TOKEN}")),
        false => request,
    };
    let request = request
        .body(Full::<bytes::Bytes>::from(body.to_string()))
        .unwrap();
    let response = ends("an answer", service.clone().oneshot(request))
        .await
        .unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn sell(cache: &Cache, n: u64, amount: &str) {
    let sale = Update::new("sale", format!("auction:{n}")).unwrap();
    let sale = sale.with_identity(format!("sale/{n}")).unwrap();
    let sale = sale.with_field("amount", amount).unwrap();
    cache.purger().announcing(sale).targets([]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_until_they_are_gone() {
    let redis = RedisServer::start();
    for shared in [false, true] {
        let server = PushServer::start().await;
        let builder = if shared {
            builder().redis(redis.url())
        } else {
            builder()
        };
        let (cache, companion) = builder.build().unwrap();
        let companion = tokio::spawn(companion.run(std::future::pending()));
        let service = cache
            .push_service(&PushServiceSettings::guarded(TOKEN))
            .unwrap();
        let of_all = server.browser("all", 201);
        let subscribe = async |subscription: &Json, rules: &[&str]| {
            let body = json!({ "subscription": subscription, "rules": rules });
            ask(&service, "POST", true, &body).await.0
        };
        assert_eq!(subscribe(&of_all, &[]).await, StatusCode::CREATED);
        assert_eq!(subscribe(&of_all, &[]).await, StatusCode::OK, "again");
        let of_big = server.browser("big", 201);
        assert_eq!(subscribe(&of_big, &["big"]).await, StatusCode::CREATED);
        let gone = [("gone", 410), ("unknown", 404)];
        let gone = gone.map(|(name, status)| server.browser(name, status));
        for gone in &gone {
            assert_eq!(subscribe(gone, &[]).await, StatusCode::CREATED);
        }
        sell(&cache, 1, "5").await;
        until("the browser of all is told", async || {
            server.told("all") == 1
        })
        .await;
        for gone in &gone {
            until("it is forgotten, and new again", async || {
                subscribe(gone, &[]).await == StatusCode::CREATED
            })
            .await;
        }
        sell(&cache, 2, "500").await;
        until("both are told", async || {
            server.told("all") == 3 && server.told("big") == 1
        })
        .await;
        // Who does not know its secret does not end it, nor takes its place.
        let mut wrong = of_big.clone();
        wrong["keys"]["auth"] = "AAAAAAAAAAAAAAAAAAAAAA".into();
        assert_eq!(subscribe(&wrong, &[]).await, StatusCode::BAD_REQUEST);
        for body in [&wrong, &server.browser("nobody", 201)] {
            let (status, problem) = ask(&service, "DELETE", false, body).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
        }
        let (status, _) = ask(&service, "DELETE", false, &of_big).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        sell(&cache, 3, "500").await;
        until("the other is told", async || server.told("all") == 5).await;
        assert_eq!(server.told("big"), 1, "it wants no more");
        companion.abort();
    }
}

#[tokio::test]
async fn what_is_no_subscription_is_refused_with_a_reason() {
    let server = PushServer::start().await;
    let (cache, _companion) = builder().build().unwrap();
    let service = cache
        .push_service(&PushServiceSettings::guarded(TOKEN))
        .unwrap();
    let good = server.browser("good", 201);
    let with = |name: &str, value: Json| {
        let mut subscription = good.clone();
        match name.split_once('.') {
            Some((parent, name)) => subscription[parent][name] = value,
            None => subscription[name] = value,
        }
        json!({ "subscription": subscription })
    };
    for body in [
        json!({}),
        json!([]),
        json!({ "subscription": good, "rule": ["big"] }),
        json!({ "subscription": good, "rules": ["unknown"] }),
        json!({ "subscription": good, "rules": "big" }),
        with("endpoint", "https://10.0.0.1/".into()),
        with("endpoint", "https://192.168.0.1/".into()),
        with("endpoint", "https://push.example.org/".into()),
        with("endpoint", 7.into()),
        with("keys.auth", "AA".into()),
        with("keys.p256dh", "AA".into()),
    ] {
        let (status, problem) = ask(&service, "POST", true, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(problem["detail"].is_string(), "{problem}");
    }
    let body = json!({ "subscription": good });
    let (status, _) = ask(&service, "POST", false, &body).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let large = json!({ "subscription": good, "rules": ["x".repeat(9_000)] });
    assert_eq!(
        ask(&service, "POST", true, &large).await.0,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        ask(&service, "PUT", true, &body).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    let closed = PushServiceSettings::default();
    assert!(
        cache.push_service(&closed).is_err(),
        "nobody could subscribe"
    );
    let (none, _companion) = Cache::builder().build().unwrap();
    assert!(none.push_service(&PushServiceSettings::open()).is_err());
    let nobody = Cache::builder().alert(AlertRule::new("big").push()).build();
    assert!(nobody.is_err(), "nothing says who pushes");
}
