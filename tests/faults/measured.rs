//! What a row has measured, as it is written down.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::load::{End, Sample};

/// The steps of the curves.
const STEP: Duration = Duration::from_millis(250);

/// One row, as `tests/faults/report.py` reads it.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) row: String,
    pub(crate) layout: String,
    pub(crate) what: String,
    pub(crate) rate: u32,
    pub(crate) requests: u64,
    pub(crate) wrong: u64,
    pub(crate) stale: u64,
    /// Answers of a node that was cut off together with an old master, within what is documented.
    pub(crate) excused: u64,
    /// The last of them came so long after the split.
    pub(crate) longest_excused_ms: u64,
    pub(crate) errors: u64,
    /// Of them, those that began while the upstream was faulty.
    pub(crate) errors_by_upstream: u64,
    pub(crate) purges: u64,
    /// Purges that were pending at the end of the fault or in it.
    pub(crate) purges_pending: u64,
    /// The longest that one took to be everywhere, or to be pending.
    pub(crate) slowest_purge_ms: u64,
    pub(crate) pages_read_again: u64,
    pub(crate) fault_ms: u64,
    pub(crate) before: Times,
    pub(crate) first_second: Times,
    /// From the second second on.
    pub(crate) during: Times,
    pub(crate) after: Times,
    /// From the end of the fault until hits were nine tenths of what they were before, for good.
    pub(crate) hits_back_ms: Option<u64>,
    /// From the end of the fault until no purge waited.
    pub(crate) purges_back_ms: u64,
    pub(crate) notes: Vec<String>,
    pub(crate) curve: Curve,
}

/// How requests were that began in some time; times in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) requests: usize,
    pub(crate) hits: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) most: Option<f64>,
}

/// Steps of a quarter of a second, the first of which begins `from_ms` after the fault (before it: negative).
#[derive(Debug, Serialize)]
pub(crate) struct Curve {
    from_ms: i64,
    step_ms: u64,
    hits: Vec<f64>,
    p99: Vec<Option<f64>>,
    errors: Vec<usize>,
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn part(hits: usize, of: usize) -> f64 {
    (hits as f64 / of.max(1) as f64 * 1e3).round() / 1e3
}

impl Times {
    pub(crate) fn of(all: &[Sample], from: Instant, to: Instant) -> Self {
        let within = all.iter().filter(|one| (from..to).contains(&one.began));
        let (mut took, mut hits) = (Vec::new(), 0);
        for sample in within {
            hits += usize::from(sample.end == End::Right { hit: true });
            took.push(sample.took);
        }
        took.sort_unstable();
        let at = |part: f64| {
            let place = (took.len() as f64 * part) as usize;
            let last = took.len().checked_sub(1)?;
            took.get(place.min(last)).copied().map(millis)
        };
        Self {
            requests: took.len(),
            hits: part(hits, took.len()),
            p50: at(0.5),
            p99: at(0.99),
            most: at(1.0),
        }
    }
}

impl Curve {
    pub(crate) fn of(all: &[Sample], from: Instant, gone: Instant, to: Instant) -> Self {
        let mut curve = Self {
            from_ms: -i64::try_from((gone - from).as_millis()).unwrap_or(0),
            step_ms: 250,
            hits: Vec::new(),
            p99: Vec::new(),
            errors: Vec::new(),
        };
        let mut begin = from;
        while begin + STEP <= to {
            let times = Times::of(all, begin, begin + STEP);
            let failed = all
                .iter()
                .filter(|one| one.end == End::Failed && (begin..begin + STEP).contains(&one.began));
            curve.hits.push(times.hits);
            curve.p99.push(times.p99);
            curve.errors.push(failed.count());
            begin += STEP;
        }
        curve
    }
}

/// How long after `back` hits were nine tenths of `before` for good; none if they never were.
pub(crate) fn hits_back(
    all: &[Sample],
    before: f64,
    back: Instant,
    end: Instant,
) -> Option<Duration> {
    let step = Duration::from_millis(100);
    let (mut begin, mut good_since) = (back, Some(back));
    while begin + step <= end {
        let times = Times::of(all, begin, begin + step);
        // Too few to say anything.
        if times.requests >= 20 {
            let good = times.hits >= 0.9 * before;
            good_since = match (good, good_since) {
                (false, _) => None,
                (true, None) => Some(begin),
                (true, since) => since,
            };
        }
        begin += step;
    }
    good_since.map(|since| since - back)
}

impl Measured {
    pub(crate) fn write(&self, directory: &Path) {
        std::fs::create_dir_all(directory).unwrap();
        let text = serde_json::to_string(self).unwrap();
        std::fs::write(directory.join(format!("{}.json", self.row)), text).unwrap();
    }

    /// One line for who looks on.
    pub(crate) fn line(&self) -> String {
        let ms = |times: &Times| {
            let value = |value: Option<f64>| value.map_or("-".into(), |ms| format!("{ms:.2}"));
            format!("{}/{}", value(times.p50), value(times.p99))
        };
        let back = self.hits_back_ms;
        format!(
            "{:<22} {:<9} {:>7} requests, {} wrong, {} stale, {} excused, {} + {} errors, {} purges ({} pending, {} ms at most); \
             p50/p99 {} | {} | {} ms; hits {:.2} | {:.2} | {:.2}, back in {} ms, purges in {} ms {}",
            self.row,
            self.layout,
            self.requests,
            self.wrong,
            self.stale,
            self.excused,
            self.errors,
            self.errors_by_upstream,
            self.purges,
            self.purges_pending,
            self.slowest_purge_ms,
            ms(&self.before),
            ms(&self.during),
            ms(&self.after),
            self.before.hits,
            self.during.hits,
            self.after.hits,
            back.map_or("?".into(), |ms| ms.to_string()),
            self.purges_back_ms,
            self.notes.join("; "),
        )
    }
}
