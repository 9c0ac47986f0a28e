use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::SizeHint;

use super::*;
use crate::clock::Timestamp;
use crate::entry::{Freshness, Ready, StoredResponse};
use crate::key::{Component, KeyBuilder};
use crate::position::{Position, Stamp};
use crate::tag::TagSet;

mod buffer;
mod flight;
mod interleaved;
mod pace;
mod registry;

fn key(path: &str) -> CacheKey {
    let mut builder = KeyBuilder::new();
    builder.component(Component::Path, path.as_bytes());
    builder.finish()
}

fn stored() -> StoredResponse {
    StoredResponse {
        stamp: Stamp::at(Position::new(1, 0)),
        key: key("/a"),
        path: "/a".into(),
        tags: TagSet::implicit("rule", "/a"),
        received_at: Timestamp::default(),
        initial_age: Duration::ZERO,
        freshness: Freshness::default(),
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        trailers: None,
        ready: Ready::default(),
    }
}

fn head() -> Arc<FlightHead> {
    Arc::new(FlightHead {
        response: stored(),
        vary: Vec::new(),
        tags_final: true,
        size: SizeHint::default(),
        not_stored: None,
    })
}

fn lead(join: Join) -> Lead {
    match join {
        Join::Lead(lead) => lead,
        other => panic!("{other:?} instead of the lead"),
    }
}

fn followed(join: Join) -> Arc<Flight> {
    match join {
        Join::Follow(flight) => flight,
        other => panic!("{other:?} instead of a flight to follow"),
    }
}
