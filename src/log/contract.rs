//! What every log has to do, as tests: `log_contract!` makes one of each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::log::{Keep, Log, NumberedRecord, PurgeKind, PurgeRecord};
use crate::position::{Epoch, Position};
use crate::tag::{Tag, Target};

/// Long enough for any answer; what waits as long as this has failed.
const PATIENCE: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::ZERO;
const MOST: usize = 1_000_000;

/// How the suite makes logs of one kind.
pub(crate) trait Fixture {
    /// One more node of the same log.
    fn node(&self) -> Arc<dyn Log>;
    /// Loses the log, as a flush does.
    async fn lose(&self);
    /// `test`, as it is run where this fixture is.
    fn within<F: Future>(&self, test: F) -> impl Future<Output = F::Output> {
        test
    }
}

/// The suite as tests of the fixture that `$fixture` makes.
macro_rules! log_contract {
    ($fixture:expr) => {
        $crate::log::contract::log_contract!($fixture;
            append_gives_contiguous_ordinals
            records_appended_together_keep_their_order
            an_appended_record_is_read_back_whole
            read_after_is_in_order_and_only_behind
            read_after_returns_empty_when_nothing_comes
            read_after_waits_for_the_first_record
            tail_ends_at_the_tip_without_a_hole
            a_lost_log_comes_back_as_another_epoch
            what_follows_a_loss_is_read_by_who_was_before_it
            appends_of_two_nodes_at_once_share_no_ordinal
            trimming_by_number_keeps_the_newest
            trimming_by_bytes_keeps_about_so_many
            trimming_by_age_stops_at_the_first_young_record
            trimming_never_empties
            a_reader_behind_the_trimmed_part_sees_the_hole
        );
    };
    ($fixture:expr; $($test:ident)+) => {
        $(#[tokio::test]
        async fn $test() {
            let fixture = $fixture;
            let test = $crate::log::contract::$test(&fixture);
            $crate::log::contract::Fixture::within(&fixture, test).await;
        })+
    };
}
pub(crate) use log_contract;

/// A hard purge of the tag `tag`, written at the time `at`.
pub(crate) fn purge(tag: &str, at: u64) -> PurgeRecord {
    PurgeRecord {
        kind: PurgeKind::Hard,
        targets: vec![Target::Tag(Tag::new(tag).unwrap())],
        settle: Duration::from_millis(7),
        asks: false,
        updates: None,
        relayed: None,
        at: Timestamp::from_millis(at),
    }
}

pub(crate) async fn append(log: &dyn Log, tag: &str) -> Position {
    append_at(log, tag, 1).await
}

async fn append_at(log: &dyn Log, tag: &str, at: u64) -> Position {
    log.append(&purge(tag, at)).await.unwrap().position
}

async fn tip(log: &dyn Log) -> Position {
    log.tip().await.unwrap().position
}

fn ordinals(records: &[NumberedRecord], epoch: Epoch) -> Vec<u64> {
    let ordinal = |record: &NumberedRecord| {
        assert_eq!(record.position.epoch, epoch);
        record.position.ordinal
    };
    records.iter().map(ordinal).collect()
}

pub(crate) async fn append_gives_contiguous_ordinals(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    assert_eq!(opened.ordinal, 0);
    for ordinal in 1..=5 {
        let position = append(&*log, "a").await;
        assert_eq!(position, Position { ordinal, ..opened });
        assert_eq!(tip(&*log).await, position);
    }
}

pub(crate) async fn records_appended_together_keep_their_order(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    let records: Vec<PurgeRecord> = (0..40).map(|n| purge(&format!("a:{n}"), n)).collect();
    let appended = log.append_each(&records, None).await.unwrap().unwrap();
    let expected = (1..=40).map(|ordinal| Position { ordinal, ..opened });
    let positions = appended.iter().map(|appended| appended.position);
    assert!(positions.eq(expected));
    let read = log.read_after(opened, AT_ONCE).await.unwrap();
    assert!(read.iter().map(|read| &read.record).eq(&records));
    let (other, own) = (Epoch::new(1), Some(opened.epoch));
    assert_eq!(log.append_each(&records, Some(other)).await.unwrap(), None);
    let appended = log.append_each(&records[..2], own).await.unwrap().unwrap();
    assert_eq!(appended[1].position.ordinal, 42);
}

