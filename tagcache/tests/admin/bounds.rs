//! SAFETY 55: what a client can hold on to is bounded.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::site::{AdminSite, open, send};

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

#[tokio::test]
async fn safety_55_a_body_that_is_too_long_is_not_read() {
    let mut settings = open();
    settings.body_bytes = 100;
    let site = AdminSite::with(settings).await;
    let just = format!("{{\"tag\":\"{}\"}}", "a".repeat(90));
    assert_eq!(just.len(), 100);
    assert_eq!(site.purge(&just).await.status, 200);
    assert_eq!(site.purge(&format!("{just} ")).await.status, 413);
    let chunked = "POST /purge HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\
                   connection: close\r\n\r\n";
    let bytes = format!("{chunked}65\r\n{}\r\n0\r\n\r\n", "a".repeat(0x65));
    let told = send(site.admin, bytes.as_bytes()).await;
    assert!(
        told.starts_with(b"HTTP/1.1 413 "),
        "{}",
        String::from_utf8_lossy(&told)
    );
}

#[tokio::test]
async fn safety_55_who_is_slow_is_let_go() {
    let mut settings = open();
    settings.timeout = Duration::from_millis(200);
    let site = AdminSite::with(settings).await;
    let told = send(site.admin, b"GET /healthz HTTP/1.1\r\nhost:").await;
    assert!(!told.starts_with(b"HTTP/1.1 2"), "half a head");
    let half = b"POST /purge HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 9\r\n\r\n{\"all\"";
    let told = send(site.admin, half).await;
    assert!(
        told.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&told)
    );
}

/// It ends with an answer that says so, and not between two requests.
#[tokio::test]
async fn safety_119_a_connection_whose_lifetime_is_over_ends_with_an_answer() {
    let mut settings = open();
    settings.connection_lifetime = Duration::from_millis(100);
    let site = AdminSite::with(settings).await;
    let mut stream = TcpStream::connect(site.admin).await.unwrap();
    let mut buffer = [0; 4096];
    loop {
        stream.write_all(GET).await.unwrap();
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(
            buffer.starts_with(b"HTTP/1.1 200 "),
            "no request is cut off"
        );
        let told = String::from_utf8_lossy(&buffer[..read]);
        if told.to_ascii_lowercase().contains("connection: close") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        stream.read(&mut buffer).await.unwrap(),
        0,
        "and then it ends"
    );
}

#[tokio::test]
async fn a_connection_without_requests_is_let_go() {
    let mut settings = open();
    settings.timeout = Duration::from_millis(200);
    let site = AdminSite::with(settings).await;
    let told = send(site.admin, GET).await;
    assert!(told.starts_with(b"HTTP/1.1 200 "), "and then it was closed");
}

#[tokio::test]
async fn one_connection_more_than_there_may_be_waits_for_a_place() {
    let mut settings = open();
    settings.connections = 1;
    let site = AdminSite::with(settings).await;
    let mut buffer = [0; 1024];
    let mut first = TcpStream::connect(site.admin).await.unwrap();
    first.write_all(GET).await.unwrap();
    assert!(first.read(&mut buffer).await.unwrap() > 0);
    let mut second = TcpStream::connect(site.admin).await.unwrap();
    second.write_all(GET).await.unwrap();
    let early = timeout(Duration::from_millis(100), second.read(&mut buffer)).await;
    assert!(early.is_err(), "it is not accepted yet");
    drop(first);
    assert!(second.read(&mut buffer).await.unwrap() > 0);
}
