//! What is on the wire, over HTTP/1.1 and HTTP/2. SAFETY 18, 22, 34, 54.

use bytes::Bytes;
use http::{Method, Request, Version};
use http_body_util::{BodyExt, Empty};
use tagcache_test_support::{Answer, Body, Origin, Site, body, empty, ok, response, rule, settle};

use crate::bodies::fed;
use crate::sockets::{self, Heard};

/// Asks `path` twice over a fresh connection each and returns the miss and the hit.
async fn twice(origin: &Origin, method: &str, version: Version) -> (Answer, Answer) {
    let site = Site::new(rule(), origin);
    let served = site.serve().await;
    let address = served.address;
    let miss = sockets::ask(address, version, Method::GET, "/a").await;
    settle().await;
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    let hit = sockets::ask(address, version, method, "/a").await;
    assert!(hit.is_hit(), "{}", hit.how());
    (miss, hit)
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn safety_22_a_head_has_no_body_and_no_wrong_length_on_the_wire() {
    let declared = Origin::answering(|_| ok(&[("content-length", "6")], "a page"));
    let streamed = Origin::with(|_, _| async {
        let (feed, body) = fed();
        feed.data("a page");
        Ok(response(200, &[], body))
    });
    for version in VERSIONS {
        let (_, head) = twice(&declared, "HEAD", version).await;
        assert_eq!(
            (head.text(), head.field("content-length")),
            ("", Some("6")),
            "{version:?}"
        );
        let (_, head) = twice(&streamed, "HEAD", version).await;
        assert_eq!(head.text(), "", "{version:?}");
        let length = head.field("content-length");
        assert!(
            length.is_none() || length == Some("6"),
            "{version:?}: {length:?}"
        );
    }
}

#[tokio::test]
async fn safety_34_a_body_without_length_is_framed_as_it_should() {
    let streamed = Origin::with(|_, _| async {
        let (feed, body) = fed();
        feed.data("a ");
        feed.data("page");
        Ok(response(200, &[], body))
    });
    for version in VERSIONS {
        let (miss, hit) = twice(&streamed, "GET", version).await;
        assert_eq!(
            (miss.text(), hit.text()),
            ("a page", "a page"),
            "{version:?}"
        );
        assert_eq!(
            miss.field("content-length"),
            None,
            "{version:?}: not known yet"
        );
    }
}

/// An empty body as a handler makes it, and one that turns out to be empty.
fn empties() -> [fn() -> Body; 2] {
    [empty, || body(Bytes::new())]
}

#[tokio::test]
async fn safety_34_statuses_without_a_body_have_no_length() {
    for version in VERSIONS {
        for made in empties() {
            let origin = Origin::answering(move |_| response(204, &[("x-a", "1")], made()));
            let (miss, hit) = twice(&origin, "GET", version).await;
            for reply in [miss, hit] {
                assert_eq!(
                    (reply.status.as_u16(), reply.text()),
                    (204, ""),
                    "{version:?}"
                );
                let length = reply.field("content-length");
                assert_eq!(length, None, "{version:?}: {}", reply.how());
            }
            let site = Site::new(
                rule(),
                &Origin::answering(|_| ok(&[("etag", "\"1\"")], "a page")),
            );
            let served = site.serve().await;
            let address = served.address;
            for _ in 0..2 {
                let fields = [("if-none-match", "\"1\"")];
                let reply = sockets::ask_with(address, version, Method::GET, "/a", &fields).await;
                assert_eq!(
                    (reply.status.as_u16(), reply.text()),
                    (304, ""),
                    "{version:?}"
                );
                assert_eq!(reply.field("content-length"), None, "{version:?}");
                settle().await;
            }
        }
    }
}

#[tokio::test]
async fn safety_34_an_empty_200_is_complete() {
    for version in VERSIONS {
        for made in empties() {
            let origin = Origin::answering(move |_| response(200, &[], made()));
            let (miss, hit) = twice(&origin, "GET", version).await;
            assert_eq!((miss.text(), hit.text()), ("", ""), "{version:?}");
            if version == Version::HTTP_11 {
                for reply in [miss, hit] {
                    let framed = ["content-length", "transfer-encoding"];
                    assert!(framed.iter().any(|name| reply.field(name).is_some()));
                }
            }
        }
    }
}

#[tokio::test]
async fn safety_34_trailers_are_on_the_wire_on_a_miss_and_on_a_hit() {
    let origin = Origin::with(|_, _| async {
        let (feed, body) = fed();
        feed.data("a page");
        feed.trailers(&[("x-sum", "1"), ("x-sum", "2")]);
        Ok(response(200, &[("trailer", "x-sum")], body))
    });
    for version in VERSIONS {
        let site = Site::new(rule(), &origin);
        let served = site.serve().await;
        let address = served.address;
        for hit in [false, true] {
            let fields = [("te", "trailers")];
            let reply = sockets::ask_with(address, version, Method::GET, "/a", &fields).await;
            assert_eq!(
                (reply.text(), reply.is_hit()),
                ("a page", hit),
                "{version:?}"
            );
            let trailers = reply.trailers.expect("trailers");
            let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
            assert_eq!(sums, ["1", "2"], "{version:?}, hit: {hit}");
            settle().await;
        }
    }
}

#[tokio::test]
async fn safety_18_a_pipelined_request_behind_a_body_is_read_from_its_start() {
    let origin = Origin::answering(|asked| ok(&[], asked.parts.uri.path().to_owned()));
    let site = Site::new(rule(), &origin);
    let served = site.serve().await;
    let address = served.address;
    for body in ["GET /b HTTP/1.1\r\n", "hello"] {
        let mut raw = String::new();
        for _ in 0..2 {
            let length = body.len();
            raw += &format!("GET /a HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        }
        raw += "GET /a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\r\n";
        raw += "GET /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let heard = sockets::exchange(address, raw.as_bytes()).await;
        let bodies: Vec<_> = Heard::all(&heard)
            .into_iter()
            .map(|answer| answer.body)
            .collect();
        // A server may close rather than drain; what it answers must be what was asked.
        let expected = ["/a", "/a", "/a", "/c"].map(str::to_owned);
        assert!(
            !bodies.is_empty() && expected.starts_with(&bodies),
            "{bodies:?}"
        );
        assert!(origin.calls() > 0);
        let strangers = origin.calls_to("/b");
        assert_eq!(strangers, 0, "a body was taken for a request");
    }
}

#[tokio::test]
async fn safety_54_an_upgrade_passes_through() {
    let origin = Origin::with(|mut asked, _| async move {
        let upgrade = asked.parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let upgrade = upgrade.expect("something to upgrade");
        tokio::spawn(async move {
            let upgraded = upgrade.await.expect("an upgrade");
            let mut stream = hyper_util::rt::TokioIo::new(upgraded);
            let (mut from, mut to) = tokio::io::split(&mut stream);
            tokio::io::copy(&mut from, &mut to).await.expect("an echo");
        });
        let fields = [("connection", "upgrade"), ("upgrade", "echo")];
        Ok(response(101, &fields, empty()))
    });
    let site = Site::new(rule(), &origin);
    let served = site.serve().await;
    let address = served.address;
    for _ in 0..2 {
        let mut stream = sockets::connect(address).await;
        let asked = "GET /a HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        sockets::write(&mut stream, asked.as_bytes()).await;
        let head = sockets::read_until(&mut stream, b"\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains("detail=upgrade"), "{head}");
        sockets::write(&mut stream, b"ping").await;
        assert_eq!(sockets::read_until(&mut stream, b"ping").await, "ping");
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safety_54_a_call_with_trailers_alone_passes_like_grpc() {
    let origin = Origin::with(|_, request: Body| async move {
        let asked = request.collect().await.expect("a request body").to_bytes();
        let (feed, body) = fed();
        feed.data(asked);
        feed.trailers(&[("grpc-status", "0"), ("grpc-message", "")]);
        Ok(response(200, &[("content-type", "application/grpc")], body))
    });
    let site = Site::new(rule(), &origin);
    let served = site.serve().await;
    let address = served.address;
    for _ in 0..2 {
        let call = Request::post(format!("http://{address}/svc/Method"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(body("message"))
            .expect("a call");
        let reply = sockets::send(address, Version::HTTP_2, call).await;
        assert_eq!((reply.text(), reply.how()), ("message", ""));
        assert_eq!(reply.trailers.expect("trailers")["grpc-status"], "0");
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn safety_54_the_first_event_arrives_before_the_second_is_made() {
    for version in VERSIONS {
        let feeds = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let made = std::sync::Arc::clone(&feeds);
        let origin = Origin::answering(move |_| {
            let (feed, body) = fed();
            made.lock().push(feed);
            response(200, &[("content-type", "text/event-stream")], body)
        });
        let site = Site::new(rule(), &origin);
        let served = site.serve().await;
        let address = served.address;
        let ask = || {
            let request = Request::get(format!("http://{address}/events"));
            let request = request.body(Empty::<Bytes>::new()).expect("a request");
            sockets::start(address, version, request)
        };
        let (mut one, mut other) = (ask().await, ask().await);
        assert_eq!(feeds.lock().len(), 2, "each client has a stream of its own");
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            for (number, stream) in [&mut one, &mut other].into_iter().enumerate() {
                feeds.lock()[number].data(event);
                let frame = stream
                    .body_mut()
                    .frame()
                    .await
                    .expect("a frame")
                    .expect("whole");
                assert_eq!(frame.into_data().expect("data"), event, "{version:?}");
            }
        }
    }
}
