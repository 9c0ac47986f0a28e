//! Tags, and everything else that a purge can name.
//!
//! A [`Tag`] is what operators write (`auction:0xabc…`). A [`Target`] is what a purge record names:
//! a tag, or one of the implicit ones that each stored response carries (everything, its rule, its
//! path, the family of each tag). A [`TagId`] is a target's stable 64-bit hash: stored responses
//! and marks hold ids, so that judging a hit compares numbers. Two targets with one id purge each
//! other's responses, which costs a miss and never truth.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::spelling::shown;

mod glob;
mod target;

pub(crate) use self::glob::Glob;
pub use self::target::Target;

/// The family of the tags of cache groups (RFC 9875).
pub(crate) const CACHE_GROUP: &str = "cache-group";
/// The longest tag, in bytes.
pub(crate) const MAX_TAG_BYTES: usize = 256;
/// The most tags that one stored response may carry, the implicit ones not counted.
pub(crate) const MAX_TAGS: usize = 64;

/// A label to purge by, such as `auction:0xabc…`. What stands before the first colon is its family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag `text`. Case and inner spaces count, but for addresses (`0x` and 40 hexadecimal digits
    /// standing alone): one address is one tag, however it is written.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is empty, longer than 256 bytes, or has a control character
    /// or a space at either end.
    pub fn new(text: &str) -> Result<Self, Error> {
        let problem = if text.is_empty() {
            "is empty"
        } else if text.len() > MAX_TAG_BYTES {
            "is longer than 256 bytes"
        } else if text.chars().any(char::is_control) {
            "has a control character"
        } else if text.trim() != text {
            "has a space at one end"
        } else {
            return Ok(Self((*fold_addresses(text.into())).into()));
        };
        let shown = shown(text);
        Err(Error::new(
            ErrorKind::Invalid,
            format!("tag {shown:?} {problem}"),
        ))
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of a cache group (RFC 9875), which responses to unsafe requests can purge.
    pub(crate) fn is_cache_group(&self) -> bool {
        self.family() == Some(CACHE_GROUP)
    }

    /// What stands before the first colon, if there is one.
    #[must_use]
    pub fn family(&self) -> Option<&str> {
        self.0.split_once(':').map(|(family, _)| family)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Tag {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lower-cases each address in `text`: `0x` and exactly 40 hexadecimal digits, standing alone.
pub(crate) fn fold_addresses(mut text: Cow<'_, str>) -> Cow<'_, str> {
    let mut from = 0;
    while let Some(found) = text[from..].find(['x', 'X']) {
        let digits = from + found + 1;
        let run = text[digits..]
            .bytes()
            .take_while(u8::is_ascii_hexdigit)
            .count();
        from = digits + run;
        let bytes = text.as_bytes();
        let alone = digits >= 2
            && bytes[digits - 2] == b'0'
            && !(digits >= 3 && bytes[digits - 3].is_ascii_alphanumeric())
            && !bytes.get(from).is_some_and(u8::is_ascii_alphanumeric);
        let range = digits.saturating_sub(2)..from;
        if run == 40 && alone && bytes[range.clone()].iter().any(u8::is_ascii_uppercase) {
            text.to_mut()[range].make_ascii_lowercase();
        }
    }
    text
}

/// The stable 64-bit hash of a [`Target`]. The same on every node and in every version of this
/// crate that reads the same entry format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TagId(u64);

impl TagId {
    /// The id that each stored response carries, named by a purge of everything.
    pub(crate) const ALL: Self = Self(0);

    /// The id with the number `raw`, as an entry holds it.
    #[must_use]
    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number, as an entry holds it.
    #[must_use]
    pub(crate) const fn as_raw(self) -> u64 {
        self.0
    }

    /// The id of the tag `text`.
    #[must_use]
    pub(crate) fn tag(text: &str) -> Self {
        Self::hash(b't', text)
    }

    /// The id of the family `name`.
    #[must_use]
    pub(crate) fn family(name: &str) -> Self {
        Self::hash(b'f', name)
    }

    /// The id of the rule `name`.
    #[must_use]
    pub(crate) fn rule(name: &str) -> Self {
        Self::hash(b'r', name)
    }

    /// The id of the exact URL path `path`.
    #[must_use]
    pub(crate) fn path(path: &str) -> Self {
        Self::hash(b'p', path)
    }

    fn hash(scope: u8, name: &str) -> Self {
        let seed = rapidhash::v3::RapidSecrets::seed_cpp(u64::from(scope));
        let raw = rapidhash::v3::rapidhash_v3_seeded(name.as_bytes(), &seed);
        // 0 is taken by ALL.
        Self(raw.max(1))
    }
}

/// What a purge does to the responses that its targets name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PurgeKind {
    /// Opens an epoch of the log; names nothing.
    Open,
    /// Makes them unusable.
    Hard,
    /// Makes them usable only as stale.
    Soft,
}

/// The ids that a stored response carries, implicit ones included; sorted, without repeats.
#[derive(Debug, Clone, Default)]
pub(crate) struct TagSet {
    ids: smallvec::SmallVec<[TagId; 8]>,
    /// How many were added by [`add`](Self::add), for its limit; a set read back counts anew.
    explicit: usize,
}

impl PartialEq for TagSet {
    /// Equal if the ids are, however they came into the set.
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
    }
}

impl Eq for TagSet {}

impl TagSet {
    /// The implicit tags of a response of `rule` at `path`: everything, the rule, the path.
    #[must_use]
    pub(crate) fn implicit(rule: &str, path: &str) -> Self {
        let mut set = Self::default();
        set.insert(TagId::ALL);
        set.insert(TagId::rule(rule));
        set.insert(TagId::path(path));
        set
    }

    /// The set with exactly `ids`, as an entry holds them.
    pub(crate) fn from_ids(ids: impl IntoIterator<Item = TagId>) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.insert(id);
        }
        set
    }

    /// Adds an explicit tag and its family.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] past [`MAX_TAGS`] distinct tags. The response is then not stored: with a
    /// tag missing it could not be purged.
    pub(crate) fn add(&mut self, tag: &Tag) -> Result<(), Error> {
        let id = TagId::tag(tag.as_str());
        if self.contains(id) {
            return Ok(());
        }
        if self.explicit == MAX_TAGS {
            return Err(Error::new(ErrorKind::Invalid, "more than 64 tags"));
        }
        self.explicit += 1;
        self.insert(id);
        if let Some(family) = tag.family() {
            self.insert(TagId::family(family));
        }
        Ok(())
    }

    /// Adds the family `name`, for a response that has no tag of it and yet must go with it: a list
    /// without members.
    pub(crate) fn add_family(&mut self, name: &str) {
        self.insert(TagId::family(name));
    }

    /// Adds every id of `other`.
    pub(crate) fn union(&mut self, other: &Self) {
        for id in other.iter() {
            self.insert(id);
        }
    }

    /// Whether `id` is in the set.
    pub(crate) fn contains(&self, id: TagId) -> bool {
        self.ids.binary_search(&id).is_ok()
    }

    /// The ids, in ascending order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = TagId> + '_ {
        self.ids.iter().copied()
    }

    fn insert(&mut self, id: TagId) {
        if let Err(place) = self.ids.binary_search(&id) {
            self.ids.insert(place, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_across_versions() {
        // Stored responses hold these numbers: a change here needs a new entry version.
        let hashed = TagId::hash(b't', "auction:0x1");
        assert_eq!(TagId::tag("auction:0x1"), hashed);
        assert_ne!(TagId::tag("x"), TagId::family("x"));
        assert_ne!(TagId::rule("x"), TagId::path("x"));
    }

    #[test]
    fn target_reads_back_what_it_prints() -> Result<(), Error> {
        for target in [
            Target::All,
            Target::Tag(Tag::new("auction:0x1")?),
            Target::Family("auction".into()),
            Target::Rule("list".into()),
            Target::Path("/a:b".into()),
            Target::Glob("/a/**".into()),
        ] {
            assert_eq!(Target::parse(&target.to_string()), Some(target));
        }
        assert_eq!(Target::parse("z:new kind"), None);
        Ok(())
    }

    #[test]
    fn a_response_carries_its_tags_families_rule_path_and_everything() -> Result<(), Error> {
        let mut set = TagSet::implicit("r", "/p");
        set.add(&Tag::new("auction:1")?)?;
        set.add(&Tag::new("auctions")?)?;
        for id in [
            TagId::ALL,
            TagId::rule("r"),
            TagId::path("/p"),
            TagId::tag("auction:1"),
            TagId::family("auction"),
            TagId::tag("auctions"),
        ] {
            assert!(set.contains(id));
        }
        assert_eq!(set.iter().len(), 6);
        Ok(())
    }

    #[test]
    fn safety_48_one_address_is_one_tag_however_it_is_written() {
        let tag = |text| Tag::new(text).unwrap();
        let lower = tag("auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be");
        let mixed = tag("auction:0xA16E02E87b7454126E5E10D957A927A7F5B5d2be");
        assert_eq!(lower, mixed);
        assert_ne!(tag("Auctions"), tag("auctions"));
    }

    #[test]
    fn the_65th_tag_is_refused() -> Result<(), Error> {
        let mut set = TagSet::default();
        for n in 0..MAX_TAGS {
            set.add(&Tag::new(&format!("t:{n}"))?)?;
        }
        let refused = set.add(&Tag::new("t:one-more")?).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::Invalid));
        Ok(())
    }
}
