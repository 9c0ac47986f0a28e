//! [`RelayStatus`]: how a relay gets on.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::Error;
use crate::position::Position;

type Described = (&'static str, &'static str);

const RELAYED: Described = (
    "tagcache_relay_records_total",
    "Records of the followed purge log that were relayed.",
);
const RETURNED: Described = (
    "tagcache_relay_returned_total",
    "Records that were not relayed, as they have been in the other region before.",
);
const APPENDED: Described = (
    "tagcache_relay_appended_total",
    "Records appended to the other purge log, beats among them.",
);
const REPEATED: Described = (
    "tagcache_relay_repeated_total",
    "Appends that were not acknowledged, and are made again.",
);
const RESETS: Described = (
    "tagcache_relay_resets_total",
    "Times that everything in the other region was purged, as nobody knows what was missed.",
);
const LAG: Described = (
    "tagcache_relay_lag_seconds",
    "How long ago all that was purged is surely in the other region's log.",
);
const LAG_RECORDS: Described = (
    "tagcache_relay_lag_records",
    "Records that are still to be relayed.",
);
const FAILING: Described = (
    "tagcache_relay_failing",
    "1 while the relay does not get on.",
);

/// How a relay gets on, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RelayStatus {
    /// Up to where the log that it follows is in the other one; none before it has begun.
    pub position: Option<Position>,
    /// How many records of that log it still has to relay, as far as it knows.
    pub lag_records: u64,
    /// How long ago it asked for the end of that log and then relayed all up to it; none if it never did. What was purged
    /// longer ago is in the other region's log.
    pub lag: Option<Duration>,
    /// Records that it has relayed; several may become one.
    pub relayed: u64,
    /// Records that it did not relay, as they have been in the other region before.
    pub returned: u64,
    /// Records that it appended, beats among them.
    pub appended: u64,
    /// Appends that were not acknowledged, and are made again.
    pub repeated: u64,
    /// How often it purged everything in the other region, as nobody knows what it has missed: its first start is one.
    pub resets: u64,
    /// Why it does not get on, while it does not.
    pub trouble: Option<String>,
}

/// Where the relay says how it gets on.
#[derive(Debug)]
pub(crate) struct RelayBoard {
    region: Arc<str>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Whether it has records in hand.
    busy: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    status: RelayStatus,
    /// When it last asked for an end that it has reached since (monotonic).
    level: Option<Duration>,
    /// Another log goes by the name of the region.
    conflict: Option<String>,
}

impl RelayBoard {
    pub(crate) fn new(region: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            region: region.into(),
            clock,
            state: Mutex::default(),
            busy: watch::Sender::new(false),
        }
    }

    /// Tells the recorder what each name is.
    pub(super) fn describe() {
        for (name, text) in [RELAYED, RETURNED, APPENDED, REPEATED, RESETS] {
            describe_counter!(name, Unit::Count, text);
        }
        describe_gauge!(LAG.0, Unit::Seconds, LAG.1);
        for (name, text) in [LAG_RECORDS, FAILING] {
            describe_gauge!(name, Unit::Count, text);
        }
    }

    pub(super) fn status(&self) -> RelayStatus {
        let state = self.state.lock();
        let mut status = state.status.clone();
        let now = self.clock.monotonic();
        status.lag = state.level.map(|level| now.saturating_sub(level));
        status.trouble = status.trouble.or_else(|| state.conflict.clone());
        status
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut RelayStatus)) {
        change(&mut self.state.lock().status);
    }

    /// All up to an end that was asked for then is relayed.
    pub(super) fn level(&self, asked: Duration) {
        let mut state = self.state.lock();
        state.level = state.level.max(Some(asked));
        state.status.lag_records = 0;
    }

    pub(super) fn works(&self) {
        self.state.lock().status.trouble = None;
        self.report();
    }

    pub(super) fn fails(&self, error: &Error) {
        self.state.lock().status.trouble = Some(format!("{error:#}"));
        self.report();
    }

    /// Hands it to the `metrics` facade.
    fn report(&self) {
        let status = self.status();
        let region = || self.region.to_string();
        let counts = [
            (RELAYED, status.relayed),
            (RETURNED, status.returned),
            (APPENDED, status.appended),
            (REPEATED, status.repeated),
            (RESETS, status.resets),
        ];
        for ((name, _), value) in counts {
            counter!(name, "region" => region()).absolute(value);
        }
        if let Some(lag) = status.lag {
            gauge!(LAG.0, "region" => region()).set(lag.as_secs_f64());
        }
        gauge!(LAG_RECORDS.0, "region" => region()).set(status.lag_records as f64);
        gauge!(FAILING.0, "region" => region()).set(f64::from(u8::from(status.trouble.is_some())));
    }

    pub(super) fn conflicts(&self, why: Option<String>) {
        self.state.lock().conflict = why;
    }

    pub(super) fn busy(&self, busy: bool) {
        self.busy.send_replace(busy);
    }

    /// Returns once it has nothing in hand.
    pub(super) async fn idle(&self) {
        let mut busy = self.busy.subscribe();
        // It cannot fail, as the sender is here.
        let _ = busy.wait_for(|busy| !busy).await;
    }
}
