//! Validators that this cache has made: for whoever asks here, and for nobody behind it. The inner service
//! does not know them, so that a condition with one would be judged wrongly there (SAFETY 77).

use http::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
};

use super::conditions::strip_range;
use super::syntax::trim_ows;

/// How they begin.
pub(crate) const OWN_ETAG: &str = "tc-";
/// The hexadecimal digits that follow.
pub(crate) const OWN_DIGITS: usize = 32;

/// Whether this cache made the `ETag` of a response with these fields.
pub(crate) fn has_own_tag(response: &HeaderMap) -> bool {
    response.get(ETAG).is_some_and(|tag| is_own(tag.as_bytes()))
}

/// Whether this cache made an entity-tag. Also one that something in front has weakened, or named anew by its
/// coding (`"tc-…-gzip"`).
fn is_own(tag: &[u8]) -> bool {
    let tag = trim_ows(tag);
    let strong = tag.strip_prefix(b"W/").or(tag.strip_prefix(b"w/"));
    let text = strong.unwrap_or(tag);
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    let Some(rest) = text.strip_prefix(OWN_ETAG.as_bytes()) else {
        return false;
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit());
    digits.count() == OWN_DIGITS
}

/// What is left of a request's conditions without our own validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// It may be forwarded.
    Sound,
    /// It is not to be done: it depends on nothing but validators that only this cache knows (412).
    Failed,
}

/// Takes our own validators out of a request that is about to be forwarded. `changes` says of one with these fields whether it may change something,
/// so that its `If-Match` must not be lost: what asks for nothing but our own tags fails (RFC 9110 §13.1.1).
///
/// `If-None-Match` may: the inner service has nothing that ours match, and would find the condition true.
/// `If-Range` goes with its `Range`, which alone would ask for a part of whatever is there.
pub(crate) fn drop_own(
    changes: impl FnOnce(&HeaderMap) -> bool,
    request: &mut HeaderMap,
) -> Conditions {
    // One look at the names: most requests have none of these, also those that no rule takes.
    let names = [IF_NONE_MATCH, IF_RANGE, IF_MATCH];
    if !request.keys().any(|name| names.contains(name)) {
        return Conditions::Sound;
    }
    without_own(request, &IF_NONE_MATCH);
    if request
        .get_all(IF_RANGE)
        .iter()
        .any(|tag| is_own(tag.as_bytes()))
    {
        strip_range(request);
    }
    if request.contains_key(IF_MATCH) {
        let before = request.clone();
        if without_own(request, &IF_MATCH) && !request.contains_key(IF_MATCH) && changes(&before) {
            *request = before;
            return Conditions::Failed;
        }
    }
    Conditions::Sound
}

/// Whether a request could be answered by a 304 (RFC 9110 §15.4.5).
pub(crate) fn asks_for_304(request: &HeaderMap) -> bool {
    request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
}

/// Removes our own members from the list in the field `name`, and lines without any other. Whether there was
/// one.
fn without_own(request: &mut HeaderMap, name: &HeaderName) -> bool {
    let mut found = false;
    let mut lines: Vec<HeaderValue> = Vec::new();
    for line in request.get_all(name) {
        let members: Vec<_> = members(line.as_bytes()).collect();
        let others: Vec<_> = members.iter().copied().filter(|tag| !is_own(tag)).collect();
        if others.len() == members.len() {
            lines.push(line.clone());
            continue;
        }
        found = true;
        if others.iter().any(|tag| !tag.is_empty())
            && let Ok(line) = HeaderValue::from_bytes(&others.join(b", ".as_slice()))
        {
            lines.push(line);
        }
    }
    if found {
        request.remove(name);
        for line in lines {
            request.append(name.clone(), line);
        }
    }
    found
}

/// The members of a list, trimmed. A comma in quotes is text.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let members = line.split(move |byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    members.map(trim_ows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::headers;

    const OURS: &str = "\"tc-00112233445566778899aabbccddeeff\"";

    fn lines(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
        let lines = headers.get_all(name).into_iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    #[test]
    fn safety_77_our_own_tags_are_taken_out_of_lists() {
        let weak = format!("W/{OURS}");
        let coded = OURS.replace("ff\"", "ff-gzip\"");
        let rows: Vec<(Vec<String>, Vec<&str>)> = vec![
            (vec![OURS.into()], vec![]),
            (vec![weak.clone()], vec![]),
            (vec![coded], vec![]),
            (vec![format!("{OURS}, {weak}")], vec![]),
            (vec![format!(" ,{OURS},, ")], vec![]),
            (
                vec![format!("\"a\",{OURS} , W/\"b\"")],
                vec!["\"a\", W/\"b\""],
            ),
            (vec!["\"a\"".into(), OURS.into()], vec!["\"a\""]),
            (
                vec![format!("\"a,{OURS}")],
                vec!["\"a,\"tc-00112233445566778899aabbccddeeff\""],
            ),
            (vec!["*".into()], vec!["*"]),
            (vec!["\"tc-1\"".into()], vec!["\"tc-1\""]),
            (vec!["\"x\" ,\"y\"".into()], vec!["\"x\" ,\"y\""]),
        ];
        for (given, expected) in rows {
            let fields: Vec<_> = given
                .iter()
                .map(|line| ("if-none-match", &**line))
                .collect();
            let mut request = headers(&fields);
            assert_eq!(drop_own(|_| true, &mut request), Conditions::Sound);
            assert_eq!(lines(&request, IF_NONE_MATCH), expected, "{given:?}");
        }
    }

    #[test]
    fn safety_77_a_change_is_never_made_unconditional() {
        let mixed = format!("{OURS}, \"a\"");
        for (given, changes, verdict, left) in [
            (OURS, true, Conditions::Failed, vec![OURS]),
            (OURS, false, Conditions::Sound, vec![]),
            (&mixed, true, Conditions::Sound, vec!["\"a\""]),
            ("\"a\"", true, Conditions::Sound, vec!["\"a\""]),
            ("*", true, Conditions::Sound, vec!["*"]),
        ] {
            let mut request = headers(&[("if-match", given)]);
            assert_eq!(drop_own(|_| changes, &mut request), verdict, "{given}");
            assert_eq!(lines(&request, IF_MATCH), left, "{given}");
        }
    }

    #[test]
    fn safety_77_a_range_goes_with_our_own_condition_on_it() {
        let mut request = headers(&[("if-range", OURS), ("range", "bytes=0-1")]);
        drop_own(|_| false, &mut request);
        assert!(request.is_empty());
        let mut request = headers(&[("if-range", "\"a\""), ("range", "bytes=0-1")]);
        drop_own(|_| false, &mut request);
        assert_eq!(request.len(), 2);
    }
}
