//! Trailers on their way through the proxy: the same rules as for fields (SAFETY 70, 78).

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::HeaderName;
use http_body::Frame;

use crate::proxy::fields::{has_outer_space, is_odd, usual};
use tower_tagcache::may_trail;

/// What the trailers of one message may be.
#[derive(Debug, Clone, Default)]
pub(super) struct Trailers {
    /// Fields that `Connection` names are of the connection here too.
    pub(super) named: Vec<HeaderName>,
    /// How many lines there may be.
    pub(super) lines: usize,
    pub(super) odd: OddNames,
}

/// What becomes of names that a server may take for others (SAFETY 66).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OddNames {
    /// They are passed on, unless the name that they may be taken for would not be.
    #[default]
    Pass,
    Drop,
}

/// Trailers that make a message unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadTrailers {
    TooMany,
    /// A value begins or ends with white space (RFC 9113 §8.2.1).
    Malformed,
}

impl fmt::Display for BadTrailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "more trailers than are read",
            Self::Malformed => "a trailer begins or ends with white space",
        })
    }
}

impl std::error::Error for BadTrailers {}

impl Trailers {
    /// A frame as it goes on: trailers pass the same sieve as fields. They are the last.
    pub(super) fn settle_frame(
        &self,
        frame: Frame<Bytes>,
    ) -> Option<Result<Frame<Bytes>, BadTrailers>> {
        match frame.into_trailers() {
            Err(frame) => Some(Ok(frame)),
            Ok(trailers) => {
                let settled = self.settle(trailers).transpose();
                settled.map(|trailers| trailers.map(Frame::trailers))
            }
        }
    }

    /// What of `trailers` goes on; none if nothing is left.
    fn settle(&self, mut trailers: HeaderMap) -> Result<Option<HeaderMap>, BadTrailers> {
        if trailers.len() > self.lines {
            return Err(BadTrailers::TooMany);
        }
        if has_outer_space(&trailers) {
            return Err(BadTrailers::Malformed);
        }
        // A head may name thousands.
        let named: HashSet<&HeaderName> = self.named.iter().collect();
        let gone = |name: &&HeaderName| !self.pass(name, &named);
        let gone: Vec<HeaderName> = trailers.keys().filter(gone).cloned().collect();
        for name in &gone {
            trailers.remove(name);
        }
        Ok((!trailers.is_empty()).then_some(trailers))
    }

    fn pass(&self, name: &HeaderName, named: &HashSet<&HeaderName>) -> bool {
        let may = |name: &HeaderName| may_trail(name) && !named.contains(name);
        match is_odd(name) {
            false => may(name),
            true if self.odd == OddNames::Drop => false,
            true => may(name) && usual(name).is_none_or(|usual| may(&usual)),
        }
    }
}

/// Whether the server library has read no further because there were too many.
pub(super) fn were_too_many(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| cause.to_string().contains("chunk trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn safety_70_trailers_pass_the_sieve_of_fields() {
        let rules = |odd| Trailers {
            named: vec![HeaderName::from_static("x-hop")],
            lines: 9,
            odd,
        };
        let sent = || {
            map(&[
                ("x-sum", "1"),
                ("x_sum", "2"),
                ("x-hop", "3"),
                ("x_hop", "3"),
                ("set-cookie", "4"),
                ("content_length", "5"),
                ("transfer-encoding", "chunked"),
            ])
        };
        let dropped = rules(OddNames::Drop).settle(sent());
        assert_eq!(dropped, Ok(Some(map(&[("x-sum", "1")]))));
        let passed = rules(OddNames::Pass).settle(sent());
        assert_eq!(passed, Ok(Some(map(&[("x-sum", "1"), ("x_sum", "2")]))));
        assert_eq!(rules(OddNames::Drop).settle(map(&[("age", "1")])), Ok(None));
    }

    #[test]
    fn safety_78_82_trailers_have_the_limits_of_fields() {
        let rules = Trailers {
            lines: 2,
            ..Trailers::default()
        };
        let many = map(&[("a", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(rules.settle(many), Err(BadTrailers::TooMany));
        for value in [" 1", "1\t"] {
            assert_eq!(
                rules.settle(map(&[("a", value)])),
                Err(BadTrailers::Malformed)
            );
        }
    }
}
