//! The setting of [`CacheBuilder`] that says which other regions must be heard.

use std::time::Duration;

use crate::builder::CacheBuilder;
use crate::error::ConfigError;
use crate::log::Regions;
use crate::place::Setting;
use crate::spelling::{shown, written};
use crate::update::{WORD, is_word};

/// Below this no relay is heard in time: between two beats it goes to the other region and back.
const LEAST_CUT: Duration = Duration::from_secs(1);

/// Which regions must be heard, and how lately.
#[derive(Debug, Clone)]
pub(super) struct HeardRegions {
    names: Vec<String>,
    max_cut: Duration,
}

impl CacheBuilder {
    /// Where a [relay](crate::RelayBuilder) brings purges of other regions: serves nothing from the cache while one of those in
    /// `regions` was not heard for `max_cut`, so that nothing is a hit that was purged there longer ago. Requests then go to
    /// the inner service. They are called as their relays call them. `max_cut` is at least a second, and at least four
    /// [beats](crate::RelayBuilder::beat) of those relays. A node that starts hits nothing until it has heard two beats of
    /// each, and nothing at all without its [`Companion`](crate::Companion). Default: none; while a region is cut off, what is
    /// stored here is served to the end of its lifetime.
    pub fn max_cut<R: Into<String>>(
        mut self,
        regions: impl IntoIterator<Item = R>,
        max_cut: Duration,
    ) -> Self {
        let names = regions.into_iter().map(Into::into).collect();
        self.regions = Some(HeardRegions { names, max_cut });
        self
    }
}

impl HeardRegions {
    pub(super) fn check(self) -> Result<Regions, ConfigError> {
        let refused = |key, problem: String, input| {
            let setting = Setting::of("redis.relay", key).called(key);
            Err(ConfigError::new(setting, problem, input))
        };
        if self.names.is_empty() {
            return refused("from", "names no region".to_owned(), "[]".to_owned());
        }
        for name in &self.names {
            if !is_word(name) {
                return refused("from", format!("is not {WORD}"), shown(name));
            }
        }
        if self.max_cut < LEAST_CUT {
            let problem = "shorter than a second, in which no relay is surely heard".to_owned();
            return refused("max_cut", problem, written(self.max_cut));
        }
        let names = self.names.into_iter().map(String::into_boxed_str);
        Ok(Regions::new(names, self.max_cut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cache;

    #[test]
    fn regions_that_cannot_be_heard_are_refused() {
        let build = |names: &[&str], millis| {
            let builder = Cache::builder();
            let max_cut = Duration::from_millis(millis);
            builder.max_cut(names.iter().copied(), max_cut).build()
        };
        assert!(build(&["us", "ap"], 1_000).is_ok());
        for (names, millis) in [(&[][..], 1_000), (&["u s"], 1_000), (&["us"], 999)] {
            assert!(build(names, millis).is_err(), "{names:?} {millis}");
        }
    }
}
