//! What is in force before it is in the log, and until when.

use super::*;
use crate::clock::Timestamp;
use crate::position::Stamp;
use crate::tag::{PurgeKind, Tag, TagSet, Target};
use std::time::Duration;

/// Where a record is.
const HERE: Position = Position::new(1, 1);

fn record(kind: PurgeKind, target: Target) -> PurgeRecord {
    PurgeRecord {
        kind,
        targets: vec![target],
        settle: Duration::ZERO,
        asks: false,
        updates: None,
        relayed: None,
        at: Timestamp::default(),
    }
}

fn tag(text: &str) -> Target {
    Target::Tag(Tag::new(text).unwrap())
}

fn judge(pending: &Pending, text: &str) -> Verdict {
    let mut tags = TagSet::implicit("r", "/p");
    tags.add(&Tag::new(text).unwrap()).unwrap();
    let stamp = Stamp::at(Position::new(1, u64::MAX));
    let subject = Subject {
        stamp,
        tags: &tags,
        path: "/p",
    };
    pending.judge(subject, stamp.position().epoch)
}

#[test]
fn a_purge_is_in_force_from_its_call_to_its_append() {
    let pending = Pending::default();
    let ticket = pending.begin(&record(PurgeKind::Hard, tag("x")));
    assert_eq!(judge(&pending, "x"), Verdict::Purged(Detail::PurgePending));
    assert_eq!(judge(&pending, "y"), Verdict::Valid);
    ticket.appended(HERE);
    assert_eq!(judge(&pending, "x"), Verdict::Valid);
}

#[test]
fn a_purge_whose_caller_gives_up_waits_and_stays_in_force() {
    let pending = Pending::default();
    drop(pending.begin(&record(PurgeKind::Soft, Target::Glob("/p".into()))));
    assert_eq!(judge(&pending, "x"), Verdict::Soft(Detail::PurgePending));
    let (ticket, again) = pending.first_waiting().unwrap();
    assert_eq!(again.kind, PurgeKind::Soft);
    drop(ticket);
    assert_eq!(pending.waiting(), 1);
    pending.first_waiting().unwrap().0.appended(HERE);
    assert_eq!(judge(&pending, "x"), Verdict::Valid);
}

/// SAFETY 150: who looks whether all is in the log must not be told so while it is tried.
#[test]
fn safety_150_a_purge_that_is_being_appended_is_not_in_the_log_yet() {
    let pending = Pending::default();
    let called = pending.begin(&record(PurgeKind::Hard, tag("x")));
    assert_eq!(pending.unappended(), 0, "its caller waits");
    drop(called);
    drop(pending.begin(&record(PurgeKind::Hard, tag("y"))));
    assert_eq!((pending.unappended(), pending.waiting()), (2, 2));
    let (tickets, _) = pending.first_waiting().unwrap();
    assert_eq!((pending.unappended(), pending.waiting()), (2, 0));
    drop(tickets);
    assert_eq!((pending.unappended(), pending.waiting()), (2, 2));
    pending.first_waiting().unwrap().0.appended(HERE);
    assert_eq!((pending.unappended(), pending.waiting()), (0, 0));
}

#[test]
fn a_purge_tried_again_and_again_waits_once() {
    let pending = Pending::default();
    for _ in 0..3 {
        drop(pending.begin(&record(PurgeKind::Hard, tag("x"))));
    }
    assert_eq!(pending.waiting(), 1);
    pending.first_waiting().unwrap().0.appended(HERE);
    assert_eq!(judge(&pending, "x"), Verdict::Valid);
}

#[test]
fn too_many_waiting_purges_become_one_of_everything() {
    let pending = Pending::default();
    let first = pending.begin(&record(PurgeKind::Hard, tag("first")));
    let mut told = first.in_log();
    drop(first);
    for n in 0..LIMIT {
        drop(pending.begin(&record(PurgeKind::Hard, tag(&format!("{n}")))));
    }
    assert_eq!(pending.waiting(), 1);
    assert_eq!(
        judge(&pending, "never purged"),
        Verdict::Purged(Detail::PurgePending)
    );
    assert!(told.try_recv().is_err());
    pending.first_waiting().unwrap().0.appended(HERE);
    assert_eq!(told.try_recv(), Ok(HERE), "one of everything stands for it");
}

