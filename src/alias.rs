//! Field names as a server may read them that hands them on as variables (SAFETY 66).
//!
//! CGI, WSGI, Rack and PHP make `HTTP_X_USER` of `X-User` (RFC 3875 §4.1.18), and of `X_User` too; some
//! do so for every character that is neither letter nor digit.

use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

/// Whether such a server may take `name`, in lower case, for another one.
pub(crate) fn is_odd(name: &str) -> bool {
    // Without an early end, so that it is done many bytes at a time.
    let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'-');
    name.bytes().fold(false, |found, byte| found | odd(byte))
}

/// The usual name that `name` may be taken for.
pub(crate) fn usual(name: &str) -> SmallVec<[u8; 64]> {
    name.bytes().map(variable).collect()
}

/// Whether `name` is another spelling of `other`.
pub(crate) fn spells(name: &str, other: &str) -> bool {
    let (one, two) = (name.bytes(), other.bytes());
    name.len() == other.len() && name != other && one.map(variable).eq(two.map(variable))
}

/// The lines of `headers` whose name is another spelling of `name`.
pub(crate) fn others<'h, 'n>(
    headers: &'h HeaderMap,
    name: &'n str,
) -> impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)> + use<'h, 'n> {
    // A name of letters and digits has no other spelling.
    let has_some = name.bytes().any(|byte| !byte.is_ascii_alphanumeric());
    let lines = has_some.then(|| headers.iter()).into_iter().flatten();
    lines.filter(move |(found, _)| spells(found.as_str(), name))
}

/// Removes the lines whose name is another spelling of one of `names`. Whether there were any.
pub(crate) fn remove_others(headers: &mut HeaderMap, names: &[HeaderName]) -> bool {
    let other = |found: &&HeaderName| {
        let found = found.as_str();
        is_odd(found) && names.iter().any(|name| spells(found, name.as_str()))
    };
    let others: Vec<HeaderName> = headers.keys().filter(other).cloned().collect();
    for name in &others {
        headers.remove(name);
    }
    !others.is_empty()
}

fn variable(byte: u8) -> u8 {
    match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'-',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_66_a_name_has_the_spellings_that_make_one_variable() {
        for (name, other, same) in [
            ("x_user", "x-user", true),
            ("x-user", "x_user", true),
            ("x.user", "x-user", true),
            ("x-forwarded_host", "x-forwarded-host", true),
            ("x-user", "x-user", false),
            ("xuser", "x-user", false),
            ("x-users", "x-user", false),
            ("host", "host", false),
        ] {
            assert_eq!(spells(name, other), same, "{name} {other}");
        }
        for (name, odd) in [("x-user2", false), ("x_user", true), ("x.user", true)] {
            assert_eq!(is_odd(name), odd, "{name}");
        }
    }
}
