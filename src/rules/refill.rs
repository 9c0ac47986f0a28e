//! How a rule's responses are fetched again: not all at the same moment, not by everybody, and not
//! more at a time than the inner service can bear.

use std::time::Duration;

use super::Defaults;
use super::rule::Rule;
use crate::error::ConfigError;

/// The most of a lifetime that chance may take away, in percent.
const MAX_JITTER: u8 = 50;

/// What a rule says about fetching again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Refill {
    /// By how much a lifetime is shortened at the most, in percent.
    jitter: u8,
}

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
        Ok(self)
    }

    /// `left` of a lifetime, shortened as `chance` (from 0 to 1) has it.
    pub(crate) fn shortened(self, left: Duration, chance: f64) -> Duration {
        left.mul_f64(1.0 - f64::from(self.jitter) / 100.0 * chance)
            .min(left)
    }
}
