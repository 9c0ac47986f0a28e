//! The activity feed, counters and alerts on a Redis server: a script each, so that a store is told a batch in one command, and
//! reads a feed in one.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::{Cmd, Value, cmd};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use self::wire::BatchOnWire;
use crate::activity::{
    ActivityBatch, ActivityBounds, ActivityStore, Applied, Counted, CountedKey, CountedOf,
    FailedAlert, FeedQuery, KEEPER_FOR, Keeping, MAX_FAILED, MAX_WAITING, Settlement,
    StoredActivity, WaitingAlert,
};
#[cfg(feature = "push")]
use crate::activity::{KeptSubscription, Subscribed};
use crate::clock::millis;
use crate::error::Error;
use crate::position::Position;
use crate::redis::link::Link;
use crate::redis::reply;
use crate::redis::verify::Verifier;
use crate::telling::Telling;

mod wire;

const APPLY: &str = include_str!("activity/apply.lua");
const KEEP: &str = include_str!("activity/keep.lua");
const RESIGN: &str = include_str!("activity/resign.lua");
const READ: &str = include_str!("activity/read.lua");
const COUNTED: &str = include_str!("activity/counted.lua");
const FIRST: &str = "\
if redis.call('HGET', KEYS[1], 'keeper') ~= ARGV[2] then return {'', '0 0'} end \
return {redis.call('LINDEX', KEYS[1] .. ':q:' .. ARGV[1], 0) or '', \
redis.call('HGET', KEYS[1] .. ':tried', ARGV[1]) or '0 0'}";
const SETTLE: &str = include_str!("activity/settle.lua");
#[cfg(feature = "push")]
const SUBSCRIBE: &str = include_str!("activity/subscribe.lua");
const SEND_AGAIN: &str = include_str!("activity/send_again.lua");

/// What is kept of activity on a server, in the slot of the log.
#[derive(Debug)]
pub(crate) struct RedisActivity {
    pub(super) verifier: Arc<Verifier>,
    pub(super) link: Link,
    pub(super) bounds: ActivityBounds,
    /// Whether new entries could be published. Held for moments.
    pub(super) publishing: Mutex<Telling>,
}

impl RedisActivity {
    fn script(&self, script: &str) -> Cmd {
        let mut eval = cmd("EVAL");
        eval.arg(script).arg(1);
        eval.arg(self.verifier.keys.activity());
        eval
    }

    fn tell_of_publishing(&self, is_published: bool) {
        let mut publishing = self.publishing.lock();
        let (telling, channel) = match is_published {
            true => (publishing.well(), &self.bounds.channel),
            false => (publishing.failing(0), &self.bounds.channel),
        };
        match (telling, is_published) {
            (None, _) => {}
            (Some(_), true) => {
                tracing::info!(%channel, "new entries of the activity feed are published again")
            }
            (Some(_), false) => tracing::warn!(
                %channel,
                "new entries of the activity feed are not published: the Redis user may not use the channel"
            ),
        }
    }

    /// Sends `command`; nobody waits for it with a request to answer, and it may take long to carry out.
    async fn ask(&self, doing: &str, command: Cmd) -> Result<Value, Error> {
        let budget = self.verifier.server.budgets().purge;
        self.link.run(doing, budget, command).await
    }
}

#[cfg(feature = "push")]
impl RedisActivity {
    /// A sorted set: each member a number of 32 hexadecimal digits, a space, and what is kept.
    fn push_key(&self) -> String {
        format!("{}:push", self.verifier.keys.activity())
    }
}

