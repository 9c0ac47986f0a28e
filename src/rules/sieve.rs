//! [`Sieve`]: which request fields a key need look at.

/// Lengths above this have no name in a sieve.
const LENGTHS: usize = 40;

/// Names, by length: with which letters they begin and end. Every field of every request passes here,
/// and nearly all end here, after two look-ups and no comparison.
#[derive(Debug)]
pub(super) struct Sieve {
    first: [u32; LENGTHS],
    last: [u32; LENGTHS],
}

impl Sieve {
    pub(super) const fn empty() -> Self {
        Self {
            first: [0; LENGTHS],
            last: [0; LENGTHS],
        }
    }

    /// Adds `name`, which is in lower case and not empty.
    pub(super) const fn with(mut self, name: &str) -> Self {
        let name = name.as_bytes();
        let length = name.len();
        self.first[length] |= 1 << bit(name[0]);
        self.last[length] |= 1 << bit(name[length - 1]);
        self
    }

    /// `false` says that `name` is none of the names; `true` says nothing.
    pub(super) fn passes(&self, name: &[u8]) -> bool {
        let (Some(first), Some(last)) = (name.first(), name.last()) else {
            return false;
        };
        let letters = self.first.get(name.len()).zip(self.last.get(name.len()));
        letters.is_some_and(|(begin, end)| begin >> bit(*first) & end >> bit(*last) & 1 == 1)
    }
}

/// Each letter has a bit of its own; what shares it with one is compared in vain, no more.
const fn bit(byte: u8) -> u32 {
    (byte & 31) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sieve_lets_every_name_through_and_few_others() {
        let sieve = Sieve::empty().with("host").with("x-api-key").with("rsc");
        for name in ["host", "x-api-key", "rsc"] {
            assert!(sieve.passes(name.as_bytes()), "{name}");
        }
        let longest = "x".repeat(LENGTHS - 1);
        let sieve = sieve.with("dnt");
        for name in [
            "",
            "h",
            "hosts",
            "accept",
            "x-api-kex",
            &longest,
            "x-request-id",
        ] {
            assert!(!sieve.passes(name.as_bytes()), "{name}");
        }
        assert!(!sieve.passes("x".repeat(LENGTHS).as_bytes()));
    }
}
