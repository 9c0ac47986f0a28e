//! The origin's data: in memory, or in Redis so that several copies of the example share them, as
//! the copies of a real API share a database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::AsyncCommands;
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
/// The prices that an auction remembers.
const HISTORY: usize = 100;
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
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Memory(Arc<Mutex<BTreeMap<String, Auction>>>),
    Redis(redis::aio::MultiplexedConnection),
}

impl Database {
    /// The table with the captured auctions in it, each with one round begun and nothing sold.
    pub(crate) async fn open(redis: Option<&str>) -> Result<Self, BoxError> {
        let rows = AUCTIONS.map(|address| Auction {
            address: address.to_owned(),
            chain_id: 31337,
            rounds: 1,
            ..Auction::default()
        });
        let Some(url) = redis else {
            let rows = rows
                .into_iter()
                .map(|row| (row.address.clone(), row))
                .collect();
            return Ok(Self::Memory(Arc::new(Mutex::new(rows))));
        };
        let mut connection = redis::Client::open(url)?
            .get_multiplexed_async_connection()
            .await?;
        for row in rows {
            let text = serde_json::to_string(&row)?;
            let _: bool = connection.hset_nx(TABLE, &row.address, text).await?;
        }
        Ok(Self::Redis(connection))
    }

    /// One auction, in whatever case its address is written.
    pub(crate) async fn find(&self, address: &str) -> Result<Option<Auction>, BoxError> {
        tokio::time::sleep(QUERY).await;
        self.row(&address.to_ascii_lowercase()).await
    }

    /// All auctions, by address.
    pub(crate) async fn all(&self) -> Result<Vec<Auction>, BoxError> {
        tokio::time::sleep(QUERY).await;
        match self {
            Self::Memory(rows) => {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(rows.values().cloned().collect())
            }
            Self::Redis(connection) => {
                let rows: BTreeMap<String, String> = connection.clone().hgetall(TABLE).await?;
                rows.values()
                    .map(|text| Ok(serde_json::from_str(text)?))
                    .collect()
            }
        }
    }

    /// Changes one auction, which it adds if it is new.
    pub(crate) async fn change(
        &self,
        address: &str,
        change: impl FnOnce(&mut Auction),
    ) -> Result<(), BoxError> {
        let mut row = self.row(address).await?.unwrap_or_else(|| Auction {
            address: address.to_owned(),
            chain_id: 31337,
            ..Auction::default()
        });
        change(&mut row);
        match self {
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                rows.insert(address.to_owned(), row);
            }
            Self::Redis(connection) => {
                let text = serde_json::to_string(&row)?;
                let _: i64 = connection.clone().hset(TABLE, address, text).await?;
            }
        }
        Ok(())
    }

    async fn row(&self, address: &str) -> Result<Option<Auction>, BoxError> {
        match self {
            Self::Memory(rows) => {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(rows.get(address).cloned())
            }
            Self::Redis(connection) => {
                let text: Option<String> = connection.clone().hget(TABLE, address).await?;
                Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
            }
        }
    }
}
