//! What the cache does, as metrics of the `metrics` facade.

use metrics::{counter, gauge};

use crate::observe::{Notice, Observer};
use crate::outcome::{Outcome, Served, Storing};

/// Hands every [`Notice`] to the [`metrics`](https://docs.rs/metrics) facade; the exporter belongs to
/// the program.
///
/// | name | labels | counts |
/// |---|---|---|
/// | `tagcache_requests_total` | `rule`, `served` (hit, stale, forwarded), `reason` | requests that a rule matched |
/// | `tagcache_not_stored_total` | `rule`, `reason` | forwarded responses that were not stored |
/// | `tagcache_unknown_positions_total` | `rule`, `outcome` (miss, ignored) | requests that named a position which is not in the log |
/// | `tagcache_entries_rejected_total` | `reason` | stored entries that could not be read |
/// | `tagcache_store_failures_total` | `operation`, `kind` | failures of the store |
/// | `tagcache_breaker_open` | | gauge: 1 while the breaker is open |
/// | `tagcache_redis_failing` | `part` (lookups, stores, purges) | gauge: 1 while that fails, although Redis answers |
/// | `tagcache_redis_replicas` | `state` (connected, expected) | gauge: replicas in step, and the most that were lately |
/// | `tagcache_purges_total` | | purges appended to the log by this process |
/// | `tagcache_updates_announced_total` | | updates that this process announced |
/// | `tagcache_purges_delayed_total` | | purges that could not be appended at once |
/// | `tagcache_epochs_joined_total` | | epochs of the purge log joined: each begins cold |
/// | `tagcache_log_gaps_total` | | times that records were missed |
/// | `tagcache_stream_in_doubt` | `stream` | gauge: 1 while events are not read, so that nothing that they can touch hits |
/// | `tagcache_events_total` | `stream`, `outcome` (applied, ignored, quarantined, gap) | events |
///
/// ```
/// # fn main() -> Result<(), tower_tagcache::ConfigError> {
/// use tower_tagcache::{Cache, Metrics, Notice};
///
/// let log = |notice: &Notice<'_>| println!("{notice:?}");
/// let (cache, companion) = Cache::builder().observer((Metrics, log)).build()?;
/// # let _ = (cache, companion);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Metrics;

impl Observer for Metrics {
    fn observe(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Request { rule, outcome } => request(rule, outcome),
            Notice::EntryRejected { reason } => {
                counter!("tagcache_entries_rejected_total", "reason" => *reason).increment(1);
            }
            Notice::UnknownPosition { rule, heard } => {
                let outcome = if *heard { "miss" } else { "ignored" };
                let name = "tagcache_unknown_positions_total";
                counter!(name, "rule" => (*rule).to_owned(), "outcome" => outcome).increment(1);
            }
            Notice::StoreFailed { operation, error } => {
                let kind = error.kind().as_str();
                counter!("tagcache_store_failures_total", "operation" => *operation, "kind" => kind)
                    .increment(1);
            }
            Notice::BreakerOpened => gauge!("tagcache_breaker_open").set(1.0),
            Notice::BreakerClosed => gauge!("tagcache_breaker_open").set(0.0),
            Notice::PartFailed { part, .. } => failing(part).set(1.0),
            Notice::PartRestored { part } => failing(part).set(0.0),
            Notice::Replicas {
                connected,
                expected,
            } => {
                let name = "tagcache_redis_replicas";
                gauge!(name, "state" => "connected").set(f64::from(*connected));
                gauge!(name, "state" => "expected").set(f64::from(*expected));
            }
            // What only tells people names nothing.
            Notice::Purged { targets: 1.., .. } => counter!("tagcache_purges_total").increment(1),
            Notice::Purged { .. } => {}
            Notice::Announced { updates, .. } => {
                counter!("tagcache_updates_announced_total").increment(*updates as u64);
            }
            Notice::PurgePending { .. } => {
                counter!("tagcache_purges_delayed_total").increment(1);
            }
            Notice::EpochJoined { .. } => counter!("tagcache_epochs_joined_total").increment(1),
            Notice::LogGap { .. } => counter!("tagcache_log_gaps_total").increment(1),
            Notice::EventApplied { stream, .. } => event(stream, "applied"),
            Notice::EventIgnored { stream, .. } => event(stream, "ignored"),
            Notice::EventQuarantined { stream, .. } => event(stream, "quarantined"),
            Notice::EventGap { stream, .. } => event(stream, "gap"),
            Notice::EventsInDoubt { stream, begins } => {
                gauge!("tagcache_stream_in_doubt", "stream" => (*stream).to_owned())
                    .set(if *begins { 1.0 } else { 0.0 });
            }
        }
    }
}

fn request(rule: &str, outcome: &Outcome) {
    let (served, reason) = match outcome.served {
        Served::Hit => ("hit", "hit"),
        Served::Stale => ("stale", "stale"),
        Served::Forwarded(reason) => ("forwarded", reason.as_str()),
    };
    let name = "tagcache_requests_total";
    counter!(name, "rule" => rule.to_owned(), "served" => served, "reason" => reason).increment(1);
    if let Some(Storing::NotStored(reason)) = outcome.storing {
        let name = "tagcache_not_stored_total";
        counter!(name, "rule" => rule.to_owned(), "reason" => reason.as_str()).increment(1);
    }
}

fn failing(part: &'static str) -> metrics::Gauge {
    gauge!("tagcache_redis_failing", "part" => part)
}

fn event(stream: &str, outcome: &'static str) {
    counter!("tagcache_events_total", "stream" => stream.to_owned(), "outcome" => outcome)
        .increment(1);
}
