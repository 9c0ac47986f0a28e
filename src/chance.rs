//! Chance, injected: what is left to it is decided by numbers that a test can choose.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// Where random numbers come from that decide about responses. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Chance(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Chance {
    /// Numbers from `source`, which gives them between 0 and 1.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn new(source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    /// The next number: at least 0 and below 1 where it is left to chance, never outside 0 to 1.
    pub(crate) fn next(&self) -> f64 {
        (self.0)().clamp(0.0, 1.0)
    }
}

/// A number that hardly another process draws, for names that must differ; not for secrets. From what the
/// standard library seeds its hash maps with.
#[cfg(not(test))]
pub(crate) fn unique() -> u64 {
    hash_seed()
}

/// As in other builds; in the simulation one that its seed decides.
#[cfg(test)]
pub(crate) fn unique() -> u64 {
    match crate::sync::Process::current() {
        Some(_) => fastrand::u64(..),
        None => hash_seed(),
    }
}

fn hash_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// [`unique`] as a name.
pub(crate) fn unique_word() -> String {
    format!("{:016x}", unique())
}

impl Default for Chance {
    fn default() -> Self {
        Self(Arc::new(fastrand::f64))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}
