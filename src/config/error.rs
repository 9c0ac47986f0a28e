//! [`ConfigFileError`]: what is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;

use crate::{ConfigError, spelling::nearest};

/// A configuration that cannot be used.
///
/// `{}` prints one line: file, line, column, what is wrong, and a suggestion. `{:#}` adds the line
/// itself with the place marked under it. Secrets in it are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFileError(Box<Inner>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    /// The file, or the variable.
    source: String,
    place: Option<Place>,
    message: String,
    help: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// Characters to mark.
    width: usize,
    /// The whole line, secrets masked.
    text: String,
}

impl ConfigFileError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::new(
            path.display().to_string(),
            None,
            format!("cannot be read: {error}"),
        )
    }

    /// The variable `name` has a value that is not what is expected.
    #[must_use]
    pub fn variable(name: &str, value: &str, expected: &str) -> Self {
        let message = format!("{value:?} is not {expected}");
        Self::new(format!("environment variable {name}"), None, message)
    }

    /// The text is no TOML, or not what the types expect.
    pub(super) fn unread(path: Option<&Path>, text: &str, error: &toml::de::Error) -> Self {
        let place = error.span().map(|span| Place::new(text, &span));
        let (message, help) = reworded(error.message());
        let mut made = Self::new(named(path), place, message);
        made.0.help = help;
        made
    }

    /// The cache refuses a setting; `span` is where it is.
    pub(super) fn refused(
        path: Option<&Path>,
        text: &str,
        span: Option<Range<usize>>,
        error: &ConfigError,
    ) -> Self {
        let place = span.clone().map(|span| Place::new(text, &span));
        // A time is quoted as it was written.
        let raw = span.and_then(|span| text.get(span));
        let marked = raw.and_then(|raw| raw.strip_prefix('"')?.strip_suffix('"'));
        let is_time = |text: &&str| humantime::parse_duration(text).is_ok();
        let marked = marked.filter(|_| is_time(&error.input())).filter(is_time);
        let marked = marked.map(str::to_owned);
        let message = match &place {
            // Its own column is that of the input; here it would be taken for the file's.
            Some(_) => {
                let (at, what) = (error.place(), error.message());
                let input = marked.as_deref().unwrap_or(error.input());
                format!("{at}: {what} in {input:?}")
            }
            None => error.to_string(),
        };
        Self::new(named(path), place, message)
    }

    /// The cache refuses a setting that was not made in the file, but in `origin`.
    pub(super) fn refused_elsewhere(origin: &str, error: &ConfigError) -> Self {
        Self::new(origin.to_owned(), None, error.to_string())
    }

    fn new(source: String, place: Option<Place>, message: String) -> Self {
        Self(Box::new(Inner {
            source,
            place,
            message,
            help: None,
        }))
    }

    /// The line to blame, counted from 1, if one is.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.line)
    }

    /// Where in the line the trouble starts, in characters from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.0.place.as_ref().map(|place| place.column)
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What was probably meant, or what is possible.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The file, or the variable of the environment.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.source
    }
}

impl fmt::Display for ConfigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            source,
            place,
            message,
            help,
        } = &*self.0;
        f.write_str(source)?;
        if let Some(place) = place {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        write!(f, ": {message}")?;
        match (f.alternate(), place) {
            (true, Some(place)) => place.quote(help.as_deref(), f),
            _ => help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}")),
        }
    }
}

impl std::error::Error for ConfigFileError {}

impl Place {
    fn new(text: &str, span: &Range<usize>) -> Self {
        let (line, column) = position(text, span.start);
        let whole = text.lines().nth(line - 1).unwrap_or_default();
        let marked = text.get(span.clone()).unwrap_or_default();
        let width = marked
            .lines()
            .next()
            .map_or(0, |first| first.chars().count());
        Self {
            line,
            column,
            width: width.max(1),
            text: masked(whole),
        }
    }

    fn quote(&self, help: Option<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let text = self.text.replace('\t', " ");
        let before = " ".repeat(self.column - 1);
        let marks = "^".repeat(self.width);
        let help = help.unwrap_or_default();
        write!(f, "\n{margin} |\n{number} | {text}\n{margin} | ")?;
        f.write_str(format!("{before}{marks} {help}").trim_end())
    }
}

fn named(path: Option<&Path>) -> String {
    path.map_or_else(
        || "configuration".to_owned(),
        |path| path.display().to_string(),
    )
}

/// Line and column of the byte `at`, both from 1.
pub(super) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line, before[start..].chars().count() + 1)
}

/// serde's message in the file's words, and a suggestion.
fn reworded(message: &str) -> (String, Option<String>) {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let first = quoted.next().unwrap_or_default();
    let expected: Vec<&str> = quoted.collect();
    let help = || match nearest(first, &expected) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if expected.is_empty() => None,
        None => Some(format!("known are `{}`", expected.join("`, `"))),
    };
    if message.starts_with("unknown field") {
        (format!("unknown key `{first}`"), help())
    } else if message.starts_with("unknown variant") {
        (format!("unknown word `{first}`"), help())
    } else if message.starts_with("missing field") {
        (format!("the key `{first}` is missing"), None)
    } else if let Some((found, wanted)) = mismatch(message) {
        let help = match (found.as_str(), wanted) {
            ("a table", "a list") => Some("a list of tables is written `[[name]]`".to_owned()),
            (_, "a list") => Some("a list is written with brackets: `[\"…\", \"…\"]`".to_owned()),
            _ => None,
        };
        (format!("{found} where {wanted} is expected"), help)
    } else {
        let message = message.replace("wanted string or table", "expected a word or a table");
        (message.lines().collect::<Vec<_>>().join("; "), None)
    }
}

