//! The buttons of the page: somebody kicks an auction, or buys. They stand for a transaction on the chain.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tower_tagcache::BoxError;

use crate::auction::{Auction, now};
use crate::database::Database;
use crate::indexer::Indexer;

/// One token.
const TOKEN: u128 = 1_000_000_000_000_000_000;
/// At most so many tokens are bought at once.
const MOST: u128 = 12;
/// Where there is no stream, an entry needs an id all the same; it is only shown, should the entry be put aside.
const ENTRY: &str = "0-1";
/// Whoever buys here.
const BUYER: &str = "0x00000000000000000000000000000000000b0b00";

/// `POST /actions/kick/{address}` and `POST /actions/sell/{address}`.
pub(crate) fn router(database: Database, indexer: Indexer) -> Router {
    Router::new()
        .route("/actions/kick/{address}", post(kick))
        .route("/actions/sell/{address}", post(sell))
        .with_state((database, indexer))
}

type Market = State<(Database, Indexer)>;

async fn kick(State((database, indexer)): Market, Path(address): Path<String>) -> Response {
    let event = move |auction: &Auction| {
        json!({
            "from": BUYER,
            "initialAvailable": (100 * TOKEN).to_string(),
            "roundId": (auction.rounds + 1).to_string(),
        })
    };
    happens(database, indexer, address, "AuctionRoundKicked", event).await
}

async fn sell(State((database, indexer)): Market, Path(address): Path<String>) -> Response {
    let event = move |auction: &Auction| {
        let tokens = fastrand::u128(1..=MOST);
        json!({
            "amountPaid": auction.price.saturating_mul(tokens).to_string(),
            "amountTaken": (tokens * TOKEN).to_string(),
            "price": auction.price.to_string(),
            "roundId": auction.rounds.to_string(),
            "saleSeq": (auction.sales + 1).to_string(),
            "taker": BUYER,
            "timestamp": now().to_string(),
        })
    };
    happens(database, indexer, address, "AuctionSale", event).await
}

/// Answers with the transaction that it was.
async fn happens(
    database: Database,
    indexer: Indexer,
    address: String,
    name: &'static str,
    event: impl Fn(&Auction) -> Value + Send + 'static,
) -> Response {
    let doing = async move {
        let Some(auction) = database.find(&address).await? else {
            return Ok(None);
        };
        let event = event(&auction);
        let paid = event["amountPaid"].clone();
        let (hash, fields) = entry(name, &auction, event);
        indexer.index(ENTRY, &fields).await?;
        Ok(Some(json!({ "tx_hash": hash, "paid": paid })))
    };
    // Of its own: a client that leaves in the midst must not keep a change from its event.
    let done: Result<Option<Value>, BoxError> = match tokio::spawn(doing).await {
        Ok(done) => done,
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(Some(transaction)) => axum::Json(transaction).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, "there is no such auction").into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// The hash of a transaction, and the stream entry that rindexer would write of it.
fn entry(name: &str, auction: &Auction, mut event: Value) -> (String, [String; 2]) {
    let hash = format!("{:#066x}", fastrand::u128(..));
    let block = auction.last_block + 1;
    event["transaction_information"] = json!({
        "address": auction.address,
        "block_hash": format!("{:#066x}", fastrand::u128(..)),
        "block_number": block,
        "block_timestamp": format!("{:#x}", now()),
        "chain_id": auction.chain_id,
        "log_index": "0x0",
        "network": "local",
        "transaction_hash": hash,
        "transaction_index": 0,
    });
    let payload = json!({
        "block_number": block,
        "event_data": [event],
        "event_name": name,
        "network": "local",
    });
    (hash, ["payload".to_owned(), payload.to_string()])
}
