//! What a fill waits for before it calls the inner service: another look, where a flight has ended
//! since its request looked; and where its rule asks for that, that no other node makes the call, and
//! that not too many are made.
//!
//! These waits are bounded and none is needed for truth: whoever waited in vain goes on alone. What
//! another node has stored meanwhile is found by looking again, which is a lookup like any other
//! (PROTOCOL 20).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::amount::Period;
use crate::backoff::Backoff;
use crate::coalesce::UNCACHEABLE_FOR;
use crate::engine::Engine;
use crate::engine::lookup::{Usable, may_join};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::position::Stamp;
use crate::rules::FillRequest;
use crate::store::{ClaimEnd, ClaimResult, Claims, Holder};
use crate::sync::owned;
use crate::validity::Subject;

/// The first pause before looking again for what another node fetches, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What asking for clearance came to.
#[derive(Debug)]
pub(crate) enum Clearance {
    /// The call may be made.
    Granted(Leave),
    /// Another node has made it meanwhile.
    Fetched(Arc<StoredResponse>),
    /// Another node makes it, and nobody waits for it here.
    Elsewhere,
}

/// Leave to call the inner service. Held until the fill has ended.
#[derive(Debug)]
pub(crate) struct Leave {
    /// Of the last look before the call.
    pub(crate) stamp: Stamp,
    /// As many forwards as the rule permits were under way all the time.
    pub(crate) crowded: bool,
    ticket: Option<Ticket>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Leave {
    /// Nobody in the fleet fetches it meanwhile.
    pub(super) const fn is_claimed(&self) -> bool {
        self.ticket.is_some()
    }

    /// The response turned out not to be for others.
    pub(crate) fn unshareable(&mut self) {
        if let Some(ticket) = &mut self.ticket {
            ticket.ended = ClaimEnd::Unshareable(UNCACHEABLE_FOR);
        }
    }
}

/// A claim that this fill has. Given back when the fill ends, however it does: in a task of its own,
/// which ends within the store's read budget.
#[derive(Debug)]
struct Ticket {
    claims: Arc<dyn Claims>,
    key: CacheKey,
    holder: Holder,
    ended: ClaimEnd,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (claims, key) = (Arc::clone(&self.claims), self.key.clone());
        let (holder, ended) = (self.holder, self.ended);
        runtime.spawn(owned(async move {
            // What cannot be given back ends with its time.
            let _ = claims.release(&key, holder, ended).await;
        }));
    }
}

/// What came of claiming.
enum Claim {
    Ours(Ticket),
    /// Nobody is to be waited for, or not any longer.
    Without,
    Fetched(Arc<StoredResponse>),
    Elsewhere,
}

/// A fill that asks for clearance.
pub(crate) struct Asking {
    pub(crate) engine: Arc<Engine>,
    pub(crate) wanted: Arc<FillRequest>,
    /// What is claimed: as far as is known, the key that the response will have.
    pub(crate) key: CacheKey,
    pub(crate) stamp: Stamp,
    /// What is there already, and is to be replaced.
    pub(crate) present: Option<Arc<StoredResponse>>,
    pub(crate) somebody_waits: bool,
    /// Its answer may be for others.
    pub(crate) shared: bool,
    /// A flight that it could have joined may have landed since it looked.
    pub(crate) overtaken: bool,
    pub(crate) deadline: Instant,
}

impl Asking {
    pub(crate) async fn clearance(mut self) -> Clearance {
        if self.overtaken
            && self.shared
            && let Some(stored) = self.look_again().await
        {
            return Clearance::Fetched(stored);
        }
        // The claim first: who waits for another node must not keep others from forwarding.
        let ticket = match self.claim().await {
            Claim::Ours(ticket) => Some(ticket),
            Claim::Without => None,
            Claim::Fetched(stored) => return Clearance::Fetched(stored),
            Claim::Elsewhere => return Clearance::Elsewhere,
        };
        let (permit, waited) = self.permit().await;
        if waited
            && self.shared
            && let Some(stored) = self.look_again().await
        {
            return Clearance::Fetched(stored);
        }
        Clearance::Granted(Leave {
            stamp: self.stamp,
            crowded: waited && permit.is_none(),
            ticket,
            _permit: permit,
        })
    }

