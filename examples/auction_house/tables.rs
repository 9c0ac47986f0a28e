//! The auctions as rindexer has them in PostgreSQL, with the configuration `examples/deploy/rindexer.yaml`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, Row};
use tower_tagcache::BoxError;

use crate::auction::{
    Auction, CURVE, FIRST_PRICE, HISTORY, LOWEST_PRICE, Point, PointKind, Price, keep_last, now,
};

/// The network of the configuration. The tables name it, and not its chain.
const NETWORK: &str = "ethereum";
const CHAIN_ID: u64 = 1;
/// How many seconds the price takes from the first to the lowest one. It falls evenly; `FALL_SECONDS`, `FIRST_PRICE` and
/// `LOWEST_PRICE` in `tests/e2e/contracts/Auction.sol` are the same.
const FALL_SECONDS: u64 = 300;
/// How long PostgreSQL may take to answer, with the connection if there is none.
const PATIENCE: Duration = Duration::from_millis(500);

// rindexer derives schemas from `name: auction_system` and the name of the contract, tables and columns from the ABI. A `uint256` is
// text there, a block number NUMERIC: all are read as text. Killed before its checkpoint it inserts rows again, so each
// event counts once.

const DEPLOYED: &str = "
    SELECT lower(auction) AS address, block_number::text AS block
    FROM auction_system_auction_factory.deployed_new_auction
    WHERE network = $1 AND ($2 = '' OR lower(auction) = $2)
    ORDER BY block_number";

/// The last kick of each auction, and how many there were.
const KICKS: &str = "
    WITH once AS (
        SELECT DISTINCT ON (block_hash, tx_hash, log_index) *, lower(contract_address) AS address
        FROM auction_system_auction.auction_round_kicked
        WHERE network = $1 AND ($2 = '' OR lower(contract_address) = $2)
    ), ranked AS (
        SELECT *, count(*) OVER (PARTITION BY address) AS rounds, row_number() OVER (
            PARTITION BY address ORDER BY block_number DESC, log_index::numeric DESC) AS rank
        FROM once
    )
    SELECT address, block_number::text AS block, round_id::text AS round, rounds::text AS rounds,
        extract(epoch FROM block_timestamp)::bigint::text AS time
    FROM ranked WHERE rank = 1";

/// The last sales of each auction, oldest first, and how many there were.
const SALES: &str = "
    WITH once AS (
        SELECT DISTINCT ON (block_hash, tx_hash, log_index) *, lower(contract_address) AS address
        FROM auction_system_auction.auction_sale
        WHERE network = $1 AND ($2 = '' OR lower(contract_address) = $2)
    ), ranked AS (
        SELECT *, count(*) OVER (PARTITION BY address) AS sales, row_number() OVER (
            PARTITION BY address ORDER BY block_number DESC, log_index::numeric DESC) AS rank
        FROM once
    )
    SELECT address, block_number::text AS block, round_id::text AS round, sales::text AS sales,
        price::text AS price, \"timestamp\"::text AS time
    FROM ranked WHERE rank <= 200 ORDER BY rank DESC";

/// What the chain says, as far as rindexer has read it. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    config: Arc<Config>,
    connection: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Tables {
    /// The tables at `postgres://…`, connected if the server is there; later otherwise.
    pub(crate) async fn open(url: &str) -> Result<Self, BoxError> {
        let config = url
            .parse()
            .map_err(|error| format!("DATABASE_URL is not a URL of PostgreSQL: {error}"))?;
        let tables = Self {
            config: Arc::new(config),
            connection: Arc::default(),
        };
        let _ = timeout(PATIENCE, tables.connection()).await;
        Ok(tables)
    }

    /// All auctions, by address.
    pub(crate) async fn all(&self) -> Result<Vec<Auction>, BoxError> {
        self.read("").await
    }

    /// The auction at this address, in lower case.
    pub(crate) async fn find(&self, address: &str) -> Result<Option<Auction>, BoxError> {
        Ok(self.read(address).await?.pop())
    }

    /// One auction, or with `""` all of them.
    async fn read(&self, address: &str) -> Result<Vec<Auction>, BoxError> {
        let asking = async {
            let client = self.connection().await?;
            let asked = tokio::try_join!(
                rows(&client, DEPLOYED, address),
                rows(&client, KICKS, address),
                rows(&client, SALES, address),
            );
            asked.map_err(|error| away(&error))
        };
        let Ok(asked) = timeout(PATIENCE, asking).await else {
            // Where the lock is held, somebody makes a new one.
            if let Ok(mut kept) = self.connection.try_lock() {
                *kept = None;
            }
            return Err("PostgreSQL does not answer".into());
        };
        let (deployed, kicks, sales) = asked?;
        auctions(&deployed, &kicks, &sales, now())
    }

    /// A connection, made anew if the last one broke.
    async fn connection(&self) -> Result<Arc<Client>, BoxError> {
        let mut kept = self.connection.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let connecting = self.config.connect(NoTls).await;
        let (client, connection) = connecting.map_err(|error| away(&error))?;
        tokio::spawn(connection);
        Ok(kept.insert(Arc::new(client)).clone())
    }
}

