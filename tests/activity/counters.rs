//! `/analytics`: how much of it.

use std::time::Duration;

use serde_json::{Value, json};
use tagcache_test_support::until;

use super::{AUCTION, House, OTHER, START, happened};

const HOUR: u64 = 3_600;

impl House {
    /// Two hours of market: sales of two auctions and a kick, in the second one too.
    async fn trade(&self) {
        self.announce(happened("sale", AUCTION, 1)).await;
        self.announce(happened("sale", AUCTION, 2)).await;
        self.announce(happened("sale", OTHER, 4)).await;
        self.clock.advance(Duration::from_secs(HOUR));
        self.announce(happened("sale", OTHER, HOUR + 8)).await;
        self.announce(happened("kick", AUCTION, HOUR + 16)).await;
        until("it is counted", async || {
            let rows = self.get("/analytics").await["rows"].clone();
            let rows = rows.as_array().unwrap().iter();
            rows.map(|row| row["count"].as_u64().unwrap()).sum::<u64>() == 5
        })
        .await;
    }
}

fn row(kind: &str, count: u64, amount: u64) -> Value {
    json!({ "type": kind, "count": count, "sums": { "amount": amount.to_string() } })
}

fn with(mut row: Value, name: &str, value: impl Into<Value>) -> Value {
    row[name] = value.into();
    row
}

#[tokio::test]
async fn updates_are_counted_by_type_hour_and_subject() {
    for house in House::on_each() {
        house.trade().await;
        let subject = |auction: &str| format!("auction:{auction}");
        let (second, first) = (START + HOUR, START);
        let kick = || row("kick", 1, HOUR + 16);
        for (query, expected) in [
            ("", vec![kick(), row("sale", 4, HOUR + 15)]),
            ("type=sale", vec![row("sale", 4, HOUR + 15)]),
            ("hours=1", vec![kick(), row("sale", 1, HOUR + 8)]),
            (
                "by=hour",
                vec![
                    with(kick(), "hour", second),
                    with(row("sale", 1, HOUR + 8), "hour", second),
                    with(row("sale", 3, 7), "hour", first),
                ],
            ),
            (
                "by=subject&type=sale",
                vec![
                    with(row("sale", 2, 3), "subject", subject(AUCTION)),
                    with(row("sale", 2, HOUR + 12), "subject", subject(OTHER)),
                ],
            ),
            (
                &format!("auction={AUCTION}&type=sale,kick"),
                vec![kick(), row("sale", 2, 3)],
            ),
            (
                &format!("subject=auction:{OTHER}&by=hour,subject&hours=168"),
                vec![
                    with(
                        with(row("sale", 1, HOUR + 8), "hour", second),
                        "subject",
                        subject(OTHER),
                    ),
                    with(
                        with(row("sale", 1, 4), "hour", first),
                        "subject",
                        subject(OTHER),
                    ),
                ],
            ),
            ("type=nothing&by=hour&by=subject", vec![]),
        ] {
            let answer = house.get(&format!("/analytics?{query}")).await;
            assert_eq!(answer["rows"], Value::from(expected), "{query}");
            assert_eq!(answer["to"], START + HOUR, "{query}");
        }
        let day = house.get("/analytics").await;
        assert_eq!(day["from"], START - 22 * HOUR);
        let present = house.get("/analytics?hours=1").await;
        assert_eq!(present["from"], START + HOUR);
    }
}

#[tokio::test]
async fn sums_are_exact_above_what_json_numbers_hold() {
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let twice = "231584178474632390847141970017375815706539969331281128078915168015826259279870";
    for house in House::on_each() {
        for n in 0..2 {
            let sale = happened("sale", AUCTION, n);
            house
                .announce(sale.with_field("amount", largest).unwrap())
                .await;
        }
        until("it is counted", async || {
            house.get("/analytics").await["rows"][0]["count"] == 2
        })
        .await;
        let answer = house.get("/analytics").await;
        assert_eq!(answer["rows"][0]["sums"]["amount"], twice);
    }
}
