//! Whether the log's heartbeats are answered: known in one place, and used by all who would otherwise find
//! out by waiting.
//!
//! The background task sends heartbeats. Who gets no answer asks for one at once ([`Pulse::alarm`]), instead
//! of trying again at a client's expense; and who waits before trying again is woken when one is answered
//! after others were not ([`Pulse::rest`]).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::sync::OnDrop;

/// The longest that anything waits before it tries again what failed while heartbeats are answered.
const AWAKE: Duration = Duration::from_millis(500);

/// Shared by the background task, who talks to the log's server, and who waits for it.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    state: watch::Sender<State>,
    alarm: Notify,
    /// They are answered too late for lookups.
    slow: AtomicBool,
    /// Background tasks that keep it.
    keepers: AtomicUsize,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    silent: bool,
    revivals: u64,
}

impl Pulse {
    /// Whether heartbeats are sent at all.
    pub(crate) fn is_kept(&self) -> bool {
        self.keepers.load(Ordering::Acquire) > 0
    }

    /// Heartbeats are sent until what is returned is dropped.
    pub(crate) fn keep(&self) -> OnDrop<impl FnOnce()> {
        self.keepers.fetch_add(1, Ordering::AcqRel);
        OnDrop::new(|| {
            self.keepers.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// A heartbeat was answered.
    pub(crate) fn answered(&self) {
        self.state.send_if_modified(|state| {
            let revived = std::mem::replace(&mut state.silent, false);
            state.revivals += u64::from(revived);
            revived
        });
    }

    /// A heartbeat was not answered, or refused.
    pub(crate) fn missed(&self) {
        self.state.send_if_modified(|state| {
            state.silent = true;
            false
        });
    }

    /// Whether they are answered, but too late for lookups, which are not tried then.
    pub(crate) fn slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Release);
    }

    /// Whether they are sent, and answered soon enough for lookups: what fails then is in doubt, not away.
    pub(crate) fn is_good(&self) -> bool {
        self.is_kept() && !self.is_silent() && !self.slow.load(Ordering::Acquire)
    }

    /// Whether the last heartbeat was not answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_kept() && self.state.borrow().silent
    }

    /// How often heartbeats were answered again.
    pub(crate) fn revivals(&self) -> u64 {
        self.state.borrow().revivals
    }

    /// Asks for a heartbeat now: something was not answered.
    pub(crate) fn alarm(&self) {
        self.alarm.notify_one();
    }

    /// Returns when somebody has asked for one.
    pub(crate) async fn alarmed(&self) {
        self.alarm.notified().await;
    }

    /// Returns when heartbeats are answered again the next time.
    pub(crate) async fn revived(&self) {
        let mut state = self.state.subscribe();
        let before = state.borrow_and_update().revivals;
        // It cannot fail, as the sender is here.
        let _ = state.wait_for(|state| state.revivals != before).await;
    }

    /// Waits before something is tried again: for `wait`, at most until heartbeats are answered again, and not
    /// for long where they are.
    pub(crate) async fn rest(&self, wait: Duration) {
        let wait = match self.is_kept() && !self.is_silent() {
            true => wait.min(AWAKE),
            false => wait,
        };
        tokio::select! {
            biased;
            () = sleep(wait) => {}
            () = self.revived() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_rests_is_woken_when_heartbeats_are_answered_again() {
        let pulse = Pulse::default();
        let _kept = pulse.keep();
        pulse.missed();
        assert!(pulse.is_silent());
        let hour = Duration::from_secs(3_600);
        let began = tokio::time::Instant::now();
        tokio::join!(pulse.rest(hour), async {
            tokio::task::yield_now().await;
            pulse.missed();
            pulse.answered();
        });
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!((pulse.is_silent(), pulse.revivals()), (false, 1));
        // What fails although they are answered is tried again soon.
        pulse.rest(hour).await;
        assert_eq!(began.elapsed(), AWAKE);
    }

    #[tokio::test]
    async fn an_answer_after_an_answer_wakes_nobody() {
        let pulse = Pulse::default();
        pulse.answered();
        pulse.answered();
        assert_eq!(pulse.revivals(), 0);
        assert!(pulse.revived().now_or_never().is_none());
    }

    #[tokio::test]
    async fn an_alarm_is_heard_by_who_listens_later() {
        let pulse = Pulse::default();
        pulse.alarm();
        pulse.alarm();
        pulse.alarmed().await;
        assert!(pulse.alarmed().now_or_never().is_none());
    }

    #[test]
    fn without_anybody_who_sends_heartbeats_nothing_is_silent() {
        let pulse = Pulse::default();
        pulse.missed();
        assert!(!pulse.is_silent());
        let kept = pulse.keep();
        assert!(pulse.is_kept() && pulse.is_silent());
        drop(kept);
        assert!(!pulse.is_kept());
    }
}
