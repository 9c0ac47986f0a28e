//! The upkeep of upstreams while a proxy runs: asks whether they are well, and closes connections that
//! nobody needs.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::proxy::request_body::RequestBody;
use crate::proxy::upstream::exchange::{NoAnswer, send};
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::upstream::news::Trouble;
use crate::proxy::upstream::pool::Demand;
use crate::proxy::upstream::service::{Upstream, UpstreamSet, Upstreams};

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
            upstream.catch_up();
            question(&shared, upstream)
        });
        futures_util::future::join_all(each).await;
    }
}

async fn question(shared: &Arc<UpstreamSet>, upstream: &Upstream) {
    let Some(path) = &shared.settings.health.path else {
        return;
    };
    let limit = shared.settings.health.interval;
    let answered = timeout(limit, ask(shared, upstream, path)).await;
    let answered = answered.unwrap_or_else(|_| Err(Trouble::silent(path, limit)));
    let down = upstream.health.questioned(answered.is_ok());
    match answered {
        Ok(()) => upstream.news.well(&upstream.url),
        Err(trouble) => upstream.news.failing(&upstream.url, trouble, down),
    }
}

/// The error is what is wrong with it.
async fn ask(shared: &UpstreamSet, upstream: &Upstream, path: &str) -> Result<(), Trouble> {
    let failed = |failure| Trouble::from(&failure);
    let request = asking(shared, upstream, path)
        .map_err(|error| failed(UpstreamFailure::because(FailureKind::Malformed, error)))?;
    let timeouts = &shared.settings.timeouts;
    let lease = upstream.pool.lease(Demand::Fresh, timeouts.connect).await;
    let mut lease = lease.map_err(failed)?;
    // The body is not read: the connection ends with the lease.
    match send(&mut lease, request, None, timeouts.response_head).await {
        Ok(response) if response.status().as_u16() < 400 => Ok(()),
        Ok(response) => Err(Trouble::unwell(path, response.status().as_u16())),
        Err(
            NoAnswer::Unsent(_, failure) | NoAnswer::Silent(failure) | NoAnswer::Failed(failure),
        ) => Err(failed(failure)),
    }
}

fn asking(
    shared: &UpstreamSet,
    upstream: &Upstream,
    path: &str,
) -> Result<Request<RequestBody>, http::Error> {
    let address = &upstream.pool.address;
    let uri = Uri::builder()
        .scheme(address.scheme())
        .authority(address.authority.clone())
        .path_and_query(path);
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = uri.build()?;
    let host = HeaderValue::from_str(address.authority.as_str())?;
    request.headers_mut().insert(HOST, host);
    shared.name_host(upstream, &mut request);
    let agent = HeaderValue::from_str(&shared.settings.name)?;
    request.headers_mut().insert(USER_AGENT, agent);
    Ok(request)
}
