use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::backoff::jittered;
use crate::clock::ManualClock;

const MS: Duration = Duration::from_millis(1);
/// The longest jitter, which makes every wait as long as its name says.
const LATE: u64 = u64::MAX;

fn at(ms: u32) -> Duration {
    MS * ms
}

/// Runs one operation that ends at once, if it is admitted.
fn once(state: &mut State, now: Duration, finding: Finding) -> bool {
    let Some(permit) = state.admit(now, false) else {
        return false;
    };
    state.record(permit, finding, now, LATE, false);
    true
}

fn opened() -> State {
    let mut state = State::default();
    for _ in 0..STREAK {
        assert!(once(&mut state, at(0), Finding::Failed));
    }
    state
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut state = State::default();
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(once(&mut state, at(0), Finding::Failed));
        }
        assert!(once(&mut state, at(0), Finding::Answered));
        for _ in 0..8 {
            assert!(once(&mut state, at(0), Finding::Answered));
        }
    }
    assert!(state.admit(at(0), false).is_some());
    assert!(opened().admit(at(99), false).is_none());
}

#[test]
fn half_of_twenty_open_it() {
    let mut state = State::default();
    for turn in 0..20 {
        let finding = [Finding::Failed, Finding::Answered][turn % 2];
        assert!(once(&mut state, at(0), finding), "turn {turn}");
    }
    assert!(state.admit(at(0), false).is_none());
}

#[test]
fn nine_of_twenty_do_not_open_it() {
    let mut state = State::default();
    for turn in 0..20 {
        let failed = turn % 2 == 0 && turn < 18;
        let finding = [Finding::Answered, Finding::Failed][usize::from(failed)];
        assert!(once(&mut state, at(0), finding));
    }
    assert!(state.admit(at(0), false).is_some());
}

#[test]
fn safety_58_exactly_one_probe_runs_at_a_time() {
    let mut state = opened();
    let probe = state.admit(at(100), false);
    assert!(probe.is_some());
    for _ in 0..1_000 {
        assert!(state.admit(at(100_000), false).is_none());
    }
}

#[test]
fn the_wait_doubles_up_to_five_seconds() {
    let mut state = opened();
    let mut now = 0;
    for wait in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        assert!(
            state.admit(at(now + wait - 1), false).is_none(),
            "before {wait}"
        );
        now += wait;
        assert!(once(&mut state, at(now), Finding::Failed), "at {wait}");
    }
}

#[test]
fn a_probe_that_succeeds_closes_it_with_a_clean_slate() {
    let mut state = opened();
    assert!(once(&mut state, at(100), Finding::Answered));
    for _ in 0..4 {
        assert!(once(&mut state, at(100), Finding::Failed));
    }
    assert!(state.admit(at(100), false).is_some());
}

#[test]
fn a_dropped_probe_leaves_the_next_request_to_probe() {
    let mut state = opened();
    assert!(once(&mut state, at(100), Finding::Unknown));
    assert!(state.admit(at(100), false).is_some());
    assert!(state.admit(at(100), false).is_none());
}

#[test]
fn results_of_an_earlier_round_are_ignored() {
    let mut state = State::default();
    let early = state.admit(at(0), false).unwrap();
    for _ in 0..STREAK {
        once(&mut state, at(0), Finding::Failed);
    }
    assert_eq!(
        state.record(early, Finding::Answered, at(1), LATE, false),
        None
    );
    assert!(state.admit(at(1), false).is_none());
    let probe = state.admit(at(100), false).unwrap();
    assert_eq!(
        state.record(early, Finding::Failed, at(100), LATE, false),
        None
    );
    let closed = state.record(probe, Finding::Answered, at(100), LATE, false);
    assert_eq!(closed, Some(Change::Closed));
}

#[test]
fn safety_58_the_wait_is_jittered_by_half() {
    assert_eq!(jittered(at(100), 0), at(50));
    assert_eq!(jittered(at(100), u64::MAX), at(100));
    let waits: std::collections::BTreeSet<_> = (0..200)
        .map(|_| jittered(LONGEST, fastrand::u64(..)))
        .collect();
    assert!(waits.len() > 150, "only {} of 200 differ", waits.len());
}

