//! The origin's data: in memory, or in Redis so that several copies of the example share them, as
//! the copies of a real API share a database; or the tables of an indexer that follows a chain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue};
use tower_tagcache::BoxError;

use crate::auction::Auction;
use crate::tables::Tables;

/// The auctions of the capture.
pub(crate) const AUCTIONS: [&str; 4] = [
    "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be",
    "0xb7a5bd0345ef1cc5e66bf61bdec17d2461fbd968",
    "0xeebe00ac0756308ac4aabfd76c05c4f3088b8883",
    "0x10c6e9530f1c1af873a391030a1d9e8ed0630d26",
];
/// What a query costs.
const QUERY: Duration = Duration::from_millis(40);
/// How long Redis may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where the auctions are in Redis.
const TABLE: &str = "auction_house:auctions";
/// Writes an auction unless somebody else has since it was read.
const SWAP: &str = "if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1";
/// How often that is tried.
const TRIES: usize = 100;
/// After which time another copy takes over what one did for all.
const TAKE_OVER_SECONDS: u64 = 10;

/// What one copy does for all: if each did, it would count twice.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Replay,
    Prices,
}

impl Turn {
    const fn key(self) -> &'static str {
        match self {
            Self::Replay => "auction_house:replayer",
            Self::Prices => "auction_house:prices",
        }
    }
}

/// The table of auctions. A cheap clone.
///
/// With Redis it is there, for all copies. While that cannot be reached, this copy goes on with what it
/// has seen of it, as an API goes on that has a database of its own.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    rows: Arc<Mutex<BTreeMap<String, Auction>>>,
    shared: Option<Shared>,
    /// What an indexer writes, which is then the only truth.
    tables: Option<Tables>,
    /// Held by who changes a row.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// Tells this copy from others.
    me: u64,
}

/// The table in Redis, with its connection as long as that lasts.
#[derive(Debug, Clone)]
struct Shared {
    client: redis::Client,
    connection: Arc<tokio::sync::Mutex<Option<MultiplexedConnection>>>,
}

impl Shared {
    /// A connection, made anew if the last one broke.
    async fn connection(&self) -> Result<MultiplexedConnection, BoxError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        Ok(kept.insert(connecting.await?).clone())
    }

    /// Sends a command. After a failure the next one begins with a new connection.
    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, BoxError> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        if answer.is_err() {
            *self.connection.lock().await = None;
        }
        Ok(answer?)
    }
}

impl Database {
    /// The table with the captured auctions in it, each with one round begun and nothing sold; or what the indexer has in
    /// the database at `tables`.
    pub(crate) async fn open(redis: Option<&str>, tables: Option<&str>) -> Result<Self, BoxError> {
        let tables = match tables {
            Some(url) => Some(Tables::open(url).await?),
            None => None,
        };
        let rows = AUCTIONS.map(|address| {
            let mut row = new(address);
            row.record_kick(0);
            (row.address.clone(), row)
        });
        let mut database = Self {
            rows: Arc::new(Mutex::new(rows.into_iter().collect())),
            shared: None,
            tables,
            changing: Arc::default(),
            me: u64::from(std::process::id()) << 32 | u64::from(fastrand::u32(..)),
        };
        if let Some(url) = redis {
            let away = |error| format!("cannot use Redis: {error} (without it, leave out --redis)");
            let shared = Shared {
                client: redis::Client::open(url).map_err(|error| away(error.into()))?,
                connection: Arc::default(),
            };
            shared.connection().await.map_err(away)?;
            database.shared = Some(shared);
        }
        Ok(database)
    }

    /// Sends a command to the Redis that the copies share, if they do.
    pub(crate) async fn shared<T: FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> Option<Result<T, BoxError>> {
        Some(self.shared.as_ref()?.ask(command).await)
    }

    /// Whether it is this process that changes the data, and not an indexer.
    pub(crate) fn is_own(&self) -> bool {
        self.tables.is_none()
    }

    /// Whether other copies may have the same data.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether it is this copy that does it: the first one that asked, until it has not asked for a while.
    pub(crate) async fn has_the_turn(&self, turn: Turn) -> Result<bool, BoxError> {
        let mut take = redis::cmd("SET");
        take.arg(turn.key()).arg(self.me).arg("NX").arg("GET");
        take.arg("EX").arg(TAKE_OVER_SECONDS);
        let Some(holder) = self.shared::<Option<u64>>(&take).await else {
            return Ok(true);
        };
        let mine = holder?.is_none_or(|holder| holder == self.me);
        if mine {
            let mut keep = redis::cmd("EXPIRE");
            keep.arg(turn.key()).arg(TAKE_OVER_SECONDS);
            self.shared::<bool>(&keep).await.transpose()?;
        }
        Ok(mine)
    }

    /// One auction, in whatever case its address is written.
    pub(crate) async fn find(&self, address: &str) -> Result<Option<Auction>, BoxError> {
        let address = address.to_ascii_lowercase();
        if let Some(tables) = &self.tables {
            return tables.find(&address).await;
        }
        tokio::time::sleep(QUERY).await;
        Ok(self.row(&address).await)
    }

    /// All auctions, by address.
    pub(crate) async fn all(&self) -> Result<Vec<Auction>, BoxError> {
        if let Some(tables) = &self.tables {
            return tables.all().await;
        }
        tokio::time::sleep(QUERY).await;
        let asked = self.shared(redis::cmd("HVALS").arg(TABLE)).await;
        for text in asked
            .and_then(Result::ok)
            .unwrap_or_else(Vec::<String>::new)
        {
            self.keep(&text);
        }
        Ok(self.rows().values().cloned().collect())
    }

    /// Changes one auction, which it adds if it is new. What another copy changed meanwhile is not lost: `change` may be
    /// called again.
    pub(crate) async fn change(
        &self,
        address: &str,
        mut change: impl FnMut(&mut Auction),
    ) -> Result<(), BoxError> {
        let _changing = self.changing.lock().await;
        for _ in 0..TRIES {
            let before = self.text(address).await?;
            let mut row = match &before {
                Some(text) => serde_json::from_str(text)?,
                None => self.kept(address).unwrap_or_else(|| new(address)),
            };
            change(&mut row);
            let mut swap = redis::cmd("EVAL");
            swap.arg(SWAP).arg(1).arg(TABLE).arg(address);
            swap.arg(before.unwrap_or_default())
                .arg(serde_json::to_string(&row)?);
            if self
                .shared::<bool>(&swap)
                .await
                .transpose()?
                .unwrap_or(true)
            {
                self.rows().insert(address.to_owned(), row);
                return Ok(());
            }
        }
        Err("others change this auction all the time".into())
    }

    async fn row(&self, address: &str) -> Option<Auction> {
        if let Ok(Some(text)) = self.text(address).await {
            self.keep(&text);
        }
        self.kept(address)
    }

    /// What Redis has of an auction.
    async fn text(&self, address: &str) -> Result<Option<String>, BoxError> {
        let mut get = redis::cmd("HGET");
        get.arg(TABLE).arg(address);
        let read = self.shared::<Option<String>>(&get).await;
        Ok(read.transpose()?.flatten())
    }

    fn kept(&self, address: &str) -> Option<Auction> {
        self.rows().get(address).cloned()
    }

    /// Keeps what was read, for when it cannot be.
    fn keep(&self, text: &str) {
        if let Ok(row) = serde_json::from_str::<Auction>(text) {
            self.rows().insert(row.address.clone(), row);
        }
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Auction>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An auction of the local chain.
fn new(address: &str) -> Auction {
    Auction {
        address: address.to_owned(),
        chain_id: 31337,
        ..Auction::default()
    }
}
