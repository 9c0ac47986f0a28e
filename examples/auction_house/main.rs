//! The main job on real input: an auction API, cached, purged by recorded chain events.
//!
//! ```text
//! cargo run --release --example auction_house
//! ```
//!
//! needs nothing but Rust. It prints what to `curl`, and then what happens, as it happens. With
//! `REDIS_CONNECTION_URI` set (or `--redis redis://127.0.0.1:6379`) the same program keeps responses,
//! the purge log and the event streams in Redis, and a second copy on another port stays coherent:
//!
//! ```text
//! cargo run --release --example auction_house -- --redis redis://127.0.0.1:6379
//! cargo run --release --example auction_house -- --redis redis://127.0.0.1:6379 --listen 127.0.0.1:3001
//! ```
//!
//! Whoever listens at `/events` or `/events/auction/0x…` is told of each sale, kick and price, once no copy answers with
//! what was before; at `/events/alerts` of sales that are large. `/activity` says what happened, and `/analytics` how much of it.
//!
//! Open the address in a browser: the page shows what sells, which answers that purged, and where the next ones came from.
//!
//! Where to look: [`rules`] and [`events`] below are the whole configuration of the cache; `api.rs` is
//! the API as it was without one; `replay.rs` and `indexer.rs` play the chain and its indexer; `page.rs` serves the page.

mod actions;
mod api;
mod auction;
mod database;
mod indexer;
mod neighbours;
mod page;
mod prices;
mod replay;
mod screen;
mod tables;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use clap::Parser;
use tokio::task::JoinSet;
use tower_tagcache::feed::ActivityServiceSettings;
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::{
    ActivitySettings, AlertRule, Announce, BoxError, Cache, CacheBuilder, Host, On, Query, Rule,
    Statuses, Stream,
};

use crate::database::Database;
use crate::indexer::Indexer;
use crate::neighbours::Neighbours;
use crate::page::House;
use crate::replay::Replay;
use crate::screen::Screen;

/// An auction API behind tower-tagcache, with the events of a real chain.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to answer; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Keep responses, purge log, event streams and the auctions themselves in this Redis, for
    /// several copies to share. Without it, everything is in this process.
    #[arg(
        long,
        value_name = "URL",
        env = "REDIS_CONNECTION_URI",
        hide_env_values = true
    )]
    redis: Option<String>,
    /// The chain events to replay, again and again: `recorded` (built in), `none`, or a file with
    /// the JSON of an XRANGE reply.
    #[arg(long, value_name = "WHICH", default_value = "recorded")]
    events: String,
    /// How many stream entries are replayed a second.
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = replay::pause)]
    rate: Duration,
    /// Read the auctions from this PostgreSQL database, into which rindexer writes what happens on a chain. Nothing is
    /// replayed then.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database: Option<String>,
    /// How many seconds pass until the price of each auction falls, as it does in a Dutch auction; 0 is never.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    price_every: u64,
    /// Serve the API alone, without the page at `/`.
    #[arg(long)]
    no_page: bool,
}

/// The streams of the requirement document, that of new auctions, and the one that the events were captured from.
const STREAMS: [&str; 4] = [
    "auction_sales",
    "auction_kicks",
    "auction_deployments",
    "auction:events",
];

/// How long a change that is under way may take to end: several commands, should Redis be slow.
const LAST_CHANGE: Duration = Duration::from_secs(10);

/// The rules: what is cached, for how long, and what each response depends on. The copies answer at
/// different ports, and say the same whatever `Host` they are asked by, so it is not in the key.
fn rules(cache: CacheBuilder) -> CacheBuilder {
    let auction = Rule::new("auction_details", "/auctions/{address}")
        .ttl(Duration::from_secs(10))
        // That there is no such auction is remembered too, until one is deployed there.
        .ttl_for(Statuses::code(404), Duration::from_secs(10))
        .tag("auction:{address:address}")
        .host(Host::Ignore);
    let curve = Rule::new("price_curve", "/auctions/{address}/price-curve")
        .ttl(Duration::from_secs(60))
        .tag("auction:{address:address}")
        .host(Host::Ignore);
    let history = Rule::new("price_history", "/auctions/{address}/price-history")
        .ttl(Duration::from_secs(60))
        .query(Query::allow(["hours"]))
        .tag("history:{address:address}")
        .host(Host::Ignore);
    let list = Rule::new("auctions_list", "/auctions")
        .ttl(Duration::from_secs(30))
        .query(Query::allow(["status", "chain_id", "page", "limit"]))
        .tag("auctions")
        .host(Host::Ignore);
    cache.rule(auction).rule(curve).rule(history).rule(list)
}

