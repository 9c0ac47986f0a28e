//! What an indexer does with the events of the chain: the data change first, then the stream says so.

use std::collections::BTreeMap;

use serde_json::Value;
use tower_tagcache::{BoxError, Cache};

use crate::auction::{Auction, Price};
use crate::database::{Database, Turn};
use crate::screen::{Screen, short};

/// The stream that the capture came from.
const STREAM: &str = "auction:events";

/// Stands for the indexer of a real chain. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Indexer {
    cache: Cache,
    database: Database,
    screen: Screen,
}

impl Indexer {
    pub(crate) fn new(cache: Cache, database: Database, screen: Screen) -> Self {
        Self {
            cache,
            database,
            screen,
        }
    }

    /// Indexes a recorded entry, if it is this copy's turn.
    pub(crate) async fn replay(&self, id: &str, fields: &[String]) -> Result<(), BoxError> {
        if self.database.has_the_turn(Turn::Replay).await? {
            self.index(id, fields).await?;
        }
        Ok(())
    }

    /// Changes the data as the events of one entry say, and then publishes it.
    pub(crate) async fn index(&self, id: &str, fields: &[String]) -> Result<(), BoxError> {
        self.screen.chain(change(&self.database, fields).await?);
        let pairs = fields
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()));
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg("MAXLEN").arg("~").arg(1000).arg("*");
        for (name, value) in pairs.clone() {
            add.arg(name).arg(value);
        }
        // As rindexer does. The companion of some copy reads it from there.
        if let Some(added) = self.database.shared::<String>(&add).await {
            added?;
            return Ok(());
        }
        // Without Redis there is no stream: the event is handed in.
        let fields = pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        self.cache.events().apply(STREAM, id, fields).await?;
        Ok(())
    }
}

/// Does to the database what the indexer does with the events of one entry, and says what that was.
async fn change(database: &Database, fields: &[String]) -> Result<String, BoxError> {
    let payload = fields.get(1).ok_or("an entry without a payload")?;
    let payload: Value = serde_json::from_str(payload)?;
    let name = payload["event_name"].as_str().unwrap_or("an event");
    if name == "__rindexer_reorg" {
        return Ok("a reorg: the indexer undid something, and does not say what".to_owned());
    }
    let mut changed = BTreeMap::<&str, u64>::new();
    for event in payload["event_data"].as_array().into_iter().flatten() {
        let source = &event["transaction_information"];
        let Some(address) = source["address"].as_str() else {
            continue;
        };
        *changed.entry(address).or_default() += 1;
        let block = source["block_number"].as_u64().unwrap_or_default();
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let change = |auction: &mut Auction| match name {
            "AuctionRoundKicked" => auction.record_kick(block),
            "AuctionSale" => auction.record_sale(Price {
                block,
                price: text("price"),
                timestamp: text("timestamp").parse().unwrap_or_default(),
            }),
            _ => {}
        };
        database.change(address, change).await?;
    }
    let auctions = changed.iter().map(|(address, times)| match times {
        1 => short(address),
        more => format!("{} ({more} times)", short(address)),
    });
    let auctions: Vec<String> = auctions.collect();
    Ok(format!("{name:<19} {}", auctions.join(", ")))
}
