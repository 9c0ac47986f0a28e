//! A `HEAD` that is forwarded, and what its response says about the stored `GET` (RFC 9111 §4.3.5).

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};

use crate::clock::Timestamp;
use crate::engine::fill::Freshening;
use crate::engine::lookup::fitness::subject;
use crate::engine::lookup::{Lookup, Stale};
use crate::engine::{Engine, InnerService, ServiceResult};
use crate::log::Until;
use crate::outcome::NotStored;
use crate::rules::FillRequest;
use crate::semantics::{self, HeadMethodVerdict};
use crate::tag::{PurgeKind, Target};

impl Engine {
    pub(super) async fn forward_head_method<S, A>(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        mut request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
    {
        wanted.reduce(&mut request);
        let (requested_at, began) = (self.fills.clock.now(), self.fills.clock.monotonic());
        let outcome = lookup.why.outcome();
        let method = NotStored::Method;
        let passed = self.pass_heeded(wanted, lookup, outcome, method, request, inner);
        let response = passed.await?;
        let stale = lookup.stale().filter(|_| !wanted.asked.wishes().no_store);
        // A purge may have come meanwhile.
        let stale = stale.and_then(|stale| self.lookups.still_usable(stale));
        if let (Some(stale), StatusCode::OK) = (stale, response.status()) {
            let exchange = HeadExchange {
                response: response.headers(),
                requested_at,
                began,
            };
            self.heed_head_method(wanted, lookup, &stale, &exchange)
                .await;
        }
        Ok(response)
    }

    async fn heed_head_method(
        &self,
        wanted: &FillRequest,
        lookup: &Lookup,
        stale: &Stale,
        exchange: &HeadExchange<'_>,
    ) {
        let old = &stale.stored;
        let received_at = self.fills.clock.now();
        let length = old.body.len() as u64;
        match semantics::judge_head_method(exchange.response, &old.headers, length, received_at) {
            HeadMethodVerdict::Same { strong } if strong || !stale.soft_purged => {
                let Some(stamp) = lookup.stamp() else { return };
                let update = Freshening {
                    wanted,
                    stamp,
                    requested_at: exchange.requested_at,
                    received_at,
                };
                let (stored, decided) = self.fills.updated(old, exchange.response, &update);
                if let Ok(vary) = decided
                    && !self
                        .lookups
                        .views
                        .settling(exchange.began, subject(&stored))
                {
                    self.put(wanted, Arc::new(stored), &vary).await;
                }
            }
            HeadMethodVerdict::Changed if old.remaining_millis(received_at) > 0 => {
                // It was fresh, and asked about because the client wished it. Not acknowledged, it is
                // in force in this process.
                let targets = vec![Target::Path(old.path.as_ref().into())];
                let purged = self.fills.purges.purge(
                    PurgeKind::Soft,
                    targets,
                    std::time::Duration::ZERO,
                    Until::InLog,
                );
                let _ = purged.await;
            }
            HeadMethodVerdict::Same { .. }
            | HeadMethodVerdict::Changed
            | HeadMethodVerdict::Unknown => {}
        }
    }
}

/// A `HEAD` and its response.
struct HeadExchange<'a> {
    response: &'a HeaderMap,
    requested_at: Timestamp,
    /// Monotonic, for settling.
    began: std::time::Duration,
}
