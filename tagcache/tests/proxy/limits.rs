//! Bounds on sizes, numbers and time, and the end of a proxy.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::Empty;
use tagcache::proxy::{Proxy, ProxySettings};
use tagcache_test_support::{ends, until};
use tokio::sync::Notify;

use crate::client::{Raw, VERSIONS, exchange, get, get_with, read, request, start};
use crate::raw_origin::{RawOrigin, Reply, ok};
use crate::site::{ProxySite, rules, settings};

const SHORT: Duration = Duration::from_millis(60);

async fn with(change: impl FnOnce(&mut ProxySettings)) -> (RawOrigin, ProxySite) {
    let origin = RawOrigin::start(|heard| ok("cache-control: no-store", heard.path())).await;
    let mut settings = settings(origin.url());
    change(&mut settings);
    let site = ProxySite::with(settings).await;
    (origin, site)
}

#[tokio::test]
async fn a_client_that_is_slow_to_ask_is_let_go() {
    let (origin, site) = with(|settings| settings.timeouts.client_head = SHORT).await;
    for begun in [
        "",
        "G",
        "PRI * HTTP/2.0\r\n",
        "GET /a HTTP/1.1\r\nhost: x\r\n",
    ] {
        assert_eq!(exchange(site.address, begun).await, b"", "{begun}");
    }
    let mut client = Raw::connect(site.address).await;
    assert_eq!(
        client
            .ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status(),
        200
    );
    client.write("GET /b HTTP/1.1\r\nhost").await;
    assert_eq!(client.rest().await, b"");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let (_origin, site) = with(|settings| settings.timeouts.client_idle = SHORT).await;
    let mut client = Raw::connect(site.address).await;
    assert_eq!(
        client
            .ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status(),
        200
    );
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_client_that_is_slow_to_upload_is_told_so() {
    let (origin, site) = with(|settings| settings.timeouts.client_body = SHORT).await;
    let asked = "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc";
    let answer = String::from_utf8(exchange(site.address, asked).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("detail=request-body-timeout"), "{answer}");
    assert!(site.upstreams.any_up());
    assert_eq!(origin.calls(), 0, "it was not complete");
}

#[tokio::test]
async fn safety_56_a_client_that_takes_nothing_does_not_hold_its_place_for_ever() {
    let big = "a".repeat(40_000_000);
    let origin = RawOrigin::start(move |heard| match heard.path() {
        "/big" => ok("cache-control: no-store", &big),
        path => ok("cache-control: no-store", path),
    })
    .await;
    let mut settings = settings(origin.url());
    settings.limits.connections = 1;
    settings.timeouts.client_write = SHORT;
    let site = ProxySite::with(settings).await;
    let mut stuck = Raw::connect(site.address).await;
    stuck.write("GET /big HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Accepted only when the first has been given up.
    let mut next = Raw::connect(site.address).await;
    assert_eq!(
        next.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status(),
        200
    );
    assert!(stuck.rest().await.len() < 40_000_000);
    drop(next);
    // HTTP/2 stops by the stream's window, which this client does not open further.
    let asked = request(site.address, Method::GET, "/big", &[]);
    let asked = asked.body(Empty::<Bytes>::new()).unwrap();
    let stuck = start(site.address, Version::HTTP_2, asked).await.unwrap();
    let mut next = Raw::connect(site.address).await;
    assert_eq!(
        next.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .status(),
        200
    );
    assert!(read(stuck).await.is_err());
}

#[tokio::test]
async fn one_connection_too_many_waits_for_its_turn() {
    let (origin, site) = with(|settings| settings.limits.connections = 1).await;
    let mut first = Raw::connect(site.address).await;
    first.ask("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut second = Raw::connect(site.address).await;
    second.write("GET /b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.ask("GET /c HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(origin.calls(), 2);
    drop(first);
    assert_eq!(second.answer().await.unwrap().text(), "/b");
}

#[tokio::test]
async fn one_request_too_many_for_an_upstream_is_refused_after_a_while() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let origin = RawOrigin::start(move |_| {
        Reply::Held(
            Arc::clone(&held),
            Box::new(ok("cache-control: no-store", "a page")),
        )
    })
    .await;
    let mut settings = settings(origin.url());
    settings.limits.upstream_requests = 1;
    settings.timeouts.connect = SHORT;
    let site = ProxySite::with(settings).await;
    let first = tokio::spawn(get(site.address, Version::HTTP_11, "/a"));
    until("the first is held", async || origin.calls() == 1).await;
    assert_eq!(get(site.address, Version::HTTP_11, "/b").await.status, 503);
    gate.notify_one();
    assert_eq!(first.await.unwrap().text(), "a page");
    gate.notify_one();
    assert_eq!(
        get(site.address, Version::HTTP_11, "/b").await.text(),
        "a page"
    );
}

#[tokio::test]
async fn safety_13_a_head_that_is_too_large_is_refused_and_does_no_harm() {
    let (origin, site) = with(|settings| {
        settings.limits.head_bytes = 16 * 1024;
        settings.limits.head_fields = 50;
    })
    .await;
    let large = "a".repeat(20_000);
    let many: String = (0..60).map(|number| format!("x-{number}: 1\r\n")).collect();
    for fields in [format!("x-a: {large}\r\n"), many] {
        let asked = format!("GET /a HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
        let answer = String::from_utf8(exchange(site.address, asked).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let asked = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(70_000));
    let answer = String::from_utf8(exchange(site.address, asked).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let asked = request(site.address, Method::GET, "/a", &[("x-a", &large)]);
    let asked = asked.body(Empty::<Bytes>::new()).unwrap();
    let refused = start(site.address, Version::HTTP_2, asked).await;
    assert!(refused.is_err() || refused.is_ok_and(|answer| answer.status() == 431));
    assert_eq!(origin.calls(), 0);
    for version in VERSIONS {
        assert_eq!(
            get_with(site.address, version, "/a", &[("x-a", "1")])
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_end() {
    for version in VERSIONS {
        let gate = Arc::new(Notify::new());
        let held = Arc::clone(&gate);
        let rest = Box::new(Reply::Bytes("ge".into()));
        let head = "HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 6\r\n\r\na pa";
        let origin =
            RawOrigin::start(move |_| Reply::Then(head.into(), Arc::clone(&held), rest.clone()))
                .await;
        let mut site = ProxySite::before(&origin).await;
        let mut idle = Raw::connect(site.address).await;
        let asked = request(site.address, Method::GET, "/a", &[]);
        let asked = asked.body(Empty::<Bytes>::new()).unwrap();
        let answer = start(site.address, version, asked).await.unwrap();
        site.shut_down();
        // A connection on which nothing was asked has nothing to finish.
        assert_eq!(idle.rest().await, b"", "{version:?}");
        let address = site.address;
        until("nobody is let in", async || {
            std::net::TcpStream::connect(address).is_err()
        })
        .await;
        gate.notify_one();
        assert_eq!(read(answer).await.unwrap().text(), "a page", "{version:?}");
        assert_eq!(site.ended().await.cut_off, 0, "{version:?}");
    }
}

#[tokio::test]
async fn what_is_not_finished_in_time_is_cut_off() {
    for version in VERSIONS {
        let origin =
            RawOrigin::start(|_| Reply::Held(Default::default(), Box::new(ok("", "")))).await;
        let mut settings = settings(origin.url());
        settings.timeouts.drain = SHORT;
        let mut site = ProxySite::with(settings).await;
        let address = site.address;
        let asked = tokio::spawn(async move {
            let asked = request(address, Method::GET, "/a", &[]);
            start(address, version, asked.body(Empty::<Bytes>::new()).unwrap()).await
        });
        until("asked", async || origin.calls() == 1).await;
        site.shut_down();
        assert_eq!(site.ended().await.cut_off, 1, "{version:?}");
        assert!(
            ends("cut off", asked).await.unwrap().is_err(),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_start_says_why_in_a_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = || rules().build().unwrap().0;
    let mut settings = settings("http://127.0.0.1:1");
    settings.listen[0].address = taken.local_addr().unwrap();
    let error = Proxy::new(settings.clone(), cache())
        .unwrap()
        .bind()
        .await
        .unwrap_err();
    let address = taken.local_addr().unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot listen on {address}: ")),
        "{text}"
    );
    for (url, expected) in [
        (
            "127.0.0.1:9000",
            "upstream \"127.0.0.1:9000\": the scheme is missing: write \"http://127.0.0.1:9000\", or https",
        ),
        (
            "ftp://x",
            "upstream \"ftp://x\": the scheme is neither http nor https",
        ),
        (
            "http://x/path",
            "upstream \"http://x/path\": a URL with a path: requests are sent with the path that their clients ask \
             for; write \"http://x\"",
        ),
    ] {
        settings.upstreams[0].url = url.into();
        let error = Proxy::new(settings.clone(), cache()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    settings.listen[0] = settings.listen[0]
        .clone()
        .tls("/nowhere/cert.pem", "/nowhere/key.pem");
    let text = Proxy::new(settings, cache()).unwrap_err().to_string();
    assert!(
        text.contains(": cannot use the certificate in /nowhere/cert.pem: "),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn safety_76_a_client_that_ends_its_side_gets_its_answers() {
    let origin = RawOrigin::start(|heard| match heard.path() {
        "/a" => ok("cache-control: max-age=60", "a"),
        path => ok("cache-control: no-store", path),
    })
    .await;
    let site = ProxySite::with(settings(origin.url())).await;
    let get = "GET /a HTTP/1.1\r\nhost: x\r\n\r\n";
    let post = "POST /post HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    let rows = [
        ("a miss", get.to_owned(), vec!["a"]),
        ("a hit", get.to_owned(), vec!["a"]),
        ("a body", post.to_owned(), vec!["/post"]),
        (
            "pipelined",
            format!("{get}{post}{get}"),
            vec!["a", "/post", "a"],
        ),
    ];
    for (name, requests, expected) in rows {
        let mut raw = Raw::connect(site.address).await;
        raw.write(&requests).await;
        raw.end().await;
        for expected in expected {
            let answer = raw.answer().await;
            let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
            assert_eq!(answer.text(), expected, "{name}");
        }
        assert!(raw.rest().await.is_empty(), "{name}: the connection ends");
    }
    // A body that is cut short is no end to wait behind.
    let mut raw = Raw::connect(site.address).await;
    let cut = "POST /post HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\nhi";
    raw.write(cut).await;
    raw.end().await;
    raw.rest().await;
}

#[tokio::test]
async fn safety_76_a_client_that_ends_its_side_with_its_body_gets_its_answer() {
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let origin = RawOrigin::start(move |heard| {
        let answer = ok("cache-control: no-store", heard.path());
        Reply::Held(Arc::clone(&held), Box::new(answer))
    })
    .await;
    let site = ProxySite::with(settings(origin.url())).await;
    let long = "a".repeat(200_000);
    let bodies = [
        ("short", "content-length: 2\r\n\r\nhi".to_owned()),
        ("long", format!("content-length: 200000\r\n\r\n{long}")),
        (
            "chunked",
            "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
        ),
    ];
    for (number, (name, body)) in bodies.into_iter().enumerate() {
        let mut raw = Raw::connect(site.address).await;
        let asked = format!("POST /{name} HTTP/1.1\r\nhost: x\r\n{body}");
        raw.write(&asked).await;
        raw.end().await;
        until("upstream is asked", async || origin.calls() == number + 1).await;
        gate.notify_one();
        let answer = raw.answer().await;
        let answer = answer.unwrap_or_else(|| panic!("{name}: no answer"));
        assert_eq!(answer.text(), format!("/{name}"));
    }
}

#[tokio::test]
async fn safety_72_who_may_have_gone_gives_way_where_an_upstream_has_no_place_left() {
    let never = Arc::new(Notify::new());
    let held = Arc::clone(&never);
    let origin = RawOrigin::start(move |heard| match heard.path() {
        path if path.starts_with("/hang") => {
            Reply::Held(Arc::clone(&held), Box::new(ok("", "late")))
        }
        path => ok("", path),
    })
    .await;
    let mut settings = settings(origin.url());
    settings.limits.upstream_requests = 4;
    settings.timeouts.connect = Duration::from_secs(30);
    let site = ProxySite::with(settings).await;
    let mut gone = Vec::new();
    // For the cache, and past it.
    for (number, method) in ["GET", "GET", "POST", "GET"].into_iter().enumerate() {
        let mut client = Raw::connect(site.address).await;
        let asked =
            format!("{method} /hang/{number} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        client.write(asked).await;
        until("upstream is asked", async || origin.calls() == number + 1).await;
        client.end().await;
        gone.push(client);
    }
    let begun = std::time::Instant::now();
    for number in 0..8 {
        let path = format!("/page/{number}");
        let answer = get(site.address, Version::HTTP_11, &path).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, &*path));
    }
    // One has gone so that these could be answered; the others have 5 s, if that was not longer.
    let first = ends("the oldest is let go", gone[0].rest()).await;
    assert_eq!(first, b"");
    if begun.elapsed() < Duration::from_secs(4) {
        never.notify_waiters();
        assert_eq!(gone[3].answer().await.map(|told| told.status()), Some(200));
    }
}
