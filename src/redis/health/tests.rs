use super::*;
use crate::clock::ManualClock;
use crate::store::Budgets;

fn health() -> (ServerHealth, Arc<Mutex<Vec<String>>>) {
    let server = Server::new("redis://localhost", Budgets::default()).unwrap();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&said);
    let observer = SharedObserver::new(move |notice: &Notice<'_>| match notice {
        Notice::PartFailed { part, .. } => told.lock().push(format!("{part} fail")),
        Notice::PartRestored { part } => told.lock().push(format!("{part} work")),
        _ => {}
    });
    let breaker = || {
        let (clock, pulse) = (Arc::new(ManualClock::default()), server.pulse());
        Breaker::new(clock, None, Arc::clone(pulse), Duration::from_secs(60))
    };
    let (reads, writes) = (breaker(), breaker());
    (ServerHealth::new(server, observer, reads, writes), said)
}

fn refused() -> Result<(), Error> {
    Err(Error::new(ErrorKind::Denied, "OOM it is full"))
}

#[test]
fn safety_94_refused_stores_are_told_once_and_shown_while_they_last() {
    let (health, said) = health();
    let pulse = Arc::clone(health.pulse());
    let _kept = pulse.keep();
    for _ in 0..800 {
        health.note(Part::Stores, &refused());
        health.note(Part::Lookups, &Ok(()));
    }
    health.heartbeat_answered(Promptness::InTime);
    health.heartbeat_answered(Promptness::InTime);
    assert_eq!(*said.lock(), ["stores fail"]);
    let troubles = health.troubles();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].part, "stores");
    let says = |what| troubles[0].message.contains(what);
    assert!(says("OOM it is full") && says("localhost"), "{troubles:?}");
}

#[test]
fn safety_91_one_failure_between_successes_is_no_state() {
    let (health, said) = health();
    for _ in 0..100 {
        health.note(Part::Stores, &refused());
        health.note(Part::Stores, &Ok(()));
    }
    health.heartbeat_answered(Promptness::InTime);
    assert_eq!(*said.lock(), [""; 0]);
    assert_eq!(health.troubles(), []);
}

#[test]
fn safety_91_what_fails_beside_a_silent_server_is_told_as_that_alone() {
    let (health, said) = health();
    let pulse = Arc::clone(health.pulse());
    let _kept = pulse.keep();
    health.heartbeat_failed(&Error::new(ErrorKind::Timeout, "it hangs"));
    for _ in 0..10 {
        health.note(Part::Stores, &refused());
        health.note(Part::Purges, &refused());
    }
    assert_eq!(health.troubles()[0].part, "heartbeat");
    assert!(health.reads.is_shut() && health.writes.is_shut());
    health.heartbeat_answered(Promptness::InTime);
    assert_eq!(*said.lock(), [""; 0]);
    assert_eq!(health.troubles(), []);
    assert!(!health.reads.is_shut());
    assert!(health.writes.is_shut(), "that is another link");
}

#[test]
fn what_was_not_tried_says_nothing() {
    let (health, _) = health();
    let open: Result<(), _> = Err(Error::new(ErrorKind::BreakerOpen, "open"));
    for _ in 0..10 {
        health.note(Part::Lookups, &open);
    }
    assert_eq!(health.troubles(), []);
}

/// On a machine that has other work, and in a process that has too much, an answer that comes is an answer.
#[test]
fn safety_91_answers_that_this_process_or_chance_is_late_for_open_nothing() {
    let (health, said) = health();
    let pulse = Arc::clone(health.pulse());
    let _kept = pulse.keep();
    let slow = Promptness::Slow(Duration::from_millis(88));
    for _ in 0..100 {
        for pace in [slow, slow, Promptness::Busy, slow, slow, Promptness::InTime] {
            health.heartbeat_answered(pace);
            assert!(!health.reads.is_shut() && pulse.is_good());
        }
    }
    assert_eq!(*said.lock(), [""; 0]);
    assert_eq!(health.troubles(), []);
}

#[test]
fn safety_88_a_server_that_answers_too_late_again_and_again_is_not_asked_until_it_is_faster() {
    let (health, _) = health();
    let pulse = Arc::clone(health.pulse());
    let _kept = pulse.keep();
    for _ in 0..2 * SLOW {
        health.heartbeat_answered(Promptness::Slow(Duration::from_millis(88)));
    }
    assert!(health.reads.is_shut());
    assert!(!pulse.is_good(), "nobody waits for it either");
    assert!(!health.writes.is_shut(), "stores have more time");
    let troubles = health.troubles();
    assert_eq!((troubles.len(), troubles[0].part), (1, "lookups"));
    let message = &troubles[0].message;
    assert!(message.contains("answers after 88 ms"), "{message}");
    health.heartbeat_answered(Promptness::InTime);
    assert!(!health.reads.is_shut() && pulse.is_good());
}
