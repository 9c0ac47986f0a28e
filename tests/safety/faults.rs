//! SAFETY 25, 26: bodies that break off are never stored, and nobody reads half of one as a whole.

use std::net::SocketAddr;

use http::Request;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tagcache_test_support::{
    Answer, Body, Failure, Origin, OriginResult, Site, empty, get, response, rule, secs, settle,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::bodies::{fed, is_silent, next_data};

/// How a server on a socket breaks its promise.
#[derive(Debug, Clone, Copy)]
struct Broken {
    bytes: &'static str,
    reset: bool,
}

const BROKEN: [Broken; 8] = [
    Broken {
        bytes: "content-length: 20\r\n\r\na page",
        reset: false,
    },
    Broken {
        bytes: "content-length: 20\r\n\r\na page",
        reset: true,
    },
    Broken {
        bytes: "content-length: 20\r\n\r\n",
        reset: false,
    },
    Broken {
        bytes: "transfer-encoding: chunked\r\n\r\n6\r\na page\r\n",
        reset: false,
    },
    Broken {
        bytes: "transfer-encoding: chunked\r\n\r\n6\r\na page\r\n",
        reset: true,
    },
    Broken {
        bytes: "transfer-encoding: chunked\r\n\r\n9\r\na page",
        reset: false,
    },
    Broken {
        bytes: "transfer-encoding: chunked\r\n\r\n6\r\na page\r\nx\r\n",
        reset: false,
    },
    Broken {
        bytes: "transfer-encoding: chunked\r\n\r\n6\r\na page\r\n0\r\n",
        reset: false,
    },
];

/// A server that breaks off the first answer and gives a whole one to the next.
async fn fault_server(broken: Broken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let rest = if first {
                broken.bytes
            } else {
                "content-length: 5\r\n\r\nwhole"
            };
            let head = format!("HTTP/1.1 200 OK\r\n{rest}");
            let _ = stream.write_all(head.as_bytes()).await;
            if first && broken.reset {
                stream.set_zero_linger().expect("a reset");
            }
            first = false;
        }
    });
    address
}

/// Forwards to `address`, one connection for each request.
fn proxy(address: SocketAddr) -> Origin {
    Origin::with(move |asked, _| async move {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|_| Failure("connect"))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|_| Failure("handshake"))?;
        tokio::spawn(connection);
        let mut request = Request::new(empty());
        *request.uri_mut() = asked.parts.uri;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|_| Failure("no answer"))?;
        let answer = answer.map(|body| body.map_err(|_| Failure("broke off")).boxed_unsync());
        OriginResult::Ok(answer)
    })
}

#[tokio::test]
async fn safety_25_a_body_that_breaks_off_on_the_wire_is_not_stored() {
    for broken in BROKEN {
        let site = Site::new(rule(), &proxy(fault_server(broken).await));
        let first = site.fetch(get("/a", &[])).await;
        assert!(
            first.is_err(),
            "{broken:?}: the client must see that it broke off: {first:?}"
        );
        settle().await;
        let next = site.get("/a").await;
        assert_eq!(next.text(), "whole", "{broken:?}");
        assert!(!next.is_hit(), "{broken:?}");
    }
}

/// Feeds `pieces` to the first request, and a whole body to the next.
fn failing(
    fields: &'static [(&'static str, &'static str)],
    pieces: &'static [&'static str],
) -> Origin {
    Origin::answering(move |asked| {
        let (feed, body) = fed();
        if asked.number > 1 {
            feed.data("whole");
            return response(200, &[], body);
        }
        for piece in pieces {
            match *piece {
                "!" => feed.fail("broke off"),
                piece => drop(feed.data(piece)),
            }
        }
        response(200, fields, body)
    })
}

#[tokio::test]
async fn safety_25_a_body_of_another_length_than_declared_is_not_stored() {
    type Row = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );
    let rows: [Row; 6] = [
        (&[("content-length", "20")], &["a page"]),
        (&[("content-length", "3")], &["a page"]),
        (&[("content-length", "20")], &[]),
        (&[], &["a ", "!"]),
        (&[], &["!"]),
        (&[("content-length", "6")], &["a page", "!"]),
    ];
    for (fields, pieces) in rows {
        let site = Site::new(rule(), &failing(fields, pieces));
        let _ = site.fetch(get("/a", &[])).await;
        settle().await;
        assert_eq!(
            site.get("/a").await.text(),
            "whole",
            "{fields:?} {pieces:?}"
        );
    }
}

