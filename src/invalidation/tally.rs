//! What is told often is told seldom, with a count: a hundred thousand entries that cannot be read must
//! not be a hundred thousand lines (SAFETY 107).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The least time between two lines about the same.
const EVERY: Duration = Duration::from_secs(10);

/// When each kind of line was written last, and how many were not. The kinds are few: a reason of a stream
/// that is configured.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<HashMap<(Box<str>, &'static str), Line>>);

#[derive(Debug)]
struct Line {
    at: Instant,
    /// Left out since.
    more: u64,
}

impl Tally {
    /// Whether a line about `what` of `stream` is to be written now, and how many were left out before it.
    pub(super) fn tell(&self, stream: &str, what: &'static str, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock();
        let Some(line) = lines.get_mut(&(stream.into(), what)) else {
            lines.insert((stream.into(), what), Line { at: now, more: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(line.at) < EVERY {
            line.more += 1;
            return None;
        }
        line.at = now;
        Some(std::mem::take(&mut line.more))
    }

    /// What was left out of the lines about `stream` and is due to be told, if nothing new comes: each kind
    /// and how many.
    pub(super) fn rest(&self, stream: &str, now: Instant) -> Vec<(&'static str, u64)> {
        let mut due = Vec::new();
        for ((of, what), line) in self.0.lock().iter_mut() {
            let is_late = now.saturating_duration_since(line.at) >= EVERY;
            if **of == *stream && line.more > 0 && is_late {
                line.at = now;
                due.push((*what, std::mem::take(&mut line.more)));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_107_what_is_told_often_is_told_seldom_and_counted() {
        let tally = Tally::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tally.tell("s", "not-json", start), Some(0));
        for _ in 0..4_812 {
            assert_eq!(tally.tell("s", "not-json", after(1)), None);
        }
        assert_eq!(tally.tell("s", "no-tag", after(1)), Some(0), "another kind");
        assert_eq!(
            tally.tell("t", "not-json", after(1)),
            Some(0),
            "another stream"
        );
        assert_eq!(tally.rest("s", after(9)), []);
        assert_eq!(tally.tell("s", "not-json", after(10)), Some(4_812));
        assert_eq!(tally.tell("s", "not-json", after(11)), None);
        assert_eq!(tally.rest("s", after(20)), [("not-json", 1)]);
        assert_eq!(tally.rest("s", after(40)), []);
    }
}
