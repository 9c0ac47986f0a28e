//! [`Telemetry`]: what happens, counted for `/metrics`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use metrics::with_local_recorder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use rapidhash::fast::RandomState;

use crate::admin::gauges::{describe, set_gauges};
use tower_tagcache::{Health, Metrics, Notice, Observer, Outcome, Served, StreamHealth};

/// Counts what the cache does. Hand a clone to [`CacheBuilder::observer`](tower_tagcache::CacheBuilder::observer),
/// and another to [`AdminHooks::new`](crate::admin::AdminHooks::new), which shows it. A cheap
/// clone.
///
/// Beside the names of [`Metrics`]:
///
/// | name | labels | is |
/// |---|---|---|
/// | `tagcache_log_followed` | | gauge: 1 while the purge log answers and all of it is known here |
/// | `tagcache_log_silence_seconds` | | gauge: how long ago that was last so: the follower's lag. Absent if never |
/// | `tagcache_log_position` | | gauge: the ordinal, in its epoch, of the last purge known here |
/// | `tagcache_purges_waiting` | | gauge: purges that wait to be appended |
/// | `tagcache_fill_bytes` | | gauge: bytes of responses held on their way into the cache |
/// | `tagcache_fills_unstored_total` | | responses passed on and not stored, as these were too many |
///
/// Hits that Prometheus is shown are those of [`Metrics`]: `tagcache_requests_total{served="hit"}`, and
/// `{served="stale"}`; what was forwarded has its reason (RFC 9211 §2.2) as a label.
///
/// ```
/// # fn main() -> Result<(), tower_tagcache::ConfigError> {
/// use tagcache::admin::Telemetry;
/// use tower_tagcache::Cache;
///
/// let telemetry = Telemetry::new();
/// let (cache, companion) = Cache::builder().observer(telemetry.clone()).build()?;
/// # let _ = (cache, companion);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Counters>,
}

struct Counters {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    requests: Requests,
    breaker_open: AtomicBool,
}

impl Telemetry {
    /// Counts that all stand at zero. No recorder of the process is touched: what the program counts
    /// beside is not shown.
    pub fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        with_local_recorder(&recorder, describe);
        let shared = Counters {
            handle: recorder.handle(),
            recorder,
            requests: Requests::default(),
            breaker_open: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn breaker_open(&self) -> bool {
        self.shared.breaker_open.load(Relaxed)
    }

    /// All of it in the text format of Prometheus.
    pub(super) fn prometheus(&self, health: &Health, streams: &[StreamHealth]) -> String {
        with_local_recorder(&self.shared.recorder, || {
            self.shared.requests.publish();
            set_gauges(health, streams);
        });
        self.shared.handle.render()
    }

    /// How often the cache could answer.
    pub(super) fn rate(&self) -> Rate {
        self.shared.requests.rate()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

impl Observer for Telemetry {
    fn observe(&self, notice: &Notice<'_>) {
        let shared = &self.shared;
        match notice {
            Notice::Request { rule, outcome } => {
                shared.requests.count(rule, outcome);
                if !matches!(outcome.served, Served::Forwarded(_)) {
                    return;
                }
            }
            Notice::BreakerOpened => shared.breaker_open.store(true, Relaxed),
            Notice::BreakerClosed => shared.breaker_open.store(false, Relaxed),
            _ => {}
        }
        with_local_recorder(&shared.recorder, || Metrics.observe(notice));
    }
}

/// Requests of which the cache answered some.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rate {
    pub(super) hits: u64,
    pub(super) stale: u64,
    pub(super) misses: u64,
    /// Those that no cache may answer: by method, or kept out by the rule.
    pub(super) bypassed: u64,
}

/// Past it, names are counted together: rules may be replaced for as long as the process runs.
const MOST_RULES: usize = 1_000;

/// Requests by rule. A hit costs a look at a map that rarely changes and one addition; everything that
/// has to do with labels is done when somebody asks.
#[derive(Default)]
struct Requests {
    rules: ArcSwap<HashMap<Box<str>, Arc<Counts>, RandomState>>,
    /// Held to add a rule.
    adding: Mutex<()>,
    forwarded: ForwardCounts,
}

/// The two that are most, for one rule.
#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    stale: AtomicU64,
}

#[derive(Debug, Default)]
struct ForwardCounts {
    misses: AtomicU64,
    bypassed: AtomicU64,
}

impl Requests {
    fn count(&self, rule: &str, outcome: &Outcome) {
        use tower_tagcache::ForwardReason::{Bypass, Method};
        match outcome.served {
            Served::Hit => self.of(rule, |counts| &counts.hits),
            Served::Stale => self.of(rule, |counts| &counts.stale),
            Served::Forwarded(Bypass | Method) => {
                self.forwarded.bypassed.fetch_add(1, Relaxed);
            }
            // The upstream was asked, for one of the other reasons.
            _ => {
                self.forwarded.misses.fetch_add(1, Relaxed);
            }
        }
    }

    fn of(&self, rule: &str, count: impl Fn(&Counts) -> &AtomicU64) {
        if let Some(counts) = self.rules.load().get(rule) {
            count(counts).fetch_add(1, Relaxed);
            return;
        }
        let _adding = self.adding.lock();
        let known = self.rules.load_full();
        let rule = if known.len() < MOST_RULES {
            rule
        } else {
            "others"
        };
        let counts = known.get(rule).map_or_else(
            || {
                let (mut more, counts) = ((*known).clone(), Arc::new(Counts::default()));
                more.insert(rule.into(), Arc::clone(&counts));
                self.rules.store(Arc::new(more));
                counts
            },
            Arc::clone,
        );
        count(&counts).fetch_add(1, Relaxed);
    }

    /// Brings the recorder up to date.
    fn publish(&self) {
        for (rule, counts) in &**self.rules.load() {
            for (served, count) in [("hit", &counts.hits), ("stale", &counts.stale)] {
                let rule = rule.to_string();
                metrics::counter!(
                    "tagcache_requests_total", "rule" => rule, "served" => served, "reason" => served
                )
                .absolute(count.load(Relaxed));
            }
        }
    }

    fn rate(&self) -> Rate {
        let mut rate = Rate {
            misses: self.forwarded.misses.load(Relaxed),
            bypassed: self.forwarded.bypassed.load(Relaxed),
            ..Rate::default()
        };
        for counts in self.rules.load().values() {
            rate.hits += counts.hits.load(Relaxed);
            rate.stale += counts.stale.load(Relaxed);
        }
        rate
    }
}
