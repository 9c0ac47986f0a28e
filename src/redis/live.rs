//! A verified connection, and which answers on it count.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, Value};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::redis::connection::Connection;
use crate::redis::fault::{self, Fault};
use crate::redis::trust::Trust;
use crate::redis::verify::{Verification, Verifier};

/// A verified connection.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) conn: Connection,
    pub(crate) verified: Arc<Verification>,
    pub(super) generation: u64,
    pub(super) made: Duration,
    /// Requests in a row, and when the last of them was given up.
    pub(super) unanswered: Arc<Mutex<(u32, Option<Instant>)>>,
}

impl Live {
    /// Ends the trust in all connections of its generation: the server is not what it was.
    pub(crate) fn distrusted(&self, trust: &Trust) {
        trust.lose(self.generation);
    }

    /// Whether the trust in which it was verified has ended.
    pub(crate) fn is_over(&self, trust: &Trust) -> bool {
        self.generation != trust.generation()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.unanswered, &other.unanswered)
    }
}

/// PROTOCOL 8: an answer counts only if neither it nor anything else has ended the trust in the
/// connection by the time that it is read. `[lose_trust]`
pub(crate) fn believed(
    verifier: &Verifier,
    name: &str,
    live: &Live,
    answer: Result<Vec<Value>, RedisError>,
) -> Result<Vec<Value>, Error> {
    let fails = |error: RedisError| {
        if Fault::of(&error).loses_trust {
            verifier.trust.lose(live.generation);
        }
        Err(verifier.server.error(name, error))
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return fails(error),
    };
    let mut errors = answer.iter().filter_map(fault::error_in);
    if let Some(error) = errors.find(|error| Fault::of(error).loses_trust) {
        return fails(error);
    }
    if live.generation != verifier.trust.generation() {
        let message = format!("redis, {name}: trust in the connection was lost meanwhile");
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(answer)
}
