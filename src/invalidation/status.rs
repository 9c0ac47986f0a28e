//! How well the events of a stream are read: for people, and for what must not be served meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How well this process reads the events of one stream, at one moment.
///
/// A stream that is not read costs hits, never truth: past [`Stream::away`](crate::Stream::away) nothing
/// that its events can touch is served from the cache. It makes a service degraded, not unready.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamHealth {
    /// The stream's name.
    pub name: Box<str>,
    /// Entries that the group has not read; none where the server does not know.
    pub lag: Option<u64>,
    /// Entries that were read by some consumer of the group and are not acknowledged.
    pub pending: Option<u64>,
    /// How long ago events were read, or there were none to read; none if they never were.
    pub silence: Option<Duration>,
    /// Why nothing that its events can touch is served from the cache in this process.
    pub doubt: Option<String>,
    /// What went wrong last, if the last try failed.
    pub trouble: Option<String>,
    /// Who else reads as this group, if entries went to others within the last minutes.
    pub shared: Option<String>,
}

/// Written by the consumer of the stream and its keeper, read by whoever asks.
#[derive(Debug, Clone)]
pub(crate) struct StatusBoard {
    name: Box<str>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    lag: Option<u64>,
    pending: Option<u64>,
    began: Instant,
    succeeded: Option<Instant>,
    doubt: Option<String>,
    trouble: Option<String>,
    shared: Option<(Instant, String)>,
}

/// How long it is shown that entries went to others.
const SHARED_FOR: Duration = Duration::from_secs(300);

impl StatusBoard {
    pub(crate) fn new(name: &str) -> Self {
        let inner = Inner {
            lag: None,
            pending: None,
            began: Instant::now(),
            succeeded: None,
            doubt: None,
            trouble: None,
            shared: None,
        };
        Self {
            name: name.into(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    pub(crate) fn health(&self) -> StreamHealth {
        let inner = self.inner.lock();
        StreamHealth {
            name: self.name.clone(),
            lag: inner.lag,
            pending: inner.pending,
            silence: inner.succeeded.map(|at| at.elapsed()),
            doubt: inner.doubt.clone(),
            trouble: inner.trouble.clone(),
            shared: inner.shared.as_ref().and_then(|(at, why)| {
                let is_recent = at.elapsed() < SHARED_FOR;
                is_recent.then(|| why.clone())
            }),
        }
    }
}

#[cfg(feature = "redis")]
impl StatusBoard {
    /// The consumer begins: from now on silence counts.
    pub(super) fn begin(&self) {
        self.inner.lock().began = Instant::now();
    }

    /// Events were read, or there were none.
    pub(super) fn succeeded(&self) {
        let mut inner = self.inner.lock();
        inner.succeeded = Some(Instant::now());
        inner.trouble = None;
    }

    pub(super) fn failed(&self, why: String) {
        self.inner.lock().trouble = Some(why);
    }

    pub(super) fn counted(&self, lag: Option<u64>, pending: u64) {
        let mut inner = self.inner.lock();
        inner.lag = lag;
        inner.pending = Some(pending);
    }

    /// Entries went to others.
    pub(super) fn shared(&self, why: String) {
        self.inner.lock().shared = Some((Instant::now(), why));
    }

    /// For how long nothing was read; since the consumer began, if nothing ever was.
    pub(super) fn silence(&self) -> Duration {
        let inner = self.inner.lock();
        inner.succeeded.unwrap_or(inner.began).elapsed()
    }

    /// When events were read last, or there were none to read.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.inner.lock().succeeded
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.inner.lock().trouble.clone()
    }

    pub(super) fn doubt(&self, why: Option<String>) {
        self.inner.lock().doubt = why;
    }
}