impl ActivityStore for RedisActivity {
    fn apply<'a>(
        &'a self,
        keeper: &'a str,
        batch: &'a ActivityBatch,
    ) -> BoxFuture<'a, Result<Applied, Error>> {
        async move {
            let mut apply = self.script(APPLY);
            apply.arg(BatchOnWire::new(keeper, batch, &self.bounds).to_string());
            let answer = self.ask("apply to the activity feed", apply).await?;
            let applied = applied(answer).ok_or_else(|| reply::malformed("answer to a batch"));
            let (applied, is_published) = applied?;
            self.tell_of_publishing(is_published);
            Ok(applied)
        }
        .boxed()
    }

    fn keep<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<Keeping, Error>> {
        async move {
            let mut keep = self.script(KEEP);
            keep.arg(keeper).arg(millis(KEEPER_FOR));
            let answer = self.ask("keep the activity feed", keep).await?;
            let words = reply::words(answer);
            match words.as_deref() {
                Some([held]) if held == "held" => Ok(Keeping::Other),
                Some([own, told]) if own == "own" => Ok(Keeping::Own(position(told)?)),
                _ => Err(reply::malformed("answer to a keeper")),
            }
        }
        .boxed()
    }

    fn resign<'a>(&'a self, keeper: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let mut resign = self.script(RESIGN);
            resign.arg(keeper);
            self.ask("leave the activity feed", resign).await.map(drop)
        }
        .boxed()
    }

    fn read<'a>(
        &'a self,
        query: &'a FeedQuery,
    ) -> BoxFuture<'a, Result<Vec<StoredActivity>, Error>> {
        async move {
            let mut read = self.script(READ);
            match &query.subject {
                Some(subject) => read
                    .arg(format!(":{subject}"))
                    .arg(self.bounds.subject_feed),
                None => read.arg("").arg(self.bounds.feed),
            };
            match query.behind {
                Some(behind) => read.arg(behind.to_string()),
                None => read.arg("+"),
            };
            read.arg(query.limit).arg(u8::from(query.undone));
            for kind in &query.kinds {
                read.arg(&**kind);
            }
            let answer = self.ask("read the activity feed", read).await?;
            let entries = reply::words(answer).and_then(|words| wire::entries(&words));
            entries.ok_or_else(|| reply::malformed("activity feed"))
        }
        .boxed()
    }

    fn counted<'a>(
        &'a self,
        of: &'a CountedOf,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<BTreeMap<CountedKey, Counted>, Error>> {
        async move {
            let mut counted = self.script(COUNTED);
            counted.arg(from).arg(to);
            match of {
                CountedOf::All => counted.arg("all"),
                CountedOf::Subject(subject) => counted.arg("one").arg(&**subject),
                CountedOf::Subjects(most) => counted.arg("many").arg(*most),
            };
            let answer = self.ask("read the analytics", counted).await?;
            let counters = reply::words(answer).and_then(|words| wire::counters(&words));
            counters.ok_or_else(|| reply::malformed("analytics"))
        }
        .boxed()
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<Box<str>>, Error>> {
        async move {
            let mut queues = cmd("SMEMBERS");
            queues.arg(format!("{}:queues", self.verifier.keys.activity()));
            let answer = self.ask("read the queues of alerts", queues).await?;
            let names = reply::words(answer).ok_or_else(|| reply::malformed("queues"))?;
            Ok(names.into_iter().map(Into::into).collect())
        }
        .boxed()
    }

    fn first<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
    ) -> BoxFuture<'a, Result<Option<WaitingAlert>, Error>> {
        async move {
            let mut first = self.script(FIRST);
            first.arg(queue).arg(keeper);
            let answer = self.ask("read an alert", first).await?;
            match reply::words(answer).as_deref() {
                Some([nothing, _]) if nothing.is_empty() => Ok(None),
                Some([alert, tried]) => wire::waiting(alert, tried)
                    .map(Some)
                    .ok_or_else(|| reply::malformed("alert")),
                _ => Err(reply::malformed("alert")),
            }
        }
        .boxed()
    }

    fn settle<'a>(
        &'a self,
        keeper: &'a str,
        queue: &'a str,
        id: u128,
        settlement: &'a Settlement,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let mut settle = self.script(SETTLE);
            settle.arg(keeper).arg(queue).arg(format!("{id:032x}"));
            match settlement {
                Settlement::Delivered => settle.arg("done"),
                Settlement::Again { attempts, next } => {
                    settle.arg("again").arg(*attempts).arg(next.as_millis())
                }
                Settlement::GivenUp { reason, at } => settle
                    .arg("failed")
                    .arg(&**reason)
                    .arg(at.as_millis())
                    .arg(MAX_FAILED),
            };
            Ok(self.ask("settle an alert", settle).await? == Value::Int(1))
        }
        .boxed()
    }

    fn failed(&self, limit: usize) -> BoxFuture<'_, Result<Vec<FailedAlert>, Error>> {
        async move {
            let mut failed = cmd("LRANGE");
            failed.arg(format!("{}:failed", self.verifier.keys.activity()));
            failed.arg(0).arg(limit.saturating_sub(1));
            let answer = self.ask("read the failed alerts", failed).await?;
            let failed = reply::words(answer).and_then(|words| wire::failed(&words));
            let failed = failed.ok_or_else(|| reply::malformed("failed alerts"))?;
            Ok(failed.into_iter().take(limit).collect())
        }
        .boxed()
    }

    fn send_again(&self, id: Option<u128>) -> BoxFuture<'_, Result<usize, Error>> {
        async move {
            let mut again = self.script(SEND_AGAIN);
            again.arg(id.map(|id| format!("{id:032x}")).unwrap_or_default());
            again.arg(MAX_WAITING);
            match self.ask("send alerts again", again).await? {
                Value::Int(again) => Ok(usize::try_from(again).unwrap_or_default()),
                _ => Err(reply::malformed("answer to alerts that are sent again")),
            }
        }
        .boxed()
    }

    #[cfg(feature = "push")]
    fn subscribe<'a>(
        &'a self,
        (id, kept): &'a KeptSubscription,
        most: usize,
    ) -> BoxFuture<'a, Result<Subscribed, Error>> {
        async move {
            let mut subscribe = self.script(SUBSCRIBE);
            subscribe.arg(format!("{id:032x}")).arg(kept).arg(most);
            match self.ask("keep a subscription", subscribe).await? {
                Value::Int(0) => Ok(Subscribed::Full),
                Value::Int(1) => Ok(Subscribed::New),
                Value::Int(2) => Ok(Subscribed::Again),
                _ => Err(reply::malformed("answer to a subscription")),
            }
        }
        .boxed()
    }

    #[cfg(feature = "push")]
    fn unsubscribe(&self, id: u128) -> BoxFuture<'_, Result<bool, Error>> {
        async move {
            let mut forget = cmd("ZREMRANGEBYLEX");
            forget.arg(self.push_key());
            forget
                .arg(format!("[{id:032x}"))
                .arg(format!("({id:032x}!"));
            Ok(self.ask("forget a subscription", forget).await? == Value::Int(1))
        }
        .boxed()
    }

    #[cfg(feature = "push")]
    fn subscriptions(
        &self,
        from: u128,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<KeptSubscription>, Error>> {
        async move {
            let mut read = cmd("ZRANGE");
            read.arg(self.push_key()).arg(format!("[{from:032x}"));
            read.arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit);
            let answer = self.ask("read the subscriptions", read).await?;
            let kept = reply::words(answer).and_then(|words| wire::subscriptions(&words));
            kept.ok_or_else(|| reply::malformed("subscriptions"))
        }
        .boxed()
    }
}

/// What became of a batch, and whether all of its new entries were published.
fn applied(answer: Value) -> Option<(Applied, bool)> {
    let words = reply::words(answer)?;
    match &*words {
        [held] if held == "held" => Some((Applied::Held, true)),
        [elsewhere, told] if elsewhere == "elsewhere" => {
            Some((Applied::Elsewhere(position(told).ok()?), true))
        }
        [done, new, unpublished] if done == "done" => {
            let new = new.parse().ok()?;
            Some((Applied::Done { new }, unpublished == "0"))
        }
        _ => None,
    }
}

/// None, if nothing was told yet.
fn position(told: &str) -> Result<Option<Position>, Error> {
    match told.is_empty() {
        true => Ok(None),
        false => match told.parse() {
            Ok(position) => Ok(Some(position)),
            Err(_) => Err(reply::malformed("position of the activity feed")),
        },
    }
}
