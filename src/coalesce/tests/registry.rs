use super::*;

#[test]
fn the_first_leads_and_the_rest_follow_until_it_is_over() {
    let flights = Flights::new(10, u64::MAX);
    let leader = lead(flights.join(&key("/a")));
    for _ in 0..3 {
        assert!(Arc::ptr_eq(
            &followed(flights.join(&key("/a"))),
            leader.flight()
        ));
    }
    let other = lead(flights.join(&key("/b")));
    assert!(!Arc::ptr_eq(other.flight(), leader.flight()));
    assert_eq!(flights.len(), 2);

    drop(leader);
    assert_eq!(flights.len(), 1);
    let again = lead(flights.join(&key("/a")));
    assert!(!again.is_alone());
}

#[test]
fn of_those_who_cannot_use_a_flight_one_replaces_it_and_the_rest_follow() {
    let flights = Flights::new(10, u64::MAX);
    let old = lead(flights.join(&key("/a")));
    let new = lead(flights.replace(&key("/a"), old.flight()));
    // They waited for the old one as well, and later comers know only the new one.
    assert!(Arc::ptr_eq(
        &followed(flights.replace(&key("/a"), old.flight())),
        new.flight()
    ));
    assert!(Arc::ptr_eq(
        &followed(flights.join(&key("/a"))),
        new.flight()
    ));
    assert_eq!(flights.len(), 1);
}

#[test]
fn the_end_of_a_replaced_flight_leaves_the_new_one_registered() {
    let flights = Flights::new(10, u64::MAX);
    for end in [|mut lead: Lead| lead.release(), |lead: Lead| drop(lead)] {
        let old = lead(flights.join(&key("/a")));
        let new = lead(flights.replace(&key("/a"), old.flight()));
        end(old);
        assert!(Arc::ptr_eq(
            &followed(flights.join(&key("/a"))),
            new.flight()
        ));
    }
}

#[test]
fn a_flight_that_is_over_can_be_replaced_too() {
    let flights = Flights::new(10, u64::MAX);
    let mut old = lead(flights.join(&key("/a")));
    let flight = Arc::clone(old.flight());
    old.fail("broken");
    let new = lead(flights.replace(&key("/a"), &flight));
    assert!(!Arc::ptr_eq(new.flight(), &flight));
}

#[test]
fn at_the_limit_nobody_else_leads_but_everybody_follows() {
    let flights = Flights::new(2, u64::MAX);
    let first = lead(flights.join(&key("/a")));
    let second = lead(flights.join(&key("/b")));
    assert!(matches!(flights.join(&key("/c")), Join::Full));
    followed(flights.join(&key("/a")));

    // Takes the place of another, so that the registry does not grow.
    let instead = lead(flights.replace(&key("/a"), first.flight()));
    assert_eq!(flights.len(), 2);
    drop((first, instead, second));
    lead(flights.join(&key("/c")));
}

#[test]
fn a_flight_alone_is_in_no_registry() {
    let flights = Flights::new(0, u64::MAX);
    let alone = flights.alone();
    assert!(alone.is_alone());
    alone.head(head());
    drop(alone);
    assert_eq!(flights.len(), 0);
}

#[test]
fn safety_53_a_key_is_remembered_as_not_storable_for_a_while() {
    let flights = Flights::new(10, u64::MAX);
    let at = Duration::from_secs;
    flights.mark_uncacheable(&key("/a"), at(100));
    let rows = [
        ("at once", "/a", at(100), true),
        ("until then", "/a", at(110) - Duration::from_millis(1), true),
        ("then forgotten", "/a", at(110), false),
        ("another key", "/b", at(100), false),
    ];
    for (name, path, now, expected) in rows {
        assert_eq!(flights.is_uncacheable(&key(path), now), expected, "{name}");
    }
    flights.mark_uncacheable(&key("/a"), at(100));
    flights.mark_cacheable(&key("/a"));
    assert!(
        !flights.is_uncacheable(&key("/a"), at(100)),
        "storable after all"
    );
}

#[test]
fn safety_60_a_flood_of_keys_that_are_not_storable_is_forgotten() {
    let flights = Flights::new(10, u64::MAX);
    let remembered = |flights: &Flights| {
        let keys = (0..UNCACHEABLE_KEYS * 10).map(|n| key(&format!("/{n}")));
        keys.filter(|key| flights.is_uncacheable(key, Duration::ZERO))
            .count()
    };
    for n in 0..UNCACHEABLE_KEYS * 10 {
        flights.mark_uncacheable(&key(&format!("/{n}")), Duration::ZERO);
    }
    let remembered = remembered(&flights);
    assert!((1..=UNCACHEABLE_KEYS).contains(&remembered), "{remembered}");
}
