//! Where in the file a setting is.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{ConfigError, ConfigPlace, ConfigSection, Setting};

type Span = Range<usize>;

/// The file as a tree that knows where each value stands.
pub(super) struct SourceTree<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> SourceTree<'t> {
    pub(super) fn new(text: &'t str) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        Some(Self { text, root })
    }

    /// Where `place` is: the name of its rule or stream, or the value of a setting of a table.
    pub(super) fn place_of(&self, place: &ConfigPlace) -> Option<Span> {
        match (self.section(place), place.setting()) {
            (Some(section), _) => section.get("name").map(Spanned::span),
            (None, Some(setting)) => Some(self.value_of(setting)?.span()),
            (None, None) => None,
        }
    }

    /// What is to blame for `error`: the text that it quotes, or else the value of the setting that it names.
    pub(super) fn blame(&self, error: &ConfigError) -> Option<Span> {
        let place = error.place();
        // What is said of a whole table may name the rule that it does not do for.
        let of_table = place.setting().filter(|of| !of.table().is_empty());
        if let Some(setting) = of_table {
            let value = self.value_of(setting)?;
            return self.quoted(value, error).or_else(|| Some(value.span()));
        }
        let key = place.setting().map_or("", |setting| setting.key());
        let Some(section) = self.section(place) else {
            // Of all rules: the last one of the name that is quoted.
            return self.named(key, error.input()).last().map(name_span);
        };
        let mapping = place.mapping_number().and_then(|number| {
            let mappings = section.get("on")?.get_ref().as_array()?;
            mappings.get(number)?.get_ref().as_table()
        });
        let announce = mapping.and_then(|mapping| mapping.get("announce")?.get_ref().as_table());
        let sections = || mapping.into_iter().chain(announce).chain([section]);
        let value = sections().find_map(|section| section.get(key));
        let quoted = value.and_then(|value| self.quoted(value, error));
        quoted
            .or_else(|| sections().find_map(|section| self.quoted_in(section, error)))
            .or_else(|| value.map(Spanned::span))
            .or_else(|| section.get("name").map(Spanned::span))
    }

    /// The value of a setting of a table such as `proxy.limits`; the table, if it is not set there.
    fn value_of(&self, setting: Setting) -> Option<&Spanned<DeValue<'t>>> {
        let mut names = setting.table().split('.');
        let outer = self.root.get_ref().get(names.next()?)?;
        let table = names.try_fold(outer, |within, name| within.get_ref().as_table()?.get(name))?;
        let value = table.get_ref().as_table()?.get(setting.key());
        Some(value.unwrap_or(table))
    }

    /// The rule, stream or webhook of `place`.
    fn section(&self, place: &ConfigPlace) -> Option<&DeTable<'t>> {
        match place.section()? {
            ConfigSection::Rule(name) => self.named("rules", name).next(),
            ConfigSection::Stream(name) => self.named("streams", name).next(),
            // Of two with one name it is the second that has to go.
            ConfigSection::Alert(name) => self.named("alerts", name).last(),
            ConfigSection::Webhook(name) => self.named("webhooks", name).last(),
        }
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
