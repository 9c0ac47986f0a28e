//! [`ConfigPlace`]: where in a configuration something is said.

use std::fmt;

/// Where in a configuration something is said: of which rule or stream, and by which setting.
///
/// `{}` prints it as messages do: ``rule `auction`, route``.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigPlace {
    section: Option<ConfigSection>,
    mapping: Option<MappingPlace>,
    setting: Option<Setting>,
}

/// A rule, a stream, a rule of alerts or a webhook, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSection {
    /// A rule.
    Rule(String),
    /// A stream.
    Stream(String),
    /// A rule of alerts.
    Alert(String),
    /// A webhook.
    Webhook(String),
}

/// What a stream purges [on](crate::On) an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappingPlace {
    /// From 0, in the order of the stream.
    pub(crate) number: usize,
    /// The event; any, without a name.
    pub(crate) event: Option<String>,
}

/// A setting, by its key in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The table that the key is in, such as `cache` or `proxy.limits`; empty for a key of a rule or stream.
    table: &'static str,
    key: &'static str,
    word: &'static str,
}

impl ConfigPlace {
    /// The rule of this name.
    pub fn rule(name: impl Into<String>) -> Self {
        Self::of(ConfigSection::Rule(name.into()))
    }

    /// The stream of this name.
    pub fn stream(name: impl Into<String>) -> Self {
        Self::of(ConfigSection::Stream(name.into()))
    }

    /// The rule of alerts of this name.
    pub fn alert(name: impl Into<String>) -> Self {
        Self::of(ConfigSection::Alert(name.into()))
    }

    /// The webhook of this name.
    pub fn webhook(name: impl Into<String>) -> Self {
        Self::of(ConfigSection::Webhook(name.into()))
    }

    fn of(section: ConfigSection) -> Self {
        Self {
            section: Some(section),
            ..Self::default()
        }
    }

    pub(crate) fn mapping(number: usize, event: Option<String>) -> Self {
        Self {
            mapping: Some(MappingPlace { number, event }),
            ..Self::default()
        }
    }

    /// This place in `outer`, whose setting does not count.
    #[must_use]
    pub(crate) fn within(self, outer: Self) -> Self {
        Self {
            section: self.section.or(outer.section),
            mapping: self.mapping.or(outer.mapping),
            setting: self.setting,
        }
    }

    /// The rule, stream, rule of alerts or webhook.
    #[must_use]
    pub const fn section(&self) -> Option<&ConfigSection> {
        self.section.as_ref()
    }

    /// The setting; none if the whole rule or stream is meant.
    #[must_use]
    pub const fn setting(&self) -> Option<Setting> {
        self.setting
    }

    /// Of a stream: which of its mappings, from 0.
    #[must_use]
    pub fn mapping_number(&self) -> Option<usize> {
        self.mapping.as_ref().map(|mapping| mapping.number)
    }
}

impl Setting {
    /// The address of the Redis server.
    pub const REDIS_URL: Self = Self::of("redis", "url").called("redis url");

    /// The `key` of the table `table`, such as `proxy.limits`. Messages call it by the key.
    #[must_use]
    pub const fn of(table: &'static str, key: &'static str) -> Self {
        Self {
            table,
            key,
            word: key,
        }
    }

    /// The `key` of a rule or stream.
    #[must_use]
    pub const fn key_of_section(key: &'static str) -> Self {
        Self::of("", key)
    }

    /// This setting, which messages call `word`.
    #[must_use]
    pub const fn called(mut self, word: &'static str) -> Self {
        self.word = word;
        self
    }

    /// The table that the key is in; empty for a key of a rule or stream.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.table
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// What messages call it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.word
    }
}

impl From<Setting> for ConfigPlace {
    fn from(setting: Setting) -> Self {
        Self {
            setting: Some(setting).filter(|setting| !setting.key.is_empty()),
            ..Self::default()
        }
    }
}

/// A key of the rule or stream that is meant; the whole of it, if empty.
impl From<&'static str> for ConfigPlace {
    fn from(key: &'static str) -> Self {
        Setting::key_of_section(key).into()
    }
}

impl fmt::Display for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = self.section.as_ref().map(|section| match section {
            ConfigSection::Rule(name) => format!("rule `{name}`"),
            ConfigSection::Stream(name) => format!("stream `{name}`"),
            ConfigSection::Alert(name) => format!("alert `{name}`"),
            ConfigSection::Webhook(name) => format!("webhook `{name}`"),
        });
        let mapping = self.mapping.as_ref().map(|mapping| match &mapping.event {
            Some(name) => format!("on `{name}`"),
            None => "on any event".to_owned(),
        });
        let setting = self.setting.map(|setting| setting.word.to_owned());
        let words: Vec<String> = [section, mapping, setting].into_iter().flatten().collect();
        f.write_str(&words.join(", "))
    }
}

impl PartialEq<str> for ConfigPlace {
    /// As messages say it.
    fn eq(&self, text: &str) -> bool {
        let own = self.to_string();
        own == text
    }
}
