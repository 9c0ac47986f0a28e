//! What is known of credentials, and what is open by which.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};
use crate::redis::credentials::RedisCredentials;
use crate::telling::Telling;

/// The pauses before what failed is tried again.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));

#[derive(Debug)]
pub(super) struct AccountState {
    /// What the source said last.
    pub(super) newest: Option<Login>,
    /// What the server let in last.
    pub(super) accepted: Option<Login>,
    /// What a file said when it was last looked at, if it is not what is in use: it may be half written.
    pub(super) seen: Option<RedisCredentials>,
    /// The number of those that the server refused.
    pub(super) refused: Option<u64>,
    pub(super) again: (Backoff, Instant),
    pub(super) trouble: Option<(Error, Instant)>,
    pub(super) telling: Telling,
    pub(super) open: Vec<(MultiplexedConnection, Weak<AtomicU64>)>,
}

/// Credentials, and which they are.
#[derive(Debug, Clone)]
pub(in crate::redis) struct Login {
    pub(super) credentials: RedisCredentials,
    /// Greater than that of those before.
    pub(super) number: u64,
    pub(super) asked: Instant,
}

/// By which credentials a connection is open: their number. Zero: by those of the URL.
pub(in crate::redis) type OpenedBy = Arc<AtomicU64>;

impl Login {
    /// When it is time for others.
    pub(super) fn due(&self) -> Option<Instant> {
        let lasting = self.credentials.lasting()?;
        Some(self.asked + lasting * 4 / 5)
    }

    pub(super) fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        let lasting = self.credentials.lasting();
        lasting.is_some_and(|lasting| self.asked.elapsed() >= lasting)
    }
}

impl AccountState {
    pub(super) fn new() -> Self {
        Self {
            newest: None,
            accepted: None,
            seen: None,
            refused: None,
            again: (AGAIN, Instant::now()),
            trouble: None,
            telling: Telling::of_well(),
            open: Vec::new(),
        }
    }

    /// The source says `credentials`.
    pub(super) fn note(&mut self, credentials: RedisCredentials) -> Login {
        let before = self.newest.as_ref();
        let same = before.filter(|before| before.credentials.are_those(&credentials));
        let is_new = same.is_none();
        let number = match same {
            Some(same) => same.number,
            None => before.map_or(0, |before| before.number) + 1,
        };
        let asked = Instant::now();
        if is_new {
            self.again = (AGAIN, asked);
            self.refused = None;
        }
        if self.refused.is_none() {
            self.trouble = None;
        }
        self.seen = None;
        let login = Login {
            credentials,
            number,
            asked,
        };
        self.newest.insert(login).clone()
    }

    /// The newest credentials, and what is open by others; nothing where they are to be left alone.
    pub(super) fn out_of_date(
        &mut self,
    ) -> Option<(Login, Vec<(MultiplexedConnection, OpenedBy)>)> {
        let newest = self.newest.clone()?;
        let is_refused = self.refused == Some(newest.number);
        if is_refused && self.again.1 > Instant::now() {
            return None;
        }
        let open = self.open.iter();
        let open = open.filter_map(|(to, by)| Some((to.clone(), by.upgrade()?)));
        let old = open.filter(|(_, by)| by.load(Ordering::Relaxed) != newest.number);
        // One is enough to see whether they are refused still.
        let most = if is_refused { 1 } else { usize::MAX };
        let old: Vec<_> = old.take(most).collect();
        (!old.is_empty()).then_some((newest, old))
    }

    /// Nothing is tried again for a while.
    pub(super) fn put_off(&mut self) {
        let now = Instant::now();
        if self.again.1 <= now {
            self.again.1 = now + self.again.0.pause();
        }
    }

    pub(super) fn is_in_trouble(&mut self, why: String) {
        let since = self.trouble.as_ref().map(|(_, since)| *since);
        let error = Error::new(ErrorKind::Denied, format!("redis credentials: {why}"));
        self.trouble = Some((error, since.unwrap_or_else(Instant::now)));
    }
}
