//! The cache key: everything that selects a stored response, in an encoding that no two different
//! requests share.
//!
//! A key is a list of components, each written as its kind, its length and its bytes, so that no value can
//! spell another component (SAFETY 10). A stored response carries its whole key, and a lookup compares
//! it: the digest that names it in a store may collide, the key may not.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;

/// What a component of a key says. The numbers are part of the stored format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Component {
    /// The method that the response answers (`GET` also for `HEAD`).
    Method = 1,
    Scheme = 2,
    Host = 3,
    Path = 4,
    QueryName = 5,
    QueryValue = 6,
    /// A named request field (its name), then one [`Component::Line`] for each of its lines.
    Header = 7,
    Line = 8,
    /// A named cookie (its name), then one [`Component::Line`] with its value.
    Cookie = 9,
    /// A field nominated by `Vary` (its name), then its normalised value as [`Component::Line`].
    Vary = 10,
    /// The whole query, unparsed.
    Query = 11,
    /// A component that is absent, where absence and emptiness differ.
    Absent = 12,
    /// What the rule says about the key, so that another configuration has other keys.
    Rule = 13,
    /// What the response says about the query (`No-Vary-Search`), which is then normalised.
    NoVarySearch = 14,
    /// Under this key stands a part of the response (RFC 9111 §3.3).
    Partial = 15,
    /// Which of several layers of one cache it is.
    Layer = 16,
}

/// What each [`Component`] is called, by its number.
const NAMES: [&str; 17] = [
    "part",
    "method",
    "scheme",
    "host",
    "path",
    "parameter",
    "value",
    "field",
    "line",
    "cookie",
    "vary",
    "query",
    "absent",
    "rule",
    "no-vary-search",
    "partial",
    "layer",
];

/// The key of a stored response, or of the list of its variants.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey(Bytes);

/// A 128-bit name for a key, stable across processes and versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 16]);

impl CacheKey {
    /// The key with exactly these encoded bytes, as an entry holds them.
    pub(crate) const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn digest(&self) -> Digest {
        let hash = blake3::hash(&self.0);
        let mut short = [0; 16];
        short.copy_from_slice(&hash.as_bytes()[..16]);
        Digest(short)
    }

    /// Its components as text, each with what it is.
    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        let mut rest: &[u8] = &self.0;
        let mut components = Vec::new();
        while let Some((kind, text, tail)) = next_part(rest) {
            let name = NAMES.get(usize::from(kind)).copied().unwrap_or("part");
            let shown = match std::str::from_utf8(text) {
                Ok(text) if !text.chars().any(char::is_control) && name != "rule" => text.into(),
                _ => text.iter().map(|byte| format!("{byte:02x}")).collect(),
            };
            components.push((name, shown));
            rest = tail;
        }
        components
    }

    /// A builder that adds components to this key, as a variant has.
    pub(crate) fn extend(&self) -> KeyBuilder {
        let mut builder = KeyBuilder::new();
        builder.length = self.0.len();
        match builder.inline.get_mut(..self.0.len()) {
            Some(room) => room.copy_from_slice(&self.0),
            None => builder.spilled.extend_from_slice(&self.0),
        }
        builder
    }
}

/// So that a key can be looked for by its bytes alone.
impl Borrow<[u8]> for CacheKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CacheKey {
    /// The key as text, its components separated by `|`. It may hold what a client sent: for logs of
    /// developers, not of production.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: &[u8] = &self.0;
        f.write_str("CacheKey(")?;
        while let Some((kind, text, tail)) = next_part(rest) {
            write!(f, "{kind}={}|", text.escape_ascii())?;
            rest = tail;
        }
        f.write_str(")")
    }
}

fn next_part(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((*kind, text, rest))
}

impl Digest {
    /// Appends its 32 hexadecimal digits, without the machinery of formatting: each lookup names a key.
    pub(crate) fn push_to(self, text: &mut String) {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        for byte in self.0 {
            text.push(DIGITS[usize::from(byte >> 4)]);
            text.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(32);
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

/// Bytes of a key that need no memory of their own: nearly all keys are shorter.
const INLINE: usize = 256;

/// Builds a [`CacheKey`] component by component. Where it stands unless it is long: a hit needs no more of its
/// key than this.
#[derive(Debug, Clone)]
pub(crate) struct KeyBuilder {
    inline: [u8; INLINE],
    length: usize,
    /// The whole key, once it is too long.
    spilled: Vec<u8>,
}

impl KeyBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            inline: [0; INLINE],
            length: 0,
            spilled: Vec::new(),
        }
    }

