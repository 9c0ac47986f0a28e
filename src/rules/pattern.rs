//! Route patterns, with axum's meaning: the same notation, the same precedence, matched on the path
//! exactly as it was sent (SAFETY 14, 15).
//!
//! The search is matchit's, in the release that axum 0.8 uses, so that a rule matches what a router
//! with the same routes does. Patterns are read here first, for messages that mark the place.

use std::borrow::Cow;

use matchit::{InsertError, Params};

use crate::error::ConfigError;

/// More would make matchit panic.
const MAX_CAPTURES: usize = 25;

/// A route that was read and can be put into [`Routes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    route: Box<str>,
    captures: Box<[Box<str>]>,
}

/// One character of a route, after `{{` and `}}` have become one.
#[derive(Clone, Copy)]
struct Token {
    at: usize,
    character: char,
    escaped: bool,
}

impl Token {
    fn is(self, brace: char) -> bool {
        self.character == brace && !self.escaped
    }
}

impl Pattern {
    /// Reads `route`.
    ///
    /// # Errors
    /// A [`ConfigError`] that quotes the route and marks the place.
    pub(super) fn parse(route: &str) -> Result<Self, ConfigError> {
        let error = |at: usize, message: &str| ConfigError::new("route", message, route).at(at);
        if !route.starts_with('/') {
            return Err(error(0, "a route begins with `/`"));
        }
        if let Some(at) = route.find(['?', '#']) {
            return Err(error(
                at,
                "a route has no query (see `Rule::query`) and no fragment",
            ));
        }
        if let Some(at) = route.find(char::is_control) {
            return Err(error(at, "control character"));
        }
        for (at, _) in route.match_indices('/') {
            // axum refuses both: they are its old notation.
            if route[at + 1..].starts_with([':', '*']) {
                return Err(error(at + 1, "a capture is written `{name}` or `{*rest}`"));
            }
        }
        let captures = read_captures(&tokens(route)).map_err(|(at, why)| error(at, why))?;
        if captures.len() > MAX_CAPTURES {
            return Err(error(0, "more than 25 captures"));
        }
        Ok(Self {
            route: route.into(),
            captures,
        })
    }

    /// The route as it was written.
    pub(super) fn route(&self) -> &str {
        &self.route
    }

    /// The names of its captures, in order.
    pub(super) fn captures(&self) -> &[Box<str>] {
        &self.captures
    }

    /// A character that clients send percent-encoded, so that the route will hardly match.
    pub(super) fn unsent(&self) -> Option<char> {
        let odd = |c: char| !c.is_ascii() || " \"<>\\^`".contains(c);
        self.route.chars().find(|c| odd(*c))
    }
}

fn tokens(route: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut characters = route.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let brace = matches!(character, '{' | '}');
        let escaped = brace && characters.next_if(|(_, next)| *next == character).is_some();
        tokens.push(Token {
            at,
            character,
            escaped,
        });
    }
    tokens
}

/// The names of the captures, or the place of what is wrong and why.
fn read_captures(tokens: &[Token]) -> Result<Box<[Box<str>]>, (usize, &'static str)> {
    let mut captures: Vec<Box<str>> = Vec::new();
    let mut rest = tokens;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if first.is('}') {
            return Err((first.at, "unopened `}` (a literal one is written `}}`)"));
        }
        if first.is('{') {
            let Some(end) = tail.iter().position(|token| token.is('}')) else {
                return Err((first.at, "unclosed `{` (a literal one is written `{{`)"));
            };
            rest = &tail[end + 1..];
            let name = read_capture(*first, &tail[..end], rest.first())?;
            if captures.contains(&name) {
                return Err((first.at, "a capture of this name was there before"));
            }
            captures.push(name);
        }
    }
    Ok(captures.into())
}

/// The name of the capture that begins with `open`, has `inner` in its braces, and is followed by
/// `after`.
fn read_capture(
    open: Token,
    inner: &[Token],
    after: Option<&Token>,
) -> Result<Box<str>, (usize, &'static str)> {
    let (catch_all, name) = match inner.split_first() {
        Some((star, name)) if star.is('*') => (true, name),
        _ => (false, inner),
    };
    let odd = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
    if let Some(odd) = name.iter().find(|token| odd(token.character)) {
        return Err((odd.at, "a capture's name has letters, digits, `_` and `-`"));
    }
    match after {
        _ if name.is_empty() => Err((open.at, "a capture without a name")),
        Some(after) if catch_all => {
            Err((after.at, "`{*…}` takes all the rest, nothing can follow it"))
        }
        Some(after) if after.character != '/' => Err((
            after.at,
            "a capture ends its segment: only `/` can follow it",
        )),
        _ => Ok(name.iter().map(|token| token.character).collect()),
    }
}

