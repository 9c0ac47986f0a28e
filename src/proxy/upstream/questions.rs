//! The upkeep of upstreams while a proxy runs: asks whether they are well, and closes connections that
//! nobody needs.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::proxy::request_body::RequestBody;
use crate::proxy::upstream::exchange::send;
use crate::proxy::upstream::pool::Wanted;
use crate::proxy::upstream::service::{Shared, Upstream, Upstreams};

/// Runs until it is dropped.
pub(in crate::proxy) async fn maintain(upstreams: Upstreams) {
    let shared = upstreams.0;
    let mut ticks = interval(
        shared
            .settings
            .health
            .interval
            .max(Duration::from_millis(10)),
    );
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let each = shared.upstreams.iter().map(|upstream| {
            upstream.pool.sweep();
            question(&shared, upstream)
        });
        futures_util::future::join_all(each).await;
    }
}

async fn question(shared: &Arc<Shared>, upstream: &Upstream) {
    let Some(path) = &shared.settings.health.path else {
        return;
    };
    let limit = shared.settings.health.interval;
    let answered = timeout(limit, is_well(shared, upstream, path)).await;
    let answered = answered.unwrap_or(false);
    if upstream.health.questioned(answered) {
        match answered {
            true => tracing::info!(upstream = upstream.url, "upstream is up"),
            false => tracing::warn!(upstream = upstream.url, "upstream is down"),
        }
    }
}

async fn is_well(shared: &Shared, upstream: &Upstream, path: &str) -> bool {
    let timeouts = &shared.settings.timeouts;
    let address = &upstream.pool.address;
    let uri = Uri::builder()
        .scheme(address.scheme())
        .authority(address.authority.clone())
        .path_and_query(path);
    let Ok(uri) = uri.build() else { return false };
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = uri;
    let host = HeaderValue::from_str(address.authority.as_str());
    let Ok(host) = host else { return false };
    request.headers_mut().insert(HOST, host);
    shared.name_host(upstream, &mut request);
    let Ok(agent) = HeaderValue::from_str(&shared.settings.name) else {
        return false;
    };
    request.headers_mut().insert(USER_AGENT, agent);
    let Ok(mut lease) = upstream.pool.lease(Wanted::Fresh, timeouts.connect).await else {
        return false;
    };
    // The body is not read: the connection ends with the lease.
    let answer = send(&mut lease, request, None, timeouts.response_head).await;
    answer.is_ok_and(|response| response.status().as_u16() < 400)
}
