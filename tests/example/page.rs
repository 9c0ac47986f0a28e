//! The page of the auction house, and its buttons, as a browser asks for them.

use std::path::PathBuf;

use tagcache_test_support::RedisServer;

use super::{AUCTION, House, ask, get};

/// What a browser loads, by any name that its user gives this machine.
#[tokio::test]
async fn the_page_is_served_with_all_its_files_and_no_foreign_ones() {
    let house = House::open(&["--events", "none"]).await;
    let host = house.addr.to_string();
    let start = ask(house.addr, "GET /", &host, "").await;
    assert!(start.starts_with("HTTP/1.1 200"), "{start}");
    assert!(start.contains("content-security-policy: default-src 'none'; script-src 'self';"));
    let body = start.split_once("\r\n\r\n").unwrap().1;
    assert!(
        !body.contains("http://") && !body.contains("https://"),
        "{body}"
    );
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for (directory, below) in [
        ("examples/auction_house/page", "page"),
        ("clients/web/src", "client"),
    ] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == "index.html" || name.ends_with(".d.ts") {
                continue;
            }
            let path = format!("/{below}/{name}");
            let answer = ask(house.addr, &format!("GET {path}"), "localhost:1", "").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            let is_named = start.contains(&format!("modulepreload\" href=\"{path}\""));
            assert_eq!(name.ends_with(".js"), is_named, "{path}");
            files += 1;
        }
    }
    assert!(files > 20, "{files}");
    let api_only = House::open(&["--events", "none", "--no-page"]).await;
    assert!(
        get(api_only.addr, "/", "")
            .await
            .starts_with("HTTP/1.1 404")
    );
}

/// DNS rebinding, and requests that other sites make a browser send.
#[tokio::test]
async fn safety_132_other_sites_neither_read_nor_press_the_buttons() {
    let house = House::open(&["--events", "none"]).await;
    let host = house.addr.to_string();
    let sell = format!("POST /actions/sell/{AUCTION}");
    for (what, host, field, status) in [
        ("GET /", "evil.example", "", 421),
        ("GET /page/status", "evil.example:3000", "", 421),
        ("GET /page/status", "127.0.0.1.evil.example", "", 421),
        ("GET /page/status", "localhost.evil.example", "", 421),
        (
            &sell,
            "evil.example",
            "origin: http://evil.example\r\n",
            421,
        ),
        (&sell, &host, "origin: http://evil.example\r\n", 403),
        (&sell, &host, "origin: null\r\n", 403),
        (&sell, &host, "sec-fetch-site: cross-site\r\n", 403),
        (
            &sell,
            &host,
            "sec-fetch-site: same-site\r\norigin: http://127.0.0.1:1\r\n",
            403,
        ),
    ] {
        let answer = ask(house.addr, what, host, field).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{what} {host} {field}: {answer}"
        );
    }
    assert_eq!(house.sales("").await.0, 0);
    let own = format!("origin: http://{host}\r\nsec-fetch-site: same-origin\r\n");
    let answer = ask(house.addr, &sell, &host, &own).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(house.sales("").await.0, 1);
    // What one page may read of another node, no other page may.
    let read = ask(
        house.addr,
        "GET /auctions",
        &host,
        "origin: http://evil.example\r\n",
    )
    .await;
    assert!(!read.contains("access-control-allow-origin"), "{read}");
    let unknown = ask(house.addr, "POST /actions/sell/0x00", &host, &own).await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");
}

/// Two who sell the same auction at the same time.
#[tokio::test]
async fn sales_at_the_same_time_at_two_copies_are_all_counted() {
    let redis = RedisServer::start();
    let url = redis.url();
    let first = House::open(&["--redis", &url, "--events", "none"]).await;
    let second = House::open(&["--redis", &url, "--events", "none"]).await;
    let sell = format!("POST /actions/sell/{AUCTION}");
    for _ in 0..20 {
        let sales =
            [&first, &second, &first, &second].map(|house| ask(house.addr, &sell, "localhost", ""));
        for answer in futures_util::future::join_all(sales).await {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    for house in [&first, &second] {
        // A request with a cookie goes to the origin.
        assert_eq!(house.sales("cookie: a=1\r\n").await.0, 80);
    }
}
