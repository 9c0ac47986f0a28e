//! `GET /metrics`: for Prometheus, and for people.

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::admin::Telemetry;
use crate::admin::answer::{self, Answer};
use tower_tagcache::{Cache, Health};

/// What `/metrics` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Prometheus,
}

impl Format {
    /// Prometheus and its kin say that they take text. `curl` takes anything, and is piped into `jq` by
    /// the documents that this program was made from.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let text = headers.get_all(ACCEPT).iter().any(|accepted| {
            let accepted = accepted.as_bytes().to_ascii_lowercase();
            let has = |part: &[u8]| accepted.windows(part.len()).any(|window| window == part);
            has(b"text/") || has(b"openmetrics")
        });
        if text { Self::Prometheus } else { Self::Json }
    }
}

pub(super) fn answer(telemetry: &Telemetry, cache: &Cache, format: Format) -> Answer {
    let (health, streams) = (&cache.health(), &cache.streams());
    match format {
        Format::Json => json(telemetry, health),
        Format::Prometheus => answer::text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            telemetry.prometheus(health, streams),
        ),
    }
}

/// The first four as the auction system's document has them.
fn json(telemetry: &Telemetry, health: &Health) -> Answer {
    let rate = telemetry.rate();
    let hits = rate.hits + rate.stale;
    let total = hits + rate.misses;
    let told = json!({
        "cache_hit_rate": if total == 0 { 0.0 } else { hits as f64 / total as f64 },
        "total_requests": total,
        "cache_hits": hits,
        "cache_misses": rate.misses,
        "cache_hits_stale": rate.stale,
        "bypassed_requests": rate.bypassed,
        "breaker_open": telemetry.breaker_open(),
        "log_followed": health.followed,
        "log_silence_seconds": health.silence.map(|silence| silence.as_secs_f64()),
        "purges_waiting": health.waiting,
        "fill_bytes": health.fill_bytes,
        "fills_unstored": health.fills_unstored,
    });
    answer::json(StatusCode::OK, &told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_for_who_asks_for_it() {
        for (accept, expected) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (Some("application/json"), Format::Json),
            (
                Some("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                Format::Prometheus,
            ),
            (
                Some("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"),
                Format::Prometheus,
            ),
            (Some("TEXT/*"), Format::Prometheus),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(Format::wanted(&headers), expected, "{accept:?}");
        }
    }
}