    async fn claim(&mut self) -> Claim {
        let budget = self.wanted.asked.rule.settings.fleet_coalesce;
        // What another node brings may have begun before a request that wants what is later (PROTOCOL 28).
        let shares = self.shared && !self.engine.lookups.wants_later(&self.wanted.asked);
        let claims = self.engine.fills.claims.clone().filter(|_| shares);
        let (Some(Period(budget)), Some(claims)) = (budget, claims) else {
            return Claim::Without;
        };
        let end = self.deadline.min(Instant::now() + budget);
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut from = None;
        loop {
            let holder = Holder {
                stamp: self.stamp,
                id: fastrand::u64(..),
            };
            let time = self.engine.fills.limits.claim;
            let theirs = match claims.claim(&self.key, holder, time, from.take()).await {
                Ok(ClaimResult::Ours) => return self.claimed(claims, holder).await,
                Ok(ClaimResult::Theirs(theirs)) => theirs,
                Ok(ClaimResult::Unshareable) => {
                    let now = self.engine.fills.clock.monotonic();
                    self.engine.fills.flights.mark_uncacheable(&self.key, now);
                    return Claim::Without;
                }
                // Redis is away, or too old for claims: as if there were none.
                Err(_) => return Claim::Without,
            };
            if !self.somebody_waits {
                return Claim::Elsewhere;
            }
            let now = Instant::now();
            if now >= end {
                return Claim::Without;
            }
            if self.is_over(theirs) {
                from = Some(theirs);
                continue;
            }
            sleep_until(end.min(now + backoff.pause())).await;
            if let Some(stored) = self.look_again().await {
                return Claim::Fetched(stored);
            }
        }
    }

    /// The claim is ours; but whoever had it may have stored the response since this request looked.
    async fn claimed(&mut self, claims: Arc<dyn Claims>, holder: Holder) -> Claim {
        let ticket = Ticket {
            claims,
            key: self.key.clone(),
            holder,
            ended: ClaimEnd::Free,
        };
        match self.look_again().await {
            Some(stored) => Claim::Fetched(stored),
            None => Claim::Ours(ticket),
        }
    }

    /// A permit, if the rule limits its forwards and one was free in time; and whether it had to be
    /// waited for.
    async fn permit(&self) -> (Option<OwnedSemaphorePermit>, bool) {
        let Some(limit) = self.wanted.asked.rule.settings.forward_limit else {
            return (None, false);
        };
        let permits = self
            .engine
            .fills
            .permits
            .of(self.wanted.asked.rule.name(), limit);
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return (Some(permit), false);
        }
        let permit = timeout_at(self.deadline, permits.acquire_owned()).await;
        (permit.ok().and_then(Result::ok), true)
    }

    /// A fresh response that was not there before. From now on, what this lookup saw counts.
    async fn look_again(&mut self) -> Option<Arc<StoredResponse>> {
        let (asked, fields) = (&self.wanted.asked, &self.wanted.headers);
        let lookup = self.engine.lookups.lookup(asked, fields).await;
        self.stamp = lookup.stamp().unwrap_or(self.stamp);
        self.key = lookup.key;
        let Usable::Fresh(stored) = lookup.usable else {
            return None;
        };
        let is_news = self.present.as_ref().is_none_or(|present| {
            stored.stamp != present.stamp || stored.received_at > present.received_at
        });
        is_news.then_some(stored)
    }

    /// Whether a purge that this request knows of names what the holder of the claim will bring.
    fn is_over(&self, holder: Holder) -> bool {
        let (Ok(tags), Some(view)) = (&self.wanted.tags, self.engine.lookups.views.current())
        else {
            return false;
        };
        let subject = Subject {
            stamp: holder.stamp,
            tags,
            path: &self.wanted.path,
        };
        !may_join(self.engine.lookups.views.judge(&view, subject))
    }
}

#[cfg(test)]
mod tests;