fn breaker() -> (Breaker, ManualClock, Arc<AtomicU32>) {
    let clock = ManualClock::default();
    let opened = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&opened);
    let observer = SharedObserver::new(move |notice: &Notice<'_>| {
        if matches!(notice, Notice::BreakerOpened) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let breaker = Breaker::new(
        Arc::new(clock.clone()),
        Some(observer),
        Arc::default(),
        Duration::from_secs(60),
    );
    (breaker, clock, opened)
}

async fn fail(breaker: &Breaker, kind: ErrorKind) -> ErrorKind {
    let counts = |error: &Error| error.kind() == ErrorKind::Timeout;
    let failing = async { Err::<(), _>(Error::new(kind, "no")) };
    breaker.run(counts, failing).await.unwrap_err().kind()
}

#[tokio::test]
async fn safety_57_an_open_breaker_refuses_without_running_the_operation() {
    let (breaker, clock, opened) = breaker();
    for _ in 0..5 {
        assert_eq!(fail(&breaker, ErrorKind::Timeout).await, ErrorKind::Timeout);
    }
    let refused = breaker
        .run(|_| true, async {
            panic!("ran while open") as Result<(), Error>
        })
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::BreakerOpen);
    assert_eq!(opened.load(Ordering::SeqCst), 1);

    clock.advance(FIRST);
    assert!(breaker.run(|_| true, async { Ok(()) }).await.is_ok());
    assert!(breaker.run(|_| true, async { Ok(()) }).await.is_ok());
}

