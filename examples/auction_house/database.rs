//! The origin's data: in memory, or in Redis so that several copies of the example share them, as
//! the copies of a real API share a database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue};
use serde::{Deserialize, Serialize};
use tower_tagcache::BoxError;

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
/// The prices that an auction remembers.
const HISTORY: usize = 100;
/// At which price a round begins, in Wei.
const FIRST_PRICE: u128 = 2_000_000_000_000_000_000;
/// Below it nobody sells; the next round begins.
const LOWEST_PRICE: u128 = 500_000_000_000_000_000;
/// Where the auctions are in Redis.
const TABLE: &str = "auction_house:auctions";

/// One row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Auction {
    pub(crate) address: String,
    pub(crate) chain_id: u64,
    pub(crate) rounds: u64,
    pub(crate) sales: u64,
    /// Wei, as a decimal string: too large for a JSON number.
    pub(crate) last_price: Option<String>,
    /// What the next one pays, in Wei: it falls until somebody does.
    #[serde(default)]
    pub(crate) price: u128,
    pub(crate) last_block: u64,
    #[serde(default)]
    pub(crate) prices: Vec<Price>,
}

/// One sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) block: u64,
    pub(crate) price: String,
    pub(crate) timestamp: u64,
}

impl Auction {
    /// Whether a round has begun.
    pub(crate) fn is_active(&self) -> bool {
        self.rounds > 0
    }

    pub(crate) fn record_kick(&mut self, block: u64) {
        self.rounds += 1;
        self.last_block = block;
        self.price = FIRST_PRICE;
    }

    /// Lowers the price by a fiftieth; below the lowest the next round begins.
    pub(crate) fn lower_price(&mut self) {
        let lower = self.price - self.price / 50;
        self.price = match lower {
            ..LOWEST_PRICE => FIRST_PRICE,
            _ => lower,
        };
    }

    pub(crate) fn record_sale(&mut self, price: Price) {
        self.sales += 1;
        self.last_block = price.block;
        self.last_price = Some(price.price.clone());
        self.prices.push(price);
        let surplus = self.prices.len().saturating_sub(HISTORY);
        self.prices.drain(..surplus);
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
    /// The table with the captured auctions in it, each with one round begun and nothing sold.
    pub(crate) async fn open(redis: Option<&str>) -> Result<Self, BoxError> {
        let rows = AUCTIONS.map(|address| Auction {
            address: address.to_owned(),
            chain_id: 31337,
            rounds: 1,
            price: FIRST_PRICE,
            ..Auction::default()
        });
        let rows = rows.map(|row| (row.address.clone(), row));
        let mut database = Self {
            rows: Arc::new(Mutex::new(rows.into_iter().collect())),
            shared: None,
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

    /// One auction, in whatever case its address is written.
    pub(crate) async fn find(&self, address: &str) -> Option<Auction> {
        tokio::time::sleep(QUERY).await;
        self.row(&address.to_ascii_lowercase()).await
    }

    /// All auctions, by address.
    pub(crate) async fn all(&self) -> Vec<Auction> {
        tokio::time::sleep(QUERY).await;
        let asked = self.shared(redis::cmd("HVALS").arg(TABLE)).await;
        for text in asked
            .and_then(Result::ok)
            .unwrap_or_else(Vec::<String>::new)
        {
            self.keep(&text);
        }
        self.rows().values().cloned().collect()
    }

    /// Changes one auction, which it adds if it is new.
    pub(crate) async fn change(
        &self,
        address: &str,
        change: impl FnOnce(&mut Auction),
    ) -> Result<(), BoxError> {
        let mut row = self.row(address).await.unwrap_or_else(|| Auction {
            address: address.to_owned(),
            chain_id: 31337,
            ..Auction::default()
        });
        change(&mut row);
        let text = serde_json::to_string(&row)?;
        let mut set = redis::cmd("HSET");
        set.arg(TABLE).arg(address).arg(text);
        self.shared::<i64>(&set).await.transpose()?;
        self.rows().insert(address.to_owned(), row);
        Ok(())
    }

    async fn row(&self, address: &str) -> Option<Auction> {
        let mut get = redis::cmd("HGET");
        get.arg(TABLE).arg(address);
        if let Some(Ok(Some(text))) = self.shared::<Option<String>>(&get).await {
            self.keep(&text);
        }
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
