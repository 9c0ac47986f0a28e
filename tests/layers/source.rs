//! As much of Rust's syntax as it takes to tell what a source file imports and declares.

use std::collections::BTreeSet;

/// The first segments of all `crate::` paths in `text`, outside comments, strings and what is
/// compiled for tests only.
pub(crate) fn imports(text: &str) -> BTreeSet<String> {
    const ROOT: &str = "crate::";
    let (shipped, _) = split_tests(&code(text));
    let mut found = BTreeSet::new();
    for (at, _) in shipped.match_indices(ROOT) {
        let rest = shipped[at + ROOT.len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group)),
            None => found.extend(identifier(rest)),
        }
    }
    found
}

/// The modules in files of their own that `text` declares: those that ship, those for tests only.
pub(crate) fn submodules(text: &str) -> (Vec<String>, Vec<String>) {
    let (shipped, tests) = split_tests(&code(text));
    (declared(&shipped), declared(&tests))
}

fn declared(code: &str) -> Vec<String> {
    let name = |statement: &str| {
        let (head, _) = statement.split_once(';')?;
        let mut words = head.split_whitespace().rev();
        let name = words.next()?;
        (words.next()? == "mod").then(|| name.to_owned())
    };
    code.split_inclusive([';', '{', '}'])
        .filter_map(name)
        .collect()
}

/// The first segments of the members of a group whose opening brace is behind us.
fn members(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut starts) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            _ if c.is_whitespace() => {}
            _ => {
                if std::mem::take(&mut starts) {
                    found.extend(identifier(&group[at..]));
                }
            }
        }
    }
    found
}

fn identifier(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// `code` without the items under `#[cfg(test)]`, and those items.
fn split_tests(code: &str) -> (String, String) {
    const MARK: &str = "#[cfg(test)]";
    let (mut shipped, mut tests) = (String::new(), String::new());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        shipped.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let end = item_end(item);
        tests.push_str(&item[..end]);
        rest = &item[end..];
    }
    shipped.push_str(rest);
    (shipped, tests)
}

/// Where the item that `code` begins with is over: at its semicolon or its closing brace.
fn item_end(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            // What surrounds the item ends first: it was a field or an arm.
            '}' if depth == 0 => return at,
            '}' => {
                depth -= 1;
                // `use a::{b};` ends with the semicolon behind it, which then stands alone.
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// `text` without comments, and with its string and character literals empty.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest, code.chars().last()));
        match skipped {
            Some(length) => {
                rest = &rest[length..];
                code.push(' ');
            }
            None => {
                rest = &rest[c.len_utf8()..];
                code.push(c);
            }
        }
    }
    code
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if depth == 0 {
            return None;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    (depth > 0).then_some(text.len())
}

/// The length of the string or character literal that `text` begins with. `previous` tells a raw
/// string from an identifier that ends with an `r`.
fn literal(text: &str, previous: Option<char>) -> Option<usize> {
    let in_word = previous.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(raw) = text.strip_prefix('r').filter(|_| !in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = body.find(&close).map_or(body.len(), |at| at + close.len());
        return Some(text.len() - body.len() + end);
    }
    if let Some(body) = text.strip_prefix('"') {
        return Some(1 + closing(body, '"')?);
    }
    // A quote begins a character only if another one follows it; a lifetime has none.
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let ends = first == '\\' || body[first.len_utf8()..].starts_with('\'');
    ends.then(|| closing(body, '\'').map(|end| 1 + end))?
}

/// Just behind the first `quote` in `body` that is not escaped.
fn closing(body: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn imports_are_found_wherever_they_stand() {
    for (name, text, found) in [
        ("a path", "use crate::tag::Tag;", &["tag"][..]),
        ("a re-export", "pub(crate) use crate::log::View;", &["log"]),
        (
            "a group over lines",
            "use crate::{\n    clock::{Clock, Timestamp},\n    log::{self, view::{A, B}},\n};",
            &["clock", "log"],
        ),
        (
            "in an expression",
            "fn f() { crate::redis::open() }",
            &["redis"],
        ),
        (
            "a comment",
            "// crate::redis\n/* crate::log /* */ crate::log */",
            &[],
        ),
        (
            "a link in docs",
            "/// See [`x`](crate::observe::Notice).",
            &[],
        ),
        ("a string", r#"const A: &str = "a \" crate::redis";"#, &[]),
        (
            "a raw string",
            "const A: &str = r#\"\" crate::redis\"#;",
            &[],
        ),
        (
            "behind quotes and lifetimes",
            "fn f<'a>(c: &'a str) -> char { g('\"', '\\'', '/'); crate::log::h(c) }",
            &["log"],
        ),
        (
            "for tests only",
            "#[cfg(test)]\nmod tests { use crate::redis::R; fn f() { {} } }\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a test import alone",
            "#[cfg(test)]\nuse crate::embedded::{A, B};\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a test field",
            "struct S { #[cfg(test)] a: A }\nuse crate::tag::Tag;",
            &["tag"],
        ),
        (
            "a feature is not a test",
            "#[cfg(any(test, feature = \"test-util\"))]\nmod m { use crate::log::L; }",
            &["log"],
        ),
    ] {
        let expected: BTreeSet<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(imports(text), expected, "{name}");
    }
}

#[test]
fn submodules_are_told_from_test_modules_and_inline_ones() {
    let text = "\
        //! mod comment;\n\
        mod a;\n\
        pub(crate) mod b;\n\
        #[cfg(feature = \"redis\")]\n\
        mod c;\n\
        mod inline { fn f() {} }\n\
        #[cfg(test)]\n\
        pub(crate) mod contract;\n\
        #[cfg(test)]\n\
        mod tests;\n";
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = (names(&["a", "b", "c"]), names(&["contract", "tests"]));
    assert_eq!(submodules(text), expected);
}
