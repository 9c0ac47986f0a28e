//! The prices of a Dutch auction fall by themselves, until somebody buys.

use std::pin::pin;
use std::time::Duration;

use tower_tagcache::{BoxError, Cache, Update};

use crate::auction::Auction;
use crate::database::{Database, Turn};
use crate::screen::Screen;

/// Lowers the prices after each `every`, until `ended`.
pub(crate) async fn fall(
    every: Duration,
    cache: Cache,
    database: Database,
    screen: Screen,
    ended: impl Future<Output = ()>,
) {
    let mut ended = pin!(ended);
    let mut waits = false;
    // Runs out if nothing ends it.
    while tokio::time::timeout(every, &mut ended).await.is_err() {
        let done = lower(&cache, &database, screen).await;
        match &done {
            Err(error) if !waits => screen.trouble(format_args!("the prices wait: {error}")),
            Ok(()) if waits => screen.chain("the prices go on"),
            _ => {}
        }
        waits = done.is_err();
    }
}

/// It is no event of the chain: what it changes is purged and announced here, as an API does that changes its data itself.
async fn lower(cache: &Cache, database: &Database, screen: Screen) -> Result<(), BoxError> {
    if !database.has_the_turn(Turn::Prices).await? {
        return Ok(());
    }
    let (mut known, mut fell) = (database.all().await?, 0);
    known.retain(|auction| auction.is_active());
    for auction in known {
        let mut price = auction.price;
        // The contract's price falls with the time, which the indexer's tables need not be told.
        if database.is_own() {
            let lower = |auction: &mut Auction| {
                auction.lower_price();
                price = auction.price;
            };
            database.change(&auction.address, lower).await?;
            if price == auction.price {
                continue;
            }
        }
        let subject = format!("auction:{}", auction.address);
        let update = Update::new("price_update", &subject)?;
        let update = update.with_field("price", price.to_string())?;
        let purger = cache.purger().announcing(update);
        purger.tags([&*subject, "auctions"]).await?;
        fell += 1;
    }
    if fell > 0 {
        screen.chain("the prices fall");
    }
    Ok(())
}
