//! What the cache would see of a request, without one being made: for `tagcache explain`.

use http::header::{HOST, HeaderValue, UPGRADE};
use http::request::Parts;
use http::uri::Scheme;
use http::{HeaderMap, Version};

use crate::proxy::Proxy;
use crate::proxy::client::{count_down, settle_hops};
use crate::proxy::fields::{is_hop_by_hop, is_odd, join_cookies, remove_odd, settle_length};
use crate::proxy::refusal::Refusal;
use crate::proxy::target::{self, LastHost};

impl Proxy {
    /// The head of a request as the cache would see it: with one host, and the fields that pass. By the functions
    /// that a request of a client passes through, in the same order; who asks, and whom it may speak for, is left
    /// out. Without a `Host` it is that of the first upstream.
    ///
    /// # Errors
    /// How the proxy answers it itself.
    pub fn as_seen(&self, parts: &mut Parts) -> Result<(), String> {
        let told = |refusal: Refusal| {
            let (status, text) = (refusal.status(), refusal.text());
            format!("the proxy answers {status}: {}", text.trim_end())
        };
        self.settle(parts).map_err(told)
    }

    fn settle(&self, parts: &mut Parts) -> Result<(), Refusal> {
        if parts.uri.authority().is_none() && !parts.headers.contains_key(HOST) {
            parts.version = Version::HTTP_10;
        }
        let (site, last) = (self.site(), &mut LastHost::default());
        target::settle(parts, &Scheme::HTTP, last, &site.fallback)?;
        let headers = &mut parts.headers;
        if headers.keys().any(is_odd) {
            remove_odd(headers, site.settings.underscores_in_headers);
        }
        settle_length(headers).map_err(|_| Refusal::Length)?;
        join_cookies(headers);
        show_hops(headers)?;
        count_down(parts)
    }
}

/// As [`settle_hops`], with what the cache is told of them.
fn show_hops(headers: &mut HeaderMap) -> Result<(), Refusal> {
    if !headers.keys().any(is_hop_by_hop) {
        return Ok(());
    }
    let framed = headers.contains_key(http::header::TRANSFER_ENCODING);
    if let Some(protocol) = settle_hops(headers)?.upgrade {
        headers.insert(UPGRADE, protocol);
    }
    if framed {
        // It says that there is a body.
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(http::header::TRANSFER_ENCODING, chunked);
    }
    Ok(())
}
