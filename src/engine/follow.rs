//! A miss that waits for what another's flight brings.

use std::sync::Arc;

use futures_util::future::select_all;
use http::Response;
use smallvec::SmallVec;
use tokio::time::{Instant, timeout_at};

use crate::coalesce::{Expectation, Flight, FlightHead, Landing};
use crate::engine::lookup::fitness::subject;
use crate::engine::lookup::{Lookup, variant_key};
use crate::engine::{CacheBody, Engine};
use crate::entry::StoredResponse;
use crate::key::CacheKey;
use crate::rules::FillRequest;
use crate::semantics::{self, Vary};
use crate::validity::Subject;

/// Flights that one request waits for at a time, of which all but the last take too long.
const AT_ONCE: usize = 4;

/// What following a flight came to.
pub(super) enum FollowEnd<B> {
    Response(Response<CacheBody<B>>),
    /// It is not valid for this request, which came after it began: a purge has named it since, or its
    /// lifetime was over before it could be used.
    Over,
    /// It takes too long: another one may be begun beside it.
    Late,
    /// It is for another variant; ours has this key.
    OtherVariant(CacheKey),
    /// It died, and is not waited for any more.
    Failed(Arc<Flight>),
    /// It cannot be shared.
    Apart,
}

/// The flights that a request waits for.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The one that it joined last, after those that it waits for still although they take long: whichever
    /// lands first will do.
    flights: SmallVec<[Arc<Flight>; 1]>,
    /// Those that took too long.
    late: usize,
}

impl Following {
    /// Waits for `flight` as well.
    pub(super) fn add(&mut self, flight: Arc<Flight>) {
        self.flights.push(flight);
    }

    /// What is to be replaced by a new one.
    pub(super) fn last(&self) -> &Arc<Flight> {
        self.flights.last().expect("it follows one")
    }

