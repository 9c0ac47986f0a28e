use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::clock::ManualClock;
use crate::log::roll::longest_wait;
use crate::log::{Keep, NumberedRecord, Tail, Tip};
use crate::outcome::Detail;
use crate::position::{Epoch, Stamp};
use crate::tag::{Tag, TagSet};
use crate::validity::{Bounds, Subject, Verdict};

mod announcing;
mod together;

const OLD: u64 = 1;
const NEW: u64 = 2;

/// While a record is appended, this process joins the epoch `NEW`, once. Records are acknowledged in
/// the epochs that `answers` lists, then in the last of them.
#[derive(Debug)]
struct Turning {
    purges: OnceLock<Arc<Purges>>,
    answers: Vec<u64>,
    appended: Mutex<usize>,
}

fn purges_over(log: Arc<dyn Log>, clock: &ManualClock) -> Arc<Purges> {
    let bounds = Bounds {
        marks: 10,
        globs: 10,
        slots: 1024,
    };
    let views = Views::new(bounds, Duration::from_secs(1), Arc::new(clock.clone()));
    Arc::new(Purges::new(
        log,
        Arc::new(views.waiting_by_clock()),
        Arc::new(clock.clone()),
        SharedObserver::new(()),
        Duration::from_secs(1),
        Duration::from_secs(30),
    ))
}

impl Turning {
    fn new(answers: &[u64]) -> (Arc<Self>, Arc<Purges>) {
        let log = Arc::new(Self {
            purges: OnceLock::new(),
            answers: answers.to_vec(),
            appended: Mutex::new(0),
        });
        let purges = purges_over(Arc::clone(&log) as Arc<dyn Log>, &ManualClock::default());
        join(&purges, OLD);
        log.purges.set(Arc::clone(&purges)).unwrap();
        (log, purges)
    }

    fn appended(&self) -> usize {
        *self.appended.lock()
    }
}

fn join(purges: &Purges, epoch: u64) {
    let tip = Tip {
        position: Position::new(epoch, 0),
        replicas: 0,
    };
    let records = Vec::new();
    let (view, new) = purges.views.join(&Tail { tip, records });
    assert!(new);
    purges.repeat_recent(view.position().epoch);
}

impl Log for Turning {
    fn append<'a>(&'a self, _: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        let mut appended = self.appended.lock();
        if *appended == 0 {
            join(self.purges.get().unwrap(), NEW);
        }
        let epoch = self.answers[(*appended).min(self.answers.len() - 1)];
        *appended += 1;
        let position = Position::new(epoch, *appended as u64);
        std::future::ready(Ok(Receipt::durable(position))).boxed()
    }

    fn append_in<'a>(
        &'a self,
        _: &'a PurgeRecord,
        _: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        unreachable!("nothing is announced")
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        unreachable!("no follower runs")
    }

    fn tail(&self, _: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        unreachable!("no follower runs")
    }

    fn read_after(
        &self,
        _: Position,
        _: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        unreachable!("no follower runs")
    }

    fn trim(&self, _: Keep) -> BoxFuture<'_, Result<(), Error>> {
        unreachable!("no follower runs")
    }
}

async fn purge(purges: &Purges) -> Result<Purged, Error> {
    let target = Target::Tag(Tag::new("x").unwrap());
    purges
        .purge(
            PurgeKind::Hard,
            vec![target],
            Duration::ZERO,
            Until::Everywhere,
        )
        .await
}

/// What a response of `NEW` that carries the tag, stamped where that epoch began, is worth.
fn judge(purges: &Purges) -> Verdict {
    let mut tags = TagSet::implicit("r", "/p");
    tags.add(&Tag::new("x").unwrap()).unwrap();
    let view = purges.views.current().unwrap();
    purges.views.judge(
        &view,
        Subject {
            stamp: Stamp::at(Position::new(NEW, 0)),
            tags: &tags,
            path: "/p",
        },
    )
}

/// PROTOCOL 23 and 25 `[durable]`:
/// > append on its way · another epoch joined · acknowledged in the old one · v1 of the new one hit.
#[tokio::test]
async fn rule_25_an_append_acknowledged_in_an_epoch_that_was_left_is_repeated_before_it_counts() {
    let (log, purges) = Turning::new(&[OLD, NEW]);
    let purged = purge(&purges).await.unwrap();
    assert_eq!(purged.position, Position::new(NEW, 2));
    assert_eq!(log.appended(), 2);
    assert_eq!(judge(&purges), Verdict::Purged(Detail::Purged));
    assert!(!purges.any_waiting());
}

#[tokio::test]
async fn rule_25_an_append_acknowledged_in_the_epoch_that_was_joined_is_not_repeated() {
    let (log, purges) = Turning::new(&[NEW]);
    purge(&purges).await.unwrap();
    assert_eq!(log.appended(), 1);
    assert!(!purges.any_waiting());
}

#[tokio::test]
async fn rule_25_a_log_that_stays_in_an_epoch_that_was_left_leaves_the_purge_pending() {
    let (log, purges) = Turning::new(&[OLD]);
    let error = purge(&purges).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pending);
    assert_eq!(log.appended(), TRIES);
    assert_eq!(judge(&purges), Verdict::Purged(Detail::PurgePending));
    // The companion goes on, and is bounded as well.
    assert!(purges.append_waiting().await.is_err());
    assert!(purges.any_waiting());
}

