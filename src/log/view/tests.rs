use std::thread;

use super::*;
use crate::clock::{ManualClock, Timestamp};
use crate::log::Tip;
use crate::tag::{PurgeKind, Tag, TagSet, Target};

#[cfg(feature = "live")]
mod resuming;

const LEASE: Duration = Duration::from_secs(3);

fn joined(clock: &ManualClock) -> (Views, Arc<View>) {
    let bounds = Bounds::default();
    let views = Views::new(bounds, LEASE, Arc::new(clock.clone()));
    let tip = Tip {
        position: Position::new(1, 0),
        replicas: 1,
    };
    let records = Vec::new();
    let (view, _) = views.join(&Tail { tip, records });
    (views, view)
}

fn purge_of_x(ordinal: u64) -> NumberedRecord {
    NumberedRecord {
        position: Position::new(1, ordinal),
        record: PurgeRecord {
            kind: PurgeKind::Hard,
            targets: vec![Target::Tag(Tag::new("x").unwrap())],
            settle: Duration::ZERO,
            asks: false,
            updates: None,
            relayed: None,
            at: Timestamp::default(),
        },
    }
}

/// `[lease_send]`
/// > heartbeat sent · Redis cut off, purge elsewhere · reply read late · v1 served for a whole lease.
#[test]
fn rule_21_lease_send_a_lease_runs_from_when_the_heartbeat_was_sent() {
    let clock = ManualClock::default();
    let (views, view) = joined(&clock);
    let sent = clock.monotonic();
    clock.advance(LEASE - Duration::from_millis(1));
    views.extend_lease(&view, sent, Position::new(1, 0));
    assert!(views.leased(&view));
    clock.advance(Duration::from_millis(1));
    assert!(!views.leased(&view));
}

/// `[caught_up]`
/// > heartbeat sees tip 1, follower still at 0 in a long backlog · "heard from Redis" · v1 served.
#[test]
fn rule_21_caught_up_a_tip_that_is_not_reached_gives_no_lease() {
    let clock = ManualClock::default();
    let (views, view) = joined(&clock);
    let tip = Position::new(1, 1);
    views.extend_lease(&view, clock.monotonic(), tip);
    assert!(!views.leased(&view));
    views.extend_lease(&view, clock.monotonic(), Position::new(2, 0));
    assert!(!views.leased(&view), "of another epoch");
    views.apply(&view, &[purge_of_x(1)]);
    views.extend_lease(&view, clock.monotonic(), tip);
    assert!(views.leased(&view));
}

/// `[mark_first]`
/// > position moved to 1, mark not there yet · tip 1 reached · stamp 0 finds no mark · v1 hit.
#[test]
fn rule_12_mark_first_whoever_sees_a_position_sees_its_marks() {
    const RECORDS: u64 = 20_000;
    let (views, view) = joined(&ManualClock::default());
    let mut tags = TagSet::implicit("r", "/p");
    tags.add(&Tag::new("x").unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for ordinal in 1..=RECORDS {
                views.apply(&view, &[purge_of_x(ordinal)]);
            }
        });
        loop {
            let position = view.position();
            let Some(before) = position.ordinal.checked_sub(1) else {
                continue;
            };
            let subject = Subject {
                stamp: Stamp::at(Position::new(1, before)),
                tags: &tags,
                path: "/p",
            };
            assert_eq!(views.judge(&view, subject), Verdict::Purged(Detail::Purged));
            if position.ordinal == RECORDS {
                break;
            }
        }
    });
}
