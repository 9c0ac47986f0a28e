//! What this service alone says no by.

use http::StatusCode;
use http::header::{CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};

use crate::web::Problem;

pub(super) fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no live updates here")
}

pub(super) fn websocket_version() -> Problem {
    let detail = "WebSocket needs HTTP/1.1 and version 13 (RFC 6455)";
    // RFC 9110 §15.5.22: what is to be upgraded to.
    Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
        .with(SEC_WEBSOCKET_VERSION, "13")
        .with(UPGRADE, "websocket")
        .with(CONNECTION, "upgrade")
}

pub(super) fn no_upgrade() -> Problem {
    let detail =
        "this server does not hand connections over: hyper's upgrade is not in the request";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

pub(super) fn too_many_of_one() -> Problem {
    let detail = "too many connections from this address; close some, or try again in 10 seconds";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).with(RETRY_AFTER, "10")
}

pub(super) fn too_many() -> Problem {
    let detail = "all places are taken; try again in 10 seconds";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "10")
}

pub(super) fn closing() -> Problem {
    let detail = "the server is shutting down; connect again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(RETRY_AFTER, "1")
}