pub(crate) async fn an_appended_record_is_read_back_whole(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    let mut record = purge("auction:0xab", 42);
    record.kind = PurgeKind::Soft;
    record.targets.push(Target::Glob("/a/*".into()));
    let position = log.append(&record).await.unwrap().position;
    let read = fixture.node().read_after(opened, AT_ONCE).await.unwrap();
    assert_eq!(read, [NumberedRecord { position, record }]);
}

pub(crate) async fn read_after_is_in_order_and_only_behind(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    for tag in ["a", "b", "c", "d"] {
        append(&*log, tag).await;
    }
    for (after, expected) in [(0, vec![1, 2, 3, 4]), (2, vec![3, 4]), (4, vec![])] {
        let after = Position {
            ordinal: after,
            ..opened
        };
        let read = log.read_after(after, AT_ONCE).await.unwrap();
        assert_eq!(ordinals(&read, opened.epoch), expected, "after {after}");
    }
}

pub(crate) async fn read_after_returns_empty_when_nothing_comes(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    let wait = Duration::from_millis(5);
    assert_eq!(log.read_after(opened, wait).await.unwrap(), []);
    assert_eq!(log.read_after(opened, AT_ONCE).await.unwrap(), []);
}

pub(crate) async fn read_after_waits_for_the_first_record(fixture: &impl Fixture) {
    let (log, other) = (fixture.node(), fixture.node());
    let opened = tip(&*log).await;
    let mut reading = log.read_after(opened, PATIENCE);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(reading.as_mut().poll(&mut cx).is_pending());
    let (read, position) = tokio::join!(reading, append(&*other, "a"));
    assert_eq!(read.unwrap()[0].position, position);
}

pub(crate) async fn tail_ends_at_the_tip_without_a_hole(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    for tag in ["a", "b", "c"] {
        append(&*log, tag).await;
    }
    for (limit, expected) in [(1, vec![3]), (2, vec![2, 3]), (100, vec![0, 1, 2, 3])] {
        let tail = log.tail(limit).await.unwrap();
        assert_eq!(
            tail.tip.position,
            Position {
                ordinal: 3,
                ..opened
            }
        );
        assert_eq!(
            ordinals(&tail.records, opened.epoch),
            expected,
            "limit {limit}"
        );
    }
}

pub(crate) async fn a_lost_log_comes_back_as_another_epoch(fixture: &impl Fixture) {
    let log = fixture.node();
    let mut seen = vec![tip(&*log).await.epoch];
    for _ in 0..3 {
        append(&*log, "a").await;
        fixture.lose().await;
        let position = tip(&*log).await;
        assert!(!seen.contains(&position.epoch), "an epoch came back");
        assert_eq!(position.ordinal, 0);
        assert_eq!(
            append(&*log, "b").await,
            Position {
                ordinal: 1,
                ..position
            }
        );
        assert_eq!(tip(&*fixture.node()).await.epoch, position.epoch);
        seen.push(position.epoch);
    }
}

pub(crate) async fn what_follows_a_loss_is_read_by_who_was_before_it(fixture: &impl Fixture) {
    let log = fixture.node();
    let before = append(&*log, "a").await;
    fixture.lose().await;
    let after = append(&*log, "b").await;
    assert_ne!(before.epoch, after.epoch);
    let read = log.read_after(before, PATIENCE).await.unwrap();
    assert_eq!(ordinals(&read, after.epoch), [0, 1]);
    assert_eq!(read[0].record.kind, PurgeKind::Open);
}

pub(crate) async fn appends_of_two_nodes_at_once_share_no_ordinal(fixture: &impl Fixture) {
    const EACH: u64 = 50;
    let (a, b) = (fixture.node(), fixture.node());
    let opened = tip(&*a).await;
    let many = |log: Arc<dyn Log>| async move {
        let appends = (0..EACH).map(|n| {
            let log = Arc::clone(&log);
            async move { append(&*log, &format!("t{n}")).await }
        });
        futures_util::future::join_all(appends).await
    };
    let (of_a, of_b) = tokio::join!(many(a), many(Arc::clone(&b)));
    let given: BTreeSet<u64> = of_a.iter().chain(&of_b).map(|p| p.ordinal).collect();
    assert_eq!(given, (1..=2 * EACH).collect());
    let read = b.read_after(opened, AT_ONCE).await.unwrap();
    assert_eq!(
        ordinals(&read, opened.epoch),
        (1..=2 * EACH).collect::<Vec<_>>()
    );
}

