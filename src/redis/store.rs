//! Entries as Redis strings, read together with the tip of the purge log.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::clock::millis;
use crate::entry::codec::Frame;
use crate::entry::{Cut, Entry};
use crate::error::{Error, ErrorKind};
use crate::key::CacheKey;
use crate::log::Tip;
use crate::observe::{Notice, SharedObserver};
use crate::position::Position;
use crate::redis::data::{Data, Keyed};
use crate::redis::fault;
use crate::redis::health::{Part, ServerHealth};
use crate::redis::link::Link;
use crate::redis::live::Live;
use crate::redis::reply::{self, Last};
use crate::redis::trust::Knowledge;
use crate::redis::verify::{Verifier, ask_last};
use crate::store::{Holding, Store, StoreReply};

mod chunks;
mod packing;

use self::packing::Packing;

/// A lookup that finds another log than the verified one is sent again so often, within its budget.
const TRIES: usize = 2;

/// The entries of one namespace on one server.
#[derive(Debug)]
pub(crate) struct RedisStore {
    pub(super) verifier: Arc<Verifier>,
    /// To the purge log.
    pub(super) reads: Link,
    /// Its own, so that a lookup does not wait behind a large body on its way.
    pub(super) writes: Link,
    /// Where entries are looked up, by the connection of lookups, and where they are stored, by that of stores.
    pub(super) lookups: Data,
    pub(super) stores: Data,
    pub(super) health: Arc<ServerHealth>,
    pub(super) observer: SharedObserver,
    /// Frames are stored compressed where that helps.
    pub(super) compress: bool,
}

