//! Over real sockets: hyper's own body, upgrades, CONNECT, and trailers by HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tagcache_test_support::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, service_fn};

use crate::{cache, rule};

/// Writes `request` and reads until `end` is there.
async fn exchange(socket: &mut TcpStream, request: &str, end: &str) -> String {
    socket
        .write_all(request.as_bytes())
        .await
        .expect("it is open");
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(end) {
        let length = socket.read_buf(&mut read).await.expect("it is open");
        assert!(
            length > 0,
            "closed after {:?}",
            String::from_utf8_lossy(&read)
        );
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[tokio::test]
async fn hyper_s_own_request_body_is_taken_and_its_responses_are_framed_as_without_a_cache() {
    let inner = service_fn(|request: Request<Incoming>| async move {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = format!("{} {}", parts.method, String::from_utf8_lossy(&body));
        Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::from(text)))
    });
    let cached = serve(cache(rule()).layer().layer(inner)).await;
    let plain = serve(inner).await;
    let framing = |response: &str| {
        let mut lines: Vec<String> = response.lines().map(str::to_lowercase).collect();
        lines.retain(|line| {
            !["date:", "cache-status:", "age:", "etag:", "cache-control:"]
                .iter()
                .any(|name| line.starts_with(name))
        });
        lines
    };
    let rows = [
        ("miss", "GET /a HTTP/1.1\r\nhost: h\r\n\r\n", "GET "),
        ("hit", "GET /a HTTP/1.1\r\nhost: h\r\n\r\n", "GET "),
        ("no rule", "GET /a/b HTTP/1.1\r\nhost: h\r\n\r\n", "GET "),
        (
            "body",
            "GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi",
            "GET hi",
        ),
        (
            "post",
            "POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "POST hi",
        ),
    ];
    // One connection: each response must leave it in order for the next (SAFETY 18).
    let mut through_cache = TcpStream::connect(cached.address)
        .await
        .expect("it listens");
    let mut without = TcpStream::connect(plain.address).await.expect("it listens");
    for (name, request, end) in rows {
        let got = exchange(&mut through_cache, request, end).await;
        let expected = exchange(&mut without, request, end).await;
        assert_eq!(framing(&got), framing(&expected), "{name}");
        assert_eq!(
            got.contains("tagcache; hit"),
            name == "hit",
            "{name}: {got}"
        );
    }
}

/// Answers 101 or 200 and then echoes what comes.
async fn tunnel(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut io = TokioIo::new(upgrade.await.expect("it is upgraded"));
        let mut bytes = [0; 4];
        io.read_exact(&mut bytes).await.expect("it is open");
        io.write_all(&bytes).await.expect("it is open");
    });
    let mut response = Response::new(Empty::new());
    if request.method() != Method::CONNECT {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let (headers, asked) = (response.headers_mut(), request.headers());
        for name in ["connection", "upgrade"] {
            headers.insert(name, asked[name].clone());
        }
    }
    Ok(response)
}

#[tokio::test]
async fn safety_54_an_upgrade_and_a_tunnel_pass() {
    let rule = rule().ttl_for(StatusCode::OK, crate::TTL);
    let served = serve(cache(rule).layer().layer(service_fn(tunnel))).await;
    let address = served.address;
    let rows = [
        (
            "upgrade",
            "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            "101 Switching",
        ),
        (
            "connect",
            "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n",
            "200 OK",
        ),
    ];
    for (name, request, status) in rows {
        for _ in 0..2 {
            let mut socket = TcpStream::connect(address).await.expect("it listens");
            let head = exchange(&mut socket, request, "\r\n\r\n").await;
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}")),
                "{name}: {head}"
            );
            assert_eq!(
                exchange(&mut socket, "ping", "ping").await,
                "ping",
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn safety_54_a_websocket_handshake_passes_through_axum() {
    // RFC 6455 §1.3: the client's key, and the answer to it.
    const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let handler = |mut request: axum::extract::Request| async move {
        assert_eq!(
            request.headers()["sec-websocket-key"],
            "dGhlIHNhbXBsZSBub25jZQ=="
        );
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgrade.await.expect("it is upgraded"));
            // A text frame, not masked: "hi".
            io.write_all(b"\x81\x02hi").await.expect("it is open");
        });
        Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            .body(axum::body::Body::empty())
            .expect("a response")
    };
    let app = Router::new()
        .route("/{name}", get(handler))
        .layer(cache(rule()).layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let answer = exchange(&mut socket, HANDSHAKE, "\u{2}hi").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
}

#[tokio::test]
async fn safety_35_the_address_of_the_client_reaches_the_handler() {
    let handler = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let app = Router::new()
        .route("/{name}", get(handler))
        .layer(cache(rule()).layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let own = socket.local_addr().expect("its address").to_string();
    exchange(&mut socket, "GET /a HTTP/1.1\r\nhost: h\r\n\r\n", &own).await;
}

/// A body with trailers, as gRPC has them, of a length that is not known before.
fn with_trailers() -> BoxBody<Bytes, Infallible> {
    let value = HeaderValue::from_static("0");
    let fields = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), value)]);
    let frames = [
        Frame::data(Bytes::from("mess")),
        Frame::data("age".into()),
        Frame::trailers(fields),
    ];
    BoxBody::new(StreamBody::new(tokio_stream::iter(frames.map(Ok))))
}

#[tokio::test]
async fn safety_34_http2_trailers_and_bodies_without_them_or_at_all() {
    let inner = service_fn(|request: Request<Incoming>| async move {
        let mut response = Response::new(BoxBody::default());
        match request.uri().path() {
            "/trailers" | "/not/matched" => *response.body_mut() = with_trailers(),
            "/none" => *response.status_mut() = StatusCode::NO_CONTENT,
            "/plain" => *response.body_mut() = BoxBody::new(Full::from("message")),
            _ => {}
        }
        Ok::<_, Infallible>(response)
    });
    let served = serve(cache(rule()).layer().layer(inner)).await;
    let address = served.address;
    let socket = TcpStream::connect(address).await.expect("it listens");
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let rows = [
        ("/trailers", StatusCode::OK, "message", true),
        ("/not/matched", StatusCode::OK, "message", true),
        ("/plain", StatusCode::OK, "message", false),
        ("/empty", StatusCode::OK, "", false),
        ("/none", StatusCode::NO_CONTENT, "", false),
    ];
    for (path, status, body, trailers) in rows {
        for round in ["first", "second"] {
            let request = Request::get(format!("http://h{path}")).body(Empty::<Bytes>::new());
            let response = client
                .send_request(request.expect("a request"))
                .await
                .expect("an answer");
            assert_eq!(response.status(), status, "{path}");
            let hit = round == "second" && path != "/not/matched";
            assert_eq!(crate::is_hit(&response), hit, "{round} {path}");
            let read = response
                .into_body()
                .collect()
                .await
                .expect("the body is whole");
            let found = read.trailers().map(|fields| fields["grpc-status"].clone());
            assert_eq!(found.is_some(), trailers, "{round} {path}");
            assert_eq!(read.to_bytes(), body, "{round} {path}");
        }
    }
}
