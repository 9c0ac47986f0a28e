//! The position that a request says it was told of: what answers it must be at least this new (PROTOCOL 27).
//!
//! It is the client's input, read strictly: whatever is not exactly one position is as if it were not there.
//! It selects no response, so it is outside the key, and the inner service does not see it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Uri};

use crate::position::Position;

/// The request field that names it.
pub(super) const CACHE_AFTER: HeaderName = HeaderName::from_static("cache-after");

/// The query parameter that names it, where the rule says so. In this spelling only: what another reader may take
/// for it stays in the key.
pub(super) const PARAMETER: &str = "after";

/// The position that a request names in its field; where `uri` is given, else in the parameter.
pub(super) fn told(headers: &HeaderMap, uri: Option<&Uri>) -> Option<Position> {
    let mut lines = headers.get_all(CACHE_AFTER).iter();
    let field = match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    field.or_else(|| in_query(uri?.query()?))
}

fn in_query(query: &str) -> Option<Position> {
    let mut values = query.split('&').filter(|piece| is_it(piece));
    let (value, others) = (values.next()?, values.next());
    let (_, value) = value.split_once('=')?;
    others.is_none().then(|| value.parse().ok()).flatten()
}

/// `query` without the parameter; `None` if nothing else is in it.
pub(super) fn without(query: &str) -> Option<Cow<'_, str>> {
    if !query.split('&').any(is_it) {
        return Some(query.into());
    }
    let others: Vec<_> = query.split('&').filter(|piece| !is_it(piece)).collect();
    (!others.is_empty()).then(|| others.join("&").into())
}

fn is_it(piece: &str) -> bool {
    piece.split('=').next() == Some(PARAMETER)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const POSITION: Position = Position::new(12, 3);

    fn field(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_AFTER, HeaderValue::from_bytes(line).expect("a value"));
        }
        headers
    }

    #[test]
    fn a_field_is_one_position_or_nothing() {
        assert_eq!(told(&field(&[b"12-3"]), None), Some(POSITION));
        let long = "1".repeat(10_000);
        let rows: [&[&[u8]]; 12] = [
            &[],
            &[b""],
            &[b"12"],
            &[b"12-"],
            &[b"12-3 "],
            &[b"\"12-3\""],
            &[b"12-3, 12-3"],
            &[b"12-3", b"12-3"],
            &[b"12-03"],
            &[b"12-\xff"],
            &["１２-３".as_bytes()],
            &[long.as_bytes()],
        ];
        for lines in rows {
            assert_eq!(told(&field(lines), None), None, "{lines:?}");
        }
    }

    #[test]
    fn a_parameter_counts_only_where_it_is_asked_for_and_behind_the_field() {
        let uri: Uri = "/a?b=1&after=12-3".parse().expect("a URI");
        let none = HeaderMap::new();
        assert_eq!(told(&none, None), None);
        assert_eq!(told(&none, Some(&uri)), Some(POSITION));
        let field = field(&[b"12-9"]);
        assert_eq!(told(&field, Some(&uri)), Some(Position::new(12, 9)));
        for uri in [
            "/a?after=12-3&after=12-3",
            "/a?after",
            "/a?after=",
            "/a?after=%31-3",
            "/a",
        ] {
            let uri = uri.parse().expect("a URI");
            assert_eq!(told(&none, Some(&uri)), None, "{uri}");
        }
    }

    #[test]
    fn the_parameter_is_taken_out_and_nothing_else() {
        for (query, rest) in [
            ("", Some("")),
            ("a=1", Some("a=1")),
            ("after=1-2", None),
            ("after", None),
            ("a=1&after=x&b=2&after=", Some("a=1&b=2")),
            (
                "afters=1&%61fter=2&after[]=3&After=4",
                Some("afters=1&%61fter=2&after[]=3&After=4"),
            ),
            ("a&&after=1", Some("a&")),
        ] {
            assert_eq!(without(query).as_deref(), rest, "{query:?}");
        }
    }
}
