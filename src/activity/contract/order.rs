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
