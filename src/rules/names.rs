//! Lists of names, of query parameters or cookies, in which a name may end in `*`.

use crate::error::ConfigError;

/// Names, sorted and without repeats; `utm_*` stands for all that begin with `utm_`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(from = "Vec<String>"),
    schemars(inline)
)]
pub(super) struct Names(Box<[Box<str>]>);

impl Names {
    pub(super) fn new<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(|name| name.into().into());
        let mut names: Vec<Box<str>> = names.collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses names that cannot match: empty ones, and a `*` that is not at the end.
    ///
    /// # Errors
    /// A [`ConfigError`] that quotes the name.
    pub(super) fn check(&self, place: &'static str) -> Result<(), ConfigError> {
        for name in self.iter() {
            if name.is_empty() {
                return Err(ConfigError::new(place, "empty name", name));
            }
            match name.find('*') {
                Some(at) if at + 1 < name.len() => {
                    return Err(ConfigError::new(place, "`*` before the end", name).at(at));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether one of them stands for `name`, as `same` compares a name, or the beginning of one
    /// (as many items as it has), with what they begin with.
    pub(super) fn any(&self, same: impl Fn(&str, Prefix) -> bool) -> bool {
        self.iter().any(|name| match name.strip_suffix('*') {
            Some(prefix) => same(prefix, Prefix::Yes),
            None => same(name, Prefix::No),
        })
    }

    pub(super) fn contain(&self, name: &[u8]) -> bool {
        self.any(|known, prefix| match prefix {
            Prefix::Yes => name.starts_with(known.as_bytes()),
            Prefix::No => name == known.as_bytes(),
        })
    }
}

impl From<Vec<String>> for Names {
    fn from(names: Vec<String>) -> Self {
        Self::new(names)
    }
}

/// Whether a name is only the beginning of those it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Yes,
    No,
}
