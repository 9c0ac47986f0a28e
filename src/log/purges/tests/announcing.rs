//! PROTOCOL 38: what is announced when, and what an announcement purges again.

use super::*;
use crate::embedded::EmbeddedLog;
use crate::log::{AnnouncementStage, ResyncReason, UpdateMessage};
use crate::update::Update;

const SETTLE: Duration = Duration::from_secs(60);

pub(super) struct Teller {
    clock: ManualClock,
    log: EmbeddedLog,
    pub(super) purges: Arc<Purges>,
}

impl Teller {
    pub(super) async fn new() -> Self {
        let clock = ManualClock::default();
        let log = EmbeddedLog::new(&clock);
        let purges = purges_over(Arc::new(log.clone()), &clock);
        let teller = Self { clock, log, purges };
        let (view, _) = teller
            .purges
            .views
            .join(&teller.log.tail(10).await.unwrap());
        assert_eq!(view.position().ordinal, 0);
        teller
    }

    /// Reads what is new in the log, as the follower does.
    async fn follow(&self) {
        let view = self.purges.views.current().unwrap();
        let records = self.log.read_after(view.position(), Duration::ZERO).await;
        self.purges.views.apply(&view, &records.unwrap());
    }

    pub(super) async fn records(&self) -> Vec<PurgeRecord> {
        let tail = self.log.tail(10).await.unwrap();
        let records = tail.records.into_iter().skip(1);
        records.map(|read| read.record).collect()
    }

    fn is_over(&self, waiting: &mut std::pin::Pin<Box<impl Future<Output = ()>>>) -> bool {
        waiting.as_mut().now_or_never().is_some()
    }
}

pub(super) fn tag(name: &str) -> Target {
    Target::Tag(Tag::new(name).unwrap())
}

pub(super) fn purge(purges: &[(PurgeKind, &str)], settle: Duration) -> PurgeToAnnounce {
    let update = Update::new("change", "x").unwrap();
    let purges = purges.iter().map(|(kind, name)| (*kind, vec![tag(name)]));
    PurgeToAnnounce {
        purges: purges.collect(),
        settle,
        updates: vec![Arc::new(update)],
    }
}

pub(super) const HARD: &[(PurgeKind, &str)] = &[(PurgeKind::Hard, "x")];

/// Kind, targets, how many updates, and which it announces, of each record.
async fn announced(
    purges: &[(PurgeKind, &str)],
    settle: Duration,
) -> Vec<(PurgeKind, Vec<Target>, Option<usize>, Option<u64>)> {
    let teller = Teller::new().await;
    let clock = teller.clock.clone();
    let passing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            clock.advance(Duration::from_secs(1));
        }
    };
    let purged = tokio::select! {
        purged = teller.purges.purge_and_announce(purge(purges, settle)) => purged.unwrap(),
        () = passing => unreachable!("it never ends"),
    };
    let records = teller.records().await;
    assert_eq!(purged.announced.unwrap().ordinal, records.len() as u64);
    let told = |record: PurgeRecord| {
        let of = record.updates.as_ref().and_then(|told| match told.stage {
            AnnouncementStage::Announced(of) => Some(of),
            AnnouncementStage::Owed => None,
        });
        let updates = record.owed().map(<[_]>::len);
        (record.kind, record.targets, updates, of)
    };
    records.into_iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn an_announcement_purges_again_what_has_settled_in_its_way() {
    let (hard, soft) = (PurgeKind::Hard, PurgeKind::Soft);
    let (x, y) = (|| vec![tag("x")], || vec![tag("y")]);
    let both = &[(hard, "x"), (soft, "y")];
    for (purges, settle, expected) in [
        (
            &[(soft, "x")][..],
            Duration::ZERO,
            vec![(soft, x(), Some(1), None), (hard, vec![], Some(1), Some(1))],
        ),
        (
            &[(soft, "x")],
            SETTLE,
            vec![(soft, x(), Some(1), None), (soft, x(), Some(1), Some(1))],
        ),
        (
            both,
            Duration::ZERO,
            vec![
                (hard, x(), None, None),
                (soft, y(), Some(1), None),
                (hard, vec![], Some(1), Some(2)),
            ],
        ),
        (
            both,
            SETTLE,
            vec![
                (hard, x(), Some(0), None),
                (soft, y(), Some(1), None),
                (hard, x(), Some(0), Some(1)),
                (soft, y(), Some(1), Some(2)),
            ],
        ),
        (
            &[],
            Duration::ZERO,
            vec![
                (hard, vec![], Some(1), None),
                (hard, vec![], Some(1), Some(1)),
            ],
        ),
    ] {
        assert_eq!(
            announced(purges, settle).await,
            expected,
            "{purges:?} {settle:?}"
        );
    }
}

