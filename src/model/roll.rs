//! The roll of the model: in memory, shared by all nodes, lost whole when the history says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::yield_now;

use super::faulty_log::FaultyLog;
use crate::error::{Error, ErrorKind};
use crate::log::roll::{Registration, Roll, RollCall, RollEntry, RollHead, Token};
use crate::log::{Log, Tip};
use crate::position::Position;
use crate::weaken::{ProtocolRule, weakened};

/// What all nodes share.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedRoll(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    head: RollHead,
    entries: BTreeMap<Box<str>, RollEntry>,
}

impl SharedRoll {
    /// Loses it, as an eviction does.
    pub(super) fn lose(&self) {
        *self.0.lock() = State::default();
    }

    /// As a replica has it that is promoted, or the master that was cut off.
    pub(super) fn fork(&self) -> Self {
        let state = self.0.lock();
        Self(Arc::new(Mutex::new(State {
            head: state.head,
            entries: state.entries.clone(),
        })))
    }

    /// Removes one that has not been heard of for longer than its lease.
    pub(super) fn remove(&self, name: &str) {
        self.0.lock().entries.remove(name);
    }

    fn write(&self, entry: &RollEntry) -> RollHead {
        let mut state = self.0.lock();
        let known = state.entries.get(&entry.name).map(|known| known.position);
        let mut written = entry.clone();
        written.position = known.unwrap_or(written.position);
        state.entries.insert(entry.name.clone(), written);
        state.head
    }
}

impl FaultyLog {
    /// An old master that is cut off takes no write.
    fn check_write(&self) -> Result<(), Error> {
        self.faults.check()?;
        if self.faults.split.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "NOREPLICAS"));
        }
        Ok(())
    }

    async fn tip_now(&self) -> Result<Tip, Error> {
        yield_now().await;
        self.faults.check()?;
        self.log().tip().await
    }
}

impl Roll for FaultyLog {
    fn register<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<Registration, Error>> {
        async move {
            self.check_write()?;
            let early = match weakened(ProtocolRule::RollFirst) {
                // What must not be done.
                true => Some(self.tip_now().await?),
                false => None,
            };
            if early.is_some() {
                self.faults.until_false(&self.faults.tip_held).await;
            }
            yield_now().await;
            let refused = self.faults.refuses_roll.load(Ordering::SeqCst);
            let head = (!refused).then(|| self.shared_roll().write(entry));
            let tip = match early {
                Some(tip) => tip,
                None => self.tip_now().await?,
            };
            self.faults.until_false(&self.faults.tip_held).await;
            Ok(Registration {
                tip,
                taken: head.is_some(),
                head: head.unwrap_or_default(),
            })
        }
        .boxed()
    }

    fn acknowledge<'a>(
        &'a self,
        name: &'a str,
        position: Position,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            self.check_write()?;
            let roll = self.shared_roll();
            if let Some(entry) = roll.0.lock().entries.get_mut(name) {
                entry.position = position;
            }
            Ok(())
        }
        .boxed()
    }

    fn call(&self) -> BoxFuture<'_, Result<Option<RollCall>, Error>> {
        async move {
            self.faults.check()?;
            yield_now().await;
            let (head, entries) = {
                let roll = self.shared_roll();
                let state = roll.0.lock();
                (state.head, state.entries.values().cloned().collect())
            };
            self.faults.until_false(&self.faults.call_held).await;
            let tip = self.tip_now().await?;
            self.faults.until_false(&self.faults.ack_held).await;
            Ok(Some(RollCall { head, entries, tip }))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, entry: &'a RollEntry) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            self.check_write()?;
            let roll = self.shared_roll();
            let mut state = roll.0.lock();
            let known = state.entries.get(&entry.name);
            let unchanged = known.is_some_and(|known| known.beat == entry.beat);
            if unchanged {
                state.entries.remove(&entry.name);
            }
            Ok(unchanged)
        }
        .boxed()
    }

    fn offer(&self, token: Token, before: Option<Token>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.check_write()?;
            let roll = self.shared_roll();
            let mut state = roll.0.lock();
            if state.head.token == before {
                state.head.token = Some(token);
            }
            drop(state);
            Ok(())
        }
        .boxed()
    }

    fn mark(&self, token: Token) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.check_write()?;
            let tip = self.log().tip().await?;
            let roll = self.shared_roll();
            let mut state = roll.0.lock();
            let there = state.head.token == Some(token) || weakened(ProtocolRule::RollToken);
            if there && tip.position.epoch == token.epoch {
                state.head = RollHead {
                    mark: Some(token.epoch),
                    token: None,
                };
            }
            drop(state);
            Ok(())
        }
        .boxed()
    }
}
