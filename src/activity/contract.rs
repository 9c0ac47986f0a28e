//! What every store of activity has to do, as tests: `activity_contract!` makes one of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::{
    ActivityBatch, ActivityBounds, ActivityChange, ActivityCursor, ActivityStore, AlertToRaise,
    Applied, CountedOf, EntryMaker, FeedQuery, Keeping, LimbSum, ReorgNotice, Settlement, Sighting,
    StoredActivity,
};
use crate::clock::Timestamp;
use crate::position::Position;
use crate::update::{EventSource, Update, UpdateId};

mod alerts;
mod order;
mod undone;

#[cfg(feature = "push")]
pub(crate) use self::alerts::browsers_are_kept_in_the_order_of_their_numbers;
pub(crate) use self::alerts::{
    a_rule_raises_no_more_alerts_than_its_limit, alert,
    alerts_wait_in_order_until_they_are_settled, raising,
};
pub(crate) use self::order::{
    history_differs, whatever_the_order_the_result_is_that_of_a_naive_reference,
};
pub(crate) use self::undone::{
    an_entry_whose_reorg_is_undone_comes_back, is_told_again,
    what_happens_between_copies_of_a_notice_is_not_undone,
    what_has_no_place_in_its_stream_counts_as_it_comes,
    who_is_no_keeper_any_more_tells_nothing_again,
};

/// 2026-11-23 00:00:00 UTC, in seconds.
const START: u64 = 1_795_392_000;
pub(crate) const KEEPER: &str = "n1";
const NONE: [u64; 0] = [];

/// How the suite makes stores of one kind.
pub(crate) trait ActivityFixture {
    fn store(&self, bounds: ActivityBounds) -> Arc<dyn ActivityStore>;
}

/// The suite as tests of the fixture that `$fixture` makes.
macro_rules! activity_contract {
    ($fixture:expr) => {
        $crate::activity::contract::activity_contract!($fixture;
            whatever_the_order_the_result_is_that_of_a_naive_reference
            a_batch_is_taken_once_and_only_behind_the_last_one
            a_feed_is_bounded_and_read_by_cursor
            what_happens_between_copies_of_a_notice_is_not_undone
            an_entry_whose_reorg_is_undone_comes_back
            what_has_no_place_in_its_stream_counts_as_it_comes
            who_is_no_keeper_any_more_tells_nothing_again
            the_oldest_are_forgotten_with_all_that_is_known_of_them
            counters_are_kept_for_so_many_hours
            alerts_wait_in_order_until_they_are_settled
            a_rule_raises_no_more_alerts_than_its_limit
        );
        #[cfg(feature = "push")]
        $crate::activity::contract::activity_contract!($fixture; browsers_are_kept_in_the_order_of_their_numbers);
    };
    ($fixture:expr; $($test:ident)+) => {
        $(#[tokio::test]
        async fn $test() {
            $crate::activity::contract::$test(&$fixture).await;
        })+
    };
}
pub(crate) use activity_contract;

pub(crate) fn bounds() -> ActivityBounds {
    ActivityBounds {
        entries: 10_000,
        feed: 1_000,
        subject_feed: 100,
        hours: 48,
        channel: "activity:new".into(),
    }
}

fn everything() -> FeedQuery {
    FeedQuery {
        limit: 10_000,
        behind: None,
        subject: None,
        kinds: Vec::new(),
        undone: true,
    }
}

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis((START + seconds) * 1_000)
}

/// An event of `block`, and which of several that are alike.
fn update(subject: u64, block: u64, fork: u64, stream: &str) -> Update {
    let kind = if block.is_multiple_of(3) {
        "kick"
    } else {
        "sale"
    };
    let update = Update::new(kind, format!("auction:{subject}")).unwrap();
    let update = update
        .with_identity(format!("1/{block}/{fork}/{subject}"))
        .unwrap();
    let amount = u128::from(block + 1) * 1_000_000_000_000_000_000_000 + u128::from(fork);
    let update = update.with_field("amount", amount.to_string()).unwrap();
    update.with_source(EventSource {
        network: Some("local".into()),
        block: Some(block),
        log_index: Some(subject),
        time: Some(START + block * 600),
        ..EventSource::of(stream, "")
    })
}

fn sighting(update: &Update, stream: &str, place: Option<(u64, u64)>, now: u64) -> Sighting {
    let maker = EntryMaker {
        sums: vec!["amount".into()],
        hours: 48,
    };
    Sighting {
        entry: maker.entry(update, at(now), UpdateId::new(Position::new(7, now), 0)),
        stream: stream.into(),
        place,
        at: at(now),
        alerts: Vec::new(),
    }
}

