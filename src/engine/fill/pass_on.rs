//! The rest of a body that is not stored after all.

use std::pin::Pin;

use bytes::Bytes;
use http_body::Body;
use tokio::time::timeout;

use crate::coalesce::Room;
use crate::engine::fill::Fill;
use crate::engine::fill::kept::{compact, next_frame, sifted};
use crate::error::BoxError;
use crate::outcome::NotStored;
use crate::semantics::TrailerSieve;

impl Fill {
    /// The body is larger than what may be stored, or than what fills may hold together at the moment: hand it on,
    /// at the pace of the slowest reader. What nobody has got yet of what was read is there `left`.
    pub(crate) async fn pass_on<B>(
        mut self,
        (left, reason): (Bytes, NotStored),
        mut body: Pin<&mut B>,
        sieve: &TrailerSieve,
    ) where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        self.remember_uncacheable(reason);
        if reason == NotStored::Busy {
            self.engine.flights.budget.note_unstored();
        }
        self.lead.outgrow();
        let (mut left, mut trailers) = (Some(left), None);
        loop {
            match timeout(self.engine.limits.stall, self.lead.room()).await {
                Err(_) => {
                    self.lead.cut_slowest();
                    continue;
                }
                Ok(Room::Unread) => return,
                Ok(Room::Free) => {}
            }
            if let Some(left) = left.take() {
                self.lead.pass(left);
                continue;
            }
            let frame = tokio::select! {
                biased;
                frame = next_frame(body.as_mut()) => frame,
                () = self.lead.flight().until_unwanted() => return,
            };
            match frame {
                None => break,
                Some(Err(error)) => return self.lead.fail(&error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.lead.pass(compact(chunk)),
                    Err(frame) => trailers = sifted(frame, sieve),
                },
            }
        }
        self.lead.landed_unstored(trailers);
    }
}
