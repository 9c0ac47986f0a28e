//! Where the feed, the counters and alerts on their way are kept: what a store is told, and what it is asked.
//!
//! A store is told the announcements of the purge log, in order, by one keeper at a time, and says itself up to where it has
//! been told: whatever it is told twice, it takes once. Contract, for every implementation (the suite in `contract.rs`
//! checks it):
//!
//! - A batch is applied whole or not at all, and only behind the last one.
//! - What is told of an event again, by its identity, type and subject, changes nothing but whether it is undone.
//! - An entry is undone as long as some stream says so: one that has delivered it, and behind it a notice of a reorg whose
//!   fork block is not above the entry's block. Streams deliver in the order of their entries' ids, whatever the order in
//!   which a store is told; so the result is the same for every order.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::cursor::ActivityCursor;
use super::entry::FeedEntry;
use super::sum::LimbSum;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::position::Position;

/// How long somebody is the keeper after they were last heard.
pub(crate) const KEEPER_FOR: Duration = Duration::from_secs(5);
/// Copies of a notice come so close to each other.
pub(crate) const COPIES_WITHIN: Duration = Duration::from_secs(30);
/// How many notices are remembered, of each stream.
pub(crate) const MAX_NOTICES: usize = 64;
/// The most streams that are remembered to have delivered an entry.
pub(crate) const MAX_STREAMS: usize = 8;
/// The most subjects that are known to have been active last.
pub(crate) const MAX_SUBJECTS: usize = 10_000;
/// The most counters of an hour that tell subjects apart; what is more counts among all alone.
pub(crate) const MAX_COUNTERS: usize = 50_000;
/// The most alerts that wait for one receiver; what is more counts as failed.
pub(crate) const MAX_WAITING: usize = 10_000;
/// The most failed alerts that are kept.
pub(crate) const MAX_FAILED: usize = 1_000;

/// How much a store keeps.
#[derive(Debug, Clone)]
pub(crate) struct ActivityBounds {
    /// Entries, in the order in which they came.
    pub(crate) entries: usize,
    /// Of these in the feed of all.
    pub(crate) feed: usize,
    /// And in that of one subject.
    pub(crate) subject_feed: usize,
    /// Hours that are counted.
    pub(crate) hours: u64,
    /// The channel on which new entries are published.
    pub(crate) channel: Box<str>,
}

/// Where an entry stands in its stream; those of one stream come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StreamPlace {
    /// Its id says nothing: as it came.
    Arrival(u64),
    /// As Redis numbers entries: milliseconds, and a number.
    Id(u64, u64),
}

/// Announcements, in the order of the log.
#[derive(Debug, Clone)]
pub(crate) struct ActivityBatch {
    /// Behind what it stands; `None`: it is the first of all.
    pub(crate) behind: Option<Position>,
    /// Up to where the log is told then.
    pub(crate) through: Position,
    pub(crate) changes: Vec<ActivityChange>,
}

/// What one announcement changes.
#[derive(Debug, Clone)]
pub(crate) enum ActivityChange {
    Event(Box<Sighting>),
    Reorg(ReorgNotice),
}

impl ActivityChange {
    /// Whether it raises alerts, if it is new.
    pub(crate) fn may_alert(&self) -> bool {
        matches!(self, Self::Event(sighting) if !sighting.alerts.is_empty())
    }

    /// When the store is told.
    pub(crate) fn at(&self) -> Timestamp {
        match self {
            Self::Event(sighting) => sighting.at,
            Self::Reorg(notice) => notice.at,
        }
    }
}

/// An event as a stream delivered it.
#[derive(Debug, Clone)]
pub(crate) struct Sighting {
    pub(crate) entry: FeedEntry,
    pub(crate) stream: Box<str>,
    /// `None`: as it comes.
    pub(crate) place: Option<(u64, u64)>,
    /// When the store is told, by the keeper's clock.
    pub(crate) at: Timestamp,
    /// Alerts that it raises, if it is new.
    pub(crate) alerts: Vec<AlertToRaise>,
}

/// A publisher says that what happened on a network is undone, from a block on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReorgNotice {
    pub(crate) stream: Box<str>,
    pub(crate) place: Option<(u64, u64)>,
    pub(crate) at: Timestamp,
    /// `None`: on all.
    pub(crate) network: Option<Box<str>>,
    pub(crate) fork_block: u64,
    /// Tells it from others, but not from its copies.
    pub(crate) content: u128,
}

/// An alert that is to be raised, unless it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertToRaise {
    /// Of the rule and the event.
    pub(crate) id: u128,
    pub(crate) rule: Box<str>,
    /// Whose it waits for.
    pub(crate) queues: Vec<Box<str>>,
    /// What is sent, an object.
    pub(crate) json: String,
    /// The most alerts of the rule in a time.
    pub(crate) limit: Option<(u32, Duration)>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is applied; so many of its entries are new.
    Done { new: u64 },
    /// Somebody else is the keeper.
    Held,
    /// The store has been told up to here, which is not what the batch stands behind.
    Elsewhere(Option<Position>),
}

/// Whether somebody is the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// They are, and the store was told up to there.
    Own(Option<Position>),
    Other,
}

