//! "At least this new": a request that names the position of a purge is answered with nothing that is older
//! (PROTOCOL 27), and where the log has no such position, with nothing that was there before it came (28).
//!
//! Every stored response is judged in a view, be it a near one or one that has reached the tip. A view that has not
//! reached the position judges none of them usable: a near lookup becomes a strict one, and a strict one a miss.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use crate::engine::lookup::{Bodies, Lookup, Lookups};
use crate::log::View;
use crate::observe::Notice;
use crate::rules::CacheRequest;
use crate::sync::Mutex;
use crate::weaken::{ProtocolRule, weakened};

/// How many misses a second, and how many at once, the requests of a rule force by positions that are not in the log:
/// anybody can make them up. Past it such a position is not heard, which harms only who made it up.
const A_SECOND: u32 = 100;
const AT_ONCE: u32 = 100;

/// What of that has been used, by the rule's name: until when (monotonic) all of it is paid for. Rules that owe nothing
/// are forgotten when another one comes.
#[derive(Debug, Default)]
pub(crate) struct ForcedMisses(Mutex<HashMap<Arc<str>, Duration>>);

impl ForcedMisses {
    /// Whether a request of `rule` may force a miss now.
    fn take(&self, rule: &Arc<str>, now: Duration) -> bool {
        let each = Duration::from_secs(1) / A_SECOND;
        let mut by_rule = self.0.lock();
        if !by_rule.contains_key(rule) {
            by_rule.retain(|_, paid| *paid > now);
        }
        let paid = by_rule.entry(Arc::clone(rule)).or_default();
        let next = now.max(*paid) + each;
        let granted = next <= now + each * AT_ONCE;
        if granted {
            *paid = next;
        }
        granted
    }
}

impl Lookups {
    /// Whether `view` knows of all that a request was told of.
    pub(crate) fn knows(&self, view: &View, asked: &CacheRequest) -> bool {
        let Some(after) = &asked.after else {
            return true;
        };
        let position = view.position();
        position.reaches(**after)
            || weakened(ProtocolRule::PosEpoch) && position.epoch != after.epoch
            || weakened(ProtocolRule::PosNear) && position.epoch == after.epoch
    }

    /// Whether nothing will do that began before a request came, as it was told of what is not in the log here.
    pub(crate) fn wants_later(&self, asked: &CacheRequest) -> bool {
        let current = || self.views.current();
        asked.after.is_some() && !current().is_some_and(|view| self.knows(&view, asked))
    }

    /// What there is in this process, else in the store; where the request's position turns out to be for nothing, as
    /// if it had named none.
    pub(crate) async fn lookup_after(
        &self,
        asked: &mut CacheRequest,
        request: &HeaderMap,
    ) -> Lookup {
        let lookup = self.lookup_anywhere(asked, request).await;
        match self.forgets_position(asked, &lookup) {
            true => self.lookup_anywhere(asked, request).await,
            false => lookup,
        }
    }

    async fn lookup_anywhere(&self, asked: &CacheRequest, request: &HeaderMap) -> Lookup {
        match self.lookup_copy(asked, request).await {
            Some(lookup) => lookup,
            None => self.lookup_with(asked, request, Bodies::AsHeld).await,
        }
    }

    /// Whether a request names a position that its lookup has not found in the log, and may not force a miss by it
    /// any more: the position is forgotten then.
    fn forgets_position(&self, asked: &mut CacheRequest, lookup: &Lookup) -> bool {
        let Some(view) = lookup.view.as_deref() else {
            return false;
        };
        if self.knows(view, asked) {
            return false;
        }
        let rule = asked.rule.name();
        let heard = self.forced.take(rule, self.clock.monotonic());
        self.observer
            .notify(&Notice::UnknownPosition { rule, heard });
        if !heard {
            asked.after = None;
        }
        !heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_forces_so_many_misses_a_second_and_no_more() {
        let forced = ForcedMisses::default();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let granted = |rule, at| (0..1_000).filter(|_| forced.take(rule, at)).count();
        let start = Duration::from_secs(7);
        assert_eq!(granted(&one, start), 100);
        assert_eq!(granted(&other, start), 100);
        assert_eq!(granted(&one, start + Duration::from_millis(500)), 50);
        assert_eq!(granted(&one, start + Duration::from_secs(60)), 100);
        forced.take(&"third".into(), start + Duration::from_secs(90));
        assert_eq!(forced.0.lock().len(), 1, "the others owe nothing");
    }
}
