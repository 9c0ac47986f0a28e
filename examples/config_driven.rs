//! An axum service whose caching is in a file: `examples/tagcache.toml`.
//!
//! ```text
//! MODE=mock cargo run --features config --example config_driven
//! auction=http://127.0.0.1:3000/auctions/0xa16e02e87b7454126e5e10d957a927a7f5b5d2be
//! curl -i $auction      # cache-status: tagcache; fwd=uri-miss; stored
//! curl -i $auction      # cache-status: tagcache; hit; …
//! ```
//!
//! In mode `mock` everything is kept in the process. Without it the file's Redis is used, or the one
//! that `REDIS_CONNECTION_URI` names. Change a rule while it runs: it counts two seconds later.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tower_tagcache::config::{Config, Reload};
use tower_tagcache::{BoxError, CacheBuilder};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tagcache.toml");

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().init();
    // `Cache::from_config(FILE)` is the short form, where the file is not watched.
    let loaded = Config::load(Some(FILE.as_ref()), &variable)?;
    let builder: CacheBuilder = loaded.config.cache_builder();
    let (cache, companion) = loaded.build_with(builder)?;
    tokio::spawn(companion.run(std::future::pending()));

    // Nothing asks for a reload here but the file itself.
    let (_ask, asked) = tokio::sync::mpsc::channel(1);
    let reload = Reload::new(loaded, cache.clone(), variable);
    tokio::spawn(reload.run(asked, std::future::pending()));

    let app: Router = Router::new()
        .route("/auctions", get(|| async { "all auctions" }))
        .route("/auctions/{address}", get(auction))
        .layer(cache.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn auction(Path(address): Path<String>) -> String {
    format!("auction {address}")
}
