//! Single steps: what becomes of records, and where a relay goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::log::{
    AnnouncementStage, NumberedRecord, PurgeKind, PurgeRecord, RecordUpdates, Relayed,
};
use crate::position::{Epoch, Position};
use crate::relay::carry::Debts;
use crate::tag::{Tag, Target};
use crate::update::Update;

const FROM: Epoch = Epoch::new(1);
const TO: Epoch = Epoch::new(2);
const NOW: Timestamp = Timestamp::from_millis(5_000);

fn purge(tag: &str) -> PurgeRecord {
    PurgeRecord {
        targets: vec![Target::Tag(Tag::new(tag).unwrap())],
        ..PurgeRecord::everything(Timestamp::from_millis(1))
    }
}

fn told(record: PurgeRecord, stage: AnnouncementStage) -> PurgeRecord {
    let sale = Update::new("sale", "auction:1").unwrap();
    let updates = vec![Arc::new(sale.with_identity("e1").unwrap())];
    PurgeRecord {
        updates: Some(Arc::new(RecordUpdates { stage, updates })),
        ..record
    }
}

fn by(path: &[u64], record: PurgeRecord) -> PurgeRecord {
    let path = path.iter().copied().map(Epoch::new).collect();
    PurgeRecord {
        relayed: Some(Arc::new(Relayed { path, claim: None })),
        ..record
    }
}

fn load(debts: &mut Debts, from: u64, records: Vec<PurgeRecord>) -> (Vec<PurgeRecord>, u64) {
    let read = (from..)
        .zip(records)
        .map(|(ordinal, record)| NumberedRecord {
            position: Position {
                epoch: FROM,
                ordinal,
            },
            record,
        });
    let read: Vec<_> = read.collect();
    let load = debts.load(&read, (FROM, TO), NOW);
    (load.records, load.returned)
}

#[test]
fn a_purge_is_relayed_as_it_is() {
    let settling = PurgeRecord {
        kind: PurgeKind::Soft,
        targets: vec![
            Target::All,
            Target::Glob("/x/*".into()),
            Target::family("auction").unwrap(),
            Target::rule("details").unwrap(),
            Target::url("/a").unwrap(),
        ],
        settle: Duration::from_secs(3),
        asks: true,
        ..PurgeRecord::open(Timestamp::default())
    };
    let (relayed, _) = load(&mut Debts::default(), 1, vec![settling.clone()]);
    let expected = PurgeRecord {
        asks: false,
        at: NOW,
        ..by(&[1], settling)
    };
    assert_eq!(relayed, [expected]);
}

#[test]
fn what_is_not_understood_purges_everything_there_as_here() {
    let unknown = PurgeRecord::from_fields([(&b"v"[..], &b"9"[..])]);
    let (relayed, _) = load(&mut Debts::default(), 1, vec![unknown]);
    assert_eq!(relayed[0].targets, [Target::All]);
    let updates = relayed[0].updates.as_ref().unwrap();
    assert_eq!(updates.stage, AnnouncementStage::Owed);
    assert!(updates.updates[0].is_resync(), "and people are told");
}

#[test]
fn plain_purges_that_follow_each_other_are_one_record() {
    let soft = PurgeRecord {
        kind: PurgeKind::Soft,
        ..purge("s")
    };
    let mut records: Vec<_> = (0..1_500).map(|n| purge(&format!("t:{n}"))).collect();
    records.push(soft);
    records.push(purge("last"));
    records.push(by(&[7], purge("elsewhere")));
    let (relayed, _) = load(&mut Debts::default(), 1, records);
    let sizes: Vec<usize> = relayed.iter().map(|record| record.targets.len()).collect();
    assert_eq!(sizes, [1_000, 500, 1, 1, 1]);
    let path = &relayed[4].relayed.as_ref().unwrap().path;
    assert_eq!(path[..], [Epoch::new(7), FROM]);
}

#[test]
fn safety_156_a_record_is_not_relayed_to_where_it_was() {
    let back = told(by(&[2], purge("a")), AnnouncementStage::Owed);
    let announced = told(by(&[2], purge("a")), AnnouncementStage::Announced(1));
    let through = by(&[9, 2, 8], purge("b"));
    let mut debts = Debts::default();
    let (relayed, returned) = load(&mut debts, 1, vec![back, through, announced]);
    assert_eq!((relayed, returned), (vec![], 3));
    // Beats of other relays, and what opens an epoch, are nobody's purge.
    let beat = PurgeRecord {
        targets: vec![],
        ..by(&[8], purge("x"))
    };
    let open = PurgeRecord::open(Timestamp::default());
    assert_eq!(load(&mut debts, 4, vec![beat, open]), (vec![], 0));
}

#[test]
fn safety_158_what_was_announced_there_is_owed_here() {
    let settle = Duration::from_secs(2);
    let owing = told(
        PurgeRecord {
            settle,
            ..purge("a")
        },
        AnnouncementStage::Owed,
    );
    let announced = |of| told(purge("a"), AnnouncementStage::Announced(of));
    let mut debts = Debts::default();
    let (relayed, _) = load(&mut debts, 1, vec![owing, announced(1)]);
    // Owed here, and announced by itself.
    assert_eq!(relayed.len(), 1);
    let stage = |record: &PurgeRecord| record.updates.as_ref().unwrap().stage;
    assert_eq!(
        (stage(&relayed[0]), relayed[0].settle),
        (AnnouncementStage::Owed, settle)
    );
    assert!(relayed[0].asks);
    // What another run relayed, or nobody: nobody knows how long it settles.
    let (relayed, _) = load(&mut debts, 3, vec![announced(0)]);
    assert_eq!(
        (stage(&relayed[0]), relayed[0].settle),
        (AnnouncementStage::Owed, settle)
    );
}