/// The rows of a query: none as long as rindexer has not made the table.
async fn rows(
    client: &Client,
    query: &str,
    address: &str,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let parameters = [(&NETWORK as _, Type::TEXT), (&address as _, Type::TEXT)];
    let asked = client.query_typed(query, &parameters).await;
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    match asked {
        Err(error) if error.code().is_some_and(|code| missing.contains(code)) => Ok(Vec::new()),
        asked => asked,
    }
}

/// Puts together what the three queries found, at the time `now`.
fn auctions(
    deployed: &[Row],
    kicks: &[Row],
    sales: &[Row],
    now: u64,
) -> Result<Vec<Auction>, BoxError> {
    let mut found = BTreeMap::new();
    for row in deployed {
        let auction = auction_of(&mut found, row)?;
        auction.last_block = number(row, "block")?;
    }
    let rounds = add_kicks(&mut found, kicks, now)?;
    add_sales(&mut found, sales, &rounds)?;
    let shorten = |mut auction: Auction| {
        keep_last(&mut auction.prices, HISTORY);
        keep_last(&mut auction.curve, CURVE);
        auction
    };
    Ok(found.into_values().map(shorten).collect())
}

/// Adds the last kick of each auction; returns the round that each of them is in.
fn add_kicks(
    found: &mut BTreeMap<String, Auction>,
    kicks: &[Row],
    now: u64,
) -> Result<BTreeMap<String, String>, BoxError> {
    let mut rounds = BTreeMap::new();
    for row in kicks {
        let auction = auction_of(found, row)?;
        auction.rounds = number(row, "rounds")?;
        auction.last_block = auction.last_block.max(number(row, "block")?);
        // Missing where the node does not tell it with the event. The lowest price is then the one that is always accepted in the end.
        let kicked = row.try_get::<_, Option<&str>>("time")?;
        let kicked = kicked.map(str::parse).transpose()?;
        auction.price = kicked.map_or(LOWEST_PRICE, |kicked| price_at(now, kicked));
        auction.curve.extend(kicked.map(|timestamp| Point {
            timestamp,
            price: FIRST_PRICE.to_string(),
            kind: PointKind::Kick,
        }));
        rounds.insert(auction.address.clone(), text(row, "round")?.to_owned());
    }
    Ok(rounds)
}

/// Adds the last sales of each auction, oldest first.
fn add_sales(
    found: &mut BTreeMap<String, Auction>,
    sales: &[Row],
    rounds: &BTreeMap<String, String>,
) -> Result<(), BoxError> {
    for row in sales {
        let auction = auction_of(found, row)?;
        let sale = Price {
            block: number(row, "block")?,
            price: text(row, "price")?.to_owned(),
            timestamp: number(row, "time")?,
        };
        auction.sales = number(row, "sales")?;
        auction.last_block = auction.last_block.max(sale.block);
        auction.last_price = Some(sale.price.clone());
        let round = rounds.get(&auction.address).map(String::as_str);
        if round == Some(text(row, "round")?) {
            auction.curve.push(Point {
                timestamp: sale.timestamp,
                price: sale.price.clone(),
                kind: PointKind::Sale,
            });
        }
        auction.prices.push(sale);
    }
    Ok(())
}

fn auction_of<'a>(
    found: &'a mut BTreeMap<String, Auction>,
    row: &Row,
) -> Result<&'a mut Auction, BoxError> {
    let address = text(row, "address")?;
    let new = || Auction {
        address: address.to_owned(),
        chain_id: CHAIN_ID,
        ..Auction::default()
    };
    Ok(found.entry(address.to_owned()).or_insert_with(new))
}

/// What the contract asks at the time `now` in a round that was kicked at `kicked`.
fn price_at(now: u64, kicked: u64) -> u128 {
    let passed = u128::from(now.saturating_sub(kicked).min(FALL_SECONDS));
    FIRST_PRICE - (FIRST_PRICE - LOWEST_PRICE) * passed / u128::from(FALL_SECONDS)
}

fn text<'a>(row: &'a Row, column: &str) -> Result<&'a str, BoxError> {
    Ok(row.try_get(column)?)
}

fn number(row: &Row, column: &str) -> Result<u64, BoxError> {
    let value = text(row, column)?;
    let number = value.parse();
    number.map_err(|_| format!("{column} is not a number: {value}").into())
}

/// The error with its cause, which alone says what is wrong.
fn away(error: &tokio_postgres::Error) -> BoxError {
    match error.as_db_error() {
        Some(cause) => format!("PostgreSQL: {cause}").into(),
        None => format!("PostgreSQL cannot be used: {error}").into(),
    }
}
