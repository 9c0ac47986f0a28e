//! The API as it would be without a cache: plain axum.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tower_tagcache::BoxError;

use crate::auction::{Auction, FIRST_PRICE, LOWEST_PRICE};
use crate::database::Database;

pub(crate) fn router(database: Database) -> Router {
    Router::new()
        .route("/auctions", get(list))
        .route("/auctions/{address}", get(details))
        .route("/auctions/{address}/price-history", get(price_history))
        .route("/auctions/{address}/price-curve", get(price_curve))
        .with_state(database)
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Filter {
    status: String,
    chain_id: Option<u64>,
    page: usize,
    limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            status: "all".to_owned(),
            chain_id: None,
            page: 1,
            limit: 20,
        }
    }
}

impl Filter {
    fn accepts(&self, auction: &Auction) -> bool {
        let by_status = match self.status.as_str() {
            "active" => auction.is_active(),
            "inactive" => !auction.is_active(),
            _ => true,
        };
        by_status && self.chain_id.is_none_or(|id| id == auction.chain_id)
    }
}

async fn list(
    State(database): State<Database>,
    Query(filter): Query<Filter>,
) -> Result<Response, Failed> {
    let mut auctions = database.all().await?;
    auctions.retain(|auction| filter.accepts(auction));
    let (total, limit) = (auctions.len(), filter.limit.clamp(1, 100));
    let page = auctions
        .into_iter()
        .skip(filter.page.saturating_sub(1).saturating_mul(limit))
        .take(limit);
    let page: Vec<_> = page.map(|auction| overview(&auction)).collect();
    Ok(Json(json!({ "total": total, "page": filter.page, "auctions": page })).into_response())
}

async fn details(
    State(database): State<Database>,
    Path(address): Path<String>,
) -> Result<Response, Failed> {
    Ok(match database.find(&address).await? {
        Some(auction) => Json(overview(&auction)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

#[derive(Debug, Deserialize)]
struct Span {
    #[serde(default = "one_day")]
    hours: u64,
}

const fn one_day() -> u64 {
    24
}

async fn price_history(
    State(database): State<Database>,
    Path(address): Path<String>,
    Query(Span { hours }): Query<Span>,
) -> Result<Response, Failed> {
    let Some(auction) = database.find(&address).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    // The recorded chain ended some time ago: its last sale counts as now.
    let now = auction
        .prices
        .iter()
        .map(|price| price.timestamp)
        .max()
        .unwrap_or_default();
    let since = now.saturating_sub(hours.saturating_mul(3600));
    let prices: Vec<_> = auction
        .prices
        .iter()
        .filter(|price| price.timestamp >= since)
        .collect();
    Ok(
        Json(json!({ "address": auction.address, "hours": hours, "prices": prices }))
            .into_response(),
    )
}

/// How the price went in this round.
async fn price_curve(
    State(database): State<Database>,
    Path(address): Path<String>,
) -> Result<Response, Failed> {
    let Some(auction) = database.find(&address).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let (first, lowest) = (FIRST_PRICE.to_string(), LOWEST_PRICE.to_string());
    Ok(Json(json!({
        "address": auction.address,
        "round": auction.rounds,
        "first_price": first,
        "lowest_price": lowest,
        "points": auction.curve,
    }))
    .into_response())
}

fn overview(auction: &Auction) -> serde_json::Value {
    json!({
        "address": auction.address,
        "chain_id": auction.chain_id,
        "status": if auction.is_active() { "active" } else { "inactive" },
        "rounds": auction.rounds,
        "sales": auction.sales,
        "price": auction.price.to_string(),
        "last_price": auction.last_price,
        "last_block": auction.last_block,
    })
}

/// The database cannot be reached.
struct Failed(BoxError);

impl From<BoxError> for Failed {
    fn from(cause: BoxError) -> Self {
        Self(cause)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}
