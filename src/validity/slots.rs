//! The last purges of what requests name by the thousand, in a table of fixed size.
//!
//! Every unsafe request purges its path (RFC 9111 §4.4), stored or not: nobody knows what other nodes hold.
//! With a mark for each, a client that sends 120,000 of them to paths that nobody ever stored would push all
//! other marks out, raise the floor, and so end every response (SAFETY 75). Here a purge of one more takes no
//! room: its ordinal is written to [`PLACES`] slots that its id chooses, where it is the newest. A response is
//! taken for purged if all slots of its id are newer than it; if only one is older, nothing has named it
//! since. So what collides costs a miss, and nothing is ever forgotten: the floor stays where it is.

use crate::tag::TagId;

/// Slots of one id.
const PLACES: u64 = 4;
/// 16 MiB, of which only pages that were written to are taken. That a response is taken for purged by `n`
/// purges of other ids that are newer than it has the probability (1 - e^(-4n/2^21))^4: for 120,000 it is
/// 0.2 %, for 360,000 6 %, for a million 53 %. Those that are older than it do not count.
pub(crate) const SLOTS: usize = 1 << 21;

/// Bounded by its size, without a floor.
#[derive(Debug)]
pub(crate) struct Slots {
    /// Empty until there is a purge to remember.
    ordinals: Vec<u64>,
    size: usize,
    newest: u64,
}

impl Slots {
    /// A table of at least `size` slots.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            ordinals: Vec::new(),
            size: size.next_power_of_two(),
            newest: 0,
        }
    }

    /// Remembers a hard purge of `id` at `ordinal`. Own appends are applied ahead of the follower, so that
    /// the newest counts, not the last (PROTOCOL 5).
    pub(crate) fn set(&mut self, id: TagId, ordinal: u64) {
        if self.ordinals.is_empty() {
            self.ordinals = vec![0; self.size];
        }
        self.newest = self.newest.max(ordinal);
        for place in self.places(id) {
            let slot = &mut self.ordinals[place];
            *slot = ordinal.max(*slot);
        }
    }

    /// Whether what carries `id` and is stamped `stamp` may have been purged since.
    pub(crate) fn has_purged(&self, id: TagId, stamp: u64) -> bool {
        self.has_purged_since(stamp) && self.places(id).all(|place| self.ordinals[place] > stamp)
    }

    /// Whether anything newer is remembered; usually nothing is.
    pub(crate) const fn has_purged_since(&self, stamp: u64) -> bool {
        self.newest > stamp
    }

    #[allow(clippy::cast_possible_truncation, reason = "any part of a hash does")]
    fn places(&self, id: TagId) -> impl Iterator<Item = usize> + use<> {
        let (from, step, last) = (id.as_raw(), id.as_raw() >> 32 | 1, self.size - 1);
        (0..PLACES).map(move |n| from.wrapping_add(n.wrapping_mul(step)) as usize & last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(n: usize) -> TagId {
        TagId::path(&format!("/x/{n}"))
    }

    #[test]
    fn safety_75_what_was_purged_is_never_forgotten_and_little_else_is_taken_for_it() {
        let mut slots = Slots::new(SLOTS);
        let purged = 120_000;
        for n in 0..purged {
            slots.set(path(n), 2 + n as u64);
        }
        for n in 0..purged {
            assert!(slots.has_purged(path(n), 1 + n as u64), "{n}");
        }
        let others = (0..10_000).map(|n| TagId::path(&format!("/page/{n}")));
        let lost = others.filter(|page| slots.has_purged(*page, 1)).count();
        assert!(lost < 100, "{lost} of 10,000");
        let newer = slots.has_purged(path(0), 2 + purged as u64);
        assert!(!newer, "older purges do not count");
    }

    #[test]
    fn the_newest_purge_counts_not_the_last() {
        let mut slots = Slots::new(1);
        slots.set(path(1), 5);
        slots.set(path(2), 3);
        assert!(slots.has_purged(path(1), 4), "one slot for all");
        assert!(!slots.has_purged(path(1), 5));
    }
}