impl RedisStore {
    async fn lookup(&self, keys: &[CacheKey]) -> Result<StoreReply, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().read;
        let (values, tip) = match &self.lookups {
            Data::Beside(_) => self.look(keys, deadline).await?,
            Data::Spread(..) => {
                let values = join_all(keys.iter().map(|key| self.fetch(key, deadline)));
                let values = async { Ok(values.await) };
                let ((_, tip), values) = tokio::try_join!(self.look(&[], deadline), values)?;
                (values, tip)
            }
        };
        let mut entries = SmallVec::new();
        for (key, value) in keys.iter().zip(values) {
            entries.push(self.entry(key, value).await?);
        }
        Ok(StoreReply { entries, tip })
    }

    /// What stands under the entry of `key`, on its node of a Cluster; nothing if that cannot be asked, which is told
    /// there. Any order with the tip will do (PROTOCOL 19).
    async fn fetch(&self, key: &CacheKey, deadline: Instant) -> Value {
        let name = self.verifier.keys.entry(key.digest());
        let mut pipe = ::redis::pipe();
        pipe.cmd("GET").arg(&name);
        let answer = self.lookups.ask(deadline, &name, &pipe).await;
        answer
            .ok()
            .and_then(|mut answer| answer.pop())
            .unwrap_or(Value::Nil)
    }

    /// What stands under the entries of `keys` on the server of the log, and its tip.
    async fn look(&self, keys: &[CacheKey], deadline: Instant) -> Result<(Vec<Value>, Tip), Error> {
        let pipe = self.question(keys);
        for turn in 1..=TRIES {
            let live = self.reads.verified(deadline).await?;
            let sent = self.verifier.trust.sent();
            let mut answer = match self.reads.ask(&live, deadline, &pipe).await {
                // The socket is gone, which an idle connection notices only now.
                Err(_) if turn < TRIES && live.is_over(&self.verifier.trust) => continue,
                answer => answer?,
            };
            let last = answer.pop().ok_or_else(|| reply::malformed("lookup"))?;
            if let Some(position) = self.tip(&live, sent, last)? {
                let replicas = self.verifier.trust.replicas_seen();
                return Ok((answer, Tip { position, replicas }));
            }
        }
        let message = "redis: the purge log changed under the lookup";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Entries and tip in one write, in any order (PROTOCOL 19).
    fn question(&self, keys: &[CacheKey]) -> Pipeline {
        let mut pipe = ::redis::Pipeline::with_capacity(keys.len() + 1);
        for key in keys {
            pipe.cmd("GET").arg(self.verifier.keys.entry(key.digest()));
        }
        ask_last(&mut pipe, &self.verifier.keys);
        pipe
    }

    /// The tip that a lookup read, or `None` if the log has to be verified again first. `[tip_epoch]`
    fn tip(&self, live: &Live, sent: Knowledge, last: Value) -> Result<Option<Position>, Error> {
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
    async fn entry(&self, key: &CacheKey, value: Value) -> Result<Option<Holding>, Error> {
        let opened = match in_frame(value) {
            Ok(Some(frame)) => self.opened(frame).await?,
            Ok(None) => return Ok(None),
            Err(reason) => Err(reason),
        };
        let read = opened.map(|frame| match frame {
            Frame::Entry(entry) => Holding::Entry(entry),
            Frame::Cut(chunks, head) => Holding::Cut(Arc::new(Cut::new(
                *head,
                chunks.length,
                self.source(chunks),
            ))),
        });
        let reason = match read {
            Ok(held) if key_of(&held) == key => return Ok(Some(held)),
            Ok(_) => "another key's entry",
            Err(reason) => reason,
        };
        self.observer.notify(&Notice::EntryRejected { reason });
        Ok(None)
    }

    async fn store(&self, key: &CacheKey, entry: &Entry, keep: Duration) -> Result<(), Error> {
        let under = self.verifier.keys.entry(key.digest());
        let (framed, mut pipe) = (self.framed(entry).await, ::redis::pipe());
        let deadline = Instant::now() + self.verifier.server.budgets().write;
        let (frame, cut) = match framed {
            Packing::Whole(frame) => (frame, false),
            Packing::ToCut(response, compress) => {
                Self::ask_beginning(&mut pipe, &under);
                let chunks = self.store_chunks(deadline, response, keep, compress);
                (chunks.await?, true)
            }
        };
        let set = pipe.cmd("SET").arg(&under);
        set.arg(&*frame).arg("PX").arg(lifetime(keep));
        let answer = self.stores.ask(deadline, &under, &pipe).await?;
        if let Some(error) = answer.last().and_then(fault::error_in) {
            return Err(self.verifier.server.error("store", error));
        }
        if cut && let Some(beginning) = answer.first() {
            self.outlived(deadline, beginning).await;
        }
        Ok(())
    }

    /// What `storing` brings, unless the server is known to be away. The nodes of a Cluster see to that each for itself.
    async fn guarded<T>(
        &self,
        storing: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if let Data::Spread(..) = self.stores {
            return storing.await;
        }
        let counts = |error: &Error| speaks_against(error, &self.writes);
        self.health.writes.run(counts, storing).await
    }

    /// The chunks of a large one end by themselves: nothing says any more where they are.
    async fn forget(&self, key: &CacheKey) -> Result<(), Error> {
        let budget = self.verifier.server.budgets().write;
        let key = self.verifier.keys.entry(key.digest());
        let command = Cmd::unlink(&key);
        let unlink = Keyed { key, command };
        self.stores.run("forget", budget, unlink).await.map(drop)
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<StoreReply, Error>> {
        async move {
            let counts = |error: &Error| speaks_against(error, &self.reads);
            let found = self.health.reads.run(counts, self.lookup(keys)).await;
            self.health.note(Part::Lookups, &found);
            found
        }
        .boxed()
    }

    fn put<'a>(
        &'a self,
        key: &'a CacheKey,
        entry: Entry,
        keep: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            if millis(keep) == 0 {
                return Ok(());
            }
            let stored = self.guarded(self.store(key, &entry, keep)).await;
            self.health.note(Part::Stores, &stored);
            stored
        }
        .boxed()
    }

    fn remove<'a>(&'a self, key: &'a CacheKey) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let removed = self.guarded(self.forget(key)).await;
            self.health.note(Part::Stores, &removed);
            removed
        }
        .boxed()
    }
}

/// Whether an error is one that asking again soon would only repeat: the server is slow or away, or
/// does not let us in. One that refuses a single command (no memory, a foreign type) is there.
fn speaks_against(error: &Error, link: &Link) -> bool {
    match error.kind() {
        ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Unsupported => true,
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
    millis(keep).min(100 * 365 * 86_400_000)
}

fn key_of(held: &Holding) -> &CacheKey {
    match held {
        Holding::Entry(Entry::Response(response)) => &response.key,
        Holding::Entry(Entry::Variants(index)) => &index.key,
        Holding::Cut(cut) => &cut.head().key,
    }
}