fn seen(update: &Update, stream: &str, place: u64) -> ActivityChange {
    let sighting = sighting(update, stream, Some((place, 0)), 40_000);
    ActivityChange::Event(Box::new(sighting))
}

fn notice(stream: &str, place: u64, fork_block: u64, content: u128) -> ActivityChange {
    ActivityChange::Reorg(ReorgNotice {
        stream: stream.into(),
        place: Some((place, 0)),
        at: at(40_000),
        network: Some("local".into()),
        fork_block,
        content,
    })
}

/// Tells `store` of batches, one behind the other.
pub(crate) struct Teller<'s> {
    store: &'s dyn ActivityStore,
    told: Option<Position>,
}

impl<'s> Teller<'s> {
    pub(crate) fn new(store: &'s Arc<dyn ActivityStore>) -> Self {
        Self {
            store: &**store,
            told: None,
        }
    }

    pub(crate) fn next(&self, changes: Vec<ActivityChange>) -> ActivityBatch {
        let ordinal = self.told.map_or(0, |told| told.ordinal) + 1;
        ActivityBatch {
            behind: self.told,
            through: Position::new(7, ordinal),
            changes,
        }
    }

    pub(crate) async fn tell(&mut self, changes: Vec<ActivityChange>) -> u64 {
        let batch = self.next(changes);
        self.told = Some(batch.through);
        match self.store.apply(KEEPER, &batch).await.unwrap() {
            Applied::Done { new } => new,
            other => panic!("{other:?}"),
        }
    }
}

async fn read(store: &Arc<dyn ActivityStore>, query: &FeedQuery) -> Vec<StoredActivity> {
    store.read(query).await.unwrap()
}

/// Blocks of the entries that are not undone, newest first.
pub(crate) async fn blocks(store: &Arc<dyn ActivityStore>) -> Vec<u64> {
    let query = FeedQuery {
        undone: false,
        ..everything()
    };
    let read = read(store, &query).await;
    let block = |entry: &StoredActivity| {
        let json: serde_json::Value = serde_json::from_str(&entry.json).unwrap();
        json["block"].as_u64().unwrap()
    };
    read.iter().map(block).collect()
}

/// How many there are of each type, and how much, as counters say.
async fn totals(store: &Arc<dyn ActivityStore>, of: &CountedOf) -> BTreeMap<String, (i64, String)> {
    let counters = store.counted(of, 0, u64::from(u32::MAX)).await.unwrap();
    let mut sums = BTreeMap::<String, (i64, LimbSum)>::new();
    for ((whose, _, kind), counted) in counters {
        let whose = whose.map_or(String::new(), |whose| format!("{whose} "));
        let total = sums.entry(format!("{whose}{kind}")).or_default();
        total.0 += counted.count;
        if let Some(sum) = counted.sums.get("amount") {
            total.1.merge(sum);
        }
    }
    let written = |(name, (count, sum)): (String, (i64, LimbSum))| (name, (count, sum.to_string()));
    sums.into_iter().map(written).collect()
}

pub(crate) async fn a_batch_is_taken_once_and_only_behind_the_last_one(
    fixture: &impl ActivityFixture,
) {
    let store = fixture.store(bounds());
    assert_eq!(store.keep(KEEPER).await.unwrap(), Keeping::Own(None));
    let mut teller = Teller::new(&store);
    let first = teller.next(vec![seen(&update(1, 1, 0, "all"), "all", 1)]);
    let new = Applied::Done { new: 1 };
    assert_eq!(store.apply(KEEPER, &first).await.unwrap(), new);
    let told = Applied::Elsewhere(Some(first.through));
    assert_eq!(store.apply(KEEPER, &first).await.unwrap(), told, "again");
    teller.told = Some(Position::new(7, 9));
    let later = teller.next(Vec::new());
    assert_eq!(store.apply(KEEPER, &later).await.unwrap(), told, "too far");
    teller.told = Some(first.through);
    assert_eq!(
        teller
            .tell(vec![seen(&update(1, 1, 0, "all"), "all", 1)])
            .await,
        0
    );
    assert_eq!(store.keep(KEEPER).await.unwrap(), Keeping::Own(teller.told));
    store.resign(KEEPER).await.unwrap();
    assert_eq!(store.keep("n2").await.unwrap(), Keeping::Own(teller.told));
    assert_eq!(read(&store, &everything()).await.len(), 1);
}

