//! Doors to the inside for the benchmarks in `benches/`, and for nothing else: no part of the public
//! API, and compiled only with the feature `test-util`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::builder::CacheBuilder;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::entry::{Entry, Freshness, Ready, StoredResponse, codec};
use crate::error::{ConfigError, Error};
use crate::key::{Component, KeyBuilder};
use crate::position::{Position, Stamp};
use crate::rules::{Defaults, Rule, RuleSet};
use crate::tag::{PurgeKind, Tag, TagSet, Target};
use crate::validity::{Bounds, Memory, Subject, Verdict};

/// `builder` with near copies as it has on Redis, of what a store in this process holds: a near hit
/// without a server. That store holds `bytes`.
pub fn near(builder: CacheBuilder, bytes: u64) -> CacheBuilder {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let log = EmbeddedLog::new(&*clock);
    let store = EmbeddedStore::new(log.clone(), clock, bytes);
    builder.backend(Arc::new(log), Arc::new(store))
}

/// Compiled rules.
#[derive(Debug)]
pub struct Rules(RuleSet);

impl Rules {
    /// Compiles `rules`.
    ///
    /// # Errors
    /// As at `build()`.
    pub fn compile(rules: Vec<Rule>) -> Result<Self, ConfigError> {
        RuleSet::compile(rules, &Defaults::default()).map(|(rules, _)| Self(rules))
    }

    /// Whether a rule takes the request.
    #[must_use]
    pub fn find(&self, request: &http::request::Parts) -> bool {
        self.0.find(&request.method, request.uri.path()).is_some()
    }

    /// The request's key, if a rule takes it and the request does not bypass the cache.
    #[must_use]
    pub fn key(&self, request: &http::request::Parts) -> Option<Bytes> {
        let mut key = KeyBuilder::new();
        let found = self.0.find(&request.method, request.uri.path())?;
        match found.request(&request.uri, &request.headers, &mut key) {
            Ok(_) => Some(key.finish().as_bytes().clone()),
            Err(_) => None,
        }
    }
}

/// A stored response, as it is before it is encoded.
#[derive(Debug)]
pub struct Stored(Entry);

impl Stored {
    /// A response with `fields` header fields, six tags and a body of `length` bytes.
    ///
    /// # Errors
    /// Never, for the tags used here.
    pub fn sample(fields: usize, length: usize) -> Result<Self, Error> {
        let mut key = KeyBuilder::new();
        key.component(Component::Method, b"GET");
        key.component(Component::Path, b"/auctions/0x8ad13a8dbd37c4e2");
        let headers = (0..fields).map(|n| {
            let name = HeaderName::try_from(format!("x-field-{n}"));
            let value = HeaderValue::try_from(format!("value number {n} of some length"));
            name.ok().zip(value.ok())
        });
        Ok(Self(Entry::Response(Arc::new(StoredResponse {
            stamp: Stamp::at(Position::new(1, 1)),
            key: key.finish(),
            path: "/auctions/0x8ad13a8dbd37c4e2".into(),
            tags: Tagged::with(6)?.0,
            received_at: Timestamp::from_millis(1_795_392_000_000),
            initial_age: Duration::ZERO,
            freshness: Freshness {
                lifetime: Duration::from_secs(10),
                ..Freshness::default()
            },
            status: StatusCode::OK,
            headers: headers.flatten().collect::<HeaderMap>(),
            body: Bytes::from(vec![b'x'; length]),
            trailers: None,
            ready: Ready::default(),
        }))))
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        codec::encode(&self.0)
    }

    /// The response in `frame`.
    ///
    /// # Errors
    /// What is wrong with the frame.
    pub fn decode(frame: Bytes) -> Result<Self, &'static str> {
        codec::decode(frame).map(Self)
    }
}

/// The tags of a stored response.
#[derive(Debug)]
pub struct Tagged(TagSet);

impl Tagged {
    /// `count` ids: the implicit ones and explicit ones of one family.
    ///
    /// # Errors
    /// Past the limit of tags.
    pub fn with(count: usize) -> Result<Self, Error> {
        let mut tags = TagSet::implicit("auction_details", "/auctions/0x8ad13a8dbd37c4e2");
        let mut number = 0;
        while tags.iter().len() < count {
            tags.add(&Tag::new(&format!("auction:{number}"))?)?;
            number += 1;
        }
        Ok(Self(tags))
    }
}

/// What a process remembers of the purge log.
#[derive(Debug)]
pub struct PurgeBench {
    memory: Memory,
    newest: u64,
}

impl PurgeBench {
    /// A memory with its default bounds, full of marks.
    ///
    /// # Errors
    /// Never, for the tags used here.
    pub fn full() -> Result<Self, Error> {
        let bounds = Bounds::default();
        let mut purges = Self {
            memory: Memory::new(bounds, 0),
            newest: 0,
        };
        for number in 0..bounds.marks {
            purges.apply(&[Self::target(&format!("history:{number}"))?]);
        }
        Ok(purges)
    }

    /// What a purge of the tag `text` names.
    ///
    /// # Errors
    /// If it is no tag.
    pub fn target(text: &str) -> Result<Target, Error> {
        Tag::new(text).map(Target::Tag)
    }

    /// Applies one more hard purge, of `targets`.
    pub fn apply(&mut self, targets: &[Target]) {
        self.newest += 1;
        self.memory.apply(self.newest, PurgeKind::Hard, targets);
    }

    /// Whether a response with `tags`, stored before the last purge, is valid. Every tag is looked at.
    #[must_use]
    pub fn valid(&self, tags: &Tagged) -> bool {
        let subject = Subject {
            stamp: Stamp::at(Position::new(1, self.newest.saturating_sub(1))),
            tags: &tags.0,
            path: "/auctions/0x8ad13a8dbd37c4e2",
        };
        self.memory.judge(subject) == Verdict::Valid
    }
}
