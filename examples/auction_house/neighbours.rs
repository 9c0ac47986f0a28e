//! Other copies on the same Redis, so that a page can show them side by side.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use axum::http::uri::Uri;
use tower_tagcache::BoxError;

use crate::auction::now;
use crate::database::Database;

/// Where copies say that they are there.
const TABLE: &str = "auction_house:nodes";
/// How often.
const EVERY: Duration = Duration::from_secs(2);
/// For a page that is not known, so often at most.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Who has not said so for this long is gone.
const GONE_SECONDS: u64 = 7;
/// More are not shown.
const MOST: usize = 4;

/// The copies that there are. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    me: SocketAddr,
    database: Database,
    /// This one among them.
    known: Arc<Mutex<Vec<String>>>,
    /// When somebody last looked for a page that was not known.
    looked: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Neighbours {
    pub(crate) fn new(me: SocketAddr, database: Database) -> Self {
        Self {
            me,
            database,
            known: Arc::new(Mutex::new(vec![me.to_string()])),
            looked: Arc::default(),
        }
    }

    /// Their addresses, in one order everywhere.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Whether `origin` is that of one's page.
    pub(crate) async fn have(self, origin: HeaderValue) -> bool {
        let uri = origin
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Uri>().ok());
        let place = uri
            .as_ref()
            .and_then(|uri| Some((uri.host()?, uri.port_u16()?)));
        let Some((host, port)) = place else {
            return false;
        };
        let host = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        let name = format!("{host}:{port}");
        if !self.lock().contains(&name) {
            // It may have come a moment ago. Others that ask meanwhile wait for the same look.
            let mut looked = self.looked.lock().await;
            if looked.is_none_or(|looked| looked.elapsed() >= AT_MOST_EVERY) {
                self.look().await;
                *looked = Some(Instant::now());
            }
        }
        self.lock().contains(&name)
    }

    /// Says that this copy is there, and asks for the others, until `ended`.
    pub(crate) async fn follow(self, ended: impl Future<Output = ()>) {
        let mut ended = pin!(ended);
        self.look().await;
        // Runs out if nothing ends it.
        while tokio::time::timeout(EVERY, &mut ended).await.is_err() {
            self.look().await;
        }
    }

    async fn look(&self) {
        // What listens everywhere has no address that a browser could ask.
        if self.me.ip().is_unspecified() {
            return;
        }
        // While Redis is away, those that were there may still be.
        if let Some(Ok(known)) = self.asked().await {
            *self.lock() = known;
        }
    }

    /// Who is there, as Redis has it; nothing without one.
    async fn asked(&self) -> Option<Result<Vec<String>, BoxError>> {
        let (now, me) = (now(), self.me.to_string());
        let gone = now.saturating_sub(GONE_SECONDS);
        let mut add = redis::cmd("ZADD");
        add.arg(TABLE).arg(now).arg(&me);
        let mut drop = redis::cmd("ZREMRANGEBYSCORE");
        drop.arg(TABLE).arg("-inf").arg(format!("({gone}"));
        for command in [add, drop] {
            if let Err(error) = self.database.shared::<i64>(&command).await? {
                return Some(Err(error));
            }
        }
        let mut read = redis::cmd("ZRANGE");
        read.arg(TABLE).arg(0).arg(-1);
        let read = self.database.shared::<Vec<String>>(&read).await?;
        Some(read.map(|mut known| {
            known.retain(|one| *one != me && one.parse::<SocketAddr>().is_ok());
            known.sort();
            known.truncate(MOST - 1);
            known.push(me);
            known.sort();
            known
        }))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
