//! Purges of many events, appended and announced in one write (SAFETY 145).

use super::announcing::{HARD, Teller, purge, tag};
use super::*;
use crate::log::AnnouncementStage;

#[tokio::test(start_paused = true)]
async fn protocol_38_purges_made_together_are_announced_in_their_order() {
    let teller = Teller::new().await;
    let both = &[(PurgeKind::Hard, "x"), (PurgeKind::Soft, "y")];
    let purges = vec![
        purge(HARD, Duration::ZERO),
        purge(both, Duration::ZERO),
        purge(&[], Duration::ZERO),
    ];
    let logged = AtomicBool::new(false);
    let announced = teller
        .purges
        .purge_until_announced(purges, || logged.store(true, Ordering::SeqCst), async {
            assert!(logged.load(Ordering::SeqCst), "before they are announced");
        })
        .await;
    let records = teller.records().await;
    let told = |record: &PurgeRecord| {
        let of = record.updates.as_ref().map(|told| match told.stage {
            AnnouncementStage::Announced(of) => Some(of),
            AnnouncementStage::Owed => None,
        });
        (record.targets.clone(), of)
    };
    // What is not the last of its purge comes first.
    let expected = [
        (vec![tag("x")], None),
        (vec![tag("x")], Some(None)),
        (vec![tag("y")], Some(None)),
        (vec![], Some(None)),
        (vec![], Some(Some(2))),
        (vec![], Some(Some(3))),
        (vec![], Some(Some(4))),
    ];
    assert_eq!(records.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(announced.unwrap().ordinal, 7);
}

/// PROTOCOL 25 `[ack]`
/// > many appends on their way · another epoch joined · acknowledged in the old one · v1 of the new one hit.
#[tokio::test]
async fn rule_25_appends_made_together_in_an_epoch_that_was_left_are_repeated_before_they_count() {
    let (log, purges) = Turning::new(&[OLD, OLD, OLD, NEW]);
    let record = |name: &str| purges.record(PurgeKind::Hard, vec![tag(name)], Duration::ZERO);
    let records = [record("x"), record("y"), record("z")];
    let appending = purges.append_each_until_acknowledged(&records);
    let mut appending = Box::pin(appending);
    assert!(appending.as_mut().now_or_never().is_none());
    assert_eq!((log.appended(), purges.views.pending.waiting()), (3, 3));
    assert_eq!(judge(&purges), Verdict::Purged(Detail::PurgePending));
    purges.append_waiting().await.unwrap();
    let positions = appending.await;
    assert_eq!(positions.len(), 3);
    assert!(positions.iter().all(|at| at.epoch == Epoch::new(NEW)));
    assert_eq!(judge(&purges), Verdict::Purged(Detail::Purged));
    assert!(!purges.any_waiting());
}

#[tokio::test]
async fn who_stops_waiting_for_purges_made_together_undoes_none() {
    let log = Arc::new(Hung::default());
    let purges = purges_over(Arc::clone(&log) as Arc<dyn Log>, &ManualClock::default());
    join(&purges, NEW);
    let purge = |name: &str| (PurgeKind::Hard, vec![tag(name)]);
    let purging = purges.purge_until_acknowledged(vec![purge("x"), purge("y")], Duration::ZERO);
    let mut purging = Box::pin(purging);
    assert!(purging.as_mut().now_or_never().is_none());
    assert_eq!(judge(&purges), Verdict::Purged(Detail::PurgePending));
    drop(purging);
    assert_eq!(purges.views.pending.waiting(), 2);
    log.answers.store(true, Ordering::SeqCst);
    purges.append_waiting().await.unwrap();
    assert!(!purges.any_waiting());
}
