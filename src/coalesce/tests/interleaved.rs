//! Flights under the interleavings of the threads that share them: those who lead and end in any way,
//! those who follow, and those whom what they followed does not serve.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

use super::*;
use crate::sync::{check, point};
use crate::weaken::ProtocolRule;

const PIECES: [&[u8]; 2] = [b"one", b"two"];
const CLIENTS: usize = 3;

/// What the clients of one run see.
#[derive(Debug, Default)]
struct Seen {
    /// Those who lead, and whom nobody replaced.
    leading: AtomicUsize,
    most: AtomicUsize,
}

impl Seen {
    fn leads(&self) {
        let now = self.leading.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
    }
}

/// Ends in one of the ways in which a fill can.
fn fly(mut lead: Lead) {
    let way = thread_rng().gen_range(0..6);
    if way == 0 {
        return;
    }
    if way == 1 {
        return lead.release();
    }
    lead.head(head());
    for piece in PIECES {
        lead.pass(Bytes::from_static(piece));
        point();
        if way == 2 {
            return;
        }
        if way == 3 {
            return lead.fail("broken");
        }
        if way == 4 {
            lead.outgrow();
        }
    }
    match way {
        4 => lead.landed_unstored(None),
        _ => lead.landed(Arc::new(stored())),
    }
}

/// Reads to the end: everything, or an error. Or goes away in the middle.
fn read(reader: FlightReader) {
    let gone = thread_rng().gen_bool(0.2);
    let mut reader = std::pin::pin!(reader);
    let mut bytes = Vec::new();
    while let Some(frame) = block_on(reader.frame()) {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().expect("no trailers")),
            Err(_) => return,
        }
        if gone {
            return;
        }
    }
    assert_eq!(bytes, PIECES.concat(), "an end without an error is the end");
}

/// Follows one flight; whether another is needed.
fn follow(flight: &Flight) -> bool {
    let landing = block_on(flight.wait_for(|landing| !matches!(landing, Landing::Flying)));
    match landing {
        Landing::Headed(_) if thread_rng().gen_bool(0.3) => true,
        Landing::Headed(_) => {
            if let Some(reader) = flight.reader() {
                read(reader);
            }
            false
        }
        Landing::Landed(_) | Landing::Released => false,
        Landing::Failed => true,
        Landing::Flying => panic!("it was not waited for"),
    }
}

fn client(flights: &Arc<Flights>) {
    let mut join = flights.join(&key("/a"));
    loop {
        match join {
            Join::Lead(lead) => return fly(lead),
            Join::Full => panic!("one key needs one place"),
            Join::Follow(flight) if follow(&flight) => {
                join = flights.replace(&key("/a"), &flight);
            }
            Join::Follow(_) => return,
        }
    }
}

fn every_client_ends() {
    let flights = Flights::new(1, u64::MAX);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let flights = Arc::clone(&flights);
            thread::spawn(move || client(&flights))
        })
        .collect();
    for client in clients {
        client.join().expect("no client panics");
    }
    assert_eq!(flights.len(), 0, "nothing is left behind");
}

#[test]
fn safety_51_no_interleaving_leaves_a_follower_behind_or_a_flight_in_the_registry() {
    check(every_client_ends, &[ProtocolRule::LeadEnds]);
}

/// All but one of those who saw that a flight is of no use follow the one that replaces it, however
/// its end falls.
fn one_replaces() {
    let flights = Flights::new(2, u64::MAX);
    let seen = Arc::new(Seen::default());
    let old = lead(flights.join(&key("/a")));
    let useless = Arc::clone(old.flight());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (flights, seen) = (Arc::clone(&flights), Arc::clone(&seen));
            let useless = Arc::clone(&useless);
            thread::spawn(move || {
                let join = flights.replace(&key("/a"), &useless);
                if matches!(join, Join::Lead(_)) {
                    seen.leads();
                }
                join
            })
        })
        .collect();
    let ending = thread::spawn(move || drop(old));
    // Kept, so that nobody leads because another has ended.
    let joins: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
    ending.join().expect("the old one ends");
    let late = flights.join(&key("/a"));
    assert!(
        matches!(late, Join::Follow(_)),
        "late comers know the new one"
    );
    assert_eq!(seen.most.load(Ordering::SeqCst), 1);
    drop((joins, late));
    assert_eq!(flights.len(), 0);
}

#[test]
fn no_interleaving_lets_two_replace_one_flight_or_its_end_remove_the_new_one() {
    check(
        one_replaces,
        &[ProtocolRule::OwnPlace, ProtocolRule::OneLeads],
    );
}

/// Clients of more keys than there are places.
fn places_are_kept() {
    const PLACES: usize = 2;
    let flights = Flights::new(PLACES, u64::MAX);
    let flying = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let (flights, flying) = (Arc::clone(&flights), Arc::clone(&flying));
            thread::spawn(move || {
                if let Join::Lead(mut lead) = flights.join(&key(&format!("/{number}"))) {
                    assert!(flying.fetch_add(1, Ordering::SeqCst) < PLACES);
                    point();
                    assert!(flights.len() <= PLACES);
                    flying.fetch_sub(1, Ordering::SeqCst);
                    lead.release();
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("no more than the places are taken");
    }
    assert_eq!(flights.len(), 0);
}

#[test]
fn no_interleaving_takes_more_places_than_there_are() {
    check(places_are_kept, &[ProtocolRule::Places]);
}

/// Clients of one key, each as a request is: it looks, joins, and stores what it fetched.
fn one_fetches() {
    let flights = Flights::new(1, u64::MAX);
    let (store, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (flights, store, calls) = (Arc::clone(&flights), store.clone(), calls.clone());
            thread::spawn(move || {
                let uri = key("/a");
                let is_stored = || {
                    point();
                    store.load(Ordering::SeqCst) > 0
                };
                let before = flights.landings(&uri);
                if is_stored() {
                    return;
                }
                let Join::Lead(lead) = flights.join(&uri) else {
                    return;
                };
                if flights.have_landed(&uri, before) && is_stored() {
                    return;
                }
                calls.fetch_add(1, Ordering::SeqCst);
                lead.landed(Arc::new(stored()));
                point();
                store.store(1, Ordering::SeqCst);
                flights.note_landing(&uri);
            })
        })
        .collect();
    for client in clients {
        client.join().expect("no client panics");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn no_interleaving_fetches_twice_what_is_stored() {
    check(one_fetches, &[ProtocolRule::Overtaken]);
}
