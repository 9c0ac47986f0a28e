//! What happened: the activity feed, counters by hour, and alerts on their way, made of the announcements of the purge log.
//!
//! The announcements of a log have an order and a place each, so whatever is made of them can be made once: a store says up
//! to where it was told, and takes what follows whole or not at all. One node at a time tells it, the [keeper]; if
//! that dies, another goes on where the store was told to.

mod announced;
mod asked;
mod changes;
mod courier;
mod cursor;
mod entry;
mod feed;
mod keeper;
mod ledger;
mod queue;
mod settings;
mod store;
mod sum;

#[cfg(test)]
pub(crate) mod contract;

pub(crate) use self::announced::announce;
pub(crate) use self::asked::{CountersAsked, EntriesAsked};
pub(crate) use self::changes::ChangeMaker;
pub(crate) use self::courier::{AlertSender, Courier, Undelivered};
pub use self::cursor::{ActivityCursor, ParseActivityCursorError};
#[cfg(test)]
pub(crate) use self::entry::EntryMaker;
pub use self::feed::{
    ActivityEntry, ActivityFeed, ActivityPage, ActivityQuery, AnalyticsQuery, AnalyticsRow,
    FailedDelivery,
};
pub(crate) use self::keeper::Keeper;
pub(crate) use self::ledger::Ledger;
pub(crate) use self::queue::{AlertQueue, AlertReceiver};
pub use self::settings::ActivitySettings;
pub(crate) use self::store::{
    ActivityBatch, ActivityBounds, ActivityStore, AlertToRaise, Applied, Counted, CountedKey,
    CountedOf, FailedAlert, FeedQuery, Keeping, MAX_FAILED, MAX_WAITING, Settlement,
    StoredActivity, WaitingAlert,
};
#[cfg(any(test, feature = "redis"))]
pub(crate) use self::store::{ActivityChange, ReorgNotice, Sighting};
// What is written for the scripts of a server.
#[cfg(feature = "redis")]
pub(crate) use self::store::{
    COPIES_WITHIN, KEEPER_FOR, MAX_COUNTERS, MAX_NOTICES, MAX_STREAMS, MAX_SUBJECTS,
};
#[cfg(feature = "push")]
pub(crate) use self::store::{KeptSubscription, Subscribed};
#[cfg(test)]
pub(crate) use self::sum::LimbSum;
