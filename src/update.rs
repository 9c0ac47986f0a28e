//! What people are told of: an [`Update`] says what changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::chance::unique_word;
use crate::error::{Error, ErrorKind};
use crate::spelling::shown;
use crate::tag::Tag;

mod id;
mod source;

pub(crate) use self::id::UpdateCursor;
pub use self::id::{ParseUpdateIdError, UpdateId};
pub(crate) use self::source::EventSource;

/// The longest type of an update, in bytes.
const MAX_KIND_BYTES: usize = 64;
/// The longest identity, in bytes.
const MAX_IDENTITY_BYTES: usize = 512;
/// The most fields of one update.
const MAX_FIELDS: usize = 32;
/// The most bytes of all of them, names and values together.
const MAX_FIELD_BYTES: usize = 8 * 1024;
/// The type of those that say that something unknown changed.
pub(crate) const RESYNC: &str = "resync";
/// The type of those that tell of an alert, and what their subjects begin with.
pub(crate) const ALERT: &str = "alert";
pub(crate) const ALERTS: &str = "alerts:";
/// The subject of those: whatever there is.
const EVERYTHING: &str = "*";

/// Something that people are told of once no node answers with the old data any more: what happened (its type), to what (its
/// subject), which event says so (its identity), and what is known of it (its fields).
///
/// ```
/// use tower_tagcache::Update;
///
/// # fn main() -> Result<(), tower_tagcache::Error> {
/// let sale = Update::new("sale", "auction:0xA16E02E87b7454126E5E10d957A927A7F5B5d2be")?
///     .with_identity("1/0x5f2a/0x91cc/3")?
///     .with_field("amount", "1500000000000000000000")?;
/// assert_eq!(sale.subject(), "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Update {
    kind: Box<str>,
    subject: Box<str>,
    identity: Box<str>,
    fields: BTreeMap<Box<str>, Box<str>>,
    /// `None` for what no publisher said.
    source: Option<Box<EventSource>>,
}

impl Update {
    /// An update of the type `kind` about `subject`, which is written like a tag. Without an
    /// [identity](Self::with_identity) it repeats no other.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: the type is empty, longer than 64 bytes, has other characters than ASCII letters, digits,
    /// `_`, `-` and `.`, or is `resync` or `alert`; or the subject is no [`Tag`].
    pub fn new(kind: impl AsRef<str>, subject: impl AsRef<str>) -> Result<Self, Error> {
        let kind = kind.as_ref();
        check_kind(kind)?;
        let subject = Tag::new(subject.as_ref())?;
        Ok(Self {
            kind: kind.into(),
            subject: subject.as_str().into(),
            identity: unique_word().into(),
            fields: BTreeMap::new(),
            source: None,
        })
    }

    /// Something unknown changed, for that reason: whoever is told looks at everything again.
    pub(crate) fn resync(reason: &str) -> Self {
        Self {
            kind: RESYNC.into(),
            subject: EVERYTHING.into(),
            identity: unique_word().into(),
            fields: BTreeMap::from([("reason".into(), reason.into())]),
            source: None,
        }
    }

    /// An alert of `rule`, of which `id` tells it from others.
    #[cfg(feature = "activity")]
    pub(crate) fn alert(rule: &str, id: &str) -> Result<Self, Error> {
        let subject = Tag::new(&format!("{ALERTS}{rule}"))?;
        let update = Self {
            kind: ALERT.into(),
            subject: subject.as_str().into(),
            identity: unique_word().into(),
            fields: BTreeMap::new(),
            source: None,
        };
        update.with_identity(id)
    }

    /// Sets what tells its event from others. Updates with the same identity, type and subject are told once. Default: a random
    /// word.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it is empty, longer than 512 bytes, or has a control character.
    pub fn with_identity(mut self, identity: impl AsRef<str>) -> Result<Self, Error> {
        let identity = identity.as_ref();
        if identity.is_empty()
            || identity.len() > MAX_IDENTITY_BYTES
            || identity.chars().any(char::is_control)
        {
            let most = MAX_IDENTITY_BYTES;
            return Err(invalid(
                "identity",
                identity,
                &format!("is not 1 to {most} bytes long, or has a control character"),
            ));
        }
        self.identity = identity.into();
        Ok(self)
    }

