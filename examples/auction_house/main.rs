//! The main job on real input: an auction API, cached, purged by recorded chain events.
//!
//! ```text
//! cargo run --release --example auction_house
//! ```
//!
//! needs nothing but Rust. It prints what to `curl` and what will be seen. With
//! `REDIS_CONNECTION_URI` set (or `--redis redis://127.0.0.1:6379`) the same program keeps responses,
//! the purge log and the event streams in Redis, and a second copy on another port stays coherent:
//!
//! ```text
//! cargo run --release --example auction_house -- --redis redis://127.0.0.1:6379 --listen 127.0.0.1:3001 --events none
//! ```

mod api;
mod database;
mod replay;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tower_tagcache::{
    BoxError, Cache, CacheBuilder, Notice, On, Outcome, Query, Rule, Served, Stream,
};

use crate::database::Database;

/// An auction house behind tower-tagcache, with the events of a real chain.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to answer.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Redis for responses, purge log, event streams and the auctions themselves.
    #[arg(long, env = "REDIS_CONNECTION_URI")]
    redis: Option<String>,
    /// A capture to replay (an XRANGE reply as JSON), or `none`. Default: the one built in.
    #[arg(long)]
    events: Option<String>,
    /// Events a second.
    #[arg(long, default_value_t = 0.5)]
    rate: f64,
}

/// The streams of the requirement document, and the one that the events were captured from.
const STREAMS: [&str; 3] = ["auction_sales", "auction_kicks", "auction:events"];

/// The rules: what is cached, for how long, and what each response depends on.
fn rules(cache: CacheBuilder) -> CacheBuilder {
    let auction = Rule::new("auction_details", "/auctions/{address}")
        .ttl(Duration::from_secs(10))
        .tag("auction:{address:address}");
    let history = Rule::new("price_history", "/auctions/{address}/price-history")
        .ttl(Duration::from_secs(60))
        .query(Query::allow(["hours"]))
        .tag("history:{address:address}");
    let list = Rule::new("auctions_list", "/auctions")
        .ttl(Duration::from_secs(30))
        .query(Query::allow(["status", "chain_id", "page", "limit"]))
        .tag("auctions");
    cache.rule(auction).rule(history).rule(list)
}

/// The events: what each of them makes out of date.
fn events(cache: CacheBuilder) -> CacheBuilder {
    let emitter = "transaction_information.address";
    let sale = On::event("AuctionSale")
        .purge(format!("auction:{{{emitter}}}"))
        .purge(format!("history:{{{emitter}}}"))
        .purge("auctions");
    // A kick leaves the price history alone.
    let kick = On::event("AuctionRoundKicked")
        .purge(format!("auction:{{{emitter}}}"))
        .purge("auctions");
    // The factory emits this one: the new auction is an argument.
    let new = On::event("DeployedNewAuction")
        .purge("auction:{auction}")
        .purge("auctions");
    STREAMS.into_iter().fold(cache, |cache, name| {
        let stream = Stream::rindexer(name)
            .on(sale.clone())
            .on(kick.clone())
            .on(new.clone());
        cache.stream(stream)
    })
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let mut builder = events(rules(Cache::builder())).observer(tell);
    if let Some(url) = &arguments.redis {
        builder = builder.redis(url);
    }
    let (cache, companion) = builder.build()?;
    let database = Database::open(arguments.redis.as_deref()).await?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let app = api::router(database.clone()).layer(cache.layer());

    let shutdown = || async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let companion = tokio::spawn(companion.run(shutdown()));
    introduce(&arguments, listener.local_addr()?);
    let replay = match arguments.events.as_deref() {
        Some("none") => None,
        file => Some(replay::Replay::load(
            file.map(PathBuf::from),
            arguments.rate,
        )?),
    };
    if let Some(replay) = replay {
        tokio::spawn(replay.run(cache, database));
    }
    axum::serve(listener, app)
        .with_graceful_shutdown(shutdown())
        .await?;
    companion.await?;
    Ok(())
}

/// Prints what the cache does, one line each.
fn tell(notice: &Notice<'_>) {
    match notice {
        Notice::EventApplied {
            stream,
            event,
            targets,
        } => {
            println!("  event    {event:<20} on {stream:<15} purged {targets} tags");
        }
        Notice::EventQuarantined { stream, id, reason } => {
            println!("  aside    {id} of {stream}: {reason}");
        }
        Notice::EventGap { stream, reason } => {
            println!("  gap      {stream}: {reason}; everything it can touch is purged");
        }
        Notice::Request { rule, outcome } => {
            println!("  request  {rule:<20} {}", summary(outcome));
        }
        _ => {}
    }
}

fn summary(outcome: &Outcome) -> String {
    let served = match outcome.served {
        Served::Hit => "hit",
        Served::Stale => "stale",
        Served::Forwarded(reason) => reason.as_str(),
        _ => "other",
    };
    let detail = outcome
        .detail
        .map(|detail| format!(" ({})", detail.as_str()));
    format!("{served}{}", detail.unwrap_or_default())
}

fn introduce(arguments: &Arguments, at: SocketAddr) {
    let place = arguments
        .redis
        .as_ref()
        .map_or("in this process", |_| "in Redis");
    let auction = database::AUCTIONS[0];
    println!(
        "The auction house is open at http://{at}, its cache {place}.

Every answer costs its origin 40 ms; a hit costs next to nothing. Try, in another terminal:

  curl -i http://{at}/auctions/{auction}     # cache-status: … fwd=uri-miss; stored
  curl -i http://{at}/auctions/{auction}     # cache-status: … hit, and `age`

Events of a real chain are replayed here. Each one changes an auction and purges exactly what
showed it: the next answer is new, however young the stored one was. Watch the sales go up:

  watch -n 0.2 curl -s http://{at}/auctions/{auction}

Also: /auctions?status=active&page=1&limit=2   /auctions/{auction}/price-history?hours=24
What happens, as it happens (Ctrl-C ends it):
"
    );
}
