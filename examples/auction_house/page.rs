//! The page: what the cache does, for people to look at. Plain HTML, CSS and ES modules, built into the program.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::csrf::CsrfLayer;
use tower_tagcache::Cache;

use crate::actions;
use crate::database::Database;
use crate::indexer::Indexer;
use crate::neighbours::Neighbours;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Path, type and content of the page's files.
macro_rules! own {
    ($($kind:ident $name:literal),* $(,)?) => {
        &[$((concat!("/page/", $name), $kind, include_str!(concat!("page/", $name)))),*]
    };
}

/// Those of the client that any page can use.
macro_rules! client {
    ($($name:literal),* $(,)?) => {
        &[$((concat!("/client/", $name), SCRIPT, include_str!(concat!("../../clients/web/src/", $name)))),*]
    };
}

type File = (&'static str, &'static str, &'static str);

const OWN: &[File] = own![
    CSS "style.css",
    ICON "icon.svg",
    SCRIPT "actions.js",
    SCRIPT "activity.js",
    SCRIPT "app.js",
    SCRIPT "cards.js",
    SCRIPT "chart.js",
    SCRIPT "detail.js",
    SCRIPT "dom.js",
    SCRIPT "format.js",
    SCRIPT "health.js",
    SCRIPT "house.js",
    SCRIPT "trail.js",
];
const CLIENT: &[File] = client![
    "activity-feed.js",
    "attempt.js",
    "backoff.js",
    "fetching.js",
    "filter.js",
    "ids.js",
    "index.js",
    "live-client.js",
    "page.js",
    "probe.js",
    "report.js",
    "resource-store.js",
    "resource.js",
    "stream.js",
    "transport.js",
    "watchdog.js",
];
const START: &str = include_str!("page/index.html");
/// Where the page names its scripts, so that a browser fetches them all at once and not one after the other.
const SCRIPTS: &str = "<!-- scripts -->";

/// What the page asks the server about itself.
#[derive(Debug, Clone)]
pub(crate) struct House {
    pub(crate) cache: Cache,
    pub(crate) database: Database,
    pub(crate) neighbours: Neighbours,
    pub(crate) listens: SocketAddr,
}

/// The page, its buttons, and what it asks about the server.
pub(crate) fn router(house: House, indexer: Indexer) -> Router {
    let mut router = Router::new();
    let mut scripts = String::new();
    for &(path, kind, text) in OWN.iter().chain(CLIENT) {
        if kind == SCRIPT {
            scripts += &format!("<link rel=\"modulepreload\" href=\"{path}\">\n");
        }
        let answer = move || async move { ([(CONTENT_TYPE, kind)], text) };
        router = router.route(path, get(answer));
    }
    let start = START.replace(SCRIPTS, scripts.trim_end());
    router = router.route("/", get(async || ([(CONTENT_TYPE, HTML)], start)));
    if house.database.is_own() {
        router = router.merge(actions::router(house.database.clone(), indexer));
    }
    let policy = policy(house.listens);
    let status = Router::new()
        .route("/page/status", get(status))
        .with_state(house);
    router
        .merge(status)
        // What other sites make a browser send changes nothing here.
        .layer(CsrfLayer::new())
        .layer(middleware::from_fn(move |request, next| {
            guarded(policy.clone(), request, next)
        }))
}

/// Says how long the server took for an answer, which the browser and its queue do not blur.
pub(crate) async fn timed(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let mut response = next.run(request).await;
    let took = start.elapsed().as_secs_f64() * 1_000.0;
    if let Ok(value) = HeaderValue::from_str(&format!("server;dur={took:.3}")) {
        response.headers_mut().insert("server-timing", value);
    }
    response
}

/// Lets pages of the neighbours read what is answered: their origins are theirs alone.
pub(crate) fn readable_by(neighbours: Neighbours) -> CorsLayer {
    let known = move |origin: HeaderValue, _: &_| neighbours.have(origin);
    CorsLayer::new()
        .allow_methods([Method::GET])
        .allow_origin(AllowOrigin::async_predicate(known))
        .expose_headers(
            ["age", "cache-status", "server-timing"]
                .map(|name| name.parse().expect("a field name")),
        )
}

/// How this copy is, and who else there is.
async fn status(State(house): State<House>) -> impl IntoResponse {
    let health = house.cache.health();
    let troubles: Vec<_> = health.troubles.iter().map(|it| &it.message).collect();
    let body = json!({
        "node": house.listens.to_string(),
        "nodes": house.neighbours.all(),
        "shared": house.database.is_shared(),
        "server": health.server,
        "followed": health.followed,
        "troubles": troubles,
        "position": health.position.map(|it| it.to_string()),
        "can_act": house.database.is_own(),
    });
    ([("cache-control", "no-store")], Json(body))
}

/// Answers only who asks by an address or as `localhost`: any other name may be one that its owner points here, to read
/// what is for this machine's user (DNS rebinding).
async fn guarded(policy: HeaderValue, request: Request, next: Next) -> Response {
    if !is_local(request.headers()) {
        let text = "this page is at the address of its server, or at localhost\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry("cache-control")
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

/// What the page may load: its own files, and answers of the copies at the same address.
fn policy(listens: SocketAddr) -> HeaderValue {
    let address = SocketAddr::new(listens.ip(), 0).to_string();
    let host = address.trim_end_matches(":0");
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' http://{host}:* \
         ws://{host}:* ws://localhost:*; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("an address in a field")
}

fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
}