#[tokio::test]
async fn many_updates_are_several_records_of_which_the_first_purges() {
    let teller = Teller::new().await;
    for (count, bytes, expected) in [(1, 1, 1), (250, 1, 1), (251, 1, 2), (100, 8_000, 4)] {
        let update = || {
            let update = Update::new("sale", "auction:1").unwrap();
            Arc::new(update.with_field("x", "x".repeat(bytes)).unwrap())
        };
        let mut purge = purge(HARD, SETTLE);
        purge.updates = (0..count).map(|_| update()).collect();
        let records = teller.purges.owing_records(purge);
        assert_eq!(records.len(), expected, "{count} of {bytes}");
        let purging: Vec<_> = records.iter().map(|record| record.targets.len()).collect();
        assert_eq!(purging.iter().sum::<usize>(), 1);
        assert_eq!(purging[0], 1);
        let told = records.iter().map(|record| record.owed().unwrap().len());
        assert_eq!(told.sum::<usize>(), count);
        assert!(records.last().unwrap().asks);
    }
}

#[tokio::test]
async fn who_was_waited_out_begins_to_settle_late_and_is_waited_for() {
    let told = |waited_out, by_time| Everywhere {
        acknowledged: 2,
        waited_out,
        by_time,
    };
    for (everywhere, times) in [(told(0, false), 1), (told(1, false), 2), (told(0, true), 2)] {
        let teller = Teller::new().await;
        let mut settling = Box::pin(teller.purges.let_settle(SETTLE, everywhere));
        assert!(!teller.is_over(&mut settling));
        teller
            .clock
            .advance(SETTLE * times - Duration::from_millis(1));
        let until = tokio::time::timeout(Duration::from_millis(300), settling.as_mut());
        assert!(until.await.is_err(), "{everywhere:?}");
        teller.clock.advance(Duration::from_millis(1));
        settling.await;
    }
}

#[tokio::test]
async fn what_nobody_announces_in_time_is_announced_by_who_has_read_it() {
    let longest = longest_wait(crate::defaults::LONGEST_LEASE, false);
    for (settle, patience) in [
        (Duration::ZERO, longest * 2),
        (Duration::from_secs(1), longest * 2 + Duration::from_secs(1)),
        (SETTLE, SETTLE * 2 + longest),
    ] {
        let teller = Teller::new().await;
        let mut updates = teller.purges.views.updates.subscribe();
        let records = teller.purges.owing_records(purge(HARD, settle));
        teller.log.append(&records[0]).await.unwrap();
        teller.follow().await;
        teller.clock.advance(patience - Duration::from_millis(1));
        teller.purges.announce_overdue().await;
        assert_eq!(teller.records().await.len(), 1, "{settle:?}");
        teller.clock.advance(Duration::from_millis(1));
        teller.purges.announce_overdue().await;
        assert_eq!(teller.records().await.len(), 2, "{settle:?}");
        teller.follow().await;
        let Some(UpdateMessage::Update(told)) = updates.recv().await else {
            panic!("people are told");
        };
        assert_eq!(
            told.id.to_string(),
            format!("{}.0", teller.log.tip().await.unwrap().position)
        );
        teller.clock.advance(patience * 2);
        teller.purges.announce_overdue().await;
        assert_eq!(teller.records().await.len(), 2, "it is owed no more");
    }
}

#[tokio::test]
async fn what_is_overdue_in_another_epoch_is_not_announced_there() {
    let teller = Teller::new().await;
    let records = teller.purges.owing_records(purge(HARD, Duration::ZERO));
    teller.log.append(&records[0]).await.unwrap();
    teller.follow().await;
    teller.log.lose();
    teller.clock.advance(SETTLE);
    teller.purges.announce_overdue().await;
    assert!(teller.records().await.is_empty());
}

#[tokio::test]
async fn who_missed_records_or_is_too_slow_is_told_so() {
    let teller = Teller::new().await;
    let mut updates = teller.purges.views.updates.subscribe();
    let mut reason = async || match updates.recv().await {
        Some(UpdateMessage::Resync(resync)) => resync.reason,
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        let record = PurgeRecord::everything(crate::clock::Timestamp::default());
        teller.log.append(&record).await.unwrap();
    }
    teller.log.trim_to(1);
    teller.follow().await;
    assert_eq!(reason().await, ResyncReason::Gap);
    teller.log.lose();
    teller
        .purges
        .views
        .join(&teller.log.tail(10).await.unwrap());
    assert_eq!(reason().await, ResyncReason::Joined);
    // What is not understood may have announced anything.
    let unknown = PurgeRecord::from_fields([(&b"v"[..], &b"2"[..])]);
    teller.log.append(&unknown).await.unwrap();
    teller.follow().await;
    assert!(matches!(reason().await, ResyncReason::Announced(_)));
    for number in 0..2_000 {
        let mut telling = purge(HARD, Duration::ZERO);
        let update = Update::new("change", "x").unwrap();
        telling.updates = vec![Arc::new(update.with_identity(number.to_string()).unwrap())];
        teller.purges.purge_and_announce(telling).await.unwrap();
        teller.follow().await;
    }
    assert_eq!(reason().await, ResyncReason::Lagged(976));
}
