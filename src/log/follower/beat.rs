//! Heartbeats, the lease that they give, and what this node says to those who wait for it (PROTOCOL 21, 35 and 36).

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Follower;
use crate::error::{Error, ErrorKind};
use crate::log::Roll;
use crate::position::Position;
use crate::weaken::{ProtocolRule, weakened};

/// How long after the roll did not take what is acknowledged that is tried again.
const ACKNOWLEDGE_AGAIN: Duration = Duration::from_millis(100);
/// The longest between two heartbeats while they are not answered.
pub(super) const BEAT_AGAIN: Duration = Duration::from_millis(150);
/// The longest that one is waited for; the log bounds its part, and is patient with a busy process.
const LONGEST_BEAT: Duration = Duration::from_secs(10);
/// The least between two that somebody asks for.
const ALARMED_EVERY: Duration = Duration::from_millis(100);

impl Follower {
    /// The heartbeat: identity and tip of the log, and with them the lease (PROTOCOL 14, 21).
    pub(super) async fn keep_lease(&self) {
        let every = self.views.lease() / 3;
        loop {
            let began = Instant::now();
            let answered = match timeout(LONGEST_BEAT, self.beat(every)).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    // A server that refuses may be cut off or demoted (PROTOCOL 22): the lease ends now.
                    // One that is merely late lets it run out.
                    if error.kind() != ErrorKind::Timeout {
                        self.views.end_lease();
                    }
                    // The log tells it: it knows who does not answer.
                    tracing::debug!(%error, "no heartbeat");
                    false
                }
                Err(_) => false,
            };
            let wait = match answered {
                true => every,
                false => every.min(BEAT_AGAIN),
            };
            tokio::select! {
                biased;
                () = sleep(wait) => {}
                () = self.pulse.alarmed() => sleep_until(began + ALARMED_EVERY.min(every)).await,
            }
        }
    }

    pub(super) async fn beat(&self, patience: Duration) -> Result<(), Error> {
        let mut sent = self.clock.monotonic();
        let (tip, taken) = self.heartbeat().await?;
        if weakened(ProtocolRule::LeaseSend) {
            sent = self.clock.monotonic();
        }
        let mut view = self.views.current();
        if view
            .as_ref()
            .is_none_or(|view| view.position().epoch != tip.epoch)
        {
            view = Some(self.join(self.views.tail_limit()).await?);
        }
        let Some(view) = view else { return Ok(()) };
        if !weakened(ProtocolRule::CaughtUp) {
            let _ = timeout(patience, self.views.wait_for(tip)).await;
            if view.position().epoch == tip.epoch && !view.position().reaches(tip) {
                self.read_once(&view, tip).await?;
            }
        }
        // PROTOCOL 35 [roll_ok]: who is not on the roll is not waited for.
        if taken || weakened(ProtocolRule::RollOk) {
            self.views.extend_lease(&view, sent, tip);
        }
        Ok(())
    }

    /// The tip that a heartbeat saw, and whether it put this node on the roll, where there is one.
    async fn heartbeat(&self) -> Result<(Position, bool), Error> {
        let Some(roll) = self.log.roll() else {
            return Ok((self.log.tip().await?.position, true));
        };
        let here = self.views.current().map(|view| view.position());
        let entry = self.registrar.next(here);
        let registration = roll.register(&entry).await?;
        if weakened(ProtocolRule::RollApplied) {
            // What must not be done: heard of is not applied.
            let heard_of = registration.tip.position;
            roll.acknowledge(self.registrar.name(), heard_of).await?;
        }
        if let Err(error) = self.registrar.see_to_mark(roll, registration).await {
            tracing::debug!(%error, "the roll has no mark yet");
        }
        Ok((registration.tip.position, registration.taken))
    }

    /// Says what is applied here, where somebody waits for that: one write at a time, for any number of records
    /// (PROTOCOL 36).
    pub(super) async fn acknowledge(&self) {
        let Some(roll) = self.log.roll() else {
            return std::future::pending().await;
        };
        let mut asked = self.views.asked();
        loop {
            let is_asked = *asked.borrow_and_update();
            if is_asked && let Err(error) = self.say_applied(roll).await {
                tracing::debug!(%error, "the roll does not take what is acknowledged");
                self.pulse.rest(ACKNOWLEDGE_AGAIN).await;
                asked.mark_changed();
            }
            // It cannot fail, as the sender is here.
            let _ = asked.changed().await;
        }
    }

    /// Says up to where all is applied. `[roll_applied]`
    pub(super) async fn say_applied(&self, roll: &dyn Roll) -> Result<(), Error> {
        match self.views.current() {
            Some(view) => {
                roll.acknowledge(self.registrar.name(), view.position())
                    .await
            }
            None => Ok(()),
        }
    }
}
