//! The layer as a service among services: readiness, clones, bodies, routers, sockets, and requests that
//! share one call of the inner service.

mod abandoned;
mod bodies;
mod coalescing;
mod fill_bytes;
mod leaders;
mod nested;
mod oversize;
mod purged;
mod readiness;
mod router;
mod shape;
mod sockets;
mod uncacheable;

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use tower_tagcache::{Cache, ManualClock, Rule};

/// Long enough for every test: time moves only by hand.
const TTL: Duration = Duration::from_secs(60);

/// A rule for `/{name}` whose responses have the tag of that name.
fn rule() -> Rule {
    Rule::new("page", "/{name}").ttl(TTL).tag("page:{name}")
}

fn cache(rule: Rule) -> Cache {
    cache_at(rule, &ManualClock::default())
}

fn cache_at(rule: Rule, clock: &ManualClock) -> Cache {
    let built = Cache::builder().rule(rule).clock(clock.clone()).build();
    built.expect("the rule is sound").0
}

fn get(uri: &str) -> Request<Empty<Bytes>> {
    get_with(uri, &[])
}

fn get_with(uri: &str, fields: &[(&str, &str)]) -> Request<Empty<Bytes>> {
    let mut request = Request::get(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).expect("a request")
}

/// What the cache says about how it answered.
fn status<B>(response: &Response<B>) -> String {
    let lines = response.headers().get_all("cache-status");
    let lines: Vec<&str> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    lines.join(", ")
}

fn is_hit<B>(response: &Response<B>) -> bool {
    status(response).starts_with("tagcache; hit")
}

/// The whole body as text, or the error that ended it.
async fn try_text<B>(response: Response<B>) -> Result<String, String>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let collected = response.into_body().collect().await;
    let bytes = collected.map_err(|error| error.to_string())?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn text<B>(response: Response<B>) -> String
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    try_text(response).await.expect("the body is whole")
}

/// Lets the tasks of this thread run until they wait for something else.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