/// A log whose ordinals 1 to `n` were written at the times 1 to `n`.
async fn of_ages(log: &dyn Log, n: u64) -> Position {
    let opened = tip(log).await;
    for at in 1..=n {
        append_at(log, "a", at).await;
    }
    opened
}

const fn keep(since: Timestamp, records: usize) -> Keep {
    Keep {
        since,
        records,
        bytes: u64::MAX,
    }
}

/// SAFETY 99: a record may be large, and so be a few of them.
pub(crate) async fn trimming_by_bytes_keeps_about_so_many(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    let mut record = PurgeRecord::everything(Timestamp::from_millis(1));
    let tag = |n: usize| Tag::new(&format!("{n}:{}", "x".repeat(250))).unwrap();
    record.targets = (0..400).map(|n| Target::Tag(tag(n))).collect();
    for _ in 0..30 {
        log.append(&record).await.unwrap();
    }
    // As its follower does.
    let read = log.read_after(opened, AT_ONCE).await.unwrap();
    assert_eq!(read.len(), 30);
    let wanted = Keep {
        bytes: 1_000_000,
        ..keep(Timestamp::default(), MOST)
    };
    log.trim(wanted).await.unwrap();
    let kept = log.tail(MOST).await.unwrap().records;
    let ordinals = ordinals(&kept, opened.epoch);
    assert_eq!(ordinals.last(), Some(&30));
    assert!((8..=11).contains(&kept.len()), "kept {ordinals:?}");
    let nothing = Keep { bytes: 0, ..wanted };
    log.trim(nothing).await.unwrap();
    assert_eq!(log.tail(MOST).await.unwrap().records.len(), 1);
}

pub(crate) async fn trimming_by_number_keeps_the_newest(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = of_ages(&*log, 500).await;
    log.trim(keep(Timestamp::default(), 100)).await.unwrap();
    let tail = log.tail(MOST).await.unwrap();
    let kept = ordinals(&tail.records, opened.epoch);
    assert_eq!(kept.last(), Some(&500));
    // Approximately: a stream drops whole nodes of a hundred records.
    assert!((100..=250).contains(&kept.len()), "kept {}", kept.len());
}

pub(crate) async fn trimming_by_age_stops_at_the_first_young_record(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = tip(&*log).await;
    for at in [1, 2, 9, 3, 10] {
        append_at(&*log, "a", at).await;
    }
    // The record that opened the epoch is as young as the clock, and so stops it.
    log.trim(keep(Timestamp::from_millis(5), MOST))
        .await
        .unwrap();
    let kept = log.tail(MOST).await.unwrap().records;
    assert_eq!(ordinals(&kept, opened.epoch), [0, 1, 2, 3, 4, 5]);
    log.trim(keep(Timestamp::default(), 5)).await.unwrap();
    let kept = log.tail(MOST).await.unwrap().records.len();
    assert!(kept == 5 || kept == 6, "kept {kept}");
}

pub(crate) async fn trimming_never_empties(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = of_ages(&*log, 700).await;
    let last = Position {
        ordinal: 700,
        ..opened
    };
    for most in [MOST, 0] {
        log.trim(keep(Timestamp::from_millis(u64::MAX), most))
            .await
            .unwrap();
        let tail = log.tail(MOST).await.unwrap();
        assert_eq!(tail.tip.position, last);
        assert_eq!(ordinals(&tail.records, opened.epoch).last(), Some(&700));
    }
    let kept = log.tail(MOST).await.unwrap().records;
    assert_eq!(ordinals(&kept, opened.epoch), [700]);
    assert_eq!(
        append(&*log, "a").await,
        Position {
            ordinal: 701,
            ..opened
        }
    );
}

pub(crate) async fn a_reader_behind_the_trimmed_part_sees_the_hole(fixture: &impl Fixture) {
    let log = fixture.node();
    let opened = of_ages(&*log, 10).await;
    log.trim(keep(Timestamp::from_millis(u64::MAX), MOST))
        .await
        .unwrap();
    let read = log.read_after(opened, AT_ONCE).await.unwrap();
    assert_eq!(ordinals(&read, opened.epoch), [10]);
}
