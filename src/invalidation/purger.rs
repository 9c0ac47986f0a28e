//! The handle to purge by hand.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use crate::error::{Error, ErrorKind};
use crate::invalidation::intake::PurgeSink;
use crate::invalidation::mapping::MAX_TARGETS;
use crate::log::{Doubt, PurgeToAnnounce, Purged, Purges, Until};
use crate::tag::{PurgeKind, Target};
use crate::update::Update;

/// Purges stored responses: by tag, family, URL path, rule, glob, or all of them.
///
/// A cheap clone; make one with [`Cache::purger`](crate::Cache::purger). A purge is hard unless
/// [`soft`](Self::soft) says otherwise. All cost the same, whatever the number of responses.
///
/// ```
/// # async fn purge(cache: &tower_tagcache::Cache) -> Result<(), tower_tagcache::Error> {
/// let purged = cache.purger().tag("auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be").await?;
/// println!("no node answers with it any more; it is at {} in the log", purged.position);
/// cache.purger().soft().url("/auctions").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Every method fails with [`ErrorKind::Pending`] while the purge log cannot be reached: the purge is
/// then in force in this process at once, on others when it has been appended, which the
/// [`Companion`](crate::Companion) does as soon as it can. With [`ErrorKind::Invalid`] nothing was
/// purged: the tag or glob is malformed.
///
/// # Cancel safety
///
/// A purge whose future is dropped stays in force in this process and is appended by the companion.
#[derive(Debug, Clone)]
#[must_use = "a purger does nothing until one of its methods is awaited"]
pub struct Purger {
    purges: Arc<Purges>,
    kind: PurgeKind,
    settle: Duration,
    until: Until,
    updates: Vec<Arc<Update>>,
}

impl Purger {
    pub(crate) const fn new(purges: Arc<Purges>) -> Self {
        Self {
            purges,
            kind: PurgeKind::Hard,
            settle: Duration::ZERO,
            until: Until::Everywhere,
            updates: Vec::new(),
        }
    }

    /// Purges softly: the responses stay usable as stale, where their rule allows that.
    /// Default: hard.
    pub const fn soft(mut self) -> Self {
        self.kind = PurgeKind::Soft;
        self
    }

    /// For so long after the purge, responses with these tags are served but not stored: the time
    /// that the data the inner service reads may lag behind. Default: zero.
    pub const fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Waits only until the purge is in the log. Other nodes then may still answer with what was purged, for about a
    /// round trip. Default: a purge returns when no node does any more, at most 5.5 s after it was in the log (10 s more where Redis
    /// has replicas).
    pub const fn in_log(mut self) -> Self {
        self.until = Until::InLog;
        self
    }

    /// Tells people of `update` once no node answers with what was purged any more and the [settling time](Self::settle)
    /// is over (twice that time, where a node did not answer): everyone who receives
    /// [`Cache::updates`](crate::Cache::updates), on every node. The purge returns when the announcement is in the log; if
    /// the log does not take it, with `announced: None`, and some node announces it later. After an error people are
    /// told when the log is back. [`in_log`](Self::in_log) has no effect. To announce without purging: `targets([])`.
    /// Default: nobody is told.
    pub fn announcing(mut self, update: Update) -> Self {
        self.updates.push(Arc::new(update));
        self
    }

