use super::*;
use http_body::Body;
use http_body_util::BodyExt;
use tokio_test::{assert_pending, assert_ready, task};

fn over(landing: &Landing) -> bool {
    !matches!(landing, Landing::Flying | Landing::Headed(_))
}

fn headed(landing: &Landing) -> bool {
    !matches!(landing, Landing::Flying)
}

/// A flight at some stage, and what dropping its lead then means for those who wait for its end.
type Stage = (&'static str, fn(&mut Lead), fn(&Landing) -> bool);

const STAGES: [Stage; 6] = [
    (
        "before the head",
        |_| {},
        |end| matches!(end, Landing::Failed),
    ),
    (
        "before the body",
        |lead| lead.head(head()),
        |end| matches!(end, Landing::Failed),
    ),
    (
        "within the body",
        |lead| {
            lead.head(head());
            lead.pass(Bytes::from_static(b"half"));
        },
        |end| matches!(end, Landing::Failed),
    ),
    (
        "past the limit",
        |lead| {
            lead.head(head());
            lead.pass(Bytes::from_static(b"half"));
            lead.outgrow();
        },
        |end| matches!(end, Landing::Released),
    ),
    ("when released", Lead::release, |end| {
        matches!(end, Landing::Released)
    }),
    (
        "when landed",
        |lead| {
            lead.head(head());
            lead.landed(Arc::new(stored()));
        },
        |end| matches!(end, Landing::Landed(_)),
    ),
];

#[test]
fn safety_51_a_lead_dropped_at_any_stage_tells_those_who_wait() {
    for (name, fly, expected) in STAGES {
        let flights = Flights::new(10, u64::MAX);
        let mut leader = lead(flights.join(&key("/a")));
        let flight = Arc::clone(leader.flight());
        let mut follower = task::spawn(flight.wait_for(over));
        assert_pending!(follower.poll(), "{name}");
        fly(&mut leader);
        drop(leader);
        assert!(follower.is_woken(), "{name}");
        let end = assert_ready!(follower.poll(), "{name}");
        assert!(expected(&end), "{name}: {end:?}");
        assert_eq!(flights.len(), 0, "{name}");
    }
}

#[test]
fn safety_51_a_lead_dropped_at_any_stage_ends_the_body_with_an_error_unless_it_was_whole() {
    for (name, fly, _) in STAGES {
        let mut leader = Flights::new(1, u64::MAX).alone();
        let reader = leader.flight().reader().expect("nothing was dropped");
        fly(&mut leader);
        let mut read = task::spawn(reader.collect());
        let early = read.poll();
        drop(leader);
        let whole = match early {
            std::task::Poll::Ready(read) => read.is_ok(),
            std::task::Poll::Pending => {
                assert!(read.is_woken(), "{name}");
                assert_ready!(read.poll(), "{name}").is_ok()
            }
        };
        assert_eq!(whole, name == "when landed", "{name}");
    }
}

#[test]
fn a_follower_is_woken_by_each_step_and_waits_for_the_one_it_needs() {
    let flights = Flights::new(10, u64::MAX);
    let mut leader = lead(flights.join(&key("/a")));
    let flight = Arc::clone(leader.flight());
    let mut for_head = task::spawn(flight.wait_for(headed));
    let mut for_end = task::spawn(flight.wait_for(over));
    assert_pending!(for_head.poll());
    assert_pending!(for_end.poll());

    leader.head(head());
    assert!(matches!(assert_ready!(for_head.poll()), Landing::Headed(_)));
    assert_pending!(for_end.poll());

    leader.release();
    assert!(matches!(assert_ready!(for_end.poll()), Landing::Released));
    // Who asks later finds out at once.
    let mut late = task::spawn(flight.wait_for(over));
    assert_ready!(late.poll());
}

#[test]
fn one_who_waits_or_reads_wants_the_flight_however_it_stops() {
    let leader = Flights::new(1, u64::MAX).alone();
    let flight = Arc::clone(leader.flight());
    assert!(flight.unwanted());

    let mut waiter = task::spawn(flight.wait_for(over));
    assert_pending!(waiter.poll());
    let mut unwanted = task::spawn(flight.until_unwanted());
    assert_pending!(unwanted.poll());
    drop(waiter);
    assert!(unwanted.is_woken(), "the last waiter left");
    assert_ready!(unwanted.poll());
    drop(unwanted);

    let (first, second) = (flight.reader(), flight.reader());
    let mut unwanted = task::spawn(flight.until_unwanted());
    assert_pending!(unwanted.poll());
    drop(first);
    assert_pending!(unwanted.poll());
    drop(second);
    assert!(unwanted.is_woken(), "the last reader left");
    assert_ready!(unwanted.poll());
}

#[test]
fn the_end_of_the_landing_is_told_before_the_end_of_the_body() {
    let leader = Flights::new(1, u64::MAX).alone();
    let reader = leader.flight().reader().expect("nothing was dropped");
    let mut with_trailers = stored();
    with_trailers.trailers = Some(HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]));
    leader.landed(Arc::new(with_trailers));
    assert!(matches!(leader.flight().landing(), Landing::Landed(_)));
    assert!(!reader.is_end_stream(), "trailers follow");
    let mut read = task::spawn(reader.collect());
    let read = assert_ready!(read.poll()).expect("the body is whole");
    assert_eq!(read.trailers().expect("trailers")["grpc-status"], "0");
}