    /// Adds a field; one of the same name is replaced. Write numbers as text: JSON's do not hold a `uint256`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: the name is empty, there are more than 32 fields, or names and values together exceed 8 KiB.
    pub fn with_field(
        mut self,
        name: impl Into<Box<str>>,
        value: impl Into<Box<str>>,
    ) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() {
            return Err(invalid("field", "", "has no name"));
        }
        self.fields.insert(name, value.into());
        let bytes = self.fields.iter().map(|(n, v)| n.len() + v.len());
        if self.fields.len() > MAX_FIELDS || bytes.sum::<usize>() > MAX_FIELD_BYTES {
            let why = format!("has more than {MAX_FIELDS} fields, or {MAX_FIELD_BYTES} bytes");
            return Err(invalid("update", &self.kind, &why));
        }
        Ok(self)
    }

    /// Says where its event comes from.
    pub(crate) fn with_source(mut self, source: EventSource) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Where its event comes from, if a publisher said it.
    #[cfg(feature = "activity")]
    pub(crate) fn source(&self) -> Option<&EventSource> {
        self.source.as_deref()
    }

    /// Its type: `sale`, say.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// What it is about: `auction:0x…`, say.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What tells its event from others.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What is known of it, ordered by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| &**value)
    }

    /// With an identity that nothing else has: it is no repeat.
    pub(crate) fn told_anew(self) -> Self {
        Self {
            identity: unique_word().into(),
            ..self
        }
    }

    /// Whether something unknown changed.
    pub(crate) fn is_resync(&self) -> bool {
        &*self.kind == RESYNC
    }

    /// Whether it tells of an alert: of the type `alert`, about `alerts:` and the name of a rule.
    pub(crate) fn is_alert(&self) -> bool {
        &*self.kind == ALERT && self.subject.starts_with(ALERTS)
    }

    /// A number of 128 bits for identity, type and subject, by which repeats are known.
    pub(crate) fn fingerprint(&self) -> u128 {
        fingerprint_of(&[&self.kind, &self.subject, &self.identity])
    }

    /// What it takes in a record, about.
    pub(crate) fn bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(n, v)| n.len() + v.len() + 6);
        let source = self.source.as_ref().map_or(0, |source| source.bytes());
        let texts = self.kind.len() + self.subject.len() + self.identity.len();
        texts + 40 + fields.sum::<usize>() + source
    }

    fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("type".into(), (*self.kind).into());
        json.insert("subject".into(), (*self.subject).into());
        json.insert("id".into(), (*self.identity).into());
        if !self.fields.is_empty() {
            let fields = self.fields.iter();
            let fields: Map<_, _> = fields
                .map(|(name, value)| ((**name).into(), (**value).into()))
                .collect();
            json.insert("fields".into(), fields.into());
        }
        if let Some(source) = &self.source {
            json.insert("from".into(), source.to_json());
        }
        json.into()
    }

    fn from_json(json: &Value) -> Option<Self> {
        let text = |name: &str| Some(Box::<str>::from(json.get(name)?.as_str()?));
        let mut fields = BTreeMap::new();
        if let Some(given) = json.get("fields") {
            for (name, value) in given.as_object()? {
                fields.insert(name.as_str().into(), value.as_str()?.into());
            }
        }
        Some(Self {
            kind: text("type")?,
            subject: text("subject")?,
            identity: text("id")?,
            fields,
            source: json
                .get("from")
                .and_then(EventSource::from_json)
                .map(Box::new),
        })
    }
}

/// As a JSON list, for a record of the purge log.
pub(crate) fn write_updates(updates: &[Arc<Update>]) -> String {
    let list: Vec<Value> = updates.iter().map(|update| update.to_json()).collect();
    Value::from(list).to_string()
}