    /// Purges the responses with `tag`. An address in it may be written in any case.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn tag(&self, tag: impl AsRef<str>) -> Result<Purged, Error> {
        self.tags([tag]).await
    }

    /// Purges the responses with any of `tags`, in one record of the log (in several past a thousand;
    /// the position returned is the last one's).
    ///
    /// # Errors
    /// See [`Purger`]. An empty list is [`ErrorKind::Invalid`].
    pub async fn tags<T: AsRef<str>>(
        &self,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Purged, Error> {
        let targets: Result<Vec<Target>, Error> = tags.into_iter().map(Target::tag).collect();
        self.targets(targets?).await
    }

    /// Purges the responses with any tag of `family`: what stands before a tag's first colon.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn family(&self, family: impl AsRef<str>) -> Result<Purged, Error> {
        self.targets([Target::family(family)?]).await
    }

    /// Purges the responses of exactly this URL: all its variants, queries and hosts. Takes a path
    /// (`/auctions/0x…`) or a whole URL; a query is ignored.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn url(&self, url: impl AsRef<str>) -> Result<Purged, Error> {
        self.targets([Target::url(url)?]).await
    }

    /// Purges the responses stored under the rule called `name`.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn rule(&self, name: impl AsRef<str>) -> Result<Purged, Error> {
        self.targets([Target::rule(name)?]).await
    }

    /// Purges the responses whose URL path matches `pattern`: `*` stands for any run of characters
    /// without `/`, `**` for any run, `?` for one character but `/`. At most a thousand distinct
    /// globs are remembered; past that, everything older than the oldest of them is purged.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn glob(&self, pattern: impl AsRef<str>) -> Result<Purged, Error> {
        self.targets([Target::glob(pattern)?]).await
    }

    /// Purges everything.
    ///
    /// # Errors
    /// See [`Purger`].
    pub async fn all(&self) -> Result<Purged, Error> {
        self.targets([Target::All]).await
    }

    /// Purges what any of `targets` names, in one record of the log (in several past a thousand; the
    /// position returned is the last one's).
    ///
    /// # Errors
    /// See [`Purger`]. No target at all is [`ErrorKind::Invalid`], unless there is something to announce.
    pub async fn targets(
        &self,
        targets: impl IntoIterator<Item = Target>,
    ) -> Result<Purged, Error> {
        let targets: Vec<Target> = targets.into_iter().collect();
        if !self.updates.is_empty() {
            return self.announce(targets).await;
        }
        // All records at once: each is in force from its first poll, whatever becomes of the others.
        let records = targets.chunks(MAX_TARGETS);
        let purge = |record: &[Target]| {
            self.purges
                .purge(self.kind, record.to_vec(), self.settle, self.until)
        };
        let purged = join_all(records.map(purge)).await;
        let purged: Vec<Purged> = purged.into_iter().collect::<Result<_, _>>()?;
        let later = |a: Purged, b: Purged| {
            let both = a.everywhere.zip(b.everywhere).map(|(a, b)| a.and(b));
            let mut later = if a.position.reaches(b.position) { a } else { b };
            later.everywhere = both;
            later
        };
        purged
            .into_iter()
            .reduce(later)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "nothing to purge: the list is empty"))
    }

    async fn announce(&self, targets: Vec<Target>) -> Result<Purged, Error> {
        let purges = targets.chunks(MAX_TARGETS);
        let purge = PurgeToAnnounce {
            purges: purges
                .map(|targets| (self.kind, targets.to_vec()))
                .collect(),
            settle: self.settle,
            updates: self.updates.clone(),
        };
        self.purges.purge_and_announce(purge).await
    }
}

impl PurgeSink for Purges {
    fn purge(
        &self,
        kind: PurgeKind,
        targets: Vec<Target>,
        settle: Duration,
    ) -> BoxFuture<'_, Result<Purged, Error>> {
        // Who waits for an event waits for its acknowledgement.
        Box::pin(self.purge(kind, targets, settle, Until::InLog))
    }

    fn purge_and_announce(&self, purge: PurgeToAnnounce) -> BoxFuture<'_, Result<Purged, Error>> {
        Box::pin(self.purge_and_announce(purge))
    }

    fn purge_until_announced<'a>(
        &'a self,
        purges: Vec<PurgeToAnnounce>,
        logged: Box<dyn FnOnce() + Send + 'a>,
        turn: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _ = self.purge_until_announced(purges, logged, turn).await;
        })
    }

    fn purge_until_acknowledged(
        &self,
        purges: Vec<(PurgeKind, Vec<Target>)>,
        settle: Duration,
    ) -> BoxFuture<'_, ()> {
        Box::pin(self.purge_until_acknowledged(purges, settle))
    }

    fn doubt(&self, kind: PurgeKind, targets: Vec<Target>) -> Doubt {
        self.doubt(kind, targets)
    }
}
