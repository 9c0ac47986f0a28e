//! How a rule's responses are fetched again: not all at the same moment, not by everybody, and not
//! more at a time than the inner service can bear.

use std::time::Duration;

use super::Defaults;
use super::rule::Rule;
use crate::error::ConfigError;

/// The most of a lifetime that chance may take away, in percent.
const MAX_JITTER: u8 = 50;
const MAX_FACTOR: f64 = 100.0;

/// What a rule says about fetching again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refill {
    /// By how much a lifetime is shortened at the most, in percent.
    jitter: u8,
    early: Option<Factor>,
}

/// How much sooner than by XFetch's own reckoning, where it is 1.
#[derive(Debug, Clone, Copy)]
struct Factor(f64);

impl PartialEq for Factor {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Factor {}

impl Rule {
    /// Shortens each lifetime by a random part of what is left of it when the response arrives, up to
    /// `percent` of that, so that responses stored together do not expire together. Never lengthens one.
    /// At most 50.
    ///
    /// Default: 0, a lifetime is what upstream or rule say.
    #[must_use]
    pub fn lifetime_jitter(mut self, percent: u8) -> Self {
        self.refill.jitter = percent;
        self
    }

    /// Fetches a response again shortly before its end, behind one of its hits, so that a popular one
    /// is not missed when it ends (XFetch). The hit is chosen by chance: on average so long before the
    /// end as the response took to fetch, times `factor`, where few hits come; the more come, the
    /// earlier, but not in the first half of the lifetime. 1 suits most; more is earlier. Above 0, and
    /// at most 100.
    ///
    /// Default: a response is fetched again when it is stale.
    #[must_use]
    pub fn refresh_early(mut self, factor: f64) -> Self {
        self.refill.early = Some(Factor(factor));
        self
    }
}

impl Refill {
    /// The same, if it can be done.
    ///
    /// # Errors
    /// What contradicts something else, or cannot be meant.
    pub(super) fn checked(self, _defaults: &Defaults) -> Result<Self, ConfigError> {
        if self.jitter > MAX_JITTER {
            let message = format!("takes away more than {MAX_JITTER} % of a lifetime");
            let input = self.jitter.to_string();
            return Err(ConfigError::new("lifetime_jitter", message, input));
        }
        if let Some(Factor(factor)) = self.early
            && !(factor > 0.0 && factor <= MAX_FACTOR)
        {
            let message = format!("a factor above 0 is needed, and at most {MAX_FACTOR}");
            let input = factor.to_string();
            return Err(ConfigError::new("refresh_early", message, input));
        }
        Ok(self)
    }

    /// By what factor a response is refreshed early, if it is.
    pub(crate) fn early(self) -> Option<f64> {
        self.early.map(|Factor(factor)| factor)
    }

    /// `left` of a lifetime, shortened as `chance` (from 0 to 1) has it.
    pub(crate) fn shortened(self, left: Duration, chance: f64) -> Duration {
        left.mul_f64(1.0 - f64::from(self.jitter) / 100.0 * chance)
            .min(left)
    }
}