#[test]
fn who_waits_for_a_purge_is_told_when_an_equal_one_is_in_the_log() {
    let pending = Pending::default();
    let wait = || {
        let ticket = pending.begin(&record(PurgeKind::Hard, tag("x")));
        ticket.in_log()
    };
    let mut both = [wait(), wait()];
    assert_eq!(pending.waiting(), 1);
    for told in &mut both {
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
    pending.first_waiting().unwrap().0.appended(HERE);
    for told in &mut both {
        assert_eq!(told.try_recv(), Ok(HERE));
    }
}

#[test]
fn safety_98_what_is_in_doubt_is_purged_at_every_moment_and_never_appended() {
    let pending = Pending::default();
    let number = pending.doubt(&record(PurgeKind::Hard, tag("x")));
    assert_eq!(judge(&pending, "x"), Verdict::Purged(Detail::EventsUnread));
    assert_eq!(judge(&pending, "y"), Verdict::Valid);
    assert_eq!(pending.waiting(), 0);
    pending.trust(number);
    assert_eq!(judge(&pending, "x"), Verdict::Valid);
}

/// In force by its mark where the log is known, and everywhere again should the log be another one.
#[test]
fn safety_102_a_purge_in_the_log_that_is_not_durable_counts_by_its_place_there() {
    let pending = Pending::default();
    let ticket = pending.begin(&record(PurgeKind::Hard, tag("x")));
    ticket.set_logged(Some(Position::new(1, 3)));
    drop(ticket);
    drop(pending.begin(&record(PurgeKind::Hard, tag("x"))));
    assert_eq!(pending.waiting(), 2, "a later one is not that one");
    let (new, _) = pending.first_waiting().unwrap();
    assert_eq!(
        new.0[0].logged(),
        None,
        "what is not in the log comes first"
    );
    new.appended(HERE);
    assert_eq!(judge(&pending, "x"), Verdict::Valid);
    let (old, _) = pending.first_waiting().unwrap();
    old.0[0].set_logged(Some(Position::new(2, 3)));
    assert_eq!(judge(&pending, "x"), Verdict::Purged(Detail::PurgePending));
}

/// Tens of thousands are a matter of a moment: what waits is not looked through for each.
#[test]
fn those_in_force_are_found_among_many_by_id_and_by_pattern_and_forgotten_with_their_end() {
    let pending = Pending::default();
    let many: Vec<_> = (0..20_000)
        .map(|n| pending.begin(&record(PurgeKind::Hard, tag(&format!("{n}")))))
        .collect();
    let soft = pending.begin(&record(PurgeKind::Soft, tag("7")));
    let pattern = pending.begin(&record(PurgeKind::Soft, Target::Glob("/p".into())));
    assert_eq!(judge(&pending, "7"), Verdict::Purged(Detail::PurgePending));
    assert_eq!(judge(&pending, "x"), Verdict::Soft(Detail::PurgePending));
    many.into_iter().for_each(|ticket| ticket.appended(HERE));
    pattern.appended(HERE);
    assert_eq!(judge(&pending, "7"), Verdict::Soft(Detail::PurgePending));
    assert_eq!(judge(&pending, "8"), Verdict::Valid);
    soft.appended(HERE);
    assert_eq!(judge(&pending, "7"), Verdict::Valid);
}

#[test]
fn only_purges_that_are_equal_in_all_stand_for_each_other() {
    let pending = Pending::default();
    let both = |kind| PurgeRecord {
        targets: vec![tag("x"), tag("y")],
        ..record(kind, tag("x"))
    };
    for _ in 0..2 {
        drop(pending.begin(&record(PurgeKind::Hard, tag("x"))));
        drop(pending.begin(&record(PurgeKind::Soft, tag("x"))));
        drop(pending.begin(&both(PurgeKind::Soft)));
    }
    assert_eq!(pending.waiting(), 3);
    let (first, of_first) = pending.first_waiting().unwrap();
    assert_eq!(of_first.kind, PurgeKind::Hard);
    first.appended(HERE);
    // None is left that waits and is equal.
    drop(pending.begin(&record(PurgeKind::Hard, tag("x"))));
    assert_eq!(pending.waiting(), 3);
}

#[test]
fn what_has_no_targets_is_bounded_too() {
    let pending = Pending::default();
    for _ in 0..50_000 {
        let update = Update::new("a", "b").unwrap();
        let mut record = record(PurgeKind::Hard, tag("x"));
        record.targets.clear();
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Owed,
            updates: vec![Arc::new(update)],
        }));
        drop(pending.begin(&record));
    }
    assert!(pending.waiting() <= LIMIT, "{}", pending.waiting());
}

#[test]
fn the_debt_of_an_overflow_is_not_paid_by_one_of_those_it_stands_for() {
    let pending = Pending::default();
    let owing = |name: String, identity: &str| {
        let update = Update::new("a", "b")
            .unwrap()
            .with_identity(identity)
            .unwrap();
        PurgeRecord {
            updates: Some(Arc::new(RecordUpdates {
                stage: AnnouncementStage::Owed,
                updates: vec![Arc::new(update)],
            })),
            ..record(PurgeKind::Hard, tag(&name))
        }
    };
    // By hand; its caller got `Pending` and went.
    drop(pending.begin(&owing("by-hand".into(), "by-hand")));
    // A consumer's, which waits as `append_until_acknowledged` does.
    let consumers = owing("consumer".into(), "consumer");
    let ticket = pending.begin(&consumers);
    let mut in_log = ticket.in_log();
    drop(ticket);
    for n in 0..LIMIT {
        drop(pending.begin(&record(PurgeKind::Hard, tag(&n.to_string()))));
    }
    let (tickets, everything) = pending.first_waiting().unwrap();
    assert_eq!(everything.targets, vec![Target::All]);
    let at = Position::new(1, 1);
    tickets.appended(at);
    // It makes its own record again, and announces that.
    assert!(in_log.try_recv().is_err());
    let owed = everything
        .owed()
        .expect("people are told of what nobody can name");
    assert_eq!(owed[0].kind(), "resync");
}
