//! What the log says of an upstream: a line for each change of state, with the cause and what to do.

use std::error::Error;
use std::fmt::Write as _;

use parking_lot::Mutex;

use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use tower_tagcache::{Tell, Telling};

/// How an upstream fails.
#[derive(Debug)]
pub(super) struct Trouble {
    /// The word in `Cache-Status`.
    detail: &'static str,
    cause: String,
    advice: &'static str,
    /// Tells troubles apart that are each worth a line.
    way: u64,
}

/// What was told of one upstream. Locked where one fails, or comes back.
#[derive(Debug)]
pub(super) struct News(Mutex<State>);

#[derive(Debug)]
struct State {
    telling: Telling,
    busy: Telling,
    cause: Option<String>,
}

impl Trouble {
    /// It answered a question, and not that it is well.
    pub(super) fn unwell(path: &str, status: u16) -> Self {
        Self {
            detail: "health",
            cause: format!("it answers {status} to GET {path}"),
            advice: "its own log says why; what is asked is `path` in [proxy.health]",
            way: u64::from(status),
        }
    }

    /// It did not answer a question in time.
    pub(super) fn silent(path: &str, limit: std::time::Duration) -> Self {
        Self {
            detail: "health",
            cause: format!("no answer to GET {path} within {limit:?}"),
            advice: "see why it is slow; questions wait as long as `interval` in [proxy.health]",
            way: 0,
        }
    }
}

impl From<&UpstreamFailure> for Trouble {
    fn from(failure: &UpstreamFailure) -> Self {
        let mut cause = failure.kind.what().to_owned();
        let mut source = failure.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !cause.ends_with(&text) {
                let _ = write!(cause, ": {text}");
            }
            source = error.source();
        }
        Self {
            detail: failure.kind.as_str(),
            cause,
            advice: failure.kind.advice(),
            way: 1_000 + failure.kind as u64,
        }
    }
}

impl News {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(State {
            telling: Telling::of_well(),
            busy: Telling::of_well(),
            cause: None,
        }))
    }

    /// It failed; `down`: so often that it is passed over.
    pub(super) fn failing(&self, upstream: &str, trouble: Trouble, down: bool) {
        let Trouble {
            detail,
            cause,
            advice,
            way,
        } = trouble;
        let mut state = self.0.lock();
        if let Some(Tell { unsaid }) = state.telling.failing(way * 2 + u64::from(down)) {
            let what = match down {
                true => "upstream is down",
                false => "upstream gave no usable answer",
            };
            tracing::warn!(upstream, detail, unsaid, "{what}: {cause}; {advice}");
        }
        state.cause = Some(cause);
    }

    /// All is well with it. Told if anything else was.
    pub(super) fn well(&self, upstream: &str) {
        let mut state = self.0.lock();
        state.cause = None;
        if let Some(Tell { unsaid }) = state.telling.well() {
            tracing::info!(upstream, unsaid, "upstream is up: it answers again");
        }
    }

    /// A request waited in vain for one of those that it has in hand to end; or there is room again.
    pub(super) fn busy(&self, upstream: &str, busy: bool) {
        let mut state = self.0.lock();
        if !busy {
            state.busy.well();
            return;
        }
        if let Some(Tell { unsaid }) = state.busy.failing(0) {
            let kind = FailureKind::Busy;
            let (what, advice, detail) = (kind.what(), kind.advice(), kind.as_str());
            tracing::warn!(
                upstream,
                detail,
                unsaid,
                "upstream is busy: {what}; {advice}"
            );
        }
    }

    /// Why it failed last, if it has not answered since.
    pub(super) fn cause(&self) -> Option<String> {
        self.0.lock().cause.clone()
    }
}
