//! The result does not depend on the order in which a store is told.

use super::*;

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
        let differs = history_differs(&fixture.store(bounds()), seed).await;
        assert_eq!(differs, None, "seed {seed}");
    }
}

/// What of a history is not as the reference says.
pub(crate) async fn history_differs(
    store: &Arc<dyn ActivityStore>,
    seed: u64,
) -> Option<&'static str> {
    let mut random = Rng::with_seed(seed);
    let deliveries = history(&mut random);
    let expected = reference(&deliveries);
    // Each at least once, some again, in any order.
    let mut told = deliveries.clone();
    told.extend(deliveries.iter().filter(|_| random.bool()).cloned());
    random.shuffle(&mut told);
    let mut teller = Teller::new(store);
    for some in told.chunks(7) {
        teller.tell(some.iter().map(change_of).collect()).await;
    }
    let read = read(store, &everything()).await;
    let read: Vec<_> = read
        .iter()
        .map(|entry| (entry.cursor, entry.is_undone))
        .collect();
    if read != entries_of(&expected) {
        return Some("the feed");
    }
    let mut counted = totals(store, &CountedOf::All).await;
    counted.extend(totals(store, &CountedOf::Subjects(100)).await);
    (counted != counters_of(&expected)).then_some("the counters")
}

/// Newest first, each with whether it is undone.
fn entries_of(expected: &BTreeMap<String, (Update, bool)>) -> Vec<(ActivityCursor, bool)> {
    let cursor = |update: &Update| sighting(update, "", None, 40_000).entry.cursor;
    let entries = expected.values();
    let mut entries: Vec<_> = entries
        .map(|(update, is_undone)| (cursor(update), *is_undone))
        .collect();
    entries.sort_by_key(|(cursor, _)| std::cmp::Reverse(*cursor));
    entries
}

/// Of all, and of each subject.
fn counters_of(expected: &BTreeMap<String, (Update, bool)>) -> BTreeMap<String, (i64, String)> {
    let mut counted = BTreeMap::<String, (i64, u128)>::new();
    for (update, _) in expected.values().filter(|(_, is_undone)| !is_undone) {
        for whose in [String::new(), format!("{} ", update.subject())] {
            let name = format!("{whose}{}", update.kind());
            let total = counted.entry(name).or_default();
            total.0 += 1;
            total.1 += update.get("amount").unwrap().parse::<u128>().unwrap();
        }
    }
    let written = |(name, (count, sum)): (String, (i64, u128))| (name, (count, sum.to_string()));
    counted.into_iter().map(written).collect()
}
