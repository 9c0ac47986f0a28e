//! [`PublicDoor`]: what of the admin listener is answered where clients come in.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::admin::access::{self, Call};
use crate::admin::answer;
use crate::admin::routes::{NextStep, Office};
use crate::proxy::Door;

/// `PURGE`, and in dev and mock mode the calls of a load test, on the public listener. It stands before
/// the cache: what it takes reaches neither that nor upstream. Who shows the admin token to the cache is told the
/// position of each answer (`Cache-Status`). A cheap clone.
///
/// Made by [`Admin::door`](crate::admin::Admin::door), for
/// [`Proxy::door`](crate::proxy::Proxy::door).
#[derive(Clone)]
pub struct PublicDoor {
    office: Arc<Office>,
}

impl PublicDoor {
    pub(super) fn new(office: Arc<Office>) -> Option<Self> {
        let settings = &office.settings;
        let purges = settings.public_purge.is_some() || settings.public_test_calls;
        (purges || settings.token.is_some()).then_some(Self { office })
    }
}

impl Door for PublicDoor {
    fn takes(&self, head: &Parts) -> bool {
        let settings = &self.office.settings;
        let test = || settings.public_test_calls && settings.test_calls;
        match (head.method.as_str(), head.uri.path()) {
            ("PURGE", _) => settings.public_purge.is_some(),
            ("POST", "/test/invalidate-cache") | ("GET", "/metrics") => test(),
            _ => false,
        }
    }

    fn knows(&self, fields: &HeaderMap) -> bool {
        access::shows_token(&self.office.settings, fields)
    }

    fn answer(&self, peer: IpAddr, head: Parts) -> BoxFuture<'static, Response<Bytes>> {
        let office = Arc::clone(&self.office);
        Box::pin(async move {
            if head.method != Method::GET && head.method != Method::POST {
                return match office.admit(Call::PublicPurge, peer, &head.headers) {
                    Ok(()) => office.purge_path(peer, head.uri.path()).await,
                    Err(why) => answer::denied(why),
                };
            }
            match office.begin(peer, &head) {
                NextStep::Answered(answer) => answer,
                NextStep::Purge | NextStep::PurgeAll => office.purge_all(peer).await,
                // Nothing that it takes.
                NextStep::Tell(_) | NextStep::Resend => {
                    answer::error(StatusCode::NOT_FOUND, "no such page")
                }
            }
        })
    }
}

impl fmt::Debug for PublicDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicDoor")
    }
}
