//! How a consumer behaves.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::defaults;
use crate::invalidation::stream::EventStream;
use crate::redis::LookPace;

/// The longest until a purge is everywhere, replicas included.
const LONGEST_EVERYWHERE: Duration = Duration::from_secs(16);

/// How a consumer behaves.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The most entries taken at once.
    pub(crate) count: usize,
    /// The most bytes of entries taken at once, but always one entry. A server on the same network
    /// sends as many within the time that an answer has.
    pub(crate) bytes: usize,
    /// How long to wait for new entries before looking at the group again.
    pub(crate) wait: Duration,
    /// How long an entry may be in the hands of a consumer that does not say that it works on it
    /// before another takes it over. A consumer says so three times as often.
    pub(crate) claim_after: Duration,
    /// If nothing was read for so long, events may be missing: rindexer drops an event after about 90 s
    /// without Redis.
    pub(crate) away: Duration,
    /// How long an entry may be in hand after its purge, until people are told of it.
    pub(crate) told_within: Duration,
    /// The most entries in hand: taken, and not yet purged or, where people are told, not yet announced.
    pub(crate) held: usize,
    /// An entry that was delivered more often has killed its consumers, and is put aside unread.
    pub(crate) max_deliveries: u64,
    /// After which time an idle consumer with nothing pending is removed.
    pub(crate) forget: Duration,
    /// How long a consumer that is told to stop waits for the purges of what it has in hand.
    pub(crate) finish: Duration,
    /// The pauses after failures.
    pub(crate) backoff: Backoff,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            count: 32,
            bytes: 1024 * 1024,
            wait: Duration::from_secs(1),
            claim_after: Duration::from_secs(3),
            away: Duration::from_secs(60),
            told_within: Duration::ZERO,
            held: defaults::ENTRIES_IN_HAND,
            max_deliveries: 5,
            forget: Duration::from_secs(3600),
            finish: Duration::from_secs(3),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

impl Settings {
    /// What `stream` says, over these; `claim_after` beats it.
    pub(crate) fn of(stream: &EventStream, claim_after: Option<Duration>) -> Self {
        Self {
            count: stream.settings.batch,
            claim_after: claim_after.unwrap_or(stream.settings.claim_after.0),
            away: stream.settings.away.0,
            told_within: match stream.announces() {
                true => {
                    LONGEST_EVERYWHERE.saturating_add(stream.settings.settle.0.saturating_mul(2))
                }
                false => Duration::ZERO,
            },
            held: match stream.announces() {
                true => defaults::ENTRIES_TO_ANNOUNCE,
                false => defaults::ENTRIES_IN_HAND,
            },
            ..Self::default()
        }
    }

    /// How often a consumer says that it works on what it holds.
    pub(crate) fn renew_every(&self) -> Duration {
        self.claim_after / 3
    }

    /// How long an entry may be in the hands of another consumer before that counts as if it were not read.
    pub(crate) fn stuck_after(&self) -> Duration {
        (self.away / 4).saturating_add(self.told_within)
    }

    /// How often it looks for what others left.
    pub(crate) fn claim_every(&self) -> Duration {
        self.claim_after / 6
    }

    /// How long one wait may be while entries are in hand, and how far apart looks at the group are: so that one of its
    /// consumers sees in time what another left.
    pub(crate) fn waits(&self) -> Duration {
        self.wait.min(self.claim_every())
    }

    /// How often its consumers look at the group, together and each.
    pub(crate) fn looks(&self) -> LookPace {
        LookPace {
            every: self.waits(),
            most: self.waits().max(self.away / 8),
        }
    }
}
