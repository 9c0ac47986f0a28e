//! What a request ended in: exactly one [`Outcome`], which becomes `Cache-Status` (RFC 9211), the
//! metrics and the log.

use http::StatusCode;

/// How one request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// From the cache, or forwarded and why.
    pub served: Served,
    /// Whether the forwarded response is (being) stored; `None` if nothing was forwarded.
    pub storing: Option<Storing>,
    /// The forward was shared with identical requests (RFC 9211 `collapsed`).
    pub collapsed: bool,
    /// Seconds of freshness left; negative when stale (RFC 9211 `ttl`).
    pub ttl: Option<i64>,
    /// The status that the inner service answered with, if it is not the one sent to the client
    /// (RFC 9211 `fwd-status`): 304 when a stored response was revalidated.
    pub forward_status: Option<StatusCode>,
    /// More about the reason (RFC 9211 `detail`).
    pub detail: Option<Detail>,
}

impl Outcome {
    /// An outcome with nothing but how it was served.
    #[must_use]
    pub const fn new(served: Served) -> Self {
        Self {
            served,
            storing: None,
            collapsed: false,
            ttl: None,
            forward_status: None,
            detail: None,
        }
    }
}

/// Where the response came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Served {
    /// A fresh stored response (RFC 9211 `hit`).
    Hit,
    /// A stored response past its freshness lifetime, or soft-purged (RFC 9211 `hit`).
    Stale,
    /// The inner service (RFC 9211 `fwd`).
    Forwarded(ForwardReason),
}

/// Why a request was forwarded: the tokens of RFC 9211 §2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardReason {
    /// The cache was configured not to handle this request (a cookie, `Authorization`, a range …).
    Bypass,
    /// The method is never answered from a cache.
    Method,
    /// Nothing is stored for this URI.
    UriMiss,
    /// Something is stored for this URI, but no variant for this request.
    VaryMiss,
    /// Nothing usable, without saying which.
    Miss,
    /// A fresh response is stored, but the request's directives forbid it.
    Request,
    /// A response is stored, but stale or purged.
    Stale,
    /// Only a part of what was asked for is stored.
    Partial,
}

impl ForwardReason {
    /// The RFC 9211 token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// Whether a forwarded response is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storing {
    /// It is (being) stored.
    Stored,
    /// It is not.
    NotStored(NotStored),
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them, in the order of the documents.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word used in `Cache-Status` details, metrics and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

reasons! {
    /// Why a response is not stored.
    NotStored {
        /// The method's responses are not stored (RFC 9111 §3).
        Method = "method",
        /// The status is not final, or needs explicit freshness that is missing (RFC 9111 §3).
        Status = "status",
        /// The request had `Cache-Control: no-store` (RFC 9111 §5.2.1.5).
        RequestNoStore = "request-no-store",
        /// `Cache-Control: no-store` (RFC 9111 §5.2.2.5).
        NoStore = "no-store",
        /// `Cache-Control: private` (RFC 9111 §5.2.2.7).
        Private = "private",
        /// The request had `Authorization`, and nothing permits storing (RFC 9111 §3.5).
        Authorization = "authorization",
        /// The request had a cookie that the rule does not name.
        Cookie = "cookie",
        /// The response sets a cookie.
        SetCookie = "set-cookie",
        /// `Vary: *` (RFC 9111 §4.1).
        VaryAny = "vary-any",
        /// `Vary` nominates a field that the rule forbids, or too many.
        VaryLimit = "vary-limit",
        /// A partial response (206), or an answer to a range request.
        Partial = "partial",
        /// A 304 to the client's own condition, which is no full response.
        NotModified = "not-modified",
        /// No freshness lifetime from response or rule, and no validator.
        NoLifetime = "no-lifetime",
        /// The lifetime is zero and nothing allows stale or conditional reuse.
        ZeroLifetime = "zero-lifetime",
        /// The body is larger than the rule's limit.
        TooLarge = "too-large",
        /// An endless body: an event stream or an upgrade.
        Endless = "endless",
        /// A tag is too long, malformed, or there are too many.
        TagLimit = "tag-limit",
        /// A tag's template found nothing to fill it, so that the response could not be purged.
        TagMissing = "tag-missing",
        /// One of its tags is settling after a purge.
        Settling = "settling",
        /// No position in the purge log was known before the forward.
        NoStamp = "no-stamp",
        /// The rule stores nothing for this status.
        RuleStatus = "rule-status",
        /// The request had an unkeyed field that the rule does not allow.
        Unkeyed = "unkeyed",
        /// The rules were replaced while the request was under way.
        RuleReplaced = "rule-replaced",
        /// Too many fills are under way, or they hold as many bytes as they may.
        Busy = "busy",
        /// The path has a parameter (`;`), and the lifetime is the rule's.
        PathParameter = "path-parameter",
        /// `Date`, `Age` or a directive is malformed in a way that forbids reuse.
        Malformed = "malformed",
    }
}

impl NotStored {
    /// The response itself says so, or what it is: not the request, and not the moment.
    pub(crate) const fn is_of_response(self) -> bool {
        !matches!(
            self,
            Self::Method
                | Self::RequestNoStore
                | Self::Authorization
                | Self::Cookie
                | Self::Partial
                | Self::NotModified
                | Self::Unkeyed
                | Self::Settling
                | Self::NoStamp
                | Self::RuleReplaced
                | Self::Busy
        )
    }

