//! Large entries, in parts under keys of their own.
//!
//! Redis answers in order: whoever asks for something small behind something large waits for all of it. So a
//! frame over [`WHOLE`] bytes is cut. Under the entry's key stands a short frame that says how long the
//! whole is, and by which number its parts are called; the parts go, a few at a time, over the connection
//! that stores use, and what is small in between passes.
//!
//! - The parts are stored first: who finds the entry finds them, unless they were evicted, which is a miss.
//! - The number is drawn for each store, so that parts of two never mix; and the whole is one frame with one
//!   checksum, as if it had not been cut.
//! - Parts live [a little longer](LONGER) than the entry. What is left of one that was replaced, or never came to
//!   be, expires.

use std::time::Duration;

use ::redis::Value;
use bytes::Bytes;
use tokio::time::Instant;

use super::{RedisStore, lifetime};
use crate::entry::codec::parts::{Parts, encode_parts};
use crate::error::Error;
use crate::redis::fault;
use crate::redis::link::Live;

/// Frames up to this stand whole under their key.
pub(super) const WHOLE: usize = 64 * 1024;
const PART: usize = 64 * 1024;
/// Parts that one write or one answer has.
const AT_ONCE: usize = 4;
/// How much longer a part is kept than its entry, which is stored after it.
const LONGER: Duration = Duration::from_secs(60);

impl RedisStore {
    /// Stores the parts of `frame`; what is to stand in its place.
    pub(super) async fn store_parts(
        &self,
        live: &Live,
        deadline: Instant,
        frame: &Bytes,
        keep: Duration,
    ) -> Result<Bytes, Error> {
        let parts = Parts {
            number: fastrand::u128(..),
            length: frame.len(),
        };
        let keep = lifetime(keep.saturating_add(LONGER));
        let cut: Vec<&[u8]> = frame.chunks(PART).collect();
        for (turn, some) in cut.chunks(AT_ONCE).enumerate() {
            let mut pipe = ::redis::Pipeline::with_capacity(some.len());
            for (place, part) in some.iter().enumerate() {
                let name = self.part(&parts, turn * AT_ONCE + place);
                pipe.cmd("SET").arg(name).arg(*part).arg("PX").arg(keep);
            }
            let answer = self.writes.ask(live, deadline, &pipe).await?;
            if let Some(error) = answer.iter().find_map(fault::error_in) {
                return Err(self.verifier.server.error("store", error));
            }
        }
        Ok(encode_parts(&parts))
    }

    /// The frame whose parts these are; `None` if one of them is not there, or not as it was stored.
    ///
    /// # Errors
    /// They do not come within the budget of a store, which is the one for as many bytes.
    pub(super) async fn whole(&self, parts: &Parts) -> Result<Option<Bytes>, Error> {
        let deadline = Instant::now() + self.verifier.server.budgets().write;
        let count = parts.length.div_ceil(PART);
        let mut frame = Vec::new();
        for first in (0..count).step_by(AT_ONCE) {
            let live = self.writes.verified(deadline).await?;
            let some = first..count.min(first + AT_ONCE);
            let mut pipe = ::redis::Pipeline::with_capacity(some.len());
            for place in some {
                pipe.cmd("GET").arg(self.part(parts, place));
            }
            for part in self.writes.ask(&live, deadline, &pipe).await? {
                match part {
                    Value::BulkString(part) if part.len() <= PART => {
                        // Not before something is there: the length is only what an entry says.
                        if frame.is_empty() {
                            frame.reserve_exact(parts.length);
                        }
                        frame.extend_from_slice(&part);
                    }
                    _ => return Ok(None),
                }
            }
        }
        Ok((frame.len() == parts.length).then(|| frame.into()))
    }

    fn part(&self, parts: &Parts, place: usize) -> String {
        self.verifier.keys.part(parts.number, place)
    }
}
