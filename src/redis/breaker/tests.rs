use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::clock::ManualClock;

const MS: Duration = Duration::from_millis(1);
/// The longest jitter, which makes every wait as long as its name says.
const LATE: u64 = u64::MAX;

fn at(ms: u32) -> Duration {
    MS * ms
}

/// Runs one operation that ends at once, if it is admitted.
fn once(state: &mut State, now: Duration, verdict: Verdict) -> bool {
    let Some(permit) = state.admit(now) else {
        return false;
    };
    state.record(permit, verdict, now, LATE);
    true
}

fn opened() -> State {
    let mut state = State::default();
    for _ in 0..STREAK {
        assert!(once(&mut state, at(0), Verdict::Failed));
    }
    state
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut state = State::default();
    for _ in 0..3 {
        for _ in 0..4 {
            assert!(once(&mut state, at(0), Verdict::Failed));
        }
        assert!(once(&mut state, at(0), Verdict::Answered));
        for _ in 0..8 {
            assert!(once(&mut state, at(0), Verdict::Answered));
        }
    }
    assert!(state.admit(at(0)).is_some());
    assert!(opened().admit(at(99)).is_none());
}

#[test]
fn half_of_twenty_open_it() {
    let mut state = State::default();
    for turn in 0..20 {
        let verdict = [Verdict::Failed, Verdict::Answered][turn % 2];
        assert!(once(&mut state, at(0), verdict), "turn {turn}");
    }
    assert!(state.admit(at(0)).is_none());
}

#[test]
fn nine_of_twenty_do_not_open_it() {
    let mut state = State::default();
    for turn in 0..20 {
        let failed = turn % 2 == 0 && turn < 18;
        let verdict = [Verdict::Answered, Verdict::Failed][usize::from(failed)];
        assert!(once(&mut state, at(0), verdict));
    }
    assert!(state.admit(at(0)).is_some());
}

#[test]
fn safety_58_exactly_one_probe_runs_at_a_time() {
    let mut state = opened();
    let probe = state.admit(at(100));
    assert!(probe.is_some());
    for _ in 0..1_000 {
        assert!(state.admit(at(100_000)).is_none());
    }
}

#[test]
fn the_wait_doubles_up_to_five_seconds() {
    let mut state = opened();
    let mut now = 0;
    for wait in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        assert!(state.admit(at(now + wait - 1)).is_none(), "before {wait}");
        now += wait;
        assert!(once(&mut state, at(now), Verdict::Failed), "at {wait}");
    }
}

#[test]
fn a_probe_that_succeeds_closes_it_with_a_clean_slate() {
    let mut state = opened();
    assert!(once(&mut state, at(100), Verdict::Answered));
    for _ in 0..4 {
        assert!(once(&mut state, at(100), Verdict::Failed));
    }
    assert!(state.admit(at(100)).is_some());
}

#[test]
fn a_dropped_probe_leaves_the_next_request_to_probe() {
    let mut state = opened();
    assert!(once(&mut state, at(100), Verdict::Unknown));
    assert!(state.admit(at(100)).is_some());
    assert!(state.admit(at(100)).is_none());
}

#[test]
fn results_of_an_earlier_round_are_ignored() {
    let mut state = State::default();
    let early = state.admit(at(0)).unwrap();
    for _ in 0..STREAK {
        once(&mut state, at(0), Verdict::Failed);
    }
    assert_eq!(state.record(early, Verdict::Answered, at(1), LATE), None);
    assert!(state.admit(at(1)).is_none());
    let probe = state.admit(at(100)).unwrap();
    assert_eq!(state.record(early, Verdict::Failed, at(100), LATE), None);
    let closed = state.record(probe, Verdict::Answered, at(100), LATE);
    assert_eq!(closed, Some(Change::Closed));
}

#[test]
fn safety_58_the_wait_is_jittered_by_half() {
    assert_eq!(jittered(at(100), 0), at(50));
    assert_eq!(jittered(at(100), u64::MAX), at(100));
    let waits: std::collections::BTreeSet<_> =
        (0..200).map(|_| jittered(LONGEST, random())).collect();
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
    (
        Breaker::new(Arc::new(clock.clone()), observer),
        clock,
        opened,
    )
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
