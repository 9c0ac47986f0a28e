//! Replays captured stream entries: the data change first, then the event says so, as an indexer does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tower_tagcache::{BoxError, Cache, Update};

use crate::database::{Auction, Database, Price};
use crate::screen::{Screen, short};

const BUILT_IN: &str = include_str!("data/auction-events.json");
/// The stream that the capture came from.
const STREAM: &str = "auction:events";
/// Copies that replay at the same time would count everything twice: the first one that asks does.
const REPLAYER: &str = "auction_house:replayer";
/// After which time another copy takes over.
const TAKE_OVER_SECONDS: u64 = 10;

/// An entry as `XRANGE` prints it: its id, then names and values in turn.
type Entry = (String, Vec<String>);

/// A capture on its way back into the world, again and again.
#[derive(Debug)]
pub(crate) struct Replay {
    entries: Vec<Entry>,
    pause: Duration,
    /// Between two prices; `None` if they do not fall.
    price_every: Option<Duration>,
    /// Tells this copy from others.
    me: u64,
}

/// The time between two entries, from how many there are a second.
pub(crate) fn pause(rate: &str) -> Result<Duration, String> {
    let rate: f64 = rate.parse().map_err(|_| "not a number".to_owned())?;
    let pause = Duration::try_from_secs_f64(1.0 / rate).ok();
    let sensible = |pause: &Duration| !pause.is_zero();
    pause
        .filter(sensible)
        .ok_or_else(|| "not a number of entries a second".to_owned())
}

impl Replay {
    /// Reads the capture in the file `which`, or the one that is built in; or none.
    pub(crate) fn load(
        which: &str,
        pause: Duration,
        price_every: u64,
    ) -> Result<Option<Self>, BoxError> {
        let text = match which {
            "none" => return Ok(None),
            "recorded" => BUILT_IN.to_owned(),
            path => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the events in {path}: {error}"))?,
        };
        let entries = serde_json::from_str(&text)
            .map_err(|error| format!("{which} is not the JSON of an XRANGE reply: {error}"))?;
        let me = u64::from(std::process::id()) << 32 | u64::from(fastrand::u32(..));
        let price_every = Some(Duration::from_secs(price_every)).filter(|every| !every.is_zero());
        Ok(Some(Self {
            entries,
            pause,
            price_every,
            me,
        }))
    }

    /// Replays until `ended`, and then to the end of the entry: what changed gets its event.
    pub(crate) async fn run(
        self,
        cache: Cache,
        database: Database,
        screen: Screen,
        ended: impl Future<Output = ()>,
    ) {
        let mut ended = pin!(ended);
        let (mut waits, mut priced) = (false, Instant::now());
        for (number, (id, fields)) in self.entries.iter().cycle().enumerate() {
            // Runs out if nothing ends it.
            if tokio::time::timeout(self.pause, &mut ended).await.is_ok() {
                return;
            }
            let fields = again(fields, number / self.entries.len());
            let mut done = self.replay(&cache, &database, screen, id, &fields).await;
            if self
                .price_every
                .is_some_and(|every| priced.elapsed() >= every)
            {
                priced = Instant::now();
                let lowered = self.lower_prices(&cache, &database, screen).await;
                done = done.and(lowered);
            }
            match &done {
                Err(error) if !waits => screen.trouble(format_args!("the replay waits: {error}")),
                Ok(()) if waits => screen.chain("the replay goes on"),
                _ => {}
            }
            waits = done.is_err();
        }
    }

    /// The time has come for all prices to fall. It is no event of the chain: what it changes is purged and announced
    /// here, as an API does that changes its data itself.
    async fn lower_prices(
        &self,
        cache: &Cache,
        database: &Database,
        screen: Screen,
    ) -> Result<(), BoxError> {
        if !self.has_the_turn(database).await? {
            return Ok(());
        }
        for auction in database.all().await.iter().filter(|it| it.is_active()) {
            let mut price = 0;
            let lower = |auction: &mut Auction| {
                auction.lower_price();
                price = auction.price;
            };
            database.change(&auction.address, lower).await?;
            let subject = format!("auction:{}", auction.address);
            let update = Update::new("price_update", &subject)?;
            let update = update.with_field("price", price.to_string())?;
            let purger = cache.purger().announcing(update);
            purger.tags([&*subject, "auctions"]).await?;
        }
        screen.chain("the prices fall");
        Ok(())
    }

    async fn replay(
        &self,
        cache: &Cache,
        database: &Database,
        screen: Screen,
        id: &str,
        fields: &[String],
    ) -> Result<(), BoxError> {
        if !self.has_the_turn(database).await? {
            return Ok(());
        }
        screen.chain(change(database, fields).await?);
        let pairs = fields
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()));
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg("MAXLEN").arg("~").arg(1000).arg("*");
        for (name, value) in pairs.clone() {
            add.arg(name).arg(value);
        }
        // As rindexer does. The companion of some copy reads it from there.
        if let Some(added) = database.shared::<String>(&add).await {
            added?;
            return Ok(());
        }
        // Without Redis there is no stream: the event is handed in.
        let fields = pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        cache.events().apply(STREAM, id, fields).await?;
        Ok(())
    }

    /// Whether it is this copy that replays.
    async fn has_the_turn(&self, database: &Database) -> Result<bool, BoxError> {
        let mut take = redis::cmd("SET");
        take.arg(REPLAYER).arg(self.me).arg("NX").arg("GET");
        take.arg("EX").arg(TAKE_OVER_SECONDS);
        let Some(holder) = database.shared::<Option<u64>>(&take).await else {
            return Ok(true);
        };
        let mine = holder?.is_none_or(|holder| holder == self.me);
        if mine {
            let mut keep = redis::cmd("EXPIRE");
            keep.arg(REPLAYER).arg(TAKE_OVER_SECONDS);
            database.shared::<bool>(&keep).await.transpose()?;
        }
        Ok(mine)
    }
}

/// The fields of an entry in the replay's round `round`: as if its blocks were made now. In each further round the transactions'
/// hashes differ, or the events would be dropped as repeats.
fn again(fields: &[String], round: usize) -> Cow<'_, [String]> {
    let Some(mut payload) = fields
        .get(1)
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return fields.into();
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    for event in payload["event_data"].as_array_mut().into_iter().flatten() {
        if let Some(time) = event.pointer_mut("/transaction_information/block_timestamp") {
            *time = format!("{now:#x}").into();
        }
        if let Some(time) = event.get_mut("timestamp") {
            *time = now.to_string().into();
        }
        if let Some(Value::String(hash)) = event
            .pointer_mut("/transaction_information/transaction_hash")
            .filter(|_| round > 0)
        {
            let kept = hash.len().saturating_sub(16);
            hash.truncate(kept);
            hash.push_str(&format!("{round:016x}"));
        }
    }
    let mut fields = fields.to_vec();
    fields[1] = payload.to_string();
    fields.into()
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
