//! The naive reference: when everything began and ended, and what must never be seen.

use std::collections::HashMap;
use std::time::Duration;

use crate::position::Position;

/// A moment: events of a history are numbered in the order in which they happen.
pub(super) type Moment = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hard,
    Soft,
}

#[derive(Debug)]
struct Purge {
    kind: Kind,
    /// The path that it touches; `None` for all.
    path: Option<String>,
    called: Moment,
    /// When, and when on the clock.
    returned: Option<(Moment, Duration)>,
    /// Where it is in the log, once it has returned or somebody was told of it.
    position: Option<Position>,
    /// When people were told of it first.
    told: Option<Moment>,
    /// For how long after its return it may not be known yet: nothing, or the lease.
    lag: Duration,
    /// With a settling time: when (on the clock) it is over, and the version that the purge announced.
    settled: Option<(Duration, u64)>,
}

#[derive(Debug, Default)]
struct Data {
    /// What is true, and what the origin's lagging database shows.
    written: u64,
    shown: u64,
    /// When the origin will show which versions. A later write does not put off an earlier one.
    shown_at: Vec<(Duration, u64)>,
    /// The newest moment at which a 304 confirmed a version.
    confirmed: HashMap<u64, Moment>,
}

/// What a response told of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) began: Moment,
    pub(super) version: u64,
    pub(super) stale: bool,
}

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: &'static str,
    /// When, and when on the clock.
    pub(super) arrived: Moment,
    pub(super) now: Duration,
    /// The position that it names.
    pub(super) after: Option<Position>,
    /// Its node is cut off with an old master: what others purge meanwhile it cannot know (PROTOCOL 22).
    pub(super) split: bool,
}

impl Asked {
    fn was_told_of(&self, purge: &Purge) -> bool {
        let told = self.after.zip(purge.position);
        told.is_some_and(|(told, position)| told.reaches(position))
    }
}

#[derive(Debug, Default)]
pub(super) struct Reference {
    moment: Moment,
    data: HashMap<String, Data>,
    purges: Vec<Purge>,
}

impl Reference {
    pub(super) fn tick(&mut self) -> Moment {
        self.moment += 1;
        self.moment
    }

    /// A generation begins: when, and what it reads.
    pub(super) fn generation(&mut self, path: &str) -> (Moment, u64) {
        let began = self.tick();
        (began, self.data.entry(path.to_owned()).or_default().shown)
    }

    pub(super) fn confirm(&mut self, path: &str, version: u64, began: Moment) {
        let confirmed = &mut self.data.entry(path.to_owned()).or_default().confirmed;
        let newest = confirmed.entry(version).or_default();
        *newest = began.max(*newest);
    }

    /// The data of `path` change; the origin shows it at once, or later.
    pub(super) fn write(&mut self, path: &str, shown_at: Option<Duration>) {
        let data = self.data.entry(path.to_owned()).or_default();
        data.written += 1;
        match shown_at {
            Some(at) => data.shown_at.push((at, data.written)),
            None => data.shown = data.written,
        }
    }

    /// The clock is at `now`: databases catch up.
    pub(super) fn catch_up(&mut self, now: Duration) {
        for data in self.data.values_mut() {
            for (_, version) in data.shown_at.extract_if(.., |(at, _)| *at <= now) {
                data.shown = version.max(data.shown);
            }
        }
    }

    pub(super) fn purge_called(
        &mut self,
        kind: Kind,
        path: Option<&str>,
        settled_at: Option<Duration>,
    ) -> usize {
        let called = self.tick();
        let settled = settled_at
            .zip(path)
            .map(|(at, path)| (at, self.data.get(path).map_or(0, |data| data.written)));
        let path = path.map(ToOwned::to_owned);
        self.purges.push(Purge {
            kind,
            path,
            called,
            returned: None,
            position: None,
            told: None,
            lag: Duration::ZERO,
            settled,
        });
        self.purges.len() - 1
    }

    pub(super) fn purge_returned(
        &mut self,
        which: usize,
        position: Position,
        now: Duration,
        lag: Duration,
    ) {
        let returned = self.tick();
        let purge = &mut self.purges[which];
        purge.returned = Some((returned, now));
        purge.position = Some(position);
        purge.lag = lag;
    }

    /// Somebody was told of a purge, announced at `position`.
    pub(super) fn told_of(&mut self, which: usize, position: Position) {
        let told = self.tick();
        let purge = &mut self.purges[which];
        purge.told.get_or_insert(told);
        purge.position = Some(position);
    }

    /// When the purge was called.
    pub(super) fn called(&self, which: usize) -> Moment {
        self.purges[which].called
    }

    /// When each purge returned that somebody can have been told of, and its position.
    pub(super) fn told(&self) -> impl Iterator<Item = (Moment, Position)> {
        let returned = |purge: &Purge| purge.returned.map(|(moment, _)| moment);
        let told = move |purge: &Purge| Some((purge.told.or(returned(purge))?, purge.position?));
        self.purges.iter().filter_map(told)
    }

    /// A request was answered with `seen`.
    pub(super) fn check(&self, asked: &Asked, seen: Seen) -> Result<(), String> {
        let Asked {
            path, arrived, now, ..
        } = *asked;
        let confirmed = self
            .data
            .get(path)
            .and_then(|data| data.confirmed.get(&seen.version));
        // A stored response that a 304 confirmed is as good as one generated then.
        let began = confirmed.map_or(seen.began, |at| seen.began.max(*at));
        for purge in &self.purges {
            let touches = purge.path.as_deref().is_none_or(|touched| touched == path);
            let before = purge.returned.is_some_and(|(returned, at)| {
                returned < arrived && (purge.lag.is_zero() || at + purge.lag <= now)
            });
            // What somebody was told of holds at once, on either side of a split, and nothing stale will do (P7).
            let told = asked.was_told_of(purge);
            // Whoever was told, and did not say so, may ask any node but one that is cut off.
            let announced = purge.told.is_some_and(|told| told < arrived);
            let before = before || announced;
            if !touches || !told && (!before || asked.split) {
                continue;
            }
            if began < purge.called && (purge.kind == Kind::Hard || told || !seen.stale) {
                return Err(format!(
                    "{path} arrived at {arrived}, got {seen:?} (began {began}) despite {purge:?}"
                ));
            }
            if let Some((settled_at, version)) = purge.settled
                && purge.kind == Kind::Hard
                && (now >= settled_at || announced)
                && seen.version < version
            {
                return Err(format!(
                    "{path} arrived at {arrived}, got {seen:?} after settling of {purge:?}"
                ));
            }
        }
        Ok(())
    }
}
