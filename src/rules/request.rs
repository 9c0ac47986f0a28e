//! A request that a rule takes, as it is looked up and as it is filled.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use tokio::time::Instant;

use super::compiled::{CompiledRule, group_tag};
use super::tags::RequestValues;
use super::target::RequestTarget;
use crate::key::CacheKey;
use crate::outcome::{NotStored, Why};
use crate::position::Position;
use crate::semantics::{RequestDirectives, groups};
use crate::tag::TagSet;

/// A request that is looked up.
#[derive(Debug, Clone)]
pub(crate) struct CacheRequest {
    pub(crate) rule: Arc<CompiledRule>,
    /// Of its URI. Empty as long as an answer may be at hand: that is looked for by a key that stands on the
    /// stack, so that a hit allocates none.
    pub(crate) key: CacheKey,
    /// The request has `Authorization`, and the rule leaves it to the response who may be answered.
    pub(crate) has_authorization: bool,
    /// The request may be answered by less than the whole response: a 304, or a part.
    pub(crate) asks_for_less: bool,
    /// The client was told of a purge at this position: what answers is at least as new (PROTOCOL 27).
    /// In a box, as hardly any request has one, and each is moved about.
    pub(crate) after: Option<Box<Position>>,
    /// The answer names its position.
    pub(crate) tells_position: bool,
    /// A copy at hand was a hit, and chose this request to refresh it.
    pub(crate) elected: bool,
    /// What the request asks of the cache, if the rule hears it. In a box like that.
    pub(crate) wishes: Option<Box<RequestDirectives>>,
    /// What the client asked for, where that is not the URI of the request.
    pub(crate) target: RequestTarget,
}

impl CacheRequest {
    /// What the request asks of the cache, if the rule hears it.
    pub(crate) fn wishes(&self) -> &RequestDirectives {
        self.wishes.as_deref().unwrap_or(&RequestDirectives::NONE)
    }
}

/// A request that goes to the inner service as if there were no cache.
#[derive(Debug)]
pub(crate) struct Bypass {
    pub(crate) rule: Arc<CompiledRule>,
    pub(crate) why: Why,
}

/// A request whose response may be stored, and whose HTTP message is on its way to the inner service.
#[derive(Debug, Clone)]
pub(crate) struct FillRequest {
    pub(crate) asked: CacheRequest,
    pub(crate) method: Method,
    /// The fields as the client sent them.
    pub(crate) headers: HeaderMap,
    /// When it began to wait for others.
    pub(crate) since: Instant,
    /// The path as it was sent, for glob purges.
    pub(crate) path: Box<str>,
    /// Whose cache groups the response's are: see `group_tag`.
    pub(crate) scope: Box<str>,
    /// The implicit tags and those that the request gives, or why the response is not stored.
    pub(crate) tags: Result<TagSet, NotStored>,
    /// The URI and what the layer adds to its key, where the response may say that its query matters less
    /// than it seems.
    pub(crate) search: Option<Box<(Uri, Bytes)>>,
    /// Whether the request's query is the one that the key was made of.
    pub(super) folds: bool,
    /// What the templates that wait for the response read from the request.
    pub(super) kept: RequestValues,
}

impl FillRequest {
    /// Makes of the request what is forwarded of it: what its key takes for one reaches the inner service
    /// as one (SAFETY 67).
    pub(crate) fn reduce<A>(&self, request: &mut Request<A>) {
        let (keying, mut uri) = (&self.asked.rule.keying, std::mem::take(request.uri_mut()));
        match self.folds {
            true => keying.reduce(&mut uri, request.headers_mut()),
            false => keying.reduce(&mut Uri::default(), request.headers_mut()),
        }
        *request.uri_mut() = uri;
    }

    /// Adds the tags that the response's fields give: templates, and the headers that list tags.
    ///
    /// # Errors
    /// Why the response is not stored.
    pub(crate) fn response_tags(
        &self,
        headers: &HeaderMap,
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.asked.rule.tags.of_head(&self.kept, headers, tags)?;
        for group in groups(headers) {
            let tag = group_tag(&self.scope, &group).ok_or(NotStored::TagLimit)?;
            tags.add(&tag).map_err(|_| NotStored::TagLimit)?;
        }
        Ok(())
    }

    /// Adds the tags that the complete body of the response with `headers` gives.
    ///
    /// # Errors
    /// Why the response is not stored.
    pub(crate) fn body_tags(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        tags: &mut TagSet,
    ) -> Result<(), NotStored> {
        self.asked
            .rule
            .tags
            .of_body(&self.kept, headers, body, tags)
    }
}
