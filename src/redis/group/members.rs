//! The consumers of a group: who is there, who has gone, and who does not belong.

use std::time::Duration;

use ::redis::{Value, cmd};

use crate::clock::millis;
use crate::error::Error;
use crate::redis::group::refusals::Side;
use crate::redis::group::{Group, reply};

impl Group {
    /// Who else reads as this group, by the names of its consumers: those of other caches, of this one with
    /// another mapping, and of other programs.
    pub(crate) async fn strangers(&self, lately: Duration) -> Result<Vec<String>, Error> {
        let own = self
            .consumer
            .rfind('/')
            .map_or("", |at| &self.consumer[..=at]);
        let consumers = self.consumers().await?.into_iter();
        let strange = consumers
            .filter(|consumer| !consumer.name.starts_with(own) && consumer.idle < millis(lately));
        Ok(strange.map(|consumer| consumer.name).take(8).collect())
    }

    /// Removes consumers with nothing pending that were not heard from for `idle`. `true` if one
    /// turned out to have entries, which are lost with it.
    pub(crate) async fn forget_idle(&self, idle: Duration) -> Result<bool, Error> {
        let mut lost = false;
        for consumer in self.consumers().await? {
            let dead = consumer.pending == 0 && consumer.idle > millis(idle);
            if dead && consumer.name != *self.consumer {
                lost |= self.remove(&consumer.name).await?;
            }
        }
        Ok(lost)
    }

    pub(super) async fn consumers(&self) -> Result<Vec<reply::Member>, Error> {
        let mut command = cmd("XINFO");
        command
            .arg("CONSUMERS")
            .arg(&*self.stream)
            .arg(&*self.group);
        let reply = self.wire.query(&command).await?;
        let reply = self.wire.unless_gone("list consumers", reply);
        let reply = self.refused.allow(Side::Consumers, reply)?;
        match reply.flatten() {
            Some(reply) => self.wire.understand(reply::consumers(reply)),
            None => Ok(Vec::new()),
        }
    }

    /// Removes this consumer, unless it leaves entries for others to claim.
    pub(crate) async fn leave(&self) -> Result<(), Error> {
        let mut command = self.on_group("XPENDING");
        command.arg("-").arg("+").arg(1).arg(&*self.consumer);
        let reply = self.wire.query(&command).await?;
        match self.wire.unless_gone("leave", reply)? {
            Some(Value::Array(pending)) if pending.is_empty() => {
                self.remove(&self.consumer).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    async fn remove(&self, consumer: &str) -> Result<bool, Error> {
        let mut command = cmd("XGROUP");
        command
            .arg("DELCONSUMER")
            .arg(&*self.stream)
            .arg(&*self.group)
            .arg(consumer);
        let doing = "remove a consumer";
        let reply = self.run(Side::Consumers, &command, doing).await?;
        Ok(reply.is_some_and(|reply| !matches!(reply, Value::Int(0))))
    }
}