#[tokio::test]
async fn errors_that_do_not_count_leave_it_closed() {
    let (breaker, _, opened) = breaker();
    for _ in 0..40 {
        assert_eq!(
            fail(&breaker, ErrorKind::Protocol).await,
            ErrorKind::Protocol
        );
    }
    assert_eq!(opened.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_cancelled_probe_does_not_leave_it_open_for_ever() {
    let (breaker, clock, _) = breaker();
    for _ in 0..5 {
        fail(&breaker, ErrorKind::Timeout).await;
    }
    clock.advance(FIRST);
    let hangs = std::future::pending::<Result<(), Error>>();
    let mut probe = tokio_test::task::spawn(breaker.run(|_| true, hangs));
    assert!(probe.poll().is_pending());
    assert_eq!(
        fail(&breaker, ErrorKind::Timeout).await,
        ErrorKind::BreakerOpen
    );
    drop(probe);
    assert!(breaker.run(|_| true, async { Ok(()) }).await.is_ok());
}

/// Where heartbeats are sent.
mod kept {
    use super::*;

    fn kept_once(state: &mut State, now: Duration, finding: Finding) -> Option<Change> {
        let permit = state.admit(now, true)?;
        state.record(permit, finding, now, LATE, true)
    }

    #[test]
    fn safety_88_one_failure_is_enough_to_ask_the_heartbeat_and_nobody_else_asks() {
        let mut state = State::default();
        let doubted = kept_once(&mut state, at(0), Finding::Failed);
        assert_eq!(doubted, Some(Change::Doubted));
        assert!(state.admit(at(100_000), true).is_none());
        // It was nothing: nobody is told.
        assert_eq!(state.heartbeat(true, at(1), LATE), None);
        assert!(state.admit(at(1), true).is_some());
    }

    #[test]
    fn safety_88_a_heartbeat_that_fails_opens_it_and_one_that_is_answered_closes_it() {
        for already_doubted in [false, true] {
            let mut state = State::default();
            if already_doubted {
                kept_once(&mut state, at(0), Finding::Failed);
            }
            assert_eq!(state.heartbeat(false, at(0), LATE), Some(Change::Opened));
            // However long it lasts, no request probes.
            for hour in 0..5 {
                assert!(state.admit(at(hour * 3_600_000), true).is_none());
                assert_eq!(state.heartbeat(false, at(hour * 3_600_000), LATE), None);
            }
            assert_eq!(
                state.heartbeat(true, at(18_000_000), LATE),
                Some(Change::Closed)
            );
            assert!(state.admit(at(18_000_000), true).is_some());
        }
    }

    #[test]
    fn safety_91_what_flaps_has_to_be_answered_more_often_and_soon_enough() {
        let mut state = State::default();
        let mut needed = Vec::new();
        for _ in 0..8 {
            assert_eq!(state.heartbeat(false, at(0), LATE), Some(Change::Opened));
            let mut beats = 1;
            while state.heartbeat(true, at(0), LATE).is_none() {
                beats += 1;
            }
            needed.push(beats);
        }
        assert_eq!(needed, [1, 2, 3, 4, 4, 4, 4, 4]);
        state.heartbeat(false, at(10_001), LATE);
        assert_eq!(
            state.heartbeat(true, at(10_001), LATE),
            Some(Change::Closed)
        );
    }

    #[test]
    fn safety_88_failures_that_heartbeats_contradict_again_and_again_open_it_for_longer_and_longer()
    {
        let (mut state, mut now) = (State::default(), 0);
        for _ in 1..STREAK {
            assert_eq!(
                kept_once(&mut state, at(now), Finding::Failed),
                Some(Change::Doubted)
            );
            assert_eq!(state.heartbeat(true, at(now), LATE), None);
        }
        for wait in [100, 200, 400] {
            assert_eq!(
                kept_once(&mut state, at(now), Finding::Failed),
                Some(Change::Doubted)
            );
            assert_eq!(state.heartbeat(true, at(now), LATE), Some(Change::Opened));
            assert_eq!(
                state.heartbeat(true, at(now + wait - 1), LATE),
                None,
                "{wait}"
            );
            now += wait;
            assert_eq!(
                state.heartbeat(true, at(now), LATE),
                Some(Change::Closed),
                "{wait}"
            );
        }
        // One that works is enough to begin anew.
        assert_eq!(kept_once(&mut state, at(now), Finding::Answered), None);
        kept_once(&mut state, at(now), Finding::Failed);
        assert_eq!(state.heartbeat(true, at(now), LATE), None);
    }

    #[test]
    fn safety_91_a_time_out_of_a_busy_process_says_nothing() {
        let mut state = State::default();
        for _ in 0..100 {
            assert_eq!(kept_once(&mut state, at(0), Finding::Late), None);
        }
        assert!(state.admit(at(0), true).is_some());
    }

    #[test]
    fn without_heartbeats_any_more_requests_probe_again() {
        let mut state = State::default();
        kept_once(&mut state, at(0), Finding::Failed);
        assert!(state.admit(at(0), false).is_some(), "doubted");
        state.heartbeat(false, at(0), LATE);
        assert!(state.admit(at(0), true).is_none());
        assert!(state.admit(at(0), false).is_some(), "open");
        assert!(state.admit(at(0), false).is_none(), "one at a time");
    }

    /// Those that wait already are let go when it opens.
    #[tokio::test]
    async fn safety_88_nobody_waits_for_what_is_known_to_hang() {
        let (breaker, _, opened) = breaker();
        let _kept = breaker.pulse.keep();
        let hangs = || breaker.run(|_| true, std::future::pending::<Result<(), Error>>());
        let mut waiting: Vec<_> = (0..8).map(|_| tokio_test::task::spawn(hangs())).collect();
        for one in &mut waiting {
            assert!(one.poll().is_pending());
        }
        breaker.heartbeat(false);
        for one in &mut waiting {
            let std::task::Poll::Ready(refused) = one.poll() else {
                panic!("still waits");
            };
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::BreakerOpen);
        }
        assert_eq!(opened.load(Ordering::SeqCst), 1);
    }

    /// The first that fails asks for a heartbeat and lets the others go.
    #[tokio::test]
    async fn safety_88_the_first_time_out_speaks_for_all() {
        let (breaker, _, opened) = breaker();
        let _kept = breaker.pulse.keep();
        let hangs = breaker.run(|_| true, std::future::pending::<Result<(), Error>>());
        let mut waiting = tokio_test::task::spawn(hangs);
        assert!(waiting.poll().is_pending());
        assert_eq!(fail(&breaker, ErrorKind::Timeout).await, ErrorKind::Timeout);
        assert!(waiting.poll().is_ready());
        breaker.pulse.alarmed().await;
        assert_eq!(opened.load(Ordering::SeqCst), 0, "the heartbeat decides");
    }
}
