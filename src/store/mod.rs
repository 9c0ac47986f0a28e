//! Where stored responses live.
//!
//! A store need not be right, only honest: it may lose anything at any time (P2), because validity
//! is decided by the purge log's position that comes with each read. What it must never do is to
//! hand out bytes under another key, or a tip that was read before the lookup began.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use smallvec::SmallVec;

use crate::entry::{Cut, Entry};
use crate::error::Error;
use crate::key::CacheKey;
use crate::log::Tip;

mod budgets;
mod claims;
#[cfg(test)]
pub(crate) mod contract;
mod near;

pub(crate) use self::budgets::Budgets;
pub(crate) use self::claims::{ClaimEnd, ClaimResult, Claims, Holder};
pub(crate) use self::near::{LEAST_BYTES, NearCache, NearRoom};

/// What a lookup saw.
#[derive(Debug, Clone)]
pub(crate) struct StoreReply {
    /// For each key asked for, in order: its entry. Anything unreadable is `None` and reported.
    pub(crate) entries: SmallVec<[Option<Holding>; 2]>,
    /// The tip of the purge log, read after the lookup began (PROTOCOL 19), on a verified
    /// connection.
    pub(crate) tip: Tip,
}

/// An entry as a store holds it.
#[derive(Debug, Clone)]
pub(crate) enum Holding {
    Entry(Entry),
    /// A response whose body is read when it is needed, in chunks.
    Cut(Arc<Cut>),
}

impl Holding {
    /// The entry, with its body; `None` if that is not there any more.
    ///
    /// # Errors
    /// It does not come in time.
    pub(crate) async fn whole(self) -> Result<Option<Entry>, Error> {
        match self {
            Self::Entry(entry) => Ok(Some(entry)),
            Self::Cut(cut) => {
                let whole = cut.whole().await?;
                Ok(whole.map(|response| Entry::Response(Arc::new(response))))
            }
        }
    }
}

/// A store of responses, shared by nodes or private to the process.
pub(crate) trait Store: Debug + Send + Sync + 'static {
    /// Reads the entries of `keys` and the tip of the purge log in one round trip.
    ///
    /// # Errors
    /// Any failure to read the log's tip. The engine takes it for a miss.
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>>;

    /// Reads the entry of `key` and the tip of the purge log, as [`get`](Self::get) does, if neither
    /// has to be waited for: a hit then needs no future. Default: they have to be.
    fn get_now(&self, _: &[u8]) -> Option<(Option<Entry>, Tip)> {
        None
    }

    /// Stores `entry` under `key` for `keep` at the longest.
    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Forgets what stands under `key`, if anything does.
    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>>;
}
