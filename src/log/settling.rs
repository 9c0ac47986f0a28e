//! Tags that settle: for a while after a purge, responses with them are served but not stored,
//! because what the origin reads may not show the change yet (PROTOCOL 32).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::millis;
use crate::log::PurgeRecord;
use crate::sync::Mutex;
use crate::tag::{TagId, TagSet, Target};

/// Which tags settle until when. Written when a record is applied, read when a fill ends.
#[derive(Debug)]
pub(crate) struct Settling {
    /// False as long as no record ever had a settling time: the usual case costs one load.
    used: AtomicBool,
    /// The longest settling time in use, in milliseconds, as configured.
    longest: AtomicU64,
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Until when (monotonic) each tag settles.
    until: HashMap<TagId, Duration>,
    /// Until when every tag does: after joining, after a glob, and in place of forgotten tags.
    all_until: Duration,
}

impl Settling {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicBool::new(false),
            longest: AtomicU64::new(0),
            state: Mutex::default(),
            limit,
        }
    }

    pub(crate) fn expect(&self, longest: Duration) {
        self.longest.fetch_max(millis(longest), Ordering::Relaxed);
    }

    /// A node that joins knows nothing of what settles: everything does, for the longest time in use.
    pub(crate) fn joined(&self, now: Duration, longest_seen: Duration) {
        let configured = Duration::from_millis(self.longest.load(Ordering::Relaxed));
        let longest = configured.max(longest_seen);
        if !longest.is_zero() {
            self.used.store(true, Ordering::Release);
            let mut state = self.state.lock();
            state.all_until = state.all_until.max(now + longest);
        }
    }

    /// `record` is applied at `now`: its targets settle from now on.
    pub(crate) fn begin(&self, now: Duration, record: &PurgeRecord) {
        if record.settle.is_zero() {
            return;
        }
        self.used.store(true, Ordering::Release);
        let until = now + record.settle;
        let mut state = self.state.lock();
        for target in &record.targets {
            match target.id() {
                Some(id) if !matches!(target, Target::All) => {
                    let known = state.until.entry(id).or_default();
                    *known = (*known).max(until);
                }
                _ => state.all_until = state.all_until.max(until),
            }
        }
        if state.until.len() > self.limit {
            state.forget(now, self.limit);
        }
    }

    /// Whether a fill that began at `began` may not be stored. A tag that settled then stays known
    /// after its time, as the fill may end much later.
    pub(crate) fn forbids(&self, began: Duration, tags: &TagSet) -> bool {
        if !self.used.load(Ordering::Acquire) {
            return false;
        }
        let state = self.state.lock();
        began < state.all_until
            || tags
                .iter()
                .any(|id| state.until.get(&id).is_some_and(|until| began < *until))
    }
}

impl Settling {
    /// Whether one of `tags` settled at `began`, and does no more at `now`: what a fill that began then brings is for
    /// those who came while it settled (PROTOCOL 40 `[settle_join]`).
    pub(crate) fn has_ended(&self, began: Duration, now: Duration, tags: &TagSet) -> bool {
        if !self.used.load(Ordering::Acquire) {
            return false;
        }
        let state = self.state.lock();
        let ended = |until: &Duration| began < *until && *until <= now;
        let mut settled = tags.iter().filter_map(|id| state.until.get(&id));
        ended(&state.all_until) || settled.any(ended)
    }
}

impl State {
    /// Makes room. A tag whose time is over matters only to fills that began before that, so all
    /// that began by now are bound in its place; if too many still settle, everything does instead.
    fn forget(&mut self, now: Duration, limit: usize) {
        self.until.retain(|_, until| *until > now);
        self.all_until = self.all_until.max(now);
        if self.until.len() > limit {
            let longest = self.until.drain().map(|(_, until)| until).max();
            self.all_until = self.all_until.max(longest.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::tag::{PurgeKind, Tag};

    const SECOND: Duration = Duration::from_secs(1);

    fn record(targets: Vec<Target>) -> PurgeRecord {
        PurgeRecord {
            kind: PurgeKind::Hard,
            targets,
            settle: SECOND,
            asks: false,
            updates: None,
            relayed: None,
            at: Timestamp::default(),
        }
    }

    fn tag(text: &str) -> Target {
        Target::Tag(Tag::new(text).unwrap())
    }

    fn tagged(text: &str) -> TagSet {
        let mut set = TagSet::implicit("r", "/p");
        set.add(&Tag::new(text).unwrap()).unwrap();
        set
    }

    #[test]
    fn rule_settle_join_what_began_while_it_settled_is_over_with_that() {
        let settling = Settling::new(10);
        settling.begin(10 * SECOND, &record(vec![tag("x")]));
        let half = SECOND / 2;
        for (began, now, tag, ended) in [
            (10 * SECOND, 10 * SECOND + half, "x", false),
            (10 * SECOND, 11 * SECOND, "x", true),
            (10 * SECOND + half, 12 * SECOND, "x", true),
            (11 * SECOND, 12 * SECOND, "x", false),
            (10 * SECOND, 12 * SECOND, "y", false),
        ] {
            assert_eq!(
                settling.has_ended(began, now, &tagged(tag)),
                ended,
                "{began:?} {now:?}"
            );
        }
    }

    #[test]
    fn rule_settle_start_counts_from_when_the_fill_began_not_from_when_it_ended() {
        let settling = Settling::new(10);
        settling.begin(10 * SECOND, &record(vec![tag("x")]));
        assert!(settling.forbids(10 * SECOND, &tagged("x")));
        assert!(settling.forbids(10 * SECOND + SECOND / 2, &tagged("x")));
        assert!(!settling.forbids(11 * SECOND, &tagged("x")));
        assert!(!settling.forbids(10 * SECOND, &tagged("y")));
    }

    #[test]
    fn a_glob_or_everything_settles_everything() {
        for target in [Target::All, Target::Glob("/a/*".into())] {
            let settling = Settling::new(10);
            settling.begin(10 * SECOND, &record(vec![target]));
            assert!(settling.forbids(10 * SECOND, &tagged("y")));
        }
    }

    #[test]
    fn a_node_that_joins_settles_everything_for_the_longest_time_in_use() {
        let settling = Settling::new(10);
        settling.joined(10 * SECOND, Duration::ZERO);
        assert!(!settling.forbids(10 * SECOND, &tagged("y")), "none in use");
        settling.expect(2 * SECOND);
        settling.joined(10 * SECOND, SECOND);
        assert!(settling.forbids(11 * SECOND, &tagged("y")));
        assert!(!settling.forbids(12 * SECOND, &tagged("y")));
    }

    #[test]
    fn forgotten_tags_settle_everything_instead() {
        let settling = Settling::new(2);
        for name in ["a", "b", "c"] {
            settling.begin(10 * SECOND, &record(vec![tag(name)]));
        }
        assert!(settling.state.lock().until.len() <= 2);
        assert!(settling.forbids(10 * SECOND, &tagged("a")));
    }

    #[test]
    fn a_tag_forgotten_after_its_time_still_binds_a_fill_that_began_in_it() {
        let settling = Settling::new(2);
        settling.begin(10 * SECOND, &record(vec![tag("old")]));
        for name in ["a", "b"] {
            settling.begin(20 * SECOND, &record(vec![tag(name)]));
        }
        assert!(settling.forbids(10 * SECOND, &tagged("old")));
    }
}