    /// A directive of the response forbids it.
    pub(crate) const fn is_forbidden(self) -> bool {
        matches!(self, Self::NoStore | Self::Private | Self::VaryAny)
    }
}

reasons! {
    /// More about why a stored response was not used, or that a rule decided.
    Detail {
        /// A purge of a tag.
        Purged = "purged",
        /// A soft purge.
        SoftPurged = "soft-purged",
        /// A purge of a family, which a lost or unreadable event causes as well.
        PurgedFamily = "purged-family",
        /// A purge of the rule.
        PurgedRule = "purged-rule",
        /// A purge of the URL path.
        PurgedPath = "purged-path",
        /// A purge by glob.
        PurgedGlob = "purged-glob",
        /// A purge of everything.
        PurgedAll = "purged-all",
        /// A purge that waits to be appended to the log.
        PurgePending = "purge-pending",
        /// Events that may concern the response were not read for too long.
        EventsUnread = "events-unread",
        /// Another region was not heard for too long (`max_cut`).
        RegionCut = "region-cut",
        /// The entry is older than the oldest purge still known.
        BelowFloor = "below-floor",
        /// The entry was stored in another life of the purge log.
        OtherEpoch = "other-epoch",
        /// The purge log could not be read up to its tip in time.
        Behind = "behind",
        /// The request names a position that the purge log has not (`Cache-After`).
        UnknownPosition = "unknown-position",
        /// The store could not be reached.
        StoreUnavailable = "store-unavailable",
        /// The store did not answer within its time budget.
        StoreTimeout = "store-timeout",
        /// The breaker is open.
        BreakerOpen = "breaker-open",
        /// The lease is over: Redis has replicas and its heartbeat is late.
        NoLease = "no-lease",
        /// A cookie that the rule does not name.
        Cookie = "cookie",
        /// `Authorization`.
        Authorization = "authorization",
        /// A range that is not answered from the cache.
        Range = "range",
        /// The request has a body.
        Body = "body",
        /// Upgrade or CONNECT.
        Upgrade = "upgrade",
        /// A field that puts another method in place of `GET`.
        MethodOverride = "method-override",
        /// The path has dot segments or encoded separators, which the inner service may read as another path.
        OddPath = "odd-path",
        /// The query or a field is over a limit of the key.
        KeyLimit = "key-limit",
        /// No rule takes the request, or the one whose route matches is switched off.
        NoRule = "no-rule",
        /// The key was recently not storable.
        Uncacheable = "uncacheable",
        /// The forwards that the request shared with others failed, and it made none of its own.
        CollapsedFailed = "collapsed-failed",
        /// Served because the inner service failed (RFC 5861 §4).
        StaleIfError = "stale-if-error",
        /// Served stale because the client's `max-stale` permits it (RFC 9111 §5.2.1.2).
        MaxStale = "max-stale",
        /// Not forwarded, as the client wants a stored response or none (RFC 9111 §5.2.1.7).
        OnlyIfCached = "only-if-cached",
        /// Served while a refresh runs behind (RFC 5861 §3).
        StaleWhileRevalidate = "stale-while-revalidate",
    }
}

/// Why a request is forwarded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Why {
    pub(crate) reason: ForwardReason,
    pub(crate) detail: Option<Detail>,
}

impl Why {
    pub(crate) const fn new(reason: ForwardReason, detail: Detail) -> Self {
        Self {
            reason,
            detail: Some(detail),
        }
    }

    pub(crate) const fn outcome(self) -> Outcome {
        let mut outcome = Outcome::new(Served::Forwarded(self.reason));
        outcome.detail = self.detail;
        outcome
    }

    /// Why the response to a request that bypassed the cache is not stored.
    pub(crate) const fn not_stored(self) -> NotStored {
        match self.detail {
            Some(Detail::Cookie) => NotStored::Cookie,
            Some(Detail::Upgrade) => NotStored::Endless,
            _ => NotStored::Unkeyed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The words in the first column of the table under `heading`.
    fn documented(heading: &str) -> BTreeSet<&'static str> {
        let document = include_str!("../docs/CACHE-STATUS.md");
        let (_, section) = document.split_once(heading).expect("a heading");
        let section = section.split("\n## ").next().unwrap_or_default();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split('`').next()).collect()
    }

    #[test]
    fn safety_117_the_documents_have_a_row_for_each_word_of_cache_status_and_no_other() {
        let details: BTreeSet<_> = Detail::ALL.iter().map(|detail| detail.as_str()).collect();
        assert_eq!(documented("## `detail` where the cache"), details);
        let reasons: BTreeSet<_> = NotStored::ALL
            .iter()
            .map(|reason| reason.as_str())
            .collect();
        assert_eq!(documented("## `detail` where a response"), reasons);
    }
}