/// Patterns, each with a number.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes(matchit::Router<u32>);

impl Routes {
    /// Adds `pattern` under `number`.
    ///
    /// # Errors
    /// The number of the earlier pattern that takes the same place, or why matchit refuses this one.
    pub(super) fn insert(
        &mut self,
        pattern: &Pattern,
        number: u32,
        earlier: &[Pattern],
    ) -> Result<(), Conflict> {
        match self.0.insert(pattern.route(), number) {
            Ok(()) => Ok(()),
            Err(InsertError::Conflict { .. }) => Err(Conflict::With(
                earlier.iter().position(|other| conflict(other, pattern)),
            )),
            Err(error) => Err(Conflict::Refused(error.to_string())),
        }
    }

    /// The number of the most specific pattern that matches `path`, and what its captures took.
    pub(super) fn find<'r, 'p>(&'r self, path: &'p str) -> Option<(u32, Captures<'r, 'p>)> {
        let found = self.0.at(path).ok()?;
        Some((*found.value, Captures(Some(found.params))))
    }
}

/// Why a pattern cannot be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// It takes the place of this earlier one, if a single one is to blame.
    With(Option<usize>),
    Refused(String),
}

fn conflict(a: &Pattern, b: &Pattern) -> bool {
    let mut pair = matchit::Router::new();
    pair.insert(a.route(), ()).is_ok() && pair.insert(b.route(), ()).is_err()
}

/// What the captures of a route took of a path, in the order of the route.
#[derive(Debug, Default)]
pub(super) struct Captures<'r, 'p>(Option<Params<'r, 'p>>);

impl<'p> Captures<'_, 'p> {
    /// The text of the capture at `place`, percent-decoded as axum's `Path` does; `None` if that is
    /// not UTF-8.
    pub(super) fn get(&self, place: usize) -> Option<Cow<'p, str>> {
        let (_, raw) = self.0.as_ref()?.iter().nth(place)?;
        percent_encoding::percent_decode_str(raw).decode_utf8().ok()
    }
}

/// A piece of a pattern over paths, be it a route or a glob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// This character.
    Is(char),
    /// One character; without `within` it may be `/`.
    One { within: bool },
    /// Any number of them.
    Run { within: bool },
}

impl Element {
    /// A route's elements: what a capture takes is at least one character.
    pub(super) fn of_route(route: &str) -> Vec<Self> {
        let mut elements = Vec::new();
        let tokens = tokens(route);
        let mut tokens = tokens.iter().peekable();
        while let Some(token) = tokens.next() {
            if !token.is('{') {
                elements.push(Self::Is(token.character));
                continue;
            }
            let within = tokens.next_if(|star| star.is('*')).is_none();
            elements.extend([Self::One { within }, Self::Run { within }]);
            while tokens.next().is_some_and(|token| !token.is('}')) {}
        }
        elements
    }

    /// A glob's: see `Glob`.
    pub(super) fn of_glob(glob: &str) -> Vec<Self> {
        let mut elements = Vec::new();
        let mut characters = glob.chars().peekable();
        while let Some(character) = characters.next() {
            elements.push(match character {
                '?' => Self::One { within: true },
                '*' => Self::Run {
                    within: characters.next_if_eq(&'*').is_none(),
                },
                character => Self::Is(character),
            });
        }
        elements
    }

    /// Whether there is a text that both match: a walk over all pairs of places in them.
    pub(super) fn meet(a: &[Self], b: &[Self]) -> bool {
        let mut seen = vec![false; (a.len() + 1) * (b.len() + 1)];
        let mut open = vec![(0, 0)];
        while let Some((i, j)) = open.pop() {
            if std::mem::replace(&mut seen[i * (b.len() + 1) + j], true) {
                continue;
            }
            let (first, second) = (a.get(i), b.get(j));
            if first.is_none() && second.is_none() {
                return true;
            }
            let is_run = |element: Option<&Self>| matches!(element, Some(Self::Run { .. }));
            if is_run(first) {
                open.push((i + 1, j));
            }
            if is_run(second) {
                open.push((i, j + 1));
            }
            if let (Some(first_one), Some(second_one)) = (first, second)
                && first_one.shares(*second_one)
            {
                open.push((
                    i + usize::from(!is_run(first)),
                    j + usize::from(!is_run(second)),
                ));
            }
        }
        false
    }

    /// Whether there is a character that both may take.
    fn shares(self, other: Self) -> bool {
        let takes = |element: Self, character: char| match element {
            Self::Is(own) => own == character,
            Self::One { within } | Self::Run { within } => !within || character != '/',
        };
        match (self, other) {
            (Self::Is(character), other) | (other, Self::Is(character)) => takes(other, character),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
