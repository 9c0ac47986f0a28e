//! Purges that people are told of, cut into records of the purge log.

use std::sync::Arc;
use std::time::Duration;

use crate::invalidation::mapping::MAX_TARGETS;
use crate::log::{AnnouncedPurge, PurgeKind};
use crate::tag::Target;
use crate::update::Update;

/// The most updates of one record, and the most bytes of them.
const MAX_UPDATES: usize = 250;
const MAX_BYTES: usize = 256 * 1024;

/// Several purges, and what people are told when all of them are everywhere.
#[derive(Debug)]
pub(crate) struct AnnouncedPurges {
    /// To be in the log before the others: who announces those knows that these are everywhere too.
    pub(crate) before: Vec<(PurgeKind, Vec<Target>)>,
    pub(crate) first: AnnouncedPurge,
    /// With what is left to tell, and nothing to purge.
    pub(crate) more: Vec<AnnouncedPurge>,
}

impl AnnouncedPurges {
    pub(crate) fn new(
        mut purges: Vec<(PurgeKind, Vec<Target>)>,
        settle: Duration,
        updates: Vec<Arc<Update>>,
    ) -> Self {
        let again = again(&purges, settle);
        let (kind, targets) = purges.pop().unwrap_or((PurgeKind::Hard, Vec::new()));
        let mut parts = parts(updates).into_iter();
        let first = AnnouncedPurge {
            kind,
            targets,
            settle,
            again,
            updates: parts.next().unwrap_or_default(),
        };
        let more = parts.map(|updates| AnnouncedPurge {
            kind: PurgeKind::Hard,
            targets: Vec::new(),
            settle,
            again: Vec::new(),
            updates,
        });
        Self {
            before: purges,
            more: more.collect(),
            first,
        }
    }
}

/// What is purged again when it has settled, where one record does not name all of it.
fn again(purges: &[(PurgeKind, Vec<Target>)], settle: Duration) -> Vec<Target> {
    if settle.is_zero() || purges.len() < 2 {
        return Vec::new();
    }
    let all = purges.iter().flat_map(|(_, targets)| targets);
    if all.clone().count() > MAX_TARGETS {
        // Too many for a record: more than was meant costs misses.
        return vec![Target::All];
    }
    all.cloned().collect()
}

fn parts(updates: Vec<Arc<Update>>) -> Vec<Vec<Arc<Update>>> {
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for update in updates {
        bytes += update.bytes();
        if let Some(part) = parts
            .last_mut()
            .filter(|part| part.is_empty() || part.len() < MAX_UPDATES && bytes <= MAX_BYTES)
        {
            part.push(update);
        } else {
            bytes = update.bytes();
            parts.push(vec![update]);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::Tag;

    fn tags(count: usize) -> Vec<Target> {
        let tag = |n| Target::Tag(Tag::new(&format!("tag:{n}")).unwrap());
        (0..count).map(tag).collect()
    }

    fn updates(count: usize, bytes: usize) -> Vec<Arc<Update>> {
        let update = || {
            let update = Update::new("sale", "auction:1").unwrap();
            update.with_field("x", "x".repeat(bytes)).unwrap()
        };
        (0..count).map(|_| Arc::new(update())).collect()
    }

    #[test]
    fn what_one_record_does_not_name_is_purged_again_all_the_same() {
        let second = Duration::from_secs(1);
        for (name, purges, settle, expected) in [
            ("one purge", vec![tags(3)], second, 0),
            ("nothing settles", vec![tags(3), tags(2)], Duration::ZERO, 0),
            ("two purges", vec![tags(3), tags(2)], second, 5),
            ("too many", vec![tags(1_000), tags(1)], second, 1),
        ] {
            let purges = purges.into_iter().map(|targets| (PurgeKind::Hard, targets));
            let cut = AnnouncedPurges::new(purges.collect(), settle, updates(1, 1));
            assert_eq!(cut.first.again.len(), expected, "{name}");
        }
    }

    #[test]
    fn many_updates_are_several_records_of_which_the_first_purges() {
        for (count, bytes, records) in [(0, 1, 1), (250, 1, 1), (251, 1, 2), (100, 8_000, 4)] {
            let purges = vec![(PurgeKind::Soft, tags(2))];
            let cut = AnnouncedPurges::new(purges, Duration::ZERO, updates(count, bytes));
            assert_eq!(cut.first.targets.len(), 2);
            assert_eq!(cut.more.len() + 1, records, "{count} of {bytes}");
            let told = cut.more.iter().map(|more| more.updates.len());
            assert_eq!(cut.first.updates.len() + told.sum::<usize>(), count);
            assert!(cut.more.iter().all(|more| more.targets.is_empty()));
        }
    }
}
