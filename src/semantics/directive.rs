//! One cache directive as it is spelled: `token [ "=" ( token / quoted-string ) ]` (RFC 9111 §5.2).

use std::borrow::Cow;
use std::time::Duration;

use http::header::HeaderName;

use super::syntax;

/// The length of `stale-while-revalidate`.
pub(super) const LONGEST_NAME: usize = 22;

/// A directive with its argument unquoted. The name is compared without case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    name: &'a [u8],
    argument: Argument<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Argument<'a> {
    Absent,
    Given(Cow<'a, [u8]>),
    /// Space around the `=`: which directive is meant is plain, but its value is not one.
    Spaced,
}

/// A member that is no directive. Its quotes may have hidden others behind it, so that what the
/// field forbids is not known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoDirective;

/// The directives of one line of a field.
pub(super) fn directives(line: &[u8]) -> impl Iterator<Item = Result<Directive<'_>, NoDirective>> {
    syntax::quoted_members(line).map(Directive::parse)
}

/// A directive that may be limited to some fields (`no-cache`, `private`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum DirectiveScope {
    /// The directive is absent.
    #[default]
    No,
    /// It applies to the whole response.
    Whole,
    /// It applies to these fields.
    Fields(Vec<HeaderName>),
}

impl DirectiveScope {
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    pub(crate) fn names(&self, field: &HeaderName) -> bool {
        matches!(self, Self::Fields(names) if names.contains(field))
    }

    pub(super) fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Whole, _) | (_, Self::No) => {}
            (Self::Fields(names), Self::Fields(more)) => names.extend(more),
            (_, other) => *self = other,
        }
    }
}

impl<'a> Directive<'a> {
    fn parse(member: &'a [u8]) -> Result<Self, NoDirective> {
        let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
            return Self::named(member, Argument::Absent);
        };
        let (before, after) = (&member[..equals], &member[equals + 1..]);
        let (name, value) = (syntax::trim_ows_end(before), syntax::trim_ows(after));
        let value = match value {
            [b'"', ..] => unquote(value).ok_or(NoDirective)?,
            _ if value.contains(&b'"') => return Err(NoDirective),
            _ => Cow::Borrowed(value),
        };
        let spaced =
            name.len() != before.len() || after.first().copied().is_some_and(syntax::is_ows);
        let argument = if spaced {
            Argument::Spaced
        } else {
            Argument::Given(value)
        };
        Self::named(name, argument)
    }

    fn named(name: &'a [u8], argument: Argument<'a>) -> Result<Self, NoDirective> {
        if syntax::is_token(name) {
            Ok(Self { name, argument })
        } else {
            Err(NoDirective)
        }
    }

    /// The name in lower case, without allocating; nothing if it is longer than any known one.
    pub(super) fn name<'b>(&self, buffer: &'b mut [u8; LONGEST_NAME]) -> &'b [u8] {
        let Some(lower) = buffer.get_mut(..self.name.len()) else {
            return &[];
        };
        lower.copy_from_slice(self.name);
        lower.make_ascii_lowercase();
        lower
    }

    pub(super) const fn has_argument(&self) -> bool {
        !matches!(self.argument, Argument::Absent)
    }

    /// The argument as a number of seconds.
    pub(super) fn delta(&self) -> Option<Duration> {
        match &self.argument {
            Argument::Given(value) => syntax::delta_seconds(value),
            Argument::Absent | Argument::Spaced => None,
        }
    }

    /// The argument as a list of field names. A list that is empty or names what is no field is
    /// read as the directive without argument, which forbids more.
    pub(super) fn fields(&self) -> DirectiveScope {
        let Argument::Given(value) = &self.argument else {
            return DirectiveScope::Whole;
        };
        let names = syntax::split_members(value).map(HeaderName::from_bytes);
        match names.collect::<Result<Vec<_>, _>>() {
            Ok(names) if !names.is_empty() => DirectiveScope::Fields(names),
            _ => DirectiveScope::Whole,
        }
    }
}

/// The text of a quoted-string that ends where `value` ends.
fn unquote(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !inner.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return None,
            b'\\' => text.push(bytes.next()?),
            _ => text.push(byte),
        }
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Directive<'_>, NoDirective> {
        Directive::parse(text.as_bytes())
    }

    #[test]
    fn arguments_are_tokens_or_quoted_strings() {
        let rows: &[(&str, Option<u64>)] = &[
            ("max-age=60", Some(60)),
            ("max-age=\"60\"", Some(60)),
            (r#"max-age="6\0""#, Some(60)),
            ("max-age", None),
            ("max-age=", None),
            ("max-age=\"\"", None),
            ("max-age='60'", None),
            ("max-age =60", None),
            ("max-age= 60", None),
        ];
        for (text, seconds) in rows {
            let directive = one(text).unwrap();
            assert_eq!(directive.name(&mut [0; LONGEST_NAME]), b"max-age", "{text}");
            let seconds = seconds.map(Duration::from_secs);
            assert_eq!(directive.delta(), seconds, "{text}");
        }
    }

    #[test]
    fn stray_quotes_and_names_that_are_no_token_are_unreadable() {
        let rows = [
            r#"a=""#,
            r#"a="b"#,
            r#"a="b"c"#,
            r#"a=b"c""#,
            r#"a"b"#,
            r#""a""#,
            r#"a="b\""#,
            "a b",
            "private; max-age=1",
            "=1",
            "a@b",
        ];
        for text in rows {
            assert_eq!(one(text), Err(NoDirective), "{text}");
        }
    }
}
