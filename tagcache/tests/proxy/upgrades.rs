//! Upgrades: bytes both ways once both sides agreed, requests and nothing else while they have not.

use std::time::Duration;

use crate::client::{Raw, exchange};
use crate::raw_origin::{RawOrigin, Reply, ok, reply};
use crate::site::{ProxySite, settings};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: abc\r\nsec-websocket-version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                      sec-websocket-accept: xyz\r\n\r\n";

#[tokio::test]
async fn safety_54_a_websocket_passes_both_ways() {
    let origin = RawOrigin::start(|_| Reply::Echo(SWITCH.into())).await;
    let site = ProxySite::before(&origin).await;
    for number in 1..=2 {
        let mut client = Raw::connect(site.address).await;
        // What comes with the request is for the tunnel, once there is one.
        client.write(format!("{ASK}early")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("upgrade: websocket\r\n"), "{head}");
        assert!(head.contains("sec-websocket-accept: xyz\r\n"), "{head}");
        assert_eq!(client.exactly(5).await, b"early");
        let big = vec![7; 300_000];
        client.write(&big).await;
        assert_eq!(client.exactly(big.len()).await, big);
        assert_eq!(origin.calls(), number);
        let heard = origin.last();
        assert_eq!(
            (heard.field("upgrade"), heard.field("connection")),
            (Some("websocket"), Some("upgrade"))
        );
        assert_eq!(heard.field("sec-websocket-key"), Some("abc"));
    }
}

#[tokio::test]
async fn safety_17_what_follows_a_refused_upgrade_is_a_request_of_its_own() {
    let origin = RawOrigin::start(|heard| match heard.path() {
        "/chat" => reply("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"),
        path => ok("", path),
    })
    .await;
    let site = ProxySite::before(&origin).await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: evil\r\nx-forwarded-for: 1.2.3.4\r\n\r\n";
    let last = "GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let heard = exchange(site.address, format!("{ASK}{hidden}{last}")).await;
    let heard = String::from_utf8(heard).unwrap();
    assert!(
        heard.starts_with("HTTP/1.1 403 ") && heard.ends_with("/last"),
        "{heard}"
    );
    let asked = origin.heard();
    let paths: Vec<_> = asked.iter().map(|heard| heard.path()).collect();
    assert_eq!(paths, ["/chat", "/hidden", "/last"]);
    // It went through the proxy like any request, not past it.
    assert_eq!(asked[1].field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked[1].field("host"), Some("evil"));
}

#[tokio::test]
async fn safety_17_a_body_behind_a_refused_upgrade_is_none_of_the_next_request() {
    let origin = RawOrigin::start(|heard| ok("cache-control: no-store", heard.path())).await;
    let site = ProxySite::before(&origin).await;
    let hidden = "GET /hidden HTTP/1.1\r\nhost: evil\r\n\r\n";
    let length = hidden.len();
    let ask = ASK.replace(
        "\r\n\r\n",
        &format!("\r\ncontent-length: {length}\r\n\r\n{hidden}"),
    );
    exchange(
        site.address,
        format!("{ask}GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
    .await;
    let heard = origin.heard();
    assert_eq!(heard[0].body, hidden.as_bytes());
    assert!(
        heard[1..].iter().all(|heard| heard.path() == "/last"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn safety_17_http2_is_not_spoken_through_a_tunnel() {
    let origin = RawOrigin::start(|_| ok("", "a page")).await;
    let site = ProxySite::before(&origin).await;
    for offered in ["h2c", "H2C", "websocket, h2c"] {
        let mut client = Raw::connect(site.address).await;
        let answer = client
            .ask(&format!(
                "GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: {offered}\r\n\
                 http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.text(), "a page");
        assert_eq!(origin.last().field("upgrade"), None);
        assert_eq!(origin.last().field("http2-settings"), None);
    }
}

#[tokio::test]
async fn a_switch_that_nobody_asked_for_is_no_answer() {
    let origin = RawOrigin::start(|_| Reply::Echo(SWITCH.into())).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    let answer = client.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(answer.status(), 502);
    let status = answer.field("cache-status").unwrap_or_default().to_owned();
    assert!(status.ends_with("detail=upstream-switched"), "{status}");
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_closed() {
    let origin = RawOrigin::start(|_| Reply::Echo(SWITCH.into())).await;
    let mut settings = settings(origin.url());
    settings.timeouts.tunnel_idle = Duration::from_millis(50);
    let site = ProxySite::with(settings).await;
    let mut client = Raw::connect(site.address).await;
    client.write(ASK).await;
    client.head().await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn either_side_may_end_a_tunnel() {
    let origin = RawOrigin::start(|_| Reply::Last(format!("{SWITCH}bye").into())).await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    client.write(ASK).await;
    client.head().await;
    assert_eq!(client.exactly(3).await, b"bye");
    drop(client);
    assert_eq!(origin.calls(), 1);
}