/// Reads what [`write_updates`] wrote.
pub(crate) fn read_updates(text: &[u8]) -> Option<Vec<Arc<Update>>> {
    let list: Vec<Value> = serde_json::from_slice(text).ok()?;
    let read = |json| Update::from_json(json).map(Arc::new);
    list.iter().map(read).collect()
}

/// A number of 128 bits for `parts`, by which what is made of them is known again.
pub(crate) fn fingerprint_of(parts: &[&str]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize();
    let (half, _) = hash.as_bytes().split_at(16);
    half.iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Whether updates may be of the type `kind`.
///
/// # Errors
/// As [`Update::new`].
pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    if !is_word(kind) {
        let why = format!("is not {WORD}");
        return Err(invalid("type of update", kind, &why));
    }
    match kind {
        RESYNC | ALERT => Err(invalid("type of update", kind, "is the cache's own")),
        _ => Ok(()),
    }
}

/// What [`is_word`] wants, for messages.
pub(crate) const WORD: &str = "1 to 64 ASCII letters, digits, `_`, `-` and `.`";

/// Whether a type of update may be written so, and what else has a name of that kind.
pub(crate) fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !text.is_empty() && text.len() <= MAX_KIND_BYTES && text.bytes().all(fits)
}

fn invalid(what: &str, text: &str, why: &str) -> Error {
    let shown = shown(text);
    Error::new(ErrorKind::Invalid, format!("{what} {shown:?} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_read_back_what_was_written() {
        let sale = Update::new("sale", "auction:1").unwrap();
        let sale = sale.with_identity("1/2/3").unwrap();
        let sale = sale.with_field("amount", "9\"\n").unwrap();
        let sale = sale.with_source(EventSource {
            block: Some(133),
            network: Some("local".into()),
            ..EventSource::of("sales", "1-2")
        });
        let updates = vec![Arc::new(sale), Arc::new(Update::resync("reorg"))];
        let text = write_updates(&updates);
        assert_eq!(read_updates(text.as_bytes()), Some(updates));
    }

    #[test]
    fn what_is_no_list_of_updates_is_not_read() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"[{"type":"a","subject":"b"}]"#,
            r#"[{"type":"a","subject":"b","id":"c","fields":{"n":1}}]"#,
            r#"[{"type":"a","subject":"b","id":"c","fields":[]}]"#,
        ] {
            assert_eq!(read_updates(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn repeats_are_known_by_identity_type_and_subject() {
        let update = |kind: &str, subject: &str, identity: &str| {
            let update = Update::new(kind, subject).unwrap();
            update.with_identity(identity).unwrap()
        };
        let first = update("sale", "auction:1", "x");
        let same = first.clone().with_field("amount", "1").unwrap();
        assert_eq!(first.fingerprint(), same.fingerprint());
        for other in [
            update("kick", "auction:1", "x"),
            update("sale", "auction:2", "x"),
            update("sale", "auction:1", "y"),
            update("sal", "eauction:1", "x"),
        ] {
            assert_ne!(first.fingerprint(), other.fingerprint());
        }
    }

    #[test]
    fn what_no_update_can_be_is_refused() {
        let long = "x".repeat(600);
        for (kind, subject) in [
            ("", "a"),
            ("a b", "a"),
            ("resync", "a"),
            (&*long, "a"),
            ("a", ""),
        ] {
            assert!(Update::new(kind, subject).is_err(), "{kind} {subject}");
        }
        let update = || Update::new("a", "b").unwrap();
        for identity in ["", &long, "a\n"] {
            assert!(update().with_identity(identity).is_err(), "{identity}");
        }
        assert!(update().with_field("", "1").is_err());
        assert!(update().with_field("a", "x".repeat(9_000)).is_err());
        let fields = (0..33).try_fold(update(), |update, n| update.with_field(n.to_string(), "1"));
        assert!(fields.is_err());
    }
}
