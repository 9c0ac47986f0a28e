//! Replays captured stream entries: the data change first, then the event says so, as an indexer does.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tower_tagcache::{BoxError, Cache};

use crate::database::{Database, Price};

const BUILT_IN: &str = include_str!("data/auction-events.json");
/// The stream that the capture came from.
const STREAM: &str = "auction:events";
/// Copies that replay at the same time would count everything twice: the first one that asks does.
const REPLAYER: &str = "auction_house:replayer";

/// An entry as `XRANGE` prints it: its id, then names and values in turn.
type Entry = (String, Vec<String>);

/// A capture on its way back into the world, again and again.
#[derive(Debug)]
pub(crate) struct Replay {
    entries: Vec<Entry>,
    pause: Duration,
}

impl Replay {
    /// Reads the capture in `file`, or the one that is built in.
    pub(crate) fn load(file: Option<PathBuf>, rate: f64) -> Result<Self, BoxError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?,
            None => BUILT_IN.to_owned(),
        };
        let pause = Duration::try_from_secs_f64(1.0 / rate)
            .map_err(|_| format!("--rate {rate}: not a number of events a second"))?;
        Ok(Self {
            entries: serde_json::from_str(&text)?,
            pause,
        })
    }

    /// Replays for ever.
    pub(crate) async fn run(self, cache: Cache, database: Database) {
        for (id, fields) in self.entries.iter().cycle() {
            tokio::time::sleep(self.pause).await;
            if let Err(error) = replay(&cache, &database, id, fields).await {
                println!("  replay   {error}");
            }
        }
    }
}

async fn replay(
    cache: &Cache,
    database: &Database,
    id: &str,
    fields: &[String],
) -> Result<(), BoxError> {
    if let Database::Redis(connection) = database {
        let mut lock = redis::cmd("SET");
        lock.arg(REPLAYER)
            .arg(std::process::id())
            .arg("NX")
            .arg("EX")
            .arg(10)
            .arg("GET");
        let holder: Option<u32> = lock.query_async(&mut connection.clone()).await?;
        if holder.is_some_and(|holder| holder != std::process::id()) {
            return Ok(());
        }
    }
    change(database, fields).await?;
    let pairs = fields
        .chunks_exact(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()));
    match database {
        // As rindexer does. The companion reads it from there.
        Database::Redis(connection) => {
            let mut add = redis::cmd("XADD");
            add.arg(STREAM).arg("MAXLEN").arg("~").arg(1000).arg("*");
            for (name, value) in pairs {
                add.arg(name).arg(value);
            }
            let _: String = add.query_async(&mut connection.clone()).await?;
        }
        // Without Redis there is no stream: the event is handed in.
        Database::Memory(_) => {
            let fields = pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            cache.events().apply(STREAM, id, fields).await?;
        }
    }
    Ok(())
}

/// What the indexer's database does with the events of one entry.
async fn change(database: &Database, fields: &[String]) -> Result<(), BoxError> {
    let Some(payload) = fields.get(1) else {
        return Ok(());
    };
    let payload: Value = serde_json::from_str(payload)?;
    let events = payload["event_data"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for event in events {
        let source = &event["transaction_information"];
        let Some(address) = source["address"].as_str() else {
            continue;
        };
        let block = source["block_number"].as_u64().unwrap_or_default();
        match payload["event_name"].as_str() {
            Some("AuctionRoundKicked") => {
                database
                    .change(address, |auction| auction.record_kick(block))
                    .await?;
            }
            Some("AuctionSale") => {
                let number = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
                let price = Price {
                    block,
                    price: number("price"),
                    timestamp: number("timestamp").parse().unwrap_or_default(),
                };
                database
                    .change(address, |auction| auction.record_sale(price))
                    .await?;
            }
            _ => {}
        }
    }
    Ok(())
}
