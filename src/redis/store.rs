//! Entries as Redis strings, read together with the head of the purge log.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::entry::Entry;
use crate::entry::codec::Frame;
use crate::error::{Error, ErrorKind};
use crate::key::CacheKey;
use crate::log::Head;
use crate::observe::{Notice, SharedObserver};
use crate::position::Position;
use crate::redis::breaker::Breaker;
use crate::redis::fault;
use crate::redis::link::{Link, Live};
use crate::redis::reply::{self, Last};
use crate::redis::trust::Sent;
use crate::redis::verify::{Verifier, ask_last};
use crate::store::{Found, Store};

mod packing;
mod parts;

/// A lookup that finds another log than the verified one is sent again so often, within its budget.
const TRIES: usize = 2;

/// The entries of one namespace on one server.
#[derive(Debug)]
pub(crate) struct RedisStore {
    verifier: Arc<Verifier>,
    reads: Link,
    /// Its own, so that a lookup does not wait behind a large body on its way.
    writes: Link,
    breaker: Breaker,
    observer: SharedObserver,
    /// Frames are stored compressed where that helps.
    compress: bool,
}

impl RedisStore {
    pub(super) const fn new(
        verifier: Arc<Verifier>,
        reads: Link,
        writes: Link,
        breaker: Breaker,
        observer: SharedObserver,
        compress: bool,
    ) -> Self {
        Self {
            verifier,
            reads,
            writes,
            breaker,
            observer,
            compress,
        }
    }

    async fn lookup(&self, keys: &[CacheKey]) -> Result<Found, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().read;
        let pipe = self.question(keys);
        for _ in 0..TRIES {
            let live = self.reads.verified(deadline).await?;
            let sent = self.verifier.trust.sent();
            let mut answer = self.reads.ask(&live, deadline, &pipe).await?;
            let last = answer.pop().ok_or_else(|| reply::malformed("lookup"))?;
            if let Some(position) = self.head(&live, sent, last)? {
                let replicas = self.verifier.trust.replicas_seen();
                let mut entries = SmallVec::new();
                for (key, value) in keys.iter().zip(answer) {
                    entries.push(self.entry(key, value).await?);
                }
                return Ok(Found {
                    entries,
                    head: Head { position, replicas },
                });
            }
        }
        let message = "redis: the purge log changed under the lookup";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Entries and head in one write, in any order (PROTOCOL 19).
    fn question(&self, keys: &[CacheKey]) -> Pipeline {
        let mut pipe = ::redis::Pipeline::with_capacity(keys.len() + 1);
        for key in keys {
            pipe.cmd("GET").arg(self.verifier.keys.entry(key.digest()));
        }
        ask_last(&mut pipe, &self.verifier.keys);
        pipe
    }

    /// The head that a lookup read, or `None` if the log has to be verified again first. `[head_epoch]`
    fn head(&self, live: &Live, sent: Sent, last: Value) -> Result<Option<Position>, Error> {
        let trust = &self.verifier.trust;
        let last = Last::parse(last)?;
        let Ok(position) = trust.judge(sent, &live.verified.identity, &last) else {
            self.reads.doubt(live);
            return Ok(None);
        };
        trust.read(sent, position);
        Ok(Some(position))
    }

    /// The entry in `value`; whatever else it is counts as nothing and is reported (SAFETY 63).
    async fn entry(&self, key: &CacheKey, value: Value) -> Result<Option<Entry>, Error> {
        let opened = match in_frame(value) {
            Ok(Some(frame)) => self.opened(frame).await?,
            Ok(None) => return Ok(None),
            Err(reason) => Err(reason),
        };
        let read = match opened {
            Ok(Frame::Entry(entry)) => Ok(entry),
            Ok(Frame::Parts(parts)) => match self.whole(&parts).await? {
                Some(frame) => self.opened(frame).await?.and_then(Frame::entry),
                None => Err("a part is missing"),
            },
            Err(reason) => Err(reason),
        };
        let reason = match read {
            Ok(entry) if key_of(&entry) == key => return Ok(Some(entry)),
            Ok(_) => "another key's entry",
            Err(reason) => reason,
        };
        self.observer.notify(&Notice::EntryRejected { reason });
        Ok(None)
    }

    async fn store(&self, key: &CacheKey, entry: &Entry, keep: Duration) -> Result<(), Error> {
        let mut frame = self.frame(entry).await;
        let deadline = Instant::now() + self.verifier.server.budgets().write;
        let live = self.writes.verified(deadline).await?;
        if frame.len() > parts::WHOLE {
            frame = self.store_parts(&live, deadline, &frame, keep).await?;
        }
        let mut pipe = ::redis::pipe();
        let set = pipe.cmd("SET").arg(self.verifier.keys.entry(key.digest()));
        set.arg(&*frame).arg("PX").arg(lifetime(keep));
        let answer = self.writes.ask(&live, deadline, &pipe).await?;
        match answer.iter().find_map(fault::error_in) {
            Some(error) => Err(self.verifier.server.error("store", error)),
            None => Ok(()),
        }
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found, Error>> {
        let counts = |error: &Error| speaks_against(error, &self.reads);
        self.breaker.run(counts, self.lookup(keys)).boxed()
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            if keep.as_millis() == 0 {
                return Ok(());
            }
            let counts = |error: &Error| speaks_against(error, &self.writes);
            let storing = self.store(key, &entry, keep);
            self.breaker.run(counts, storing).await
        }
        .boxed()
    }
}

/// Whether an error is one that asking again soon would only repeat: the server is slow or away, or
/// does not let us in. One that refuses a single command (no memory, a foreign type) is there.
fn speaks_against(error: &Error, link: &Link) -> bool {
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::Unavailable => true,
        ErrorKind::Denied => !link.is_up(),
        _ => false,
    }
}

/// What stands in `value`, if anything does.
fn in_frame(value: Value) -> Result<Option<Bytes>, &'static str> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        error @ Value::ServerError(_) => Err(match fault::code(&error) {
            Some("WRONGTYPE") => "a foreign type",
            _ => "refused by the server",
        }),
        _ => Err("not a string"),
    }
}

/// A lifetime in milliseconds, as Redis takes one: past the end of its own time it refuses, and a century
/// is for ever.
fn lifetime(keep: Duration) -> u64 {
    let millis = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    millis.min(100 * 365 * 86_400_000)
}

fn key_of(entry: &Entry) -> &CacheKey {
    match entry {
        Entry::Response(response) => &response.key,
        Entry::Variants(index) => &index.key,
    }
}
