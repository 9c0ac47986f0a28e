//! Where in the file a setting is.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::ConfigError;

type Span = Range<usize>;

/// The file as a tree that knows where each value stands.
pub(super) struct Located<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// A place in messages, and the key of the file; where they differ.
const KEYS: [(&str, &str, &str); 43] = [
    ("compress", "redis", "compress"),
    ("store bytes", "cache", "store_bytes"),
    ("lease", "cache", "lease"),
    ("redis url", "redis", "url"),
    ("redis namespace", "redis", "namespace"),
    ("max_connections", "redis", "max_connections"),
    ("trusted_peers", "proxy", "trusted_peers"),
    ("upstreams", "proxy", "upstreams"),
    ("listen", "proxy", "listen"),
    ("name", "proxy", "name"),
    ("accept_encoding", "proxy", "accept_encoding"),
    ("host", "proxy", "host"),
    ("connections", "proxy.limits", "connections"),
    ("head_bytes", "proxy.limits", "head_bytes"),
    ("head_fields", "proxy.limits", "head_fields"),
    ("streams", "proxy.limits", "streams"),
    ("upstream_requests", "proxy.limits", "upstream_requests"),
    ("attempts", "proxy.limits", "attempts"),
    ("client_handshake", "proxy.timeouts", "client_handshake"),
    ("client_head", "proxy.timeouts", "client_head"),
    ("client_body", "proxy.timeouts", "client_body"),
    ("client_write", "proxy.timeouts", "client_write"),
    ("client_idle", "proxy.timeouts", "client_idle"),
    ("connect", "proxy.timeouts", "connect"),
    ("handshake", "proxy.timeouts", "handshake"),
    ("response_head", "proxy.timeouts", "response_head"),
    ("response_body", "proxy.timeouts", "response_body"),
    ("tunnel_idle", "proxy.timeouts", "tunnel_idle"),
    ("interval", "proxy.health", "interval"),
    ("path", "proxy.health", "path"),
    ("access_log path", "proxy.access_log", "path"),
    ("access_log one_in", "proxy.access_log", "one_in"),
    ("log level", "log", "level"),
    ("admin listen", "admin", "listen"),
    ("admin connections", "admin", "connections"),
    ("admin timeout", "admin", "timeout"),
    ("admin connection_lifetime", "admin", "connection_lifetime"),
    ("token", "admin", "token"),
    ("token_file", "admin", "token_file"),
    ("public_purge", "admin", "public_purge"),
    ("header", "", "headers"),
    ("ignore_header", "", "ignore_headers"),
    ("method", "", "methods"),
];

impl<'t> Located<'t> {
    pub(super) fn new(text: &'t str) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        Some(Self { text, root })
    }

    /// Where the rule or stream that `place` names stands: at its name.
    pub(super) fn place(&self, place: &str) -> Option<Span> {
        let section = self.section(place)?;
        let name = section.get("name")?;
        Some(name.span())
    }

    /// What is to blame for `error`: the text that it quotes, or else the value of the key that it names.
    pub(super) fn blame(&self, error: &ConfigError) -> Option<Span> {
        let place = error.place();
        if place == "rules" {
            return self.named("rules", error.input()).last().map(name_span);
        }
        let field = place.rsplit(", ").next().unwrap_or(place);
        let named = KEYS.iter().filter(|(known, ..)| *known == field);
        // A rule or stream has keys of its own, by the same words.
        let of_rule = self.section(place).is_some();
        let mut keys =
            named.filter(|(_, table, _)| table.is_empty() || !of_rule || !table.contains("proxy"));
        let key = keys.next();
        // What is said of a whole table may name the rule that it does not do for.
        if let Some((_, table, key)) = key.filter(|(_, table, _)| !table.is_empty()) {
            let tables = table.split('.');
            let table = tables
                .into_iter()
                .try_fold(self.root.get_ref(), |within, name| {
                    within.get(name)?.get_ref().as_table()
                })?;
            let value = table.get(*key)?;
            return self.quoted(value, error).or_else(|| Some(value.span()));
        }
        let section = self.section(place)?;
        let value = section.get(key.map_or(field, |(_, _, key)| key));
        let quoted = value
            .and_then(|value| self.quoted(value, error))
            .or_else(|| self.quoted_in(section, error));
        quoted
            .or_else(|| value.map(Spanned::span))
            .or_else(|| section.get("name").map(Spanned::span))
    }

    /// The rule or stream that `place` begins with.
    fn section(&self, place: &str) -> Option<&DeTable<'t>> {
        let (kind, rest) = place.split_once(" `")?;
        let array = match kind {
            "rule" => "rules",
            "stream" => "streams",
            _ => return None,
        };
        // A name may have a backtick in it, so the longest one that exists.
        let names = rest.rmatch_indices('`').map(|(end, _)| &rest[..end]);
        let mut found = names.filter_map(|name| self.named(array, name).next());
        found.next()
    }

    /// The tables of `array` that are called `name`.
    fn named<'s>(&'s self, array: &str, name: &str) -> impl Iterator<Item = &'s DeTable<'t>> {
        let tables = self.root.get_ref().get(array);
        let tables = tables.and_then(|tables| tables.get_ref().as_array());
        let tables = tables.into_iter().flat_map(|tables| tables.iter());
        let name = name.to_owned();
        tables
            .filter_map(|table| table.get_ref().as_table())
            .filter(move |table| {
                let own = table.get("name").and_then(|own| own.get_ref().as_str());
                own == Some(name.as_str())
            })
    }

    fn quoted_in(&self, table: &DeTable<'t>, error: &ConfigError) -> Option<Span> {
        let mut found = table.iter().filter_map(|(key, value)| {
            let of_key = key.get_ref() == error.input();
            of_key
                .then(|| key.span())
                .or_else(|| self.quoted(value, error))
        });
        found.next()
    }

    /// Where below `value` the text stands that the error quotes, from the byte that it marks.
    fn quoted(&self, value: &Spanned<DeValue<'t>>, error: &ConfigError) -> Option<Span> {
        match value.get_ref() {
            DeValue::String(text) if text == error.input() && !text.is_empty() => {
                Some(self.marked(value.span(), error))
            }
            DeValue::Array(values) => values.iter().find_map(|value| self.quoted(value, error)),
            DeValue::Table(table) => self.quoted_in(table, error),
            _ => None,
        }
    }

    fn marked(&self, span: Span, error: &ConfigError) -> Span {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        // An escaped text is not found; it is marked as a whole.
        let Some((at, offset)) = raw.find(error.input()).zip(error.offset()) else {
            return span;
        };
        let start = span.start + at + offset.min(error.input().len());
        let width = self.text[start..].chars().next().map_or(1, char::len_utf8);
        start..start + width
    }
}

fn name_span(table: &DeTable<'_>) -> Span {
    table.get("name").map_or(0..0, Spanned::span)
}
