//! The names of `/metrics`, and what of them is looked at when somebody asks.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use tower_tagcache::{Health, StreamHealth};

const COUNTERS: [(&str, &str); 11] = [
    ("tagcache_requests_total", "Requests that a rule matched."),
    (
        "tagcache_not_stored_total",
        "Forwarded responses that were not stored, and why.",
    ),
    (
        "tagcache_unknown_positions_total",
        "Requests that named a position (Cache-After) which is not in the purge log.",
    ),
    (
        "tagcache_entries_rejected_total",
        "Stored entries that could not be read.",
    ),
    (
        "tagcache_store_failures_total",
        "Failed operations of the store or the purge log.",
    ),
    (
        "tagcache_purges_total",
        "Purges appended to the log by this process.",
    ),
    (
        "tagcache_purges_delayed_total",
        "Purges that could not be appended at once.",
    ),
    (
        "tagcache_epochs_joined_total",
        "Epochs of the purge log joined: each begins with an empty cache.",
    ),
    (
        "tagcache_log_gaps_total",
        "Times that records of the purge log were missed.",
    ),
    (
        "tagcache_events_total",
        "Events from streams, by what became of them.",
    ),
    (
        "tagcache_fills_unstored_total",
        "Responses passed on and not stored, as fills held as many bytes as they may.",
    ),
];

const GAUGES: [(&str, Unit, &str); 12] = [
    (
        "tagcache_breaker_open",
        Unit::Count,
        "1 while requests go on without Redis because it failed too often.",
    ),
    (
        "tagcache_redis_failing",
        Unit::Count,
        "1 while this part of what Redis is used for fails, although Redis answers.",
    ),
    (
        "tagcache_redis_replicas",
        Unit::Count,
        "Replicas of Redis in step, and the most that were lately.",
    ),
    (
        "tagcache_log_followed",
        Unit::Count,
        "1 while the purge log answers and all of it is known here.",
    ),
    (
        "tagcache_log_silence_seconds",
        Unit::Seconds,
        "How long ago the purge log last answered with all of it known here.",
    ),
    (
        "tagcache_log_position",
        Unit::Count,
        "The ordinal, in its epoch, of the last purge known here.",
    ),
    (
        "tagcache_purges_waiting",
        Unit::Count,
        "Purges in force in this process that wait to be appended.",
    ),
    (
        "tagcache_fill_bytes",
        Unit::Bytes,
        "Bytes of responses held on their way into the cache.",
    ),
    (
        "tagcache_stream_lag",
        Unit::Count,
        "Entries of the stream that were not read yet.",
    ),
    (
        "tagcache_stream_pending",
        Unit::Count,
        "Entries of the stream that were read and whose purges are not acknowledged.",
    ),
    (
        "tagcache_stream_silence_seconds",
        Unit::Seconds,
        "How long ago the stream was last read.",
    ),
    (
        "tagcache_stream_in_doubt",
        Unit::Count,
        "1 while the stream is not read, so that nothing that its events can touch hits.",
    ),
];

/// Tells the recorder what each name is, and begins those at zero that an alert may ask for.
pub(super) fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(name, Unit::Count, text);
    }
    for (name, unit, text) in GAUGES {
        describe_gauge!(name, unit, text);
    }
    for name in ["tagcache_purges_total", "tagcache_purges_delayed_total"] {
        counter!(name).absolute(0);
    }
    gauge!("tagcache_breaker_open").set(0.0);
}

/// What is not counted but looked at.
pub(super) fn set_gauges(health: &Health, streams: &[StreamHealth]) {
    for stream in streams {
        let set = |name: &'static str, value: Option<f64>| {
            if let Some(value) = value {
                gauge!(name, "stream" => stream.name.to_string()).set(value);
            }
        };
        set("tagcache_stream_lag", stream.lag.map(|lag| lag as f64));
        set("tagcache_stream_pending", stream.pending.map(|n| n as f64));
        let silence = stream.silence.map(|silence| silence.as_secs_f64());
        set("tagcache_stream_silence_seconds", silence);
        let doubt = f64::from(u8::from(stream.doubt.is_some()));
        set("tagcache_stream_in_doubt", Some(doubt));
    }
    gauge!("tagcache_log_followed").set(f64::from(u8::from(health.followed)));
    if let Some(silence) = health.silence {
        gauge!("tagcache_log_silence_seconds").set(silence.as_secs_f64());
    }
    if let Some(position) = health.position {
        gauge!("tagcache_log_position").set(position.ordinal as f64);
    }
    gauge!("tagcache_purges_waiting").set(health.waiting as f64);
    gauge!("tagcache_fill_bytes").set(health.fill_bytes as f64);
    counter!("tagcache_fills_unstored_total").absolute(health.fills_unstored);
}