    pub(crate) fn component(&mut self, kind: Component, bytes: &[u8]) {
        // A request's head is limited to far less than 4 GiB; a longer component would be cut here and
        // then differ in its bytes, so the encoding stays injective for all that can occur.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let [a, b, c, d] = length.to_le_bytes();
        let head = [kind as u8, a, b, c, d];
        let end = self.length + head.len() + bytes.len();
        if let Some(room) = self.inline.get_mut(self.length..end) {
            let (first, rest) = room.split_at_mut(head.len());
            first.copy_from_slice(&head);
            rest.copy_from_slice(bytes);
        } else {
            self.spill(&head, bytes);
        }
        self.length = end;
    }

    #[cold]
    fn spill(&mut self, head: &[u8], bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.reserve(2 * (self.length + bytes.len()));
            let so_far = &self.inline[..self.length.min(INLINE)];
            self.spilled.extend_from_slice(so_far);
        }
        self.spilled.extend_from_slice(head);
        self.spilled.extend_from_slice(bytes);
    }

    /// Adds components that are encoded already.
    pub(crate) fn encoded(&mut self, components: &[u8]) {
        let end = self.length + components.len();
        match self.inline.get_mut(self.length..end) {
            Some(room) => room.copy_from_slice(components),
            None => self.spill(&[], components),
        }
        self.length = end;
    }

    /// The key's bytes so far.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        // Once it has spilled, its length is past what is inline.
        self.inline.get(..self.length).unwrap_or(&self.spilled)
    }

    /// The key.
    pub(crate) fn finish(&self) -> CacheKey {
        CacheKey(Bytes::copy_from_slice(self.as_bytes()))
    }
}

impl PartialEq for KeyBuilder {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for KeyBuilder {}

/// What a key holds of a credential: enough to tell it from others, and nothing to steal from a
/// store.
pub(crate) fn secret(value: &[u8]) -> [u8; 32] {
    *blake3::hash(value).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(components: &[(bool, Vec<u8>)]) -> CacheKey {
        let mut builder = KeyBuilder::new();
        for (name, bytes) in components {
            let kind = if *name {
                Component::QueryName
            } else {
                Component::QueryValue
            };
            builder.component(kind, bytes);
        }
        builder.finish()
    }

    proptest! {
        #[test]
        fn safety_10_two_lists_of_parts_share_a_key_only_if_equal(
            a: Vec<(bool, Vec<u8>)>, b: Vec<(bool, Vec<u8>)>
        ) {
            prop_assert_eq!(key(&a) == key(&b), a == b);
        }
    }

    #[test]
    fn a_key_is_the_same_wherever_it_is_built() {
        for length in [0, 5, 230, 240, 245, 246, 247, 256, 300, 5_000] {
            let value = vec![b'v'; length];
            let mut builder = KeyBuilder::new();
            let mut expected = Vec::new();
            for bytes in [b"first".as_slice(), &value, b"last"] {
                builder.component(Component::Path, bytes);
                expected.push(Component::Path as u8);
                let length = u32::try_from(bytes.len()).expect("short");
                expected.extend_from_slice(&length.to_le_bytes());
                expected.extend_from_slice(bytes);
                assert_eq!(builder.as_bytes(), expected, "{length}");
                let extended = builder.finish().extend();
                assert_eq!(extended.as_bytes(), expected, "{length}");
                let mut copied = KeyBuilder::new();
                let (start, end) = expected.split_at(expected.len() / 2);
                copied.encoded(start);
                copied.encoded(end);
                assert_eq!(copied, builder, "{length}");
            }
            let mut extended = builder.finish().extend();
            extended.component(Component::Line, b"more");
            builder.component(Component::Line, b"more");
            assert_eq!(extended, builder, "{length}");
        }
    }

    #[test]
    fn a_digest_is_written_in_hexadecimal() {
        let digest = Digest([
            0x00, 0x01, 0x0f, 0x10, 0x7f, 0x80, 0x9a, 0xab, 0xbc, 0xcd, 0xde, 0xef, 0xf0, 0xff,
            0x12, 0x34,
        ]);
        assert_eq!(digest.to_string(), "00010f107f809aabbccddeeff0ff1234");
    }

    #[test]
    fn a_value_cannot_spell_another_part() {
        let honest = key(&[(true, b"a".to_vec()), (false, b"b".to_vec())]);
        let mut spelled = b"a".to_vec();
        spelled.extend_from_slice(&[Component::QueryValue as u8, 1, 0, 0, 0, b'b']);
        assert_ne!(honest, key(&[(true, spelled)]));
    }
}