    /// Whether there is another one that it waits for.
    pub(super) fn goes_on(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Waits for the last one no longer.
    pub(super) fn drop_last(&mut self) -> Arc<Flight> {
        self.flights.pop().expect("it follows one")
    }

    /// How far the first has come that has come far enough. `None`: the last one takes too long.
    async fn first(&self, patience: std::time::Duration) -> Option<(usize, Landing)> {
        loop {
            if self.late + 1 >= AT_ONCE {
                return Some(self.any().await);
            }
            // It grows when its turn has come to ask the inner service.
            let late = |flight: &Flight| flight.under_way_since() + patience;
            let deadline = late(self.last());
            if let Ok(come) = timeout_at(deadline, self.any()).await {
                return Some(come);
            }
            if late(self.last()) <= Instant::now() {
                return None;
            }
        }
    }

    async fn any(&self) -> (usize, Landing) {
        if let [flight] = &*self.flights {
            return (0, flight.wait_for(has_come_far_enough).await);
        }
        let waits = self.flights.iter();
        let waits = waits.map(|flight| Box::pin(flight.wait_for(has_come_far_enough)));
        let (landing, which, _) = select_all(waits).await;
        (which, landing)
    }
}

fn has_come_far_enough(landing: &Landing) -> bool {
    match landing {
        Landing::Flying => false,
        // Without its last tags it is not known whether a purge has named it (PROTOCOL 20).
        Landing::Headed(head) => head.tags_final,
        Landing::Landed(_) | Landing::Released | Landing::Failed => true,
    }
}

impl Engine {
    /// Waits for what one of the flights brings.
    pub(super) async fn follow<B>(
        &self,
        following: &mut Following,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> FollowEnd<B> {
        // Not only when it has answered: until then nobody would wait for what can be used.
        if self.is_over(following.last(), wanted, lookup) {
            return FollowEnd::Over;
        }
        loop {
            let Some((which, landing)) = following.first(self.fills.limits.follow).await else {
                following.late += 1;
                return FollowEnd::Late;
            };
            let flight = &following.flights[which];
            if matches!(landing, Landing::Flying | Landing::Failed) {
                let failed = following.flights.remove(which);
                return self.follow_failed(failed, wanted, lookup);
            }
            let followed = match landing {
                Landing::Headed(head) => self.follow_filling(flight, &head, wanted, lookup),
                Landing::Landed(stored) => self.follow_landed(flight, &stored, wanted, lookup),
                Landing::Released | Landing::Flying | Landing::Failed => FollowEnd::Apart,
            };
            if matches!(followed, FollowEnd::Response(_)) || which + 1 == following.flights.len() {
                return followed;
            }
            // Nothing is lost with it: another one is under way.
            following.flights.remove(which);
        }
    }

    /// What one of the flights brings that took so long that whoever waited for them leads another now. Waits for
    /// ever if none brings anything.
    pub(super) async fn overtaken<B>(
        &self,
        following: &mut Following,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> Response<CacheBody<B>> {
        while following.goes_on() {
            match self.follow(following, wanted, lookup).await {
                FollowEnd::Response(response) => return response,
                FollowEnd::Late | FollowEnd::Failed(_) => {}
                FollowEnd::Over | FollowEnd::OtherVariant(_) | FollowEnd::Apart => {
                    following.drop_last();
                }
            }
        }
        std::future::pending().await
    }

    fn follow_filling<B>(
        &self,
        flight: &Arc<Flight>,
        head: &Arc<FlightHead>,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> FollowEnd<B> {
        let ours = variant_key(&wanted.asked.key, &head.vary, &wanted.headers);
        if ours != head.response.key {
            self.lookups.variants.learn(&wanted.asked.key, &head.vary);
            return FollowEnd::OtherVariant(ours);
        }
        if let Some(objection) = self.objection(flight, &head.response, wanted, lookup) {
            return objection;
        }
        let Some(reader) = flight.reader() else {
            return FollowEnd::Apart;
        };
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = head.response.status;
        parts.headers = head.response.headers.clone();
        semantics::set_age(
            &mut parts.headers,
            head.response.age(self.fills.clock.now()),
        );
        let body = CacheBody::shared(reader.sized(head.size));
        FollowEnd::Response(self.answers.respond_forwarded(
            wanted,
            parts,
            body,
            outcome,
            Some(head.response.stamp),
        ))
    }

    fn follow_landed<B>(
        &self,
        flight: &Flight,
        stored: &Arc<StoredResponse>,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> FollowEnd<B> {
        if let Vary::Fields(fields) = Vary::parse(&stored.headers) {
            let ours = variant_key(&wanted.asked.key, &fields, &wanted.headers);
            if ours != stored.key {
                return FollowEnd::OtherVariant(ours);
            }
        }
        if let Some(objection) = self.objection(flight, stored, wanted, lookup) {
            return objection;
        }
        let mut outcome = lookup.why.outcome();
        outcome.collapsed = true;
        let response = self.answers.respond_filled(wanted, stored, outcome);
        FollowEnd::Response(response)
    }

    fn follow_failed<B>(
        &self,
        failed: Arc<Flight>,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> FollowEnd<B> {
        match self
            .lookups
            .stale_if_disconnected(&wanted.asked.rule, lookup.stale())
        {
            Some((stored, outcome)) => {
                FollowEnd::Response(self.answers.respond_filled(wanted, &stored, outcome))
            }
            None => FollowEnd::Failed(failed),
        }
    }

    /// Why a request may not use what `flight` brings.
    fn objection<B>(
        &self,
        flight: &Flight,
        stored: &StoredResponse,
        wanted: &FillRequest,
        lookup: &Lookup,
    ) -> Option<FollowEnd<B>> {
        let freshness = &stored.freshness;
        let past = self.remaining(stored) <= 0 && freshness.stale_while_revalidate.is_zero();
        if freshness.always_validate || past && freshness.lifetime <= stored.initial_age {
            return Some(FollowEnd::Apart);
        }
        // PROTOCOL 20: it would get no other answer by a call of its own, which began as late as this one.
        if flight.began_after(lookup.moment) && flight.has_called() {
            return None;
        }
        let early = self.is_too_early(flight, wanted, lookup) != Some(false);
        let settled = flight.expected().is_some_and(|expected| {
            let views = &self.lookups.views;
            views.has_settled_since(expected.began, subject(stored))
        });
        let over = early || past || settled;
        (over || !self.lookups.valid_now(stored)).then_some(FollowEnd::Over)
    }

    /// PROTOCOL 28 `[pos_epoch]`: whether `flight` has called before a request came that wants what is later. `None`: it
    /// has not called yet, so that it may be in time.
    fn is_too_early(&self, flight: &Flight, wanted: &FillRequest, lookup: &Lookup) -> Option<bool> {
        if !self.lookups.wants_later(&wanted.asked) {
            return Some(false);
        }
        flight.has_called_since(lookup.at).map(|since| !since)
    }

    fn remaining(&self, stored: &StoredResponse) -> i128 {
        stored.remaining_millis(self.fills.clock.now())
    }

    /// Whether a flight that has not answered yet is of no use for a request: a purge that it knows of names it.
    fn is_over(&self, flight: &Flight, wanted: &FillRequest, lookup: &Lookup) -> bool {
        if flight.began_after(lookup.moment) {
            return false;
        }
        if self.is_too_early(flight, wanted, lookup) == Some(true) {
            return true;
        }
        let names = |flight: &Expectation| {
            let subject = Subject {
                stamp: flight.stamp,
                tags: &flight.tags,
                path: &flight.path,
            };
            self.lookups.is_valid(subject).is_some_and(|valid| !valid)
        };
        flight.expected().is_some_and(names)
    }
}
