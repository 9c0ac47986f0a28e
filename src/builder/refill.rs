//! Settings about who fetches a response, and how and how many of it are kept.

#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use super::CacheBuilder;
#[cfg(test)]
use super::backend::Backend;
#[cfg(any(test, feature = "test-util"))]
use crate::chance::Chance;
#[cfg(test)]
use crate::store::Claims;

impl CacheBuilder {
    /// Stores responses in Redis compressed (zstd), where that saves at least a tenth: memory there for
    /// some time here. Nobody sees it but Redis; nodes that compress and nodes that do not can share
    /// entries, as long as all are built with the feature `zstd`, without which [`build`](Self::build)
    /// fails and a compressed entry is a miss. Counts for bodies of 1 KiB and more that are not compressed
    /// already, as `Content-Encoding` and `Content-Type` tell. Default: as they are.
    pub const fn compress_at_rest(mut self) -> Self {
        self.compress = true;
        self
    }

    /// How often a response must have been found in Redis or fetched before this process keeps a copy
    /// of it, for more responses than there is room for. Default: once.
    pub const fn near_after(mut self, times: u32) -> Self {
        self.near_after = times;
        self
    }

    /// How long a forward that others wait for may take before one of them makes another; the rest wait for
    /// either. A forward that has failed has one successor as well; if that fails too, those who waited are
    /// answered 502. Default: 30 s: an inner service that is slow has not failed, and a second call makes it
    /// slower.
    pub const fn coalesce_timeout(mut self, timeout: Duration) -> Self {
        self.limits.follow = timeout;
        self
    }

    /// How many bytes of responses may be held, all together, while they are fetched for the cache and until their
    /// readers have taken them. What does not fit into three quarters of it is passed on at the pace of its reader
    /// and not stored: clients that take nothing must not fill the memory (SAFETY 73). The rest is for what is
    /// passed on. Not less than 4 MiB. Default: 256 MiB, for about a hundred of the largest bodies that a rule
    /// stores by default, at once.
    pub const fn fill_bytes(mut self, bytes: u64) -> Self {
        self.limits.fill_bytes = bytes;
        self
    }

    /// How long a node of the fleet that fetches a response is waited for at the most, before another
    /// one takes its place: it may have died. Longer than any fetch should take. Counts for rules with
    /// [`fleet_coalesce`](crate::Rule::fleet_coalesce). Default: 30 s.
    pub const fn fleet_claim(mut self, time: Duration) -> Self {
        self.limits.claim = time;
        self
    }

    /// Where the numbers come from, between 0 and 1, by which lifetimes are shortened and responses are
    /// chosen to be refreshed early; for tests that leave nothing to chance. Default: random ones.
    #[cfg(any(test, feature = "test-util"))]
    pub fn chance(mut self, source: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.chance = Chance::new(source);
        self
    }
    /// Claims keys there, on a [given](Self::backend) backend.
    #[cfg(test)]
    pub(crate) fn claims(mut self, claims: Arc<dyn Claims>) -> Self {
        if let Backend::Given(_, _, to) = &mut self.backend {
            *to = Some(claims);
        }
        self
    }
}
