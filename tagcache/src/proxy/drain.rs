//! How far a proxy is on its way to the end, and who is still there.

use tokio::sync::watch;

/// Only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Draining,
    CutOff,
}

/// Tells everybody how far it is.
#[derive(Debug)]
pub(super) struct Drain(watch::Sender<Phase>);

/// Hears about it. Whoever holds one is waited for.
#[derive(Debug, Clone)]
pub(super) struct Stage(watch::Receiver<Phase>);

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// What is under way is to be finished.
    Draining,
    /// Everything has to stop.
    CutOff,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }

    pub(super) fn stage(&self) -> Stage {
        Stage(self.0.subscribe())
    }

    /// Finish what is under way.
    pub(super) fn begin(&self) {
        self.0.send_replace(Phase::Draining);
    }

    /// Stop at once.
    pub(super) fn cut_off(&self) {
        self.0.send_replace(Phase::CutOff);
    }

    /// Until nobody is there.
    pub(super) async fn empty(&self) {
        self.0.closed().await;
    }
}

impl Stage {
    /// Until what is under way is to be finished.
    pub(super) async fn draining(&mut self) {
        self.reaches(Phase::Draining).await;
    }

    /// Until everything has to stop.
    pub(super) async fn cut_off(&mut self) {
        self.reaches(Phase::CutOff).await;
    }

    /// Until the next of these two, told once each. One future for both costs a connection half as much
    /// each time that it wakes.
    pub(super) async fn goes_on(mut self, told: bool) -> (Self, Halt) {
        let next = if told { Phase::CutOff } else { Phase::Draining };
        self.reaches(next).await;
        let halt = if *self.0.borrow() == Phase::CutOff || told {
            Halt::CutOff
        } else {
            Halt::Draining
        };
        (self, halt)
    }

    /// A proxy that was dropped is at its end.
    async fn reaches(&mut self, phase: Phase) {
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}
