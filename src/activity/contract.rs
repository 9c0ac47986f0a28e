//! What every store of activity has to do, as tests: `activity_contract!` makes one of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::{
    ActivityBatch, ActivityBounds, ActivityChange, ActivityStore, AlertToRaise, Applied, CountedOf,
    EntryMaker, FeedQuery, Keeping, LimbSum, ReorgNotice, Settlement, Sighting, StoredActivity,
};
use crate::clock::Timestamp;
use crate::position::Position;
use crate::update::{EventSource, Update};

/// 2026-11-23 00:00:00 UTC, in seconds.
const START: u64 = 1_795_392_000;
const KEEPER: &str = "n1";
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

fn bounds() -> ActivityBounds {
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

fn at(seconds: u64) -> Timestamp {
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
        entry: maker.entry(update, at(now)),
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
struct Teller<'s> {
    store: &'s dyn ActivityStore,
    told: Option<Position>,
}

impl<'s> Teller<'s> {
    fn new(store: &'s Arc<dyn ActivityStore>) -> Self {
        Self {
            store: &**store,
            told: None,
        }
    }

    fn next(&self, changes: Vec<ActivityChange>) -> ActivityBatch {
        let ordinal = self.told.map_or(0, |told| told.ordinal) + 1;
        ActivityBatch {
            behind: self.told,
            through: Position::new(7, ordinal),
            changes,
        }
    }

    async fn tell(&mut self, changes: Vec<ActivityChange>) -> u64 {
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
async fn blocks(store: &Arc<dyn ActivityStore>) -> Vec<u64> {
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

/// Something that a stream delivers.
#[derive(Debug, Clone)]
struct Delivery {
    stream: &'static str,
    place: u64,
    what: Delivered,
}

#[derive(Debug, Clone)]
enum Delivered {
    Event(Update),
    /// Fork block and content.
    Notice(u64, u128),
}

/// What two streams deliver of one chain: blocks, reorgs that are told three times, and the blocks that replace those, once
/// by each stream or by only one.
fn history(random: &mut Rng) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    let (mut block, mut fork) = (0, 0);
    let mut place = 1_000_000;
    for _ in 0..random.usize(20..60) {
        place += random.u64(1..5_000);
        let streams: &[&'static str] = match random.u8(0..6) {
            0 => &["sales"],
            1 => &["all"],
            _ => &["sales", "all"],
        };
        if block > 4 && random.u8(0..8) == 0 {
            let from = block - random.u64(0..4);
            fork += 1;
            let content = u128::from(fork);
            for stream in ["sales", "all"] {
                for copy in 0..3 {
                    let what = Delivered::Notice(from, content);
                    let place = place + 7 * copy;
                    deliveries.push(Delivery {
                        stream,
                        place,
                        what,
                    });
                }
            }
            // Replaced by what has no event, or another one: some of it between the copies.
            block = from;
            place += random.u64(1..20);
        }
        block += random.u64(0..2);
        for stream in streams {
            let what = Delivered::Event(update(random.u64(0..3), block, fork, stream));
            deliveries.push(Delivery {
                stream,
                place,
                what,
            });
        }
    }
    deliveries
}

/// What is to come of `deliveries`: each event, and whether it is undone.
fn reference(deliveries: &[Delivery]) -> BTreeMap<String, (Update, bool)> {
    let mut notices = BTreeMap::<(&str, u128), (u64, u64)>::new();
    let mut last = BTreeMap::<(String, &str), (Update, u64)>::new();
    for Delivery {
        stream,
        place,
        what,
    } in deliveries
    {
        match what {
            Delivered::Event(update) => {
                let name = format!(
                    "{} {} {}",
                    update.kind(),
                    update.subject(),
                    update.identity()
                );
                let known = last
                    .entry((name, stream))
                    .or_insert((update.clone(), *place));
                known.1 = known.1.max(*place);
            }
            Delivered::Notice(fork, content) => {
                let first = notices.entry((stream, *content)).or_insert((*place, *fork));
                first.0 = first.0.min(*place);
            }
        }
    }
    let mut events = BTreeMap::<String, (Update, bool)>::new();
    for ((name, stream), (update, place)) in &last {
        let block = update.source().unwrap().block.unwrap();
        let is_undone = notices
            .iter()
            .any(|((of, _), (noticed, fork))| of == stream && noticed > place && block >= *fork);
        let event = events
            .entry(name.clone())
            .or_insert((update.clone(), false));
        event.1 |= is_undone;
    }
    events
}

fn change_of(
    Delivery {
        stream,
        place,
        what,
    }: &Delivery,
) -> ActivityChange {
    match what {
        Delivered::Event(update) => seen(update, stream, *place),
        Delivered::Notice(fork, content) => notice(stream, *place, *fork, *content),
    }
}

pub(crate) async fn whatever_the_order_the_result_is_that_of_a_naive_reference(
    fixture: &impl ActivityFixture,
) {
    for seed in 0..40 {
        let mut random = Rng::with_seed(seed);
        let deliveries = history(&mut random);
        let expected = reference(&deliveries);
        // Each at least once, some again, in any order.
        let mut told = deliveries.clone();
        told.extend(deliveries.iter().filter(|_| random.bool()).cloned());
        random.shuffle(&mut told);
        let store = fixture.store(bounds());
        let mut teller = Teller::new(&store);
        for some in told.chunks(7) {
            teller.tell(some.iter().map(change_of).collect()).await;
        }
        let read = read(&store, &everything()).await;
        assert!(read.is_sorted_by(|a, b| a.cursor > b.cursor), "seed {seed}");
        let cursor = |update: &Update| sighting(update, "", None, 40_000).entry.cursor;
        let mut undone: Vec<_> = expected
            .values()
            .map(|(update, is_undone)| (cursor(update), *is_undone))
            .collect();
        undone.sort_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
        let read: Vec<_> = read
            .iter()
            .map(|entry| (entry.cursor, entry.is_undone))
            .collect();
        assert_eq!(read, undone, "seed {seed}");
        let mut counted = BTreeMap::<String, (i64, u128)>::new();
        for (update, _) in expected.values().filter(|(_, is_undone)| !is_undone) {
            for whose in [String::new(), format!("{} ", update.subject())] {
                let total = counted
                    .entry(format!("{whose}{}", update.kind()))
                    .or_default();
                total.0 += 1;
                total.1 += update.get("amount").unwrap().parse::<u128>().unwrap();
            }
        }
        let mut all = totals(&store, &CountedOf::All).await;
        all.extend(totals(&store, &CountedOf::Subjects(100)).await);
        let counted: BTreeMap<_, _> = counted
            .into_iter()
            .map(|(name, (count, sum))| (name, (count, sum.to_string())))
            .collect();
        assert_eq!(all, counted, "seed {seed}");
    }
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

pub(crate) async fn what_happens_between_copies_of_a_notice_is_not_undone(
    fixture: &impl ActivityFixture,
) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let (old, new) = (update(1, 5, 0, "all"), update(1, 5, 1, "all"));
    // The third copy first, as if the first had been claimed from somebody dead.
    let third = vec![
        seen(&old, "all", 10),
        seen(&new, "all", 21),
        notice("all", 22, 5, 1),
    ];
    teller.tell(third).await;
    assert_eq!(blocks(&store).await, NONE, "as far as is known");
    teller.tell(vec![notice("all", 20, 5, 1)]).await;
    assert_eq!(blocks(&store).await, [5]);
    let much_later = 22 + 61_000;
    teller.tell(vec![notice("all", much_later, 5, 1)]).await;
    assert_eq!(blocks(&store).await, NONE, "another reorg that reads alike");
}

pub(crate) async fn an_entry_whose_reorg_is_undone_comes_back(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let sale = update(1, 5, 0, "all");
    let other = update(1, 4, 0, "all");
    teller
        .tell(vec![seen(&sale, "all", 10), seen(&other, "all", 9)])
        .await;
    teller.tell(vec![notice("all", 20, 5, 1)]).await;
    assert_eq!(blocks(&store).await, [4]);
    // Delivered again, from before the notice.
    assert_eq!(teller.tell(vec![seen(&sale, "all", 10)]).await, 0);
    assert_eq!(blocks(&store).await, [4]);
    assert_eq!(teller.tell(vec![seen(&sale, "all", 30)]).await, 0);
    assert_eq!(blocks(&store).await, [5, 4]);
    let other_network = ActivityChange::Reorg(ReorgNotice {
        stream: "all".into(),
        place: Some((40, 0)),
        at: at(40_000),
        network: Some("other".into()),
        fork_block: 0,
        content: 2,
    });
    teller.tell(vec![other_network]).await;
    assert_eq!(blocks(&store).await, [5, 4]);
    let all_networks = ActivityChange::Reorg(ReorgNotice {
        stream: "all".into(),
        place: Some((50, 0)),
        at: at(40_000),
        network: None,
        fork_block: 0,
        content: 3,
    });
    teller.tell(vec![all_networks]).await;
    assert_eq!(blocks(&store).await, NONE);
}

pub(crate) async fn what_has_no_place_in_its_stream_counts_as_it_comes(
    fixture: &impl ActivityFixture,
) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let sale = update(1, 5, 0, "hooks");
    let event = || ActivityChange::Event(Box::new(sighting(&sale, "hooks", None, 40_000)));
    let reorg = ActivityChange::Reorg(ReorgNotice {
        stream: "hooks".into(),
        place: None,
        at: at(40_000),
        network: None,
        fork_block: 5,
        content: 1,
    });
    teller.tell(vec![event(), reorg]).await;
    assert_eq!(blocks(&store).await, NONE);
    teller.tell(vec![event()]).await;
    assert_eq!(blocks(&store).await, [5]);
    // What nobody says to be of a block is never undone.
    let by_hand = Update::new("sale", "auction:1").unwrap();
    let by_hand = sighting(&by_hand, "", None, 40_000);
    let everywhere = ActivityChange::Reorg(ReorgNotice {
        stream: "".into(),
        place: None,
        at: at(40_000),
        network: None,
        fork_block: 0,
        content: 1,
    });
    teller
        .tell(vec![ActivityChange::Event(Box::new(by_hand)), everywhere])
        .await;
    assert_eq!(
        read(&store, &everything())
            .await
            .iter()
            .filter(|e| !e.is_undone)
            .count(),
        2
    );
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

fn alert(id: u128, queues: &[&str], limit: Option<(u32, Duration)>) -> AlertToRaise {
    AlertToRaise {
        id,
        rule: "big".into(),
        queues: queues.iter().map(|queue| (*queue).into()).collect(),
        json: format!("{{\"n\":{id},\"text\":\"a b\\n\"}}"),
        limit,
    }
}

fn raising(block: u64, now: u64, alerts: Vec<AlertToRaise>) -> ActivityChange {
    let update = update(1, block, 0, "all");
    let mut sighting = sighting(&update, "all", Some((block, 0)), now);
    sighting.alerts = alerts;
    ActivityChange::Event(Box::new(sighting))
}

pub(crate) async fn alerts_wait_in_order_until_they_are_settled(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let both = ["big/webhook/ops", "big/live"];
    let raise = |block, id| raising(block, 0, vec![alert(id, &both, None)]);
    teller
        .tell(vec![
            raise(1, 11),
            raise(2, 12),
            raise(1, 13),
            raise(3, 11),
            raise(4, 14),
        ])
        .await;
    let mut queues = store.queues().await.unwrap();
    queues.sort();
    assert_eq!(queues.join(" "), "big/live big/webhook/ops");
    let ops = both[0];
    let first = async || store.first(ops).await.unwrap();
    let alert = first().await.unwrap();
    assert_eq!((alert.id, alert.attempts, alert.suppressed), (11, 0, 0));
    assert_eq!(alert.json, "{\"n\":11,\"text\":\"a b\\n\"}");
    let again = Settlement::Again {
        attempts: 3,
        next: at(5),
    };
    let settle = async |id, settlement: &Settlement| {
        store.settle(KEEPER, ops, id, settlement).await.unwrap()
    };
    assert!(!settle(12, &again).await, "it is not the first");
    assert!(settle(11, &again).await);
    let alert = first().await.unwrap();
    assert_eq!((alert.attempts, alert.next), (3, at(5)));
    assert!(settle(11, &Settlement::Delivered).await);
    assert!(!settle(11, &Settlement::Delivered).await, "it is gone");
    let alert = first().await.unwrap();
    assert_eq!(
        (alert.id, alert.attempts),
        (12, 0),
        "one that is tried anew"
    );
    let given_up = Settlement::GivenUp {
        reason: "refused: \"no\"".into(),
        at: at(7),
    };
    assert!(settle(12, &given_up).await);
    assert!(
        settle(14, &given_up).await,
        "13 was raised by a repeat, and 11 twice"
    );
    assert_eq!(first().await, None);
    assert_eq!(store.queues().await.unwrap().join(" "), "big/live");
    let failed = store.failed(10).await.unwrap();
    assert_eq!(
        failed.iter().map(|failed| failed.id).collect::<Vec<_>>(),
        [14, 12]
    );
    assert_eq!(
        (&*failed[0].reason, failed[0].at),
        ("refused: \"no\"", at(7))
    );
    assert_eq!(&*failed[0].queue, ops);
    assert_eq!(store.failed(1).await.unwrap().len(), 1);
    assert_eq!(store.send_again(Some(12)).await.unwrap(), 1);
    assert_eq!(store.send_again(Some(99)).await.unwrap(), 0);
    assert_eq!(store.send_again(None).await.unwrap(), 1);
    let alert = first().await.unwrap();
    assert_eq!(
        (alert.id, &*alert.json),
        (12, "{\"n\":12,\"text\":\"a b\\n\"}")
    );
    assert_eq!(store.failed(10).await.unwrap(), []);
}

#[cfg(feature = "push")]
pub(crate) async fn browsers_are_kept_in_the_order_of_their_numbers(
    fixture: &impl ActivityFixture,
) {
    use super::Subscribed::{Again, Full, New};
    let store = fixture.store(bounds());
    let kept = |id: u128, text: &str| (id, text.to_owned());
    let subscribe = async |id: u128, text: &str| store.subscribe(&kept(id, text), 3).await.unwrap();
    assert_eq!(subscribe(u128::MAX, "z").await, New);
    assert_eq!(subscribe(7, "a b").await, New);
    assert_eq!(subscribe(0x70, "c").await, New);
    assert_eq!(subscribe(8, "d").await, Full);
    assert_eq!(subscribe(7, "e").await, Again);
    let page = async |from, limit| store.subscriptions(from, limit).await.unwrap();
    let all = [kept(7, "e"), kept(0x70, "c"), kept(u128::MAX, "z")];
    assert_eq!(page(0, 10).await, all);
    assert_eq!(page(0, 2).await, all[..2]);
    assert_eq!(page(8, 10).await, all[1..]);
    assert!(store.unsubscribe(0x70).await.unwrap());
    assert!(!store.unsubscribe(0x70).await.unwrap());
    assert_eq!(subscribe(8, "d").await, New);
}

pub(crate) async fn a_rule_raises_no_more_alerts_than_its_limit(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let limit = Some((2, Duration::from_secs(60)));
    for (block, now) in [(1, 0), (2, 10), (3, 20), (4, 59), (5, 60), (6, 61), (7, 62)] {
        let alerts = vec![alert(block.into(), &["big/live"], limit)];
        teller.tell(vec![raising(block, now, alerts)]).await;
    }
    let mut raised = Vec::new();
    while let Some(first) = store.first("big/live").await.unwrap() {
        raised.push((first.id, first.suppressed));
        let delivered = Settlement::Delivered;
        assert!(
            store
                .settle(KEEPER, "big/live", first.id, &delivered)
                .await
                .unwrap()
        );
    }
    assert_eq!(raised, [(1, 0), (2, 0), (5, 2), (6, 0)]);
}
