//! Wrapping an axum router that exists already.
//!
//! ```text
//! cargo run --example wrap_router
//! curl -i http://127.0.0.1:3000/auctions/7     # twice: fwd=uri-miss; stored, then hit
//! curl -X POST http://127.0.0.1:3000/auctions/7/sell
//! curl -i http://127.0.0.1:3000/auctions/7     # fwd=stale; stored; detail=purged
//! ```

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use tower_tagcache::{BoxError, Cache, Purger, Rule};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (cache, companion) = Cache::builder()
        .rule(
            Rule::new("auction", "/auctions/{id}")
                .ttl(Duration::from_secs(60))
                .tag("auction:{id}"),
        )
        .build()?;
    tokio::spawn(companion.run(std::future::pending()));
    let app = router(cache.purger()).layer(cache.layer());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// The router as it was, but for the purge where the data change.
fn router(purger: Purger) -> Router {
    Router::new()
        .route(
            "/auctions/{id}",
            get(|Path(id): Path<u64>| async move { format!("auction {id}\n") }),
        )
        .route("/auctions/{id}/sell", post(sell))
        .with_state(purger)
}

async fn sell(Path(id): Path<u64>, State(purger): State<Purger>) -> String {
    match purger.tag(format!("auction:{id}")).await {
        Ok(purged) => format!(
            "sold; no node shows the old page any more, since {}\n",
            purged.position
        ),
        Err(error) => format!("sold; {error}\n"),
    }
}
