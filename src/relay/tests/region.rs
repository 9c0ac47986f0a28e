//! A region of the model: a log that can be lost, trimmed and split, and one node that follows it.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, poll_fn};
use parking_lot::Mutex;

use crate::clock::{Clock, ManualClock};
use crate::embedded::EmbeddedLog;
use crate::error::{Error, ErrorKind};
use crate::log::{
    ApplyResult, Keep, Log, NumberedRecord, PurgeRecord, Receipt, Regions, Tail, Tip, View, Views,
};
use crate::position::{Epoch, Position};
use crate::tag::{Tag, TagSet};
use crate::validity::{Bounds, Subject, Verdict};

/// One more poll before what follows happens.
async fn another_poll() {
    let mut polled = false;
    poll_fn(|context| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// A log as a relay reaches it: each command is sent, executed and answered in a poll of its own.
#[derive(Debug, Clone)]
pub(super) struct FarLog {
    /// The log of the region now, whichever that is.
    pub(super) log: Arc<Mutex<EmbeddedLog>>,
    /// An old master, to which this relay is still connected.
    pub(super) old: Arc<Mutex<Option<EmbeddedLog>>>,
    pub(super) cut: Arc<Mutex<bool>>,
}

impl FarLog {
    fn now(&self) -> Result<EmbeddedLog, Error> {
        if *self.cut.lock() {
            return Err(Error::new(ErrorKind::Unavailable, "cut"));
        }
        let old = self.old.lock().clone();
        Ok(old.unwrap_or_else(|| self.log.lock().clone()))
    }

    async fn asked<T>(&self, ask: impl AsyncFnOnce(EmbeddedLog) -> T) -> Result<T, Error> {
        another_poll().await;
        let answer = ask(self.now()?).await;
        another_poll().await;
        // The answer may be lost, and what was asked for is done.
        self.now()?;
        Ok(answer)
    }
}

impl Log for FarLog {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        async move { self.asked(async |log| log.append(record).await).await? }.boxed()
    }

    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        async move {
            self.asked(async |log| log.append_in(record, epoch).await)
                .await?
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        async move { self.asked(async |log| log.tip().await).await? }.boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        async move { self.asked(async |log| log.tail(limit).await).await? }.boxed()
    }

    fn read_after(
        &self,
        after: Position,
        _: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        async move {
            self.asked(async |log| log.read_after(after, Duration::ZERO).await)
                .await?
        }
        .boxed()
    }

    fn trim(&self, _: Keep) -> BoxFuture<'_, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
}

/// A stored response.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) key: usize,
    pub(super) version: u64,
    stamp: crate::position::Stamp,
    tags: TagSet,
}

/// A fill on its way: what it will store, and when it began.
#[derive(Debug)]
struct Fill {
    response: Stored,
    began: Duration,
}

#[derive(Debug)]
pub(super) struct Region {
    pub(super) log: Arc<Mutex<EmbeddedLog>>,
    views: Views,
    clock: ManualClock,
    pub(super) stored: Vec<Stored>,
    fills: Vec<Fill>,
    /// A heartbeat that was sent, and what it saw.
    beat: Option<(Duration, Position)>,
    /// Claims that the node has applied: of which region's log, up to where.
    pub(super) claimed: Vec<(Box<str>, Position)>,
}

pub(super) fn tag(key: usize) -> Tag {
    Tag::new(&format!("item:{key}")).expect("a tag")
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("a log in memory does not wait")
}

impl Region {
    pub(super) fn new(clock: &ManualClock, regions: Option<Regions>) -> Self {
        let lease = Duration::from_secs(1);
        let views = Views::new(Bounds::default(), lease, Arc::new(clock.clone()));
        // As the settling times of streams are known from the configuration.
        views.expect_settle(super::model::SETTLE);
        Self {
            log: Arc::new(Mutex::new(EmbeddedLog::new(clock))),
            views: views.with_regions(regions),
            clock: clock.clone(),
            stored: Vec::new(),
            fills: Vec::new(),
            beat: None,
            claimed: Vec::new(),
        }
    }

    pub(super) fn log(&self) -> EmbeddedLog {
        self.log.lock().clone()
    }

    fn view(&self) -> Arc<View> {
        match self.views.current() {
            Some(view) => view,
            None => self.join(),
        }
    }

    fn join(&self) -> Arc<View> {
        let tail = ready(self.log().tail(1_000)).expect("it is here");
        self.views.join(&tail).0
    }

    /// The node reads what there is.
    pub(super) fn read(&mut self) {
        let view = self.view();
        let read = ready(self.log().read_after(view.position(), Duration::ZERO));
        let read = read.expect("it is here");
        if self.views.apply(&view, &read) == ApplyResult::OtherEpoch {
            // Its entries are of another epoch.
            self.join();
            self.claimed.clear();
            return;
        }
        for read in read {
            if let Some(claim) = read.record.relayed.as_ref().and_then(|r| r.claim.clone()) {
                self.claimed.push((claim.region, claim.position));
            }
        }
    }

    /// One half of a heartbeat: it is sent and executed, or its answer arrives.
    pub(super) fn beat(&mut self) {
        match self.beat.take() {
            None => {
                let sent = self.clock.monotonic();
                let tip = ready(self.log().tip()).expect("it is here");
                self.beat = Some((sent, tip.position));
            }
            Some((sent, tip)) => {
                let view = self.view();
                self.views.extend_lease(&view, sent, tip);
            }
        }
    }

    /// A fill begins, which reads data of that version.
    pub(super) fn fill(&mut self, key: usize, version: u64) {
        let mut tags = TagSet::implicit("item", "/item");
        tags.add(&tag(key)).expect("one tag");
        let response = Stored {
            key,
            version,
            stamp: self.view().stamp(),
            tags,
        };
        let began = self.clock.monotonic();
        self.fills.push(Fill { response, began });
    }

    /// The oldest fill ends.
    pub(super) fn land(&mut self) {
        if self.fills.is_empty() {
            return;
        }
        let Fill { response, began } = self.fills.remove(0);
        let subject = subject(&response);
        if !self.views.settling(began, subject) {
            self.stored.push(response);
        }
        if self.stored.len() > 40 {
            self.stored.remove(0);
        }
    }

    /// Strict: the node has read all that there is. Whether `stored` would be a hit.
    pub(super) fn hits(&self, stored: &Stored) -> bool {
        let view = self.view();
        self.views.judge(&view, subject(stored)) == Verdict::Valid
    }
}

fn subject(stored: &Stored) -> Subject<'_> {
    Subject {
        stamp: stored.stamp,
        tags: &stored.tags,
        path: "/item",
    }
}
