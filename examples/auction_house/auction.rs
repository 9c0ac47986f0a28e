//! What the origin knows of one auction.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The sales that an auction remembers.
pub(crate) const HISTORY: usize = 100;
/// The points of the price curve that an auction remembers.
pub(crate) const CURVE: usize = 200;
/// At which price a round begins, in Wei.
pub(crate) const FIRST_PRICE: u128 = 2_000_000_000_000_000_000;
/// Below it the price does not fall, in Wei.
pub(crate) const LOWEST_PRICE: u128 = 500_000_000_000_000_000;

/// One row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Auction {
    pub(crate) address: String,
    pub(crate) chain_id: u64,
    pub(crate) rounds: u64,
    pub(crate) sales: u64,
    /// Wei, as a decimal string: too large for a JSON number.
    pub(crate) last_price: Option<String>,
    /// What the next one pays, in Wei: it falls until somebody does.
    #[serde(default)]
    pub(crate) price: u128,
    pub(crate) last_block: u64,
    #[serde(default)]
    pub(crate) prices: Vec<Price>,
    /// How the price went in this round.
    #[serde(default)]
    pub(crate) curve: Vec<Point>,
}

/// One sale.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) block: u64,
    pub(crate) price: String,
    pub(crate) timestamp: u64,
}

/// The price at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Point {
    /// In seconds since 1970.
    pub(crate) timestamp: u64,
    /// In Wei.
    pub(crate) price: String,
    pub(crate) kind: PointKind,
}

/// Why the price was that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PointKind {
    Kick,
    Fall,
    Sale,
}

impl Auction {
    /// Whether a round has begun.
    pub(crate) fn is_active(&self) -> bool {
        self.rounds > 0
    }

    pub(crate) fn record_kick(&mut self, block: u64) {
        self.rounds += 1;
        self.last_block = block;
        self.price = FIRST_PRICE;
        self.curve.clear();
        self.record_point(PointKind::Kick);
    }

    /// Lowers the price by a fiftieth, down to the lowest. One that is there, or was sold for less, stays.
    pub(crate) fn lower_price(&mut self) {
        if self.price <= LOWEST_PRICE {
            return;
        }
        self.price = LOWEST_PRICE.max(self.price - self.price / 50);
        self.record_point(PointKind::Fall);
    }

    pub(crate) fn record_sale(&mut self, price: Price) {
        self.sales += 1;
        self.last_block = price.block;
        self.last_price = Some(price.price.clone());
        // Recorded sales have a price of their own: it falls on from there.
        self.price = price.price.parse().unwrap_or(self.price);
        self.record_point(PointKind::Sale);
        self.prices.push(price);
        keep_last(&mut self.prices, HISTORY);
    }

    fn record_point(&mut self, kind: PointKind) {
        self.curve.push(Point {
            timestamp: now(),
            price: self.price.to_string(),
            kind,
        });
        keep_last(&mut self.curve, CURVE);
    }
}

/// The time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// Drops the first ones of more than so many.
pub(crate) fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let surplus = list.len().saturating_sub(most);
    list.drain(..surplus);
}
