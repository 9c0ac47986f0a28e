//! The auction house as a user runs it: the program itself, its printed lines, and `curl`'s view.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;
use serde_json::Value as Json;
use tagcache_test_support::{EventClient, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

mod page;

const RECORDED: &str = include_str!("../../examples/auction_house/data/auction-events.json");
const AUCTION: &str = "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests after which a test that gets nowhere ends.
const MAX_REQUESTS: usize = 20_000;

/// One running copy of the program, killed when dropped.
struct House {
    child: Child,
    addr: SocketAddr,
    lines: watch::Receiver<Vec<String>>,
}

/// `cargo test` builds the examples beside the tests.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap().join("examples");
    let program = built.join(format!("auction_house{}", std::env::consts::EXE_SUFFIX));
    let how = "cargo build --example auction_house (`cargo test` does it by itself)";
    assert!(program.exists(), "{} is missing: {how}", program.display());
    program
}

impl House {
    /// Without prices that fall, each of which would be a purge.
    async fn open(arguments: &[&str]) -> Self {
        Self::open_with(&[arguments, &["--price-every", "0"]].concat()).await
    }

    async fn open_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("REDIS_CONNECTION_URI")
            .env_remove("DATABASE_URL")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let printed = watch::Sender::new(Vec::new());
        let mut lines = printed.subscribe();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                printed.send_modify(|lines| lines.push(line));
            }
        });
        let is_open = |lines: &Vec<String>| address(lines).is_some();
        let opened = tokio::time::timeout(PATIENCE, lines.wait_for(is_open)).await;
        let addr = address(&opened.unwrap().unwrap()).unwrap();
        Self { child, addr, lines }
    }

    /// How many purges were printed.
    fn purges(&self) -> usize {
        let is_purge = |line: &&String| line.split_whitespace().nth(1) == Some("purge");
        self.lines.borrow().iter().filter(is_purge).count()
    }

    /// The auction's sales as the answer has them, and whether it was a hit.
    async fn sales(&self, field: &str) -> (u64, bool) {
        let path = format!("/auctions/{AUCTION}");
        let answering = get(self.addr, &path, field);
        let answer = tokio::time::timeout(PATIENCE, answering).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        let auction: Json = serde_json::from_str(body).unwrap();
        let status = head.lines().find(|line| line.starts_with("cache-status: "));
        let is_hit = status.unwrap().contains("; hit");
        (auction["sales"].as_u64().unwrap(), is_hit)
    }

    /// What `path` is answered.
    async fn json(&self, path: &str) -> Json {
        let answer = tokio::time::timeout(PATIENCE, get(self.addr, path, "")).await;
        let answer = answer.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// As Ctrl-C does: it must end by itself.
    async fn interrupt(mut self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(sent.success());
        let closed = async { while self.lines.changed().await.is_ok() {} };
        tokio::time::timeout(PATIENCE, closed)
            .await
            .expect("it goes on after Ctrl-C");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(lines: &[String]) -> Option<SocketAddr> {
    let open = lines.first()?.split_once("http://")?.1;
    Some(open.trim().parse().unwrap())
}

/// One request on a connection of its own.
async fn get(addr: SocketAddr, path: &str, field: &str) -> String {
    ask(addr, &format!("GET {path}"), "house", field).await
}

async fn ask(addr: SocketAddr, what: &str, host: &str, field: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{what} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{field}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// How many sales of the auction there are in the payload of one entry.
fn sales_in(payload: &str) -> u64 {
    let payload: Json = serde_json::from_str(payload).unwrap();
    if payload["event_name"] != "AuctionSale" {
        return 0;
    }
    let events = payload["event_data"].as_array().unwrap().iter();
    let ours = |event: &&Json| event["transaction_information"]["address"] == AUCTION;
    events.filter(ours).count() as u64
}

#[tokio::test]
async fn answers_follow_each_purge_in_one_process() {
    let recorded: Vec<(String, Vec<String>)> = serde_json::from_str(RECORDED).unwrap();
    let each = recorded.iter().map(|(_, fields)| sales_in(&fields[1]));
    // The sales that there are once so many entries were purged.
    let mut sold = vec![0];
    for sales in each {
        sold.push(sold.last().unwrap() + sales);
    }
    let house = House::open(&["--rate", "50"]).await;
    let (mut requests, mut hits, mut last) = (0, 0, 0);
    loop {
        // Each entry is one purge, the notices of reorgs included.
        let purges = house.purges();
        if purges >= recorded.len() {
            break;
        }
        let (answered, is_hit) = house.sales("").await;
        // A request with a cookie goes to the origin.
        let (origin, _) = house.sales("cookie: a=1\r\n").await;
        assert!(answered >= sold[purges], "{answered} after {purges} purges");
        assert!(
            (last..=origin).contains(&answered),
            "{last} {answered} {origin}"
        );
        last = answered;
        hits += usize::from(is_hit);
        requests += 1;
        assert!(requests < MAX_REQUESTS, "only {purges} purges");
    }
    assert!(hits > 0 && last > 0, "{hits} hits, {last} sales");
    house.interrupt().await;
}

/// The shared server of several copies.
struct Chain(RedisServer);

impl Chain {
    /// The sales whose purges have returned; `None` while one is under way.
    async fn purged(&self) -> Option<u64> {
        let groups = self.0.run("XINFO GROUPS auction:events").await;
        let groups: Vec<std::collections::HashMap<String, Value>> =
            redis::from_redis_value(groups).unwrap();
        let delivered: String =
            redis::from_redis_value(groups[0]["last-delivered-id"].clone()).unwrap();
        // Acknowledged means purged, so long as nothing else was delivered meanwhile.
        if groups[0]["pending"] != Value::Int(0) {
            return None;
        }
        let range = format!("XRANGE auction:events - {delivered}");
        let entries: Vec<(String, Vec<String>)> =
            redis::from_redis_value(self.0.run(&range).await).unwrap();
        Some(entries.iter().map(|(_, fields)| sales_in(&fields[1])).sum())
    }

    /// The sales as the origin has them.
    async fn sold(&self) -> u64 {
        let row = self
            .0
            .command(&["HGET", "auction_house:auctions", AUCTION])
            .await;
        let row: String = redis::from_redis_value(row).unwrap();
        let row: Json = serde_json::from_str(&row).unwrap();
        row["sales"].as_u64().unwrap()
    }

    async fn length(&self) -> usize {
        redis::from_redis_value(self.0.run("XLEN auction:events").await).unwrap()
    }
}

#[tokio::test]
async fn safety_39_two_copies_on_one_redis_stay_coherent() {
    let chain = Chain(RedisServer::start());
    let url = chain.0.url();
    // The second copy makes the groups, before the first event.
    let second = House::open(&["--redis", &url, "--events", "none"]).await;
    let gaps = |lines: &Vec<String>| {
        lines
            .iter()
            .filter(|line| line.contains("no group"))
            .count()
    };
    let mut lines = second.lines.clone();
    let ready = lines.wait_for(|lines| gaps(lines) == 4);
    drop(
        tokio::time::timeout(PATIENCE, ready)
            .await
            .unwrap()
            .unwrap(),
    );
    let first = House::open(&["--redis", &url, "--rate", "50"]).await;

    let (mut requests, mut hits, mut last) = (0, 0, 0);
    let mut purged = 0;
    while chain.length().await < 73 {
        let copy = [&first, &second][requests % 2];
        purged = chain.purged().await.unwrap_or(purged);
        let (answered, is_hit) = copy.sales("").await;
        let sold = chain.sold().await;
        assert!(answered >= purged, "{answered}, and {purged} were purged");
        assert!(
            (last..=sold).contains(&answered),
            "{last} {answered} {sold}"
        );
        last = answered;
        hits += usize::from(is_hit);
        requests += 1;
        assert!(requests < MAX_REQUESTS, "the replay does not go on");
    }
    assert!(hits > 0 && last > 0, "{hits} hits, {last} sales");

    // It is quiet when the first copy has ended: from then on answers are exact.
    first.interrupt().await;
    let sold = chain.sold().await;
    let exact = async { while chain.purged().await != Some(sold) {} };
    tokio::time::timeout(PATIENCE, exact).await.unwrap();
    let third = House::open(&["--redis", &url, "--events", "none"]).await;
    // What one stored the others serve, as soon as this machine keeps the budget of a lookup.
    for copy in [&second, &third] {
        let mut requests = 0;
        while copy.sales("").await != (sold, true) {
            assert_eq!(copy.sales("").await.0, sold);
            requests += 1;
            assert!(requests < MAX_REQUESTS, "never a hit");
        }
    }
    second.interrupt().await;
    third.interrupt().await;
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (arguments, expected) in [
        (
            &["--redis", "redis://127.0.0.1:1"][..],
            "auction_house: cannot use Redis: ",
        ),
        (
            &["--events", "nowhere.json"],
            "auction_house: cannot read the events in nowhere.json: ",
        ),
        (
            &["--rate", "0"],
            "error: invalid value '0' for '--rate <NUMBER>': ",
        ),
    ] {
        let output = Command::new(program())
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("REDIS_CONNECTION_URI")
            .env_remove("DATABASE_URL")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.starts_with(expected), "{arguments:?}: {said}");
    }
}

/// What a browser sees that listens: the price falls, an auction sells, and who asks at once gets what is new.
#[tokio::test]
async fn who_listens_is_told_and_finds_what_is_new() {
    let house = House::open_with(&["--rate", "20", "--price-every", "1"]).await;
    let path = format!("/events/auction/{AUCTION}");
    let mut client = EventClient::open(house.addr, &path, &[]).await;
    let mut kinds = std::collections::BTreeSet::new();
    let mut sales = 0;
    while kinds.len() < 3 || sales < 5 {
        let event = client.event().await;
        if event.event.as_deref() == Some("resync") {
            continue;
        }
        assert_eq!(event.event.as_deref(), Some("auction_update"), "{event:?}");
        assert_eq!(event.text("subject"), format!("auction:{AUCTION}"));
        kinds.insert(event.text("type").to_owned());
        if event.text("type") == "sale" {
            sales += 1;
            let (answered, _) = house.sales("").await;
            assert!(answered >= sales, "{answered} sales, {sales} were told");
        }
    }
    // A stream that is open does not hold it up.
    house.interrupt().await;
    let end = client.event().await;
    assert_eq!(end.event.as_deref(), Some("end"));
}

/// What a page shows before it listens: what happened, and how much of it.
#[tokio::test]
async fn who_asks_is_shown_what_happened() {
    let house = House::open(&["--rate", "50"]).await;
    let of_auction = format!("/activity?type=sale&auction={}", AUCTION.to_uppercase());
    let of_auction = of_auction.replace("0X", "0x");
    let entry = loop {
        let page = house.json(&of_auction).await;
        if let Some(entry) = page["entries"].get(0) {
            break entry.clone();
        }
    };
    let text = |name: &str| entry[name].as_str().unwrap();
    assert_eq!(
        (text("type"), text("auction_address"), text("network")),
        ("sale", AUCTION, "local")
    );
    for number in ["amount", "price"] {
        assert!(text(number).parse::<u128>().is_ok(), "{entry}");
    }
    let hash = text("tx_hash");
    assert!(hash.starts_with("0x") && hash.len() == 66, "{entry}");
    assert!(
        RECORDED.contains(text("amount")) && RECORDED.contains(hash),
        "{entry}"
    );
    let time = entry["timestamp"].as_u64().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(time.abs_diff(now.as_secs()) < 600, "{entry}");
    let all = house.json("/activity?limit=1000").await;
    let all = all["entries"].as_array().unwrap();
    assert!(all.iter().any(|one| one["type"] == "kick"), "{all:?}");
    assert!(all.contains(&entry));
    let counters = house.json("/analytics?hours=168&by=hour").await;
    assert!(counters["to"].as_u64() > counters["from"].as_u64());
    let sales = counters["rows"].as_array().unwrap().iter();
    let mut sales = sales.filter(|row| row["type"] == "sale");
    assert!(sales.any(|row| row["sums"]["amount"].as_str().unwrap().len() > 18));
    // Sales of ten tokens and more; there are some in the recorded chain.
    let mut alerts = EventClient::open(house.addr, "/events/alerts", &[]).await;
    let alert = alerts.event().await;
    assert_eq!(alert.event.as_deref(), Some("alert"));
    let data = &alert.data.unwrap()["data"];
    assert_eq!(data["rule"], "big-sale");
    assert!(
        data["message"]
            .as_str()
            .unwrap()
            .contains("were paid, auction:0x")
    );
    drop(alerts);
    house.interrupt().await;
}