#[tokio::test]
async fn safety_25_a_contradictory_length_is_not_stored() {
    for lengths in [&["6", "7"][..], &["x"], &["-1"], &["6, 7"], &[""], &["+6"]] {
        let fields: Vec<_> = lengths
            .iter()
            .map(|length| ("content-length", *length))
            .collect();
        let fields: &'static [_] = fields.leak();
        let site = Site::new(rule(), &failing(fields, &["a page"]));
        let first = site.get("/a").await;
        assert_eq!(first.text(), "a page", "as without a cache");
        assert_eq!(first.how(), "fwd=uri-miss; detail=malformed");
        assert_eq!(site.get("/a").await.text(), "whole", "{fields:?}");
    }
}

#[tokio::test]
async fn safety_25_a_client_that_leaves_breaks_off_nothing() {
    let (feed, body) = fed();
    let body = parking_lot::Mutex::new(Some(body));
    let origin =
        Origin::answering(move |_| response(200, &[], body.lock().take().expect("one call")));
    let site = Site::new(rule(), &origin);
    let mut first = site.start(get("/a", &[])).await.expect("an answer");
    feed.data("a ");
    next_data(first.body_mut())
        .await
        .expect("data")
        .expect("whole");
    drop(first);
    settle().await;
    assert!(feed.data("page"), "the fill reads on");
    drop(feed);
    settle().await;
    let next = site.get("/a").await;
    assert_eq!((next.text(), next.is_hit()), ("a page", true));
}

#[tokio::test]
async fn safety_26_who_joins_a_slow_fill_reads_all_of_it_and_no_end_before_it_ends() {
    let (feed, body) = fed();
    let body = parking_lot::Mutex::new(Some(body));
    let origin =
        Origin::answering(move |_| response(200, &[], body.lock().take().expect("one call")));
    let site = Site::new(rule(), &origin);
    let mut first = site.start(get("/a", &[])).await.expect("an answer");
    let mut readers = Vec::new();
    for piece in ["a ", "slow ", "page"] {
        feed.data(piece);
        assert_eq!(
            next_data(first.body_mut())
                .await
                .expect("data")
                .expect("whole"),
            piece
        );
        let joined = site.start(get("/a", &[])).await.expect("an answer");
        assert!(
            joined.headers()["cache-status"]
                .to_str()
                .expect("text")
                .contains("collapsed")
        );
        readers.push(joined);
        for reader in &mut readers {
            while let Some(piece) =
                futures_util::FutureExt::now_or_never(next_data(reader.body_mut()))
            {
                piece.expect("not the end").expect("whole");
            }
            assert!(is_silent(reader.body_mut()).await, "it has not ended");
        }
    }
    let last = site.start(get("/a", &[])).await.expect("an answer");
    drop(feed);
    assert_eq!(
        Answer::read(last).await.expect("a whole body").text(),
        "a slow page"
    );
    for reader in readers {
        assert_eq!(Answer::read(reader).await.expect("the rest").text(), "");
    }
    settle().await;
    let stored = site.get("/a").await;
    assert_eq!((stored.text(), stored.is_hit()), ("a slow page", true));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn safety_26_everybody_who_reads_a_fill_sees_it_break_off() {
    let (feed, body) = fed();
    let body = parking_lot::Mutex::new(Some(body));
    let origin = Origin::answering(move |asked| match asked.number {
        1 => response(200, &[], body.lock().take().expect("one call")),
        _ => tagcache_test_support::ok(&[], "whole"),
    });
    let site = Site::new(rule(), &origin);
    let first = site.start(get("/a", &[])).await.expect("an answer");
    let other = site.start(get("/a", &[])).await.expect("an answer");
    feed.data("a ");
    feed.fail("broke off");
    for reader in [first, other] {
        let read = Answer::read(reader).await;
        assert!(read.is_err(), "{read:?}");
    }
    settle().await;
    assert_eq!(site.get("/a").await.text(), "whole");
}

#[tokio::test]
async fn safety_26_a_stale_response_stays_whole_while_its_refresh_is_half_written() {
    let (feed, body) = fed();
    let body = parking_lot::Mutex::new(Some(body));
    let stale = [("cache-control", "max-age=10, stale-while-revalidate=50")];
    let origin = Origin::answering(move |asked| match asked.number {
        1 => tagcache_test_support::ok(&stale, "old page"),
        _ => response(
            200,
            &stale,
            body.lock().take().unwrap_or_else(Body::default),
        ),
    });
    let site = Site::new(rule(), &origin);
    site.get("/a").await;
    site.clock.advance(secs(11));
    for _ in 0..3 {
        assert_eq!(site.get("/a").await.text(), "old page");
        feed.data("new ");
    }
    drop(feed);
    settle().await;
    assert_eq!(site.get("/a").await.text(), "new new new ");
    assert_eq!(origin.calls(), 2);
}
