//! One line of log for each change of state, and not too many of them.

use std::time::{Duration, Instant};

/// So many lines may follow each other at once.
const BURST: u32 = 6;
/// Then there is one in this time.
const EVERY: Duration = Duration::from_secs(10);

/// What was said about one thing that is well or not. What changes faster than it may be told is counted,
/// and the state that it is in is told when its turn comes, if it is still another one than was told.
#[derive(Debug)]
pub struct Telling {
    /// What was told last, or needs no telling: well, or failing in one of several ways.
    told: Option<Said>,
    now: Option<Said>,
    /// Changes that were not told.
    unsaid: u32,
    left: u32,
    refilled: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Well,
    Failing(u64),
}

/// There is something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tell {
    /// So many changes before it were not told.
    pub unsaid: u32,
}

impl Telling {
    /// Nothing is known: that it is well is told too.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            told: None,
            now: None,
            unsaid: 0,
            left: BURST,
            refilled: None,
        }
    }

    /// It is taken to be well: only what differs is told.
    #[must_use]
    pub const fn of_well() -> Self {
        let mut telling = Self::new();
        telling.told = Some(Said::Well);
        telling.now = Some(Said::Well);
        telling
    }

    /// It is well.
    pub fn well(&mut self) -> Option<Tell> {
        self.note(Said::Well, Instant::now())
    }

    /// It fails; `way` tells ways apart that are each worth a line.
    pub fn failing(&mut self, way: u64) -> Option<Tell> {
        self.note(Said::Failing(way), Instant::now())
    }

    fn note(&mut self, said: Said, at: Instant) -> Option<Tell> {
        if self.now.replace(said) != Some(said) {
            self.unsaid += 1;
        }
        if self.told == Some(said) {
            return None;
        }
        let refilled = *self.refilled.get_or_insert(at);
        let turns = at.saturating_duration_since(refilled).as_secs() / EVERY.as_secs();
        if turns > 0 {
            let more = u32::try_from(turns).unwrap_or(BURST);
            self.left = self.left.saturating_add(more).min(BURST);
            self.refilled = Some(at);
        }
        self.left = self.left.checked_sub(1)?;
        self.told = Some(said);
        let unsaid = std::mem::take(&mut self.unsaid).saturating_sub(1);
        Some(Tell { unsaid })
    }
}

impl Default for Telling {
    /// Nothing is known.
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once() {
        let mut telling = Telling::of_well();
        assert_eq!(telling.well(), None);
        assert_eq!(telling.failing(1), Some(Tell { unsaid: 0 }));
        assert_eq!(telling.failing(1), None);
        assert_eq!(telling.failing(2), Some(Tell { unsaid: 0 }));
        assert_eq!(telling.well(), Some(Tell { unsaid: 0 }));
        assert_eq!(telling.well(), None);
        assert!(Telling::new().well().is_some());
    }

    #[test]
    fn what_changes_all_the_time_is_told_now_and_then_with_a_count() {
        let (mut telling, begun) = (Telling::of_well(), Instant::now());
        let states = [Said::Failing(1), Said::Well];
        let told = |telling: &mut Telling, turn: usize, at: Duration| {
            telling.note(states[turn % 2], begun + at)
        };
        let mut lines = 0;
        for turn in 0..1_000 {
            lines += u32::from(told(&mut telling, turn, Duration::ZERO).is_some());
        }
        assert_eq!(lines, BURST);
        let next = told(&mut telling, 1_000, EVERY);
        assert_eq!(next.map(|tell| tell.unsaid), Some(994));
    }

    #[test]
    fn the_last_state_is_told_in_its_turn() {
        let (mut telling, begun) = (Telling::of_well(), Instant::now());
        for _ in 0..BURST {
            telling.note(Said::Failing(1), begun);
            telling.note(Said::Well, begun);
        }
        telling.note(Said::Failing(1), begun);
        assert_eq!(telling.note(Said::Failing(1), begun), None);
        assert!(telling.note(Said::Failing(1), begun + EVERY).is_some());
    }
}