/// The events: what each of them makes out of date.
fn events(cache: CacheBuilder) -> CacheBuilder {
    let emitter = "transaction_information.address";
    // Who listens is told once no copy answers with the old data any more.
    let tell = |kind: &str| {
        Announce::new(kind)
            .subject(format!("auction:{{{emitter}}}"))
            .field("round", "roundId")
            .field("network", "transaction_information.network")
            .field("tx_hash", "transaction_information.transaction_hash")
    };
    let sold = tell("sale")
        .field("amount", "amountPaid")
        .field("price", "price")
        .field("buyer", "taker");
    let sale = On::event("AuctionSale")
        .purge(format!("auction:{{{emitter}}}"))
        .purge(format!("history:{{{emitter}}}"))
        .purge("auctions")
        .announce(sold);
    // A kick leaves the price history alone.
    let kick = On::event("AuctionRoundKicked")
        .purge(format!("auction:{{{emitter}}}"))
        .purge("auctions")
        .announce(tell("kick").field("available", "initialAvailable"));
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

/// What people want to hear of at once: at `/events/alerts`.
fn big_sale() -> AlertRule {
    AlertRule::new("big-sale")
        .types(["sale"])
        .when("amount >= 10")
        .decimals("amount", 18)
        .message("{amount} were paid, {subject}")
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    // As `REDIS_CONNECTION_URI=` has it, where there is none.
    arguments.redis = arguments.redis.filter(|url| !url.is_empty());
    arguments.database = arguments.database.filter(|url| !url.is_empty());
    if arguments.database.is_some() {
        // The chain is real.
        arguments.events = "none".to_owned();
    }
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auction_house: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let replay = Replay::load(&arguments.events, arguments.rate)?;
    let screen = Screen::new();
    let mut builder = events(rules(Cache::builder()))
        .activity(ActivitySettings::new())
        .alert(big_sale())
        .observer(screen);
    if let Some(url) = &arguments.redis {
        builder = builder.redis(url);
    }
    let (cache, companion) = builder.build()?;
    let database =
        Database::open(arguments.redis.as_deref(), arguments.database.as_deref()).await?;
    let listener = listen(arguments.listen).await?;
    let listens = listener.local_addr()?;
    screen.introduce(listens, &arguments);

    let live = cache.live(&LiveSettings::open().subjects(["auction:{address}"]))?;
    let indexer = Indexer::new(cache.clone(), database.clone(), screen);
    let mut app = service(&cache, &live, database.clone(), screen)?;
    if !arguments.no_page {
        app = with_page(
            app,
            cache.clone(),
            database.clone(),
            indexer.clone(),
            listens,
        );
    }
    let companion = tokio::spawn(companion.run(ctrl_c()));
    tokio::spawn(screen.follow(cache.clone()));
    let mut writers = JoinSet::new();
    if let Some(replay) = replay {
        writers.spawn(replay.run(indexer, screen, ctrl_c()));
    }
    if arguments.price_every > 0 {
        let every = Duration::from_secs(arguments.price_every);
        writers.spawn(prices::fall(every, cache, database, screen, ctrl_c()));
    }
    let ended = async move {
        ctrl_c().await;
        // Whoever listens does so for ever.
        live.close();
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(ended)
        .await?;
    // Dropped in the midst of an entry, a change of the database would never get its event.
    if tokio::time::timeout(LAST_CHANGE, writers.join_all())
        .await
        .is_err()
    {
        screen.trouble(format_args!("the last change is cut off"));
    }
    companion.await?;
    Ok(())
}

async fn ctrl_c() {
    let _ = tokio::signal::ctrl_c().await;
}

/// The API, the cache around it, beside them what people are told and what happened, and around all what prints the requests.
fn service(
    cache: &Cache,
    live: &LiveService,
    database: Database,
    screen: Screen,
) -> Result<Router, BoxError> {
    let activity = ActivityServiceSettings::open().subjects(["auction:{address}"]);
    let activity = cache.activity_service(&activity)?;
    let printed = move |request, next| screen.request(request, next);
    Ok(api::router(database)
        .layer(cache.layer())
        .merge(live.router())
        .merge(activity.router())
        .layer(axum::middleware::from_fn(printed)))
}

/// The page beside it, which shows other copies as well.
fn with_page(
    app: Router,
    cache: Cache,
    database: Database,
    indexer: Indexer,
    listens: SocketAddr,
) -> Router {
    let neighbours = Neighbours::new(listens, database.clone());
    tokio::spawn(neighbours.clone().follow(ctrl_c()));
    let house = House {
        cache,
        database,
        neighbours: neighbours.clone(),
        listens,
    };
    app.layer(axum::middleware::from_fn(page::timed))
        .layer(page::readable_by(neighbours))
        .merge(page::router(house, indexer))
}

async fn listen(at: SocketAddr) -> Result<tokio::net::TcpListener, BoxError> {
    let bound = tokio::net::TcpListener::bind(at).await;
    bound.map_err(|error| format!("cannot answer at {at}: {error} (try --listen)").into())
}
