//! Claims as Redis strings that expire by themselves: one flight in the fleet.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Cmd, Value, cmd};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::clock::millis;
use crate::error::Error;
use crate::key::CacheKey;
use crate::redis::data::{Data, Keyed};
use crate::redis::reply;
use crate::redis::verify::Verifier;
use crate::store::{ClaimEnd, ClaimResult, Claims, Holder};

/// Takes a claim over from one holder, and from nobody else. Answers who has it then.
const TAKE: &str = "\
local has = redis.call('GET', KEYS[1]) \
if has and has ~= ARGV[1] then return has end \
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) \
return false";
/// Ends a claim that is still the holder's; with a time, leaves a note for so long.
const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end \
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end \
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2]) \
return 1";
/// What a server of the simulation has to run as a real one does.
#[cfg(test)]
pub(crate) const CLAIM_SCRIPTS: [&str; 2] = [TAKE, RELEASE];
/// What is left where responses are not to be shared.
const UNSHAREABLE: &str = "-";

/// The claims of one namespace on one server. Asked on the connection of the lookups, which none of
/// its commands holds up; a script runs over one key.
#[derive(Debug)]
pub(crate) struct RedisClaims {
    pub(super) verifier: Arc<Verifier>,
    pub(super) data: Data,
}

impl RedisClaims {
    async fn ask(&self, doing: &str, key: String, command: Cmd) -> Result<Value, Error> {
        let budget = self.verifier.server.budgets().read;
        self.data.run(doing, budget, Keyed { key, command }).await
    }
}

impl Claims for RedisClaims {
    fn claim<'a>(
        &'a self,
        key: &'a CacheKey,
        holder: Holder,
        time: Duration,
        from: Option<Holder>,
    ) -> BoxFuture<'a, Result<ClaimResult, Error>> {
        async move {
            let (name, mine) = (self.verifier.keys.claim(key.digest()), holder.to_string());
            let command = match from {
                None => {
                    // `NX` together with `GET` needs Redis 7.0.
                    let mut set = cmd("SET");
                    set.arg(&name).arg(mine).arg("NX").arg("GET");
                    set.arg("PX").arg(lasting(time));
                    set
                }
                Some(from) => {
                    let mut take = cmd("EVAL");
                    take.arg(TAKE).arg(1).arg(&name).arg(from.to_string());
                    take.arg(mine).arg(lasting(time));
                    take
                }
            };
            match self.ask("claim", name, command).await? {
                Value::Nil => Ok(ClaimResult::Ours),
                theirs => match reply::text(&theirs) {
                    Some(UNSHAREABLE) => Ok(ClaimResult::Unshareable),
                    text => text
                        .and_then(|text| text.parse().ok())
                        .map(ClaimResult::Theirs)
                        .ok_or_else(|| reply::malformed("claim")),
                },
            }
        }
        .boxed()
    }

    fn release<'a>(
        &'a self,
        key: &'a CacheKey,
        holder: Holder,
        ended: ClaimEnd,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let note = match ended {
                ClaimEnd::Free => 0,
                ClaimEnd::Unshareable(time) => lasting(time),
            };
            let mut release = cmd("EVAL");
            release.arg(RELEASE).arg(1);
            let name = self.verifier.keys.claim(key.digest());
            release.arg(&name);
            release.arg(holder.to_string()).arg(note).arg(UNSHAREABLE);
            self.ask("release", name, release).await.map(drop)
        }
        .boxed()
    }
}

/// At least one: Redis refuses a time of zero.
fn lasting(time: Duration) -> u64 {
    millis(time).max(1)
}
