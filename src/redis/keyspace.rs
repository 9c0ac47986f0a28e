//! The names of keys in Redis. No other file spells one.

use crate::error::ConfigError;
use crate::key::Digest;
use crate::place::Setting;
use crate::redis::cluster::hash_tag;

/// The longest namespace, in bytes.
const MAX_NAMESPACE: usize = 128;

/// The keys of one cache. Two caches with different namespaces share nothing.
#[derive(Debug, Clone)]
pub(crate) struct Keyspace {
    namespace: Box<str>,
    log: Box<str>,
    heartbeat: Box<str>,
    roll: Box<str>,
    #[cfg(feature = "activity")]
    activity: Box<str>,
}

impl Keyspace {
    /// The keys under `namespace`.
    ///
    /// # Errors
    /// The namespace is empty, longer than 128 bytes, or has a brace (which Redis Cluster takes for
    /// a hash tag), a space or a control character.
    pub(crate) fn new(namespace: &str) -> Result<Self, ConfigError> {
        let setting = Setting::of("redis", "namespace").called("redis namespace");
        let refused = |message: &str, at| {
            let error = ConfigError::new(setting, message, namespace);
            Err(if let Some(at) = at {
                error.at(at)
            } else {
                error
            })
        };
        if namespace.is_empty() {
            return refused("must not be empty", None);
        }
        if namespace.len() > MAX_NAMESPACE {
            return refused("is longer than 128 bytes", Some(MAX_NAMESPACE));
        }
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '{' | '}');
        if let Some(at) = namespace.find(bad) {
            return refused(
                "must not have a brace, a space or a control character",
                Some(at),
            );
        }
        let log = format!("{namespace}:purges");
        Ok(Self {
            namespace: namespace.into(),
            // The log's whole name as hash tag: the slot of the log itself (PROTOCOL 22).
            heartbeat: format!("{{{log}}}:hb").into(),
            roll: format!("{{{log}}}:roll").into(),
            #[cfg(feature = "activity")]
            activity: format!("{{{log}}}:activity").into(),
            log: log.into(),
        })
    }

    /// The purge log, a stream.
    pub(crate) fn log(&self) -> &str {
        &self.log
    }

    /// What the heartbeat writes where replicas exist; in Cluster in the log's slot.
    pub(crate) fn heartbeat(&self) -> &str {
        &self.heartbeat
    }

    /// Who may answer near, a hash; in Cluster in the log's slot.
    pub(crate) fn roll(&self) -> &str {
        &self.roll
    }

    /// What is kept of activity: a hash, whose name all its other keys begin with; in Cluster in the log's slot.
    #[cfg(feature = "activity")]
    pub(crate) fn activity(&self) -> &str {
        &self.activity
    }

    /// The entry whose key has this digest. Entries spread over all slots.
    pub(crate) fn entry(&self, digest: Digest) -> String {
        self.named(":e:", digest)
    }

    /// Component `place` of the large entry that has this number.
    pub(crate) fn chunk(&self, number: u128, place: usize) -> String {
        format!("{}:b:{number:032x}:{place}", self.namespace)
    }

    /// Who of the fleet fetches the response whose key has this digest.
    pub(crate) fn claim(&self, digest: Digest) -> String {
        self.named(":claim:", digest)
    }

    fn named(&self, kind: &str, digest: Digest) -> String {
        let mut name = String::with_capacity(self.namespace.len() + kind.len() + 32);
        name.push_str(&self.namespace);
        name.push_str(kind);
        digest.push_to(&mut name);
        name
    }
}

/// The keys beside an event stream.
#[derive(Debug)]
pub(crate) struct StreamKeys {
    /// A stream of the entries that were put aside.
    pub(super) quarantine: String,
    /// A hash of the gaps that are not closed yet.
    pub(super) gaps: String,
    /// Where the group is, as far as consumers with this mapping know: how they notice that others moved it.
    pub(super) at: String,
    /// There as long as some consumer heard from the server lately.
    pub(super) heard: String,
    /// When the next look at the group is due, by the server's clock.
    pub(super) looks: String,
}

impl StreamKeys {
    /// Those of `stream` for `group` and the mapping that has this number; `in_cluster` in the stream's own slot.
    pub(super) fn new(
        namespace: &str,
        group: &str,
        stream: &str,
        mapping: u64,
        in_cluster: bool,
    ) -> Self {
        let tag = match in_cluster {
            true => format!("{{{}}}:", hash_tag(stream)),
            false => String::new(),
        };
        Self {
            at: format!("{namespace}:{tag}at:{group}:{mapping:016x}:{stream}"),
            quarantine: format!("{namespace}:{tag}quarantine:{stream}"),
            gaps: format!("{namespace}:{tag}gaps:{stream}"),
            heard: format!("{namespace}:{tag}heard:{stream}"),
            looks: format!("{namespace}:{tag}looks:{group}:{stream}"),
        }
    }

    /// Why there can be no keys beside `stream` in its slot of a Cluster, if so.
    pub(crate) fn why_not_in_cluster(stream: &str) -> Option<&'static str> {
        hash_tag(stream).contains('}').then_some(
            "has a closing brace but no hash tag, so that no other key can be in its slot of the Cluster",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Component, KeyBuilder};

    #[test]
    fn keys_stand_under_the_namespace() {
        let keys = Keyspace::new("tagcache").unwrap();
        let mut key = KeyBuilder::new();
        key.component(Component::Path, b"/");
        let entry = keys.entry(key.finish().digest());
        assert_eq!(keys.log(), "tagcache:purges");
        assert_eq!(keys.heartbeat(), "{tagcache:purges}:hb");
        assert_eq!(keys.roll(), "{tagcache:purges}:roll");
        assert!(entry.starts_with("tagcache:e:"), "{entry}");
        assert_eq!(entry.len(), "tagcache:e:".len() + 32);
    }

    #[test]
    fn a_namespace_that_would_be_a_hash_tag_or_unreadable_is_refused() {
        for (namespace, offset) in [
            ("", None),
            ("a{b}", Some(1)),
            ("a b", Some(1)),
            ("\n", Some(0)),
        ] {
            let error = Keyspace::new(namespace).unwrap_err();
            assert_eq!(error.offset(), offset, "{namespace:?}");
            assert_eq!(error.input(), namespace);
        }
        assert!(Keyspace::new(&"x".repeat(129)).is_err());
    }
}