/// What was acknowledged before the join is repeated by it.
#[tokio::test]
async fn rule_25_a_purge_acknowledged_shortly_before_another_epoch_is_repeated_there() {
    let (log, purges) = Turning::new(&[NEW]);
    purge(&purges).await.unwrap();
    join(&purges, 3);
    assert!(purges.any_waiting());
    assert_eq!(log.appended(), 1);
}

/// Takes nothing, without an answer, until it is told to.
#[derive(Debug, Default)]
struct Hung {
    answers: std::sync::atomic::AtomicBool,
    asked: Mutex<u64>,
}

impl Log for Hung {
    fn append<'a>(&'a self, _: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        let mut asked = self.asked.lock();
        *asked += 1;
        if !self.answers.load(Ordering::SeqCst) {
            return std::future::pending().boxed();
        }
        let position = Position::new(OLD, *asked);
        std::future::ready(Ok(Receipt::durable(position))).boxed()
    }

    fn append_in<'a>(
        &'a self,
        _: &'a PurgeRecord,
        _: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        unreachable!("nothing is announced")
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        unreachable!("no follower runs")
    }

    fn tail(&self, _: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        unreachable!("no follower runs")
    }

    fn read_after(
        &self,
        _: Position,
        _: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        unreachable!("no follower runs")
    }

    fn trim(&self, _: Keep) -> BoxFuture<'_, Result<(), Error>> {
        unreachable!("no follower runs")
    }
}

/// SAFETY 57: a log that hangs costs one caller its patience, and not each.
#[tokio::test(start_paused = true)]
async fn safety_57_while_the_log_hangs_few_wait_for_it_and_all_purges_are_in_force() {
    let (log, clock) = (Arc::new(Hung::default()), ManualClock::default());
    let bounds = Bounds {
        marks: 10,
        globs: 10,
        slots: 1024,
    };
    let views = Views::new(bounds, Duration::from_secs(1), Arc::new(clock.clone()));
    let purges = Arc::new(Purges::new(
        Arc::clone(&log) as Arc<dyn Log>,
        Arc::new(views),
        Arc::new(clock.clone()),
        SharedObserver::new(()),
        Duration::from_secs(2),
        Duration::from_secs(30),
    ));
    join(&purges, OLD);
    let target = |name: &str| vec![Target::Tag(Tag::new(name).unwrap())];
    let prompt = |name: &str| purges.purge_promptly(PurgeKind::Hard, target(name));

    let first = prompt("a");
    assert!(first.now_or_never().is_none(), "nothing is known to fail");
    prompt("b").await;
    for name in ["c", "d", "e"] {
        assert!(prompt(name).now_or_never().is_some(), "{name} waits");
    }
    assert_eq!(purges.views.pending.waiting(), 5);

    clock.advance(RETRY_AFTER);
    let turn = prompt("f");
    let mut turn = std::pin::pin!(turn);
    assert!(turn.as_mut().now_or_never().is_none(), "one tries again");
    assert!(prompt("g").now_or_never().is_some(), "and no other");

    log.answers.store(true, Ordering::SeqCst);
    purges.append_waiting().await.unwrap();
    assert_eq!(purges.views.pending.waiting(), 0);
    let before = *log.asked.lock();
    prompt("h").await;
    assert_eq!(*log.asked.lock(), before + 1, "it is waited for again");
    assert_eq!(purges.views.pending.waiting(), 0);
}

/// SAFETY 75: unsafe requests that come while a record is on its way share the next one.
#[tokio::test(start_paused = true)]
async fn safety_75_purges_of_many_requests_go_into_few_records_and_all_are_told() {
    let (log, clock) = (Arc::new(Hung::default()), ManualClock::default());
    let views = Views::new(
        Bounds::default(),
        Duration::from_secs(1),
        Arc::new(clock.clone()),
    );
    let purges = Arc::new(Purges::new(
        Arc::clone(&log) as Arc<dyn Log>,
        Arc::new(views),
        Arc::new(clock),
        SharedObserver::new(()),
        Duration::from_secs(2),
        Duration::from_secs(30),
    ));
    join(&purges, OLD);
    log.answers.store(true, Ordering::SeqCst);
    let asked: Vec<_> = (0..500)
        .map(|n| {
            let purges = Arc::clone(&purges);
            let target = Target::Path(format!("/x/{n}").into());
            tokio::spawn(async move { purges.purge_promptly(PurgeKind::Hard, vec![target]).await })
        })
        .collect();
    for asked in asked {
        asked.await.expect("no panic");
    }
    assert!(!purges.any_waiting());
    let records = *log.asked.lock();
    assert!(records <= 3, "{records} records");
    let view = purges.views.current().unwrap();
    for n in [0, 499] {
        let path = format!("/x/{n}");
        let tags = TagSet::implicit("r", &path);
        let stamp = Stamp::at(Position::new(OLD, 0));
        let judged = purges.views.judge(
            &view,
            Subject {
                stamp,
                tags: &tags,
                path: &path,
            },
        );
        assert_eq!(judged, Verdict::Purged(Detail::PurgedPath), "{path}");
    }
    assert_eq!(view.floor(), 0);
}
