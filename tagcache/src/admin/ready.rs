//! `GET /readyz`: whether requests should be sent here, and how well they are served.

use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::answer::{self, Answer};
use crate::proxy::UpstreamStatuses;
use tower_tagcache::{Cache, Health, StreamHealth, Trouble};

/// What is looked at.
pub(super) struct Signs<'a> {
    pub(super) cache: &'a Cache,
    pub(super) upstreams: Option<&'a UpstreamStatuses>,
    pub(super) breaker_open: bool,
    /// Why requests should go elsewhere.
    pub(super) unready: Option<String>,
}

/// The answer: 503 only where another instance would serve better. A Redis that is away is away for
/// all of them, and each serves without it (P3).
pub(super) fn answer(signs: &Signs<'_>) -> Answer {
    let health = signs.cache.health();
    let upstreams = signs
        .upstreams
        .map(UpstreamStatuses::all)
        .unwrap_or_default();
    let down = upstreams.iter().filter(|upstream| !upstream.up);
    let mut reasons = log_reasons(&health);
    let troubles = health.troubles.iter();
    reasons.extend(troubles.map(|trouble| trouble.message.clone()));
    if signs.breaker_open && health.troubles.is_empty() {
        reasons.push("the breaker is open: redis fails, requests go on without it".into());
    }
    let streams = signs.cache.streams();
    reasons.extend(streams.iter().filter_map(stream_reason));
    reasons.extend(down.map(|upstream| match &upstream.trouble {
        Some(trouble) => format!("upstream {} is down: {trouble}", upstream.url),
        None => format!("upstream {} is down", upstream.url),
    }));
    let degraded = !reasons.is_empty();
    reasons.splice(..0, signs.unready.clone());
    let upstreams = upstreams
        .iter()
        .map(|one| json!({ "url": one.url, "up": one.up }));
    let told = json!({
        "ready": signs.unready.is_none(),
        "degraded": degraded,
        "reasons": reasons,
        "log": {
            "position": health.position.map(|position| position.to_string()),
            "followed": health.followed,
            "silence_seconds": health.silence.map(|silence| silence.as_secs_f64()),
            "purges_waiting": health.waiting,
        },
        "streams": streams.iter().map(stream).collect::<Vec<_>>(),
        "redis": {
            "server": health.server,
            "troubles": health.troubles.iter().map(trouble).collect::<Vec<_>>(),
        },
        "upstreams": upstreams.collect::<Vec<_>>(),
    });
    let status = match signs.unready {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer::json(status, &told)
}

fn trouble(trouble: &Trouble) -> Value {
    json!({
        "part": trouble.part,
        "message": trouble.message,
        "seconds": trouble.since.as_secs_f64(),
    })
}

fn log_reasons(health: &Health) -> Vec<String> {
    let mut reasons = Vec::new();
    if health.position.is_none() {
        reasons.push("the purge log was not reached yet: nothing is served from the cache".into());
    } else if !health.followed {
        let silence = match health.silence {
            Some(silence) => format!("for {:.1} s", silence.as_secs_f64()),
            None => "or refuses to".to_owned(),
        };
        reasons.push(format!("the purge log does not answer {silence}"));
    }
    if health.waiting > 0 {
        let waiting = health.waiting;
        reasons.push(format!("{waiting} purges wait for the purge log"));
    }
    reasons
}

fn stream(stream: &StreamHealth) -> Value {
    json!({
        "name": stream.name,
        "lag": stream.lag,
        "pending": stream.pending,
        "silence_seconds": stream.silence.map(|silence| silence.as_secs_f64()),
        "in_doubt": stream.doubt.is_some(),
        "trouble": stream.trouble,
        "shared": stream.shared,
    })
}

/// Why a stream makes the service degraded: in doubt, or about to be.
fn stream_reason(stream: &StreamHealth) -> Option<String> {
    let StreamHealth { name, doubt, .. } = stream;
    if let Some(why) = doubt {
        let what = "nothing that its events can touch is served from the cache";
        return Some(format!("stream {name} is not read, {what}: {why}"));
    }
    if let Some(why) = &stream.trouble {
        return Some(format!("stream {name} is not read: {why}"));
    }
    let why = stream.shared.as_ref()?;
    Some(format!("stream {name}: {why}"))
}
