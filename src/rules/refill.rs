//! How a rule's responses are fetched again: not all at the same moment, not by everybody, and not
//! more at a time than the inner service can bear.

use std::time::Duration;

use super::Defaults;
use super::rule::Rule;
use super::settings::RuleSettings;
use crate::amount::Period;
use crate::error::ConfigError;
use crate::spelling::written;

/// The most of a lifetime that chance may take away, in percent.
const MAX_JITTER: u8 = 50;
const MAX_FACTOR: f64 = 100.0;

impl Rule {
    /// Shortens each lifetime by a random part of what is left of it when the response arrives, up to
    /// `percent` of that, so that responses stored together do not expire together. Never lengthens one.
    /// At most 50.
    ///
    /// Default: 0, a lifetime is what upstream or rule say.
    #[must_use]
    pub fn lifetime_jitter(mut self, percent: u8) -> Self {
        self.settings.lifetime_jitter = percent;
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
        self.settings.refresh_early = Some(factor);
        self
    }

    /// Has one node of those that share a Redis fetch a response, and the others wait for it up to
    /// `budget`; then they fetch it themselves. A stale response is refreshed by one node, and nobody
    /// waits. A miss costs two round trips to Redis more. At most the time for which a
    /// [claim holds](crate::CacheBuilder::fleet_claim), and half of that for which
    /// [requests wait](crate::CacheBuilder::coalesce_timeout). Needs Redis 7.0 or newer; without Redis, or
    /// while it is away, each node fetches by itself.
    ///
    /// Default: each node fetches by itself.
    #[must_use]
    pub fn fleet_coalesce(mut self, budget: Duration) -> Self {
        self.settings.fleet_coalesce = Some(Period(budget));
        self
    }

    /// Lets at most `forwards` calls of the inner service to fill the cache be under way at a time in
    /// this process, so that a large purge does not become as large a wave. A miss beyond them waits,
    /// at most as long as for [identical ones](crate::CacheBuilder::coalesce_timeout); then it is
    /// answered by a stale response, where one may stand in for an error, or else forwarded all the
    /// same. `HEAD` and what bypasses the cache are not counted, nor is a body on its way that is not
    /// stored.
    ///
    /// Default: no limit.
    #[must_use]
    pub fn forward_limit(mut self, forwards: usize) -> Self {
        self.settings.forward_limit = Some(forwards);
        self
    }
}

impl RuleSettings {
    /// Refuses what contradicts something else, or cannot be meant.
    ///
    /// # Errors
    /// A [`ConfigError`] with the input quoted.
    pub(super) fn check_refill(&self, defaults: &Defaults) -> Result<(), ConfigError> {
        if self.lifetime_jitter > MAX_JITTER {
            let message = format!("takes away more than {MAX_JITTER} % of a lifetime");
            let input = self.lifetime_jitter.to_string();
            return Err(ConfigError::new("lifetime_jitter", message, input));
        }
        if let Some(factor) = self.refresh_early
            && !(factor > 0.0 && factor <= MAX_FACTOR)
        {
            let message = format!("a factor above 0 is needed, and at most {MAX_FACTOR}");
            let input = factor.to_string();
            return Err(ConfigError::new("refresh_early", message, input));
        }
        if let Some(Period(budget)) = self.fleet_coalesce {
            check_fleet(budget, defaults)?;
        }
        if self.forward_limit == Some(0) {
            let message = "forwards nothing (disable the rule to forward without a cache)";
            return Err(ConfigError::new("forward_limit", message, "0"));
        }
        Ok(())
    }

    /// `left` of a lifetime, shortened as `chance` (from 0 to 1) has it.
    pub(super) fn shortened(&self, left: Duration, chance: f64) -> Duration {
        left.mul_f64(1.0 - f64::from(self.lifetime_jitter) / 100.0 * chance)
            .min(left)
    }
}

fn check_fleet(budget: Duration, defaults: &Defaults) -> Result<(), ConfigError> {
    let Defaults {
        claim, coalesce, ..
    } = *defaults;
    if claim.is_zero() {
        let message = "needs claims that hold for some time";
        return Err(ConfigError::new(
            "fleet_coalesce",
            message,
            "fleet claim 0s",
        ));
    }
    let message = if budget.is_zero() {
        "waits for no other node (leave it out for each to fetch by itself)".into()
    } else if budget > claim {
        format!("longer than the {} for which a claim holds", written(claim))
    } else if budget > coalesce / 2 {
        // Who waits for the one that waits must have time left for its fetch.
        format!(
            "longer than half of the {} that a request waits for others",
            written(coalesce)
        )
    } else {
        return Ok(());
    };
    let input = written(budget);
    Err(ConfigError::new("fleet_coalesce", message, input))
}