/// What was found and what is expected, in the words of TOML's users, where serde says it in Rust's.
fn mismatch(message: &str) -> Option<(String, &str)> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, wanted) = rest.lines().next()?.rsplit_once(", expected ")?;
    let quoted = |kind: &str| {
        let text = found.strip_prefix(kind)?.trim();
        Some(text.trim_matches('`').to_owned())
    };
    let found = match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => quoted("string ")
            .map(|text| format!("the text {text}"))
            .or_else(|| quoted("integer ").map(|number| format!("the number {number}")))
            .or_else(|| quoted("floating point ").map(|number| format!("the number {number}")))
            .or_else(|| quoted("boolean "))
            .unwrap_or_else(|| found.to_owned()),
    };
    let wanted = match wanted {
        "a sequence" => "a list",
        "a map" => "a table",
        "a boolean" => "true or false",
        "a string" => "a text in quotes",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative and not too large,",
        "f32" | "f64" => "a number",
        wanted if wanted.starts_with("struct ") || wanted.starts_with("internally") => "a table",
        wanted if wanted.contains("variant") || wanted.starts_with("enum") => "a word",
        wanted => wanted,
    };
    Some((found, wanted))
}

/// `line` with what may be secret masked, character by character: what stands between `://` and the
/// last `@`, the text of a token, key or password, and of a URL what comes after its host.
fn masked(line: &str) -> String {
    let key = line.split('=').next().unwrap_or_default().to_lowercase();
    // A file's name is told beside it anyway, and is no secret.
    let names_file = key.trim_end().ends_with("_file");
    let words = ["tok", "pass", "secret", "ticket"];
    let is_named = key.trim() == "key" || words.iter().any(|word| key.contains(word));
    let secret = is_named && !names_file;
    let range = if secret {
        line.find('=').map(|equals| equals + 1..line.len())
    } else {
        // Without a scheme: from the quote on, as the scheme may be what is missing.
        let after = |mark: &str| line.find(mark).map(|at| at + mark.len());
        let start = after("://").or_else(|| after("\"")).or_else(|| after("'"));
        start.and_then(|start| Some(start..start + line[start..].rfind('@')?))
    };
    let range = range.or_else(|| path_of_url(line));
    let Some(range) = range else {
        return line.to_owned();
    };
    let keep = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let hidden = line[range.clone()]
        .chars()
        .map(|c| if keep(c) { c } else { '*' });
    let hidden: String = hidden.collect();
    format!("{}{hidden}{}", &line[..range.start], &line[range.end..])
}

/// Where in `line` a URL goes on after its host: a webhook's is often a secret, whatever its key was meant to be.
fn path_of_url(line: &str) -> Option<Range<usize>> {
    let host = line.find("s://").map(|at| at + 4);
    let host = host.or_else(|| line.find("p://").map(|at| at + 4))?;
    let end = line[host..]
        .find(['"', '\''])
        .map_or(line.len(), |at| host + at);
    let path = line[host..end].find(['/', '?', '#'])?;
    Some(host + path + 1..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_117_what_serde_says_is_said_in_the_words_of_the_file() {
        for (message, expected) in [
            (
                "invalid type: string \"x\", expected a sequence",
                "the text \"x\" where a list is expected",
            ),
            (
                "invalid type: map, expected a sequence",
                "a table where a list is expected",
            ),
            (
                "invalid type: sequence, expected a string",
                "a list where a text in quotes is expected",
            ),
            (
                "invalid type: integer `5`, expected a boolean",
                "the number 5 where true or false is expected",
            ),
            (
                "invalid type: string \"5\", expected usize",
                "the text \"5\" where a whole number",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "the number -1 where a whole number",
            ),
            (
                "invalid type: integer `5`, expected struct RedisSection",
                "the number 5 where a table is expected",
            ),
            (
                "invalid type: boolean `true`, expected a string",
                "true where a text in quotes is expected",
            ),
        ] {
            let (told, _) = reworded(message);
            assert!(told.starts_with(expected), "{message}: {told}");
        }
    }

    #[test]
    fn secrets_are_masked_and_columns_stay() {
        for (line, shown) in [
            ("ttl = \"5s\"", "ttl = \"5s\""),
            ("url = \"redis://a:b@host\"", "url = \"redis://***@host\""),
            (
                "ur = \"redis://h@x:p@s@host\"",
                "ur = \"redis://*******@host\"",
            ),
            ("upstreams = [\"a:b@host\"]", "upstreams = [\"***@host\"]"),
            ("token = \"abc\" # x", "token = \"***\" * *"),
            ("token_file = \"/run/t\"", "token_file = \"/run/t\""),
            ("tokn = 'abc'", "tokn = '***'"),
            ("ticket_key = \"abc\"", "ticket_key = \"***\""),
            ("key = \"abc\"", "key = \"***\""),
            ("key_file = \"/run/t\"", "key_file = \"/run/t\""),
            ("url = \"https://h/a/b?c\"", "url = \"https://h/*****\""),
            ("ulr = 'http://h:1/a'", "ulr = 'http://h:1/*'"),
            (
                "ticket_key_file = \"/run/t\"",
                "ticket_key_file = \"/run/t\"",
            ),
        ] {
            assert_eq!(masked(line), shown);
            assert_eq!(masked(line).chars().count(), line.chars().count());
        }
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(position("a\nbü c", 6), (2, 4));
        assert_eq!(position("", 0), (1, 1));
    }
}
