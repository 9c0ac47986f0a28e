//! [`RequestTarget`].

use bytes::Bytes;
use http::Uri;

use crate::key::CacheKey;

/// What the client asked for, as the layer knows it that the request came to, beside the request's own URI.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestTarget {
    /// The URI that the client asked for, if it is not the request's.
    pub(crate) original: Option<Uri>,
    /// The rule takes the path of the request, not that of `original`.
    pub(crate) by_own_path: bool,
    /// So many bytes at the end of the key are the layer's.
    pub(crate) added: usize,
}

impl RequestTarget {
    /// The URI that the client asked for, where the request's is `own`.
    pub(crate) fn whole<'u>(&'u self, own: &'u Uri) -> &'u Uri {
        self.original.as_ref().unwrap_or(own)
    }

    /// The URI on whose path the rule was matched.
    pub(super) fn matched_on<'u>(&'u self, own: &'u Uri) -> &'u Uri {
        match self.by_own_path {
            true => own,
            false => self.whole(own),
        }
    }

    /// The components at the end of `key` that are the layer's.
    pub(crate) fn added(&self, key: &CacheKey) -> Bytes {
        let bytes = key.as_bytes();
        bytes.slice(bytes.len() - self.added..)
    }
}
