//! How a stream is read: how much at once, and how long one waits for whom.

use std::time::Duration;

use super::Stream;
use crate::amount::Period;

impl Stream {
    /// The most entries that one record of the purge log is for, from 1 to 1,000; fewer where they are large. Where more
    /// wait, up to sixteen times as many are read at once. Default: 32, so that a purge of the first does not wait long for
    /// the others.
    #[must_use]
    pub const fn batch(mut self, entries: usize) -> Self {
        self.settings.batch = entries;
        self
    }

    /// After which time the entries that a consumer took, and says no more that it works on, are taken
    /// over by another: the consumer has died. A living one says so three times as often, however long
    /// it takes. From 10 ms to one hour; use the same on all nodes. Default: 3 s, so that the purges of a
    /// consumer that was killed are in force within 5 s of its death.
    #[must_use]
    pub const fn claim_after(mut self, time: Duration) -> Self {
        self.settings.claim_after = Period(time);
        self
    }

    /// How long the events may not be read (a server that does not answer or refuses, a key of
    /// another type) before what they can touch is in doubt: nothing of it is then served from the
    /// cache until they are read again. It is also how long a publisher is trusted to keep an event
    /// that Redis does not take. From 100 ms to one day. Default: 60 s, as rindexer gives up after about 90.
    #[must_use]
    pub const fn away(mut self, time: Duration) -> Self {
        self.settings.away = Period(time);
        self
    }
}
