//! Where a consumer's events come from.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::invalidation::event::Fields;
use crate::redis::{Claimed, EntryId, Group, GroupState, Look, Pending, Portion, Read, Slowest};

/// One consumer of a stream's consumer group; each method is one step of the consumer's life. After
/// an error the consumer [disconnects](Self::disconnect) and starts over, so a method that was half
/// done must be harmless when it is done again.
pub(crate) trait EventSource: Debug + Send + Sync + 'static {
    /// How long an answer may take.
    fn budget(&self) -> Duration;

    /// The state of the group, the gaps that are open, and what waits to be acknowledged.
    fn look(&self) -> BoxFuture<'_, Result<Look, Error>>;

    /// Takes new entries, without waiting, together with the state just before.
    fn read(&self, portion: Portion) -> BoxFuture<'_, Result<Read, Error>>;

    /// What this consumer took before and did not acknowledge, behind `after`.
    fn pending(&self, after: EntryId, portion: Portion) -> BoxFuture<'_, Result<Pending, Error>>;

    /// Says for the time `lasting` that events were read; what the server says if it is full.
    fn say_heard(&self, lasting: Duration) -> BoxFuture<'_, Result<Option<Error>, Error>>;

    /// Whether some consumer of the group read `lately`.
    fn was_heard(&self, lately: Duration) -> BoxFuture<'_, Result<bool, Error>>;

    /// Takes over what any consumer took and left for `idle`, from `from` on.
    fn claim(
        &self,
        idle: Duration,
        from: EntryId,
        count: usize,
    ) -> BoxFuture<'_, Result<Claimed, Error>>;

    /// Says that this consumer works on `ids`; returns those still to be acknowledged.
    fn renew<'a>(&'a self, ids: &'a [EntryId]) -> BoxFuture<'a, Result<Vec<EntryId>, Error>>;

    /// Says that the group has read up to `to`, so many entries, unless anything changed since `state`.
    fn align<'a>(
        &'a self,
        state: &'a GroupState,
        to: EntryId,
        read: u64,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Acknowledges entries: nobody will see them again.
    fn acknowledge<'a>(&'a self, ids: &'a [EntryId]) -> BoxFuture<'a, Result<(), Error>>;

    /// Adds a record to the quarantine.
    fn quarantine<'a>(&'a self, record: &'a Fields) -> BoxFuture<'a, Result<(), Error>>;

    /// Writes down durably that there is the gap `gap`.
    fn mark_gap<'a>(
        &'a self,
        gap: &'a str,
        reason: &'static str,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Forgets gaps that were closed.
    fn clear_gaps<'a>(&'a self, gaps: &'a [String]) -> BoxFuture<'a, Result<(), Error>>;

    /// Makes the group if it is missing, at the stream's end or its beginning.
    fn create(&self, at_beginning: bool) -> BoxFuture<'_, Result<(), Error>>;

    /// Waits until there is an entry behind `after`, or for `at_most`.
    fn wait(&self, after: EntryId, at_most: Duration) -> BoxFuture<'_, Result<(), Error>>;

    /// Removes consumers that are long dead; `true` if entries were lost with one.
    fn forget_idle(&self, idle: Duration) -> BoxFuture<'_, Result<bool, Error>>;

    /// Who else read as this group `lately`, by name. Default: nobody.
    fn strangers(&self, lately: Duration) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        let _ = lately;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Drops what every group of the stream has acknowledged; which group of another program has most
    /// unread. Default: drops nothing.
    fn trim(&self) -> BoxFuture<'_, Result<Option<Slowest>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Ends this consumer, if it leaves nothing behind.
    fn leave(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Drops what may be broken.
    fn disconnect(&self);

    /// Waits before something is tried again: for `wait`, or until the server is known to be back. Default: for
    /// `wait`.
    fn rest(&self, wait: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(wait))
    }
}

impl EventSource for Group {
    fn budget(&self) -> Duration {
        self.budget()
    }

    fn look(&self) -> BoxFuture<'_, Result<Look, Error>> {
        Box::pin(self.look())
    }

    fn read(&self, portion: Portion) -> BoxFuture<'_, Result<Read, Error>> {
        Box::pin(self.read(portion))
    }

    fn pending(&self, after: EntryId, portion: Portion) -> BoxFuture<'_, Result<Pending, Error>> {
        Box::pin(self.pending(after, portion))
    }

    fn say_heard(&self, lasting: Duration) -> BoxFuture<'_, Result<Option<Error>, Error>> {
        Box::pin(self.say_heard(lasting))
    }

    fn was_heard(&self, lately: Duration) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(self.was_heard(lately))
    }

    fn claim(
        &self,
        idle: Duration,
        from: EntryId,
        count: usize,
    ) -> BoxFuture<'_, Result<Claimed, Error>> {
        Box::pin(self.claim(idle, from, count))
    }

    fn renew<'a>(&'a self, ids: &'a [EntryId]) -> BoxFuture<'a, Result<Vec<EntryId>, Error>> {
        Box::pin(self.renew(ids))
    }

    fn align<'a>(
        &'a self,
        state: &'a GroupState,
        to: EntryId,
        read: u64,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.align(state, to, read))
    }

    fn acknowledge<'a>(&'a self, ids: &'a [EntryId]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.acknowledge(ids))
    }

    fn quarantine<'a>(&'a self, record: &'a Fields) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.quarantine(record))
    }

    fn mark_gap<'a>(
        &'a self,
        gap: &'a str,
        reason: &'static str,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.mark_gap(gap, reason))
    }

    fn clear_gaps<'a>(&'a self, gaps: &'a [String]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.clear_gaps(gaps))
    }

    fn create(&self, at_beginning: bool) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.create(at_beginning))
    }

    fn wait(&self, after: EntryId, at_most: Duration) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.wait(after, at_most))
    }

    fn forget_idle(&self, idle: Duration) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(self.forget_idle(idle))
    }

    fn strangers(&self, lately: Duration) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(self.strangers(lately))
    }

    fn trim(&self) -> BoxFuture<'_, Result<Option<Slowest>, Error>> {
        Box::pin(self.trim())
    }

    fn leave(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.leave())
    }

    fn disconnect(&self) {
        self.disconnect();
    }

    fn rest(&self, wait: Duration) -> BoxFuture<'_, ()> {
        Box::pin(self.rest(wait))
    }
}