/// Which entries somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedQuery {
    pub(crate) limit: usize,
    /// Those behind it, which are older.
    pub(crate) behind: Option<ActivityCursor>,
    pub(crate) subject: Option<Box<str>>,
    /// Of one of these types; all, if there are none.
    pub(crate) kinds: Vec<Box<str>>,
    /// Also those that were undone.
    pub(crate) undone: bool,
}

/// An entry, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredActivity {
    pub(crate) cursor: ActivityCursor,
    pub(crate) is_undone: bool,
    pub(crate) json: String,
}

/// Whose counters somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CountedOf {
    All,
    Subject(Box<str>),
    /// Each of the subjects that were active last, so many.
    Subjects(usize),
}

/// Counters of one type in one hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: i64,
    pub(crate) sums: BTreeMap<Box<str>, LimbSum>,
}

/// Whose counters they are, the hour, and the type.
pub(crate) type CountedKey = (Option<Box<str>>, u64, Box<str>);

/// An alert that waits for its receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitingAlert {
    /// As it was raised: of rule and event.
    pub(crate) id: u128,
    pub(crate) json: String,
    /// So many of its rule were held back before it.
    pub(crate) suppressed: u64,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When it may be tried again.
    pub(crate) next: Timestamp,
}

impl WaitingAlert {
    /// When it was raised; long ago, if it does not say.
    pub(crate) fn raised_at(&self) -> Timestamp {
        let json = serde_json::from_str::<serde_json::Value>(&self.json);
        let raised = json.ok().and_then(|json| json["raised_at"].as_u64());
        raised.map(Timestamp::from_millis).unwrap_or_default()
    }

    /// The alert as its receiver gets it, with what only the store knew.
    #[cfg(feature = "alerts")]
    pub(crate) fn body(&self) -> String {
        let json = serde_json::from_str::<serde_json::Map<_, _>>(&self.json);
        let Ok(mut json) = json else {
            return self.json.clone();
        };
        json.insert("suppressed".into(), self.suppressed.into());
        serde_json::Value::from(json).to_string()
    }
}

/// An alert that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedAlert {
    pub(crate) queue: Box<str>,
    pub(crate) id: u128,
    pub(crate) json: String,
    pub(crate) suppressed: u64,
    pub(crate) reason: Box<str>,
    pub(crate) at: Timestamp,
}

/// What becomes of the first alert of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    Delivered,
    /// It failed so often by now, and is tried again then.
    Again {
        attempts: u32,
        next: Timestamp,
    },
    GivenUp {
        reason: Box<str>,
        at: Timestamp,
    },
}

/// A browser that wants alerts, as it is kept: a number that tells it from others, and what is known of it.
#[cfg(feature = "push")]
pub(crate) type KeptSubscription = (u128, String);

/// What became of a browser that wants alerts.
#[cfg(feature = "push")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscribed {
    New,
    /// It was there; it wants now what it says now.
    Again,
    /// There are too many.
    Full,
}

/// Where the feed, the counters and alerts on their way are kept.
pub(crate) trait ActivityStore: Debug + Send + Sync + 'static {
    /// Applies `batch`, if `keeper` is the keeper or nobody is; it then is.
    fn apply<'a>(
        &'a self,
        keeper: &'a str,
        batch: &'a ActivityBatch,
    ) -> BoxFuture<'a, Result<Applied, Error>>;

    /// `keeper` is it, or goes on being it, if nobody else is.
    fn keep<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<Keeping, Error>>;

    /// `keeper` is it no more.
    fn resign<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Entries, newest first.
    fn read<'a>(
        &'a self,
        query: &'a FeedQuery,
    ) -> BoxFuture<'a, Result<Vec<StoredActivity>, Error>>;

    /// Counters of the hours from `from` up to `to`.
    fn counted<'a>(
        &'a self,
        of: &'a CountedOf,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<BTreeMap<CountedKey, Counted>, Error>>;

    /// The queues in which alerts wait.
    fn queues(&self) -> BoxFuture<'_, Result<Vec<Box<str>>, Error>>;

    /// The first alert of `queue`, if `keeper` is the keeper.
    fn first<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<WaitingAlert>, Error>>;

    /// Says what becomes of the alert `id`, if it is the first of `queue` and `keeper` is the keeper; whether that is so.
    fn settle<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
        id: u128,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// The alerts that were given up, newest first.
    fn failed(&self, limit: usize) -> BoxFuture<'_, Result<Vec<FailedAlert>, Error>>;

    /// Puts alerts that were given up back at the end of their queues: that with this id, or all. How many.
    fn send_again(&self, id: Option<u128>) -> BoxFuture<'_, Result<usize, Error>>;

    /// Keeps a browser that wants alerts, if there are fewer than `most` others.
    #[cfg(feature = "push")]
    fn subscribe<'a>(
        &'a self,
        subscription: &'a KeptSubscription,
        most: usize,
    ) -> BoxFuture<'a, Result<Subscribed, Error>>;

    /// Forgets a browser; whether it was there.
    #[cfg(feature = "push")]
    fn unsubscribe(&self, id: u128) -> BoxFuture<'_, Result<bool, Error>>;

    /// Browsers from the number `from` on, in the order of their numbers.
    #[cfg(feature = "push")]
    fn subscriptions(
        &self,
        from: u128,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeptSubscription>, Error>>;
}
