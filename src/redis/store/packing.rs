//! Frames that are compressed on their way to Redis and back.
//!
//! What takes a moment is done here; what takes longer, on a thread that may block, so that nothing else
//! waits for it.

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::RedisStore;
use super::chunks::WHOLE;
use crate::entry::codec::{self, Frame, packed};
use crate::entry::{Entry, StoredResponse};
use crate::error::{Error, ErrorKind};

/// Bytes that are compressed and the like in place: about half a millisecond of work.
const IN_PLACE: usize = 128 * 1024;
/// Bodies up to this are compressed as a whole first, in case they then need no cutting.
const TRIED_WHOLE: usize = 8 * WHOLE;

/// What is to be stored.
pub(super) enum Packing<'a> {
    /// This frame.
    Whole(Bytes),
    /// This response, cut into chunks, each compressed if that is said here.
    ToCut(&'a StoredResponse, bool),
}

impl RedisStore {
    /// How `entry` is to be stored.
    pub(super) async fn framed<'a>(&self, entry: &'a Entry) -> Packing<'a> {
        let compress = self.compress && packed::is_worth_packing(entry);
        let large = match entry {
            Entry::Response(response) => Some(response).filter(|r| r.body.len() > WHOLE),
            Entry::Variants(_) => None,
        };
        let Some(large) = large else {
            return Packing::Whole(self.frame(entry, compress).await);
        };
        if compress && large.body.len() <= TRIED_WHOLE {
            let frame = self.frame(entry, compress).await;
            if frame.len() <= WHOLE {
                return Packing::Whole(frame);
            }
        }
        Packing::ToCut(large, compress)
    }

    async fn frame(&self, entry: &Entry, compress: bool) -> Bytes {
        let frame = codec::encode(entry);
        if !compress {
            return frame;
        }
        let small = if frame.len() <= IN_PLACE {
            packed::pack(&frame)
        } else {
            let (whole, budget) = (frame.clone(), self.verifier.server.budgets().write);
            let packing = timeout(budget, spawn_blocking(move || packed::pack(&whole)));
            // Where there is no thread in time, it is stored as it is.
            packing.await.ok().and_then(Result::ok).flatten()
        };
        small.unwrap_or(frame)
    }

    /// What `frame` holds.
    ///
    /// # Errors
    /// There is no thread in time to unpack it on.
    pub(super) async fn opened(&self, frame: Bytes) -> Result<Result<Frame, &'static str>, Error> {
        if packed::unpacked_length(&frame).is_none_or(|length| length <= IN_PLACE) {
            return Ok(codec::open(frame));
        }
        let budget = self.verifier.server.budgets().write;
        let unpacking = timeout(budget, spawn_blocking(move || codec::open(frame)));
        match unpacking.await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(_)) => Ok(Err("it could not be unpacked")),
            Err(_) => {
                let message = "redis: an entry was not unpacked in time";
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }
}
