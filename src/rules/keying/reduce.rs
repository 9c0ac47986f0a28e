//! What of a request that is looked up reaches the inner service.

use http::header::{AUTHORIZATION, COOKIE, HeaderMap};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};

use super::Keying;
use crate::rules::after::{self, CACHE_AFTER};
use crate::rules::options::{Authorization, Forward};

impl Keying {
    /// Takes out of `uri` and `headers` what the key leaves out.
    pub(in crate::rules) fn reduce(&self, uri: &mut Uri, headers: &mut HeaderMap) {
        if self.takes_after
            && let Some(query) = uri.query()
            && let Some(reduced) = with_query(uri, after::without(query).as_deref())
        {
            *uri = reduced;
        }
        headers.remove(CACHE_AFTER);
        if let Some(query) = uri.query()
            && let Some(query) = self.query.forwarded(query, self.forward)
            && let Some(reduced) = with_query(uri, query.as_deref())
        {
            *uri = reduced;
        }
        if self.forward == Forward::Keyed {
            self.reduce_fields(headers);
        }
    }

    fn reduce_fields(&self, headers: &mut HeaderMap) {
        if self.authorization == Authorization::Ignore {
            headers.remove(AUTHORIZATION);
        }
        self.automatic.remove_ignored(headers);
        if !headers.contains_key(COOKIE) {
            return;
        }
        let keyed = self.cookies.keyed_lines(headers);
        headers.remove(COOKIE);
        for line in keyed {
            // A part of a field value is one.
            if let Ok(line) = HeaderValue::from_bytes(&line) {
                headers.append(COOKIE, line);
            }
        }
    }
}

fn with_query(uri: &Uri, query: Option<&str>) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let target = match query {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Query;

    #[test]
    fn safety_67_the_query_is_forwarded_as_it_is_keyed() {
        let allow = || Query::allow(["b", "a"]);
        let deny = || Query::deny(["utm_*"]);
        type Row = (
            Query,
            &'static str,
            Option<&'static str>,
            Option<&'static str>,
        );
        let rows: [Row; 14] = [
            (Query::all(), "b=1&a=2", Some("b=1&a=2"), Some("b=1&a=2")),
            (Query::sorted(), "b=1&a=2", Some("a=2&b=1"), Some("a=2&b=1")),
            (
                Query::sorted(),
                "b=2&a&b=1",
                Some("a&b=2&b=1"),
                Some("a&b=2&b=1"),
            ),
            (Query::sorted(), "b=1;a=2", Some("b=1;a=2"), Some("b=1;a=2")),
            (Query::sorted(), "", Some(""), Some("")),
            (allow(), "b=1&x=1&a=2", Some("a=2&b=1&x=1"), Some("a=2&b=1")),
            (allow(), "x=1", Some("x=1"), None),
            (allow(), "a=2", Some("a=2"), Some("a=2")),
            (allow(), "", Some(""), None),
            (
                deny(),
                "b=1&utm_a=1&a=2",
                Some("a=2&b=1&utm_a=1"),
                Some("a=2&b=1"),
            ),
            (deny(), "utm_a=1", Some("utm_a=1"), None),
            (deny(), "", Some(""), Some("")),
            (Query::ignore(), "b=1&a=2", Some("b=1&a=2"), None),
            (Query::ignore(), "", Some(""), None),
        ];
        for (policy, sent, whole, keyed) in rows {
            for (forward, expected) in [(Forward::Whole, whole), (Forward::Keyed, keyed)] {
                let forwarded = policy.forwarded(sent, forward);
                let forwarded = forwarded.unwrap_or_else(|| Some(sent.to_owned()));
                assert_eq!(
                    forwarded.as_deref(),
                    expected,
                    "{policy:?} {sent} {forward:?}"
                );
            }
        }
    }
}
