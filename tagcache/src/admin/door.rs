//! [`PublicDoor`]: what of the admin listener is answered where clients come in.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};

use crate::admin::access::Call;
use crate::admin::answer;
use crate::admin::routes::{Begun, Office};

/// `PURGE`, and in dev and mock mode the calls of a load test, on the public listener. It stands before
/// the cache: what it takes reaches neither that nor upstream. A cheap clone.
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
        let opened = settings.public_purge.is_some() || settings.public_test_calls;
        opened.then_some(Self { office })
    }

    /// Whether a request is answered here.
    pub(crate) fn takes(&self, head: &Parts) -> bool {
        let settings = &self.office.settings;
        let test = || settings.public_test_calls && settings.test_calls;
        match (head.method.as_str(), head.uri.path()) {
            ("PURGE", _) => settings.public_purge.is_some(),
            ("POST", "/test/invalidate-cache") | ("GET", "/metrics") => test(),
            _ => false,
        }
    }

    /// Answers a request that it [takes](Self::takes), whose head is still as the client sent it.
    pub(crate) async fn answer(&self, peer: IpAddr, head: Parts) -> Response<Bytes> {
        if head.method != Method::GET && head.method != Method::POST {
            return match self.office.admit(Call::PublicPurge, peer, &head.headers) {
                Ok(()) => self.office.purge_path(peer, head.uri.path()).await,
                Err(why) => answer::denied(why),
            };
        }
        match self.office.begin(peer, &head) {
            Begun::Answered(answer) => answer,
            Begun::Purge | Begun::PurgeAll => self.office.purge_all(peer).await,
        }
    }
}

impl fmt::Debug for PublicDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicDoor")
    }
}