pub(crate) async fn a_feed_is_bounded_and_read_by_cursor(fixture: &impl ActivityFixture) {
    let few = ActivityBounds {
        feed: 50,
        subject_feed: 10,
        ..bounds()
    };
    let store = fixture.store(few);
    let mut teller = Teller::new(&store);
    // Backwards: what is kept does not go by when it comes.
    for block in (0..60).rev() {
        let update = update(block % 2, block, 0, "all");
        teller.tell(vec![seen(&update, "all", block + 1)]).await;
    }
    assert_eq!(blocks(&store).await, (10..60).rev().collect::<Vec<_>>());
    let of_one = FeedQuery {
        subject: Some("auction:1".into()),
        ..everything()
    };
    let of_subject = read(&store, &of_one).await;
    assert_eq!(of_subject.len(), 10);
    let page = |behind, kinds: &[&str]| FeedQuery {
        limit: 7,
        behind,
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        ..everything()
    };
    for kinds in [&[][..], &["kick"], &["kick", "sale"], &["other"]] {
        let whole = FeedQuery {
            limit: 1_000,
            ..page(None, kinds)
        };
        let whole = read(&store, &whole).await;
        let (mut paged, mut behind) = (Vec::new(), None);
        loop {
            let next = read(&store, &page(behind, kinds)).await;
            assert!(next.len() <= 7);
            let Some(last) = next.last() else { break };
            behind = Some(last.cursor);
            paged.extend(next);
        }
        assert_eq!(paged, whole, "{kinds:?}");
    }
    // What is undone makes room.
    teller.tell(vec![notice("all", 1_000, 58, 1)]).await;
    let shown = FeedQuery {
        undone: false,
        ..everything()
    };
    assert_eq!(read(&store, &shown).await.len(), 50);
    assert_eq!(blocks(&store).await, (8..58).rev().collect::<Vec<_>>());
    assert_eq!(read(&store, &everything()).await.len(), 52);
    let nobody = FeedQuery {
        subject: Some("auction:9".into()),
        ..everything()
    };
    assert_eq!(read(&store, &nobody).await, []);
}

pub(crate) async fn the_oldest_are_forgotten_with_all_that_is_known_of_them(
    fixture: &impl ActivityFixture,
) {
    let few = ActivityBounds {
        entries: 5,
        ..bounds()
    };
    let store = fixture.store(few);
    let mut teller = Teller::new(&store);
    for block in 1..=9 {
        teller
            .tell(vec![seen(&update(block, block, 0, "all"), "all", block)])
            .await;
    }
    assert_eq!(blocks(&store).await, [9, 8, 7, 6, 5]);
    let of_forgotten = FeedQuery {
        subject: Some("auction:4".into()),
        ..everything()
    };
    assert_eq!(read(&store, &of_forgotten).await, []);
    teller.tell(vec![notice("all", 20, 1, 1)]).await;
    assert_eq!(blocks(&store).await, NONE);
    let total: i64 = totals(&store, &CountedOf::All)
        .await
        .values()
        .map(|of| of.0)
        .sum();
    assert_eq!(total, 4, "a reorg does not reach what is forgotten");
    // It is new to a store that has forgotten it.
    assert_eq!(
        teller
            .tell(vec![seen(&update(1, 1, 0, "all"), "all", 30)])
            .await,
        1
    );
}

pub(crate) async fn counters_are_kept_for_so_many_hours(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    // Six blocks an hour.
    let hour = |hour: u64| update(1, hour * 6, 0, "all");
    let late = |update: &Update, now: u64| {
        ActivityChange::Event(Box::new(sighting(update, "all", Some((1, 0)), now)))
    };
    teller
        .tell(vec![late(&hour(0), 0), late(&hour(1), 3_600)])
        .await;
    let hours = async |of: &CountedOf| {
        let counted = store.counted(of, 0, u64::from(u32::MAX)).await.unwrap();
        let hours: BTreeSet<u64> = counted
            .keys()
            .map(|(_, hour, _)| hour - START / 3_600)
            .collect();
        hours.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(hours(&CountedOf::All).await, [0, 1]);
    teller.tell(vec![late(&hour(49), 49 * 3_600)]).await;
    assert_eq!(hours(&CountedOf::All).await, [1, 49]);
    assert_eq!(
        hours(&CountedOf::Subject("auction:1".into())).await,
        [1, 49]
    );
    assert_eq!(hours(&CountedOf::Subject("auction:2".into())).await, NONE);
    let from = START / 3_600 + 2;
    let some = store
        .counted(&CountedOf::All, from, from + 90)
        .await
        .unwrap();
    assert_eq!(some.len(), 1);
}
