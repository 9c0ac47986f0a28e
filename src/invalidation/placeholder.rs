//! Texts that stand where a value should: what a publisher writes when it does not know the value,
//! cuts it off, or hides it (SAFETY 105). A tag made from one exists on no response, so an event
//! that has one counts as an event whose value is missing.

use serde_json::value::RawValue;

/// Debezium's word for a column that it did not read: a large value that an update left alone
/// (`unavailable.value.placeholder`).
const UNAVAILABLE: &str = "__debezium_unavailable_value";
/// That word in the forms that bytes take (`binary.handling.mode`), and as the UUID that stands for it.
const UNAVAILABLE_FORMS: [&str; 4] = [
    "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
    "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ",
    "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565",
    UUID_FORM,
];
const UUID_FORM: &str = "b68a35a7-17ad-35b3-af2a-ae46edb4545a";

/// What programs write for no value, in lower case.
const NO_VALUE: [&str; 12] = [
    "null",
    "(null)",
    "<null>",
    "undefined",
    "none",
    "nil",
    "<nil>",
    "%!s(<nil>)",
    "nan",
    "\\n",
    "[object object]",
    "<unset>",
];

/// Whether `text` is Debezium's placeholder, or it in another form.
pub(super) fn is_unavailable(text: &str) -> bool {
    // As PostgreSQL, and as others, mark hexadecimal.
    let marked = text
        .strip_prefix("\\x")
        .or_else(|| text.strip_prefix("0x"))
        .unwrap_or(text);
    text.contains(UNAVAILABLE)
        || UNAVAILABLE_FORMS
            .iter()
            .any(|f| marked.eq_ignore_ascii_case(f))
}

/// Whether a list of numbers is the placeholder's bytes, as it stands in an array of integers.
pub(super) fn is_unavailable_list(elements: &[&RawValue]) -> bool {
    let same = |(element, byte): (&&RawValue, u8)| element.get().parse() == Ok(byte);
    elements.len() == UNAVAILABLE.len() && elements.iter().zip(UNAVAILABLE.bytes()).all(same)
}

/// Why `value` can be no part of a tag, if it is a placeholder or was cut off.
pub(super) fn problem(value: &str) -> Option<&'static str> {
    hidden(value).or_else(|| {
        let lower = value.trim().to_lowercase();
        NO_VALUE
            .contains(&lower.as_str())
            .then_some("the publisher wrote that there is no value")
    })
}

/// Why `value` is not the one that the publisher has. Words for no value are one: a condition may be about them.
pub(super) fn hidden(value: &str) -> Option<&'static str> {
    let value = value.trim();
    if is_unavailable(value) {
        return Some("the publisher did not read the value");
    }
    if is_cut_off(value) {
        return Some("the publisher cut the value off");
    }
    if !value.is_empty() && value.bytes().all(|byte| byte == b'*') {
        return Some("the publisher masked the value");
    }
    None
}

/// Whether `value` ends as texts do that somebody shortened: `…`, `...`, `…truncated`, `[truncated]`,
/// `(truncated 3 more)`.
fn is_cut_off(value: &str) -> bool {
    let end = value.trim_end_matches([')', ']', '>', '}', '.', '…', ' ']);
    if value.ends_with('…') || value.ends_with("...") {
        return true;
    }
    let lower = end.to_lowercase();
    let marked = |at: usize| {
        let before = lower[..at].trim_end().chars().next_back();
        before.is_some_and(|c| matches!(c, '…' | '.' | '(' | '[' | '<' | '{'))
    };
    // Only as the last words: `truncated` in the middle of a name is a name.
    lower.rfind("truncated").is_some_and(|at| {
        let after = &lower[at + "truncated".len()..];
        let rest = after.trim_start_matches([' ', ',', ':']);
        marked(at) && rest.len() <= 24 && !rest.contains(['/', ':'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_105_placeholders_and_what_was_cut_off_are_told_from_values() {
        for value in [
            "__debezium_unavailable_value",
            "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
            "5F5F646562657A69756D5F756E617661696C61626C655F76616C7565",
            "\\x5f5f646562657a69756d5f756e617661696c61626c655f76616c7565",
            "0x5F5F646562657A69756D5F756E617661696C61626C655F76616C7565",
            UUID_FORM,
            "{\"x\":\"__debezium_unavailable_value\"}",
            "a long text…",
            "a long text...",
            "a long text…truncated",
            "a long text...truncated",
            "a long text… (truncated)",
            "abc[truncated]",
            "abc [TRUNCATED]",
            "abc...(truncated, 12 more)",
            "abc<truncated>",
            "null",
            "NULL",
            "undefined",
            "None",
            "\\N",
            "[object Object]",
            "****",
        ] {
            assert!(problem(value).is_some(), "{value}");
        }
        for value in [
            "7",
            "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
            "nullable",
            "truncated",
            "not-truncated",
            "truncated-octahedron",
            "a.truncated.name/x",
            "v1.2.3",
            "*.example.org",
            "nonesuch",
            "",
        ] {
            assert_eq!(problem(value), None, "{value}");
        }
    }
}
