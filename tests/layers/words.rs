//! `docs/STYLE.md` §2 and §6: one word, one thing; and comments say what they mean.

use std::fs;
use std::path::Path;

use crate::files_below;

/// How a comment must not begin: what is the same as what stands elsewhere, if that moves?
const THE_SAME: &str = "The same";

/// The lines of `text` whose comment begins so, with their numbers.
fn begins_the_same(text: &str) -> Vec<(usize, &str)> {
    let begins = |line: &str| {
        let comment = line.trim_start().strip_prefix("//");
        let comment = comment.map(|comment| comment.trim_start_matches(['/', '!']).trim_start());
        comment.is_some_and(|comment| comment.starts_with(THE_SAME))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| begins(line));
    lines.map(|(at, line)| (at + 1, line.trim())).collect()
}

#[test]
fn comments_say_what_they_mean() {
    let folders = ["src", "tagcache", "tests", "benches", "examples"];
    let mut found = Vec::new();
    for folder in folders.map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
        if !folder.exists() {
            continue;
        }
        for file in files_below(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let lines = begins_the_same(&text);
            found.extend(
                lines
                    .iter()
                    .map(|(at, line)| format!("{}:{at}: {line}", file.display())),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_comment_that_begins_the_same_is_found() {
    for (text, expected) in [
        ("/// The same, for parts.", 1),
        ("    //! The same.", 1),
        ("// One.\n// The same of two.", 1),
        ("// Thereby they are the same.", 0),
        ("let text = \"The same\";", 0),
    ] {
        assert_eq!(begins_the_same(text).len(), expected, "{text}");
    }
}
