//! Requests that two readers may read differently: refused, or passed on in the one form that nobody
//! can misread (SAFETY 17, 18).

use http::Version;

use crate::client::{Raw, exchange, get};
use crate::raw_origin::{RawOrigin, ok};
use crate::site::ProxySite;

/// An origin that answers with the request's target, and a proxy before it.
async fn site() -> (RawOrigin, ProxySite) {
    let origin = RawOrigin::start(|heard| ok("", heard.path())).await;
    let site = ProxySite::before(&origin).await;
    (origin, site)
}

/// What each row sends behind the ambiguous request: were it taken for a part of that, or the other
/// way round, the origin would hear of `/hidden` as a request of its own, or with other fields.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nhost: evil\r\n\r\n";

/// Everything that the origin heard is what this proxy writes: one host, one way of telling the length,
/// no fold, nothing of another connection.
fn assert_canonical(origin: &RawOrigin, name: &str) {
    for heard in origin.heard() {
        let (host, length) = (heard.fields("host"), heard.fields("content-length"));
        let coding = heard.fields("transfer-encoding");
        assert_eq!(host.len(), 1, "{name}: {heard:?}");
        assert!(length.len() + coding.len() <= 1, "{name}: {heard:?}");
        assert!(
            coding.iter().all(|coding| *coding == "chunked"),
            "{name}: {heard:?}"
        );
        assert!(
            length.iter().all(|length| length.parse::<u64>().is_ok()),
            "{name}: {heard:?}"
        );
        assert!(
            heard.path().starts_with('/') && heard.line().ends_with(" HTTP/1.1"),
            "{name}: {heard:?}"
        );
        for line in heard.head.split("\r\n").skip(1) {
            let (field, _) = line.split_once(": ").expect("a field line");
            assert!(
                !field.is_empty() && !line.contains(['\n', '\r', '\0']),
                "{name}: {line:?}"
            );
            assert!(!field.contains([' ', '\t']), "{name}: {line:?}");
        }
        assert!(!heard.head.contains('\0'), "{name}: {heard:?}");
    }
}

#[tokio::test]
async fn safety_17_what_is_no_request_is_refused_and_ends_the_connection() {
    let rows = [
        (
            "two lengths",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
        ),
        (
            "two lengths in a line",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3, 5\r\n\r\nabcde",
        ),
        (
            "signed length",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: +3\r\n\r\nabc",
        ),
        (
            "negative length",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\nabc",
        ),
        (
            "hexadecimal length",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 0x3\r\n\r\nabc",
        ),
        (
            "length with a space inside",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 1 0\r\n\r\nabc",
        ),
        (
            "huge length",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\nabc",
        ),
        (
            "empty length",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length:\r\n\r\nabc",
        ),
        (
            "coding that is not chunked",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "coding after chunked",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "coding before chunked",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two codings",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        ),
        (
            "chunked twice",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "coding with a control character",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "coding in HTTP/1.0",
            "POST /a HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "space before the colon",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "tab before the colon",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length\t: 3\r\n\r\nabc",
        ),
        (
            "folded field",
            "POST /a HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "fold in the first line",
            "GET /a HTTP/1.1\r\n x: 1\r\nhost: x\r\n\r\n",
        ),
        (
            "line without a colon",
            "GET /a HTTP/1.1\r\nhost: x\r\nnonsense\r\n\r\n",
        ),
        (
            "field without a name",
            "GET /a HTTP/1.1\r\nhost: x\r\n: 1\r\n\r\n",
        ),
        (
            "null in a value",
            "GET /a HTTP/1.1\r\nhost: x\r\nx-a: a\0b\r\n\r\n",
        ),
        (
            "null in a name",
            "GET /a HTTP/1.1\r\nhost: x\r\nx\0a: b\r\n\r\n",
        ),
        (
            "null in the target",
            "GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        (
            "bare return in a value",
            "GET /a HTTP/1.1\r\nhost: x\r\nx-a: a\rb: c\r\n\r\n",
        ),
        ("no host", "GET /a HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET /a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        (
            "the same host twice",
            "GET /a HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
        ),
        ("host with a path", "GET /a HTTP/1.1\r\nhost: x/y\r\n\r\n"),
        ("host with a user", "GET /a HTTP/1.1\r\nhost: u@x\r\n\r\n"),
        (
            "two hosts in a line",
            "GET /a HTTP/1.1\r\nhost: x, y\r\n\r\n",
        ),
        (
            "target without a slash",
            "GET a HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        ("star", "GET * HTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "absolute target without host",
            "GET http://x/a HTTP/1.1\r\n\r\n",
        ),
        ("two spaces", "GET  /a HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("tab for a space", "GET\t/a\tHTTP/1.1\r\nhost: x\r\n\r\n"),
        (
            "space in the target",
            "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        ("unknown version", "GET /a HTTP/1.2\r\nhost: x\r\n\r\n"),
        ("version of one digit", "GET /a HTTP/2\r\nhost: x\r\n\r\n"),
        ("no version", "GET /a\r\nhost: x\r\n\r\n"),
        ("odd method", "GE(T /a HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("connect", "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n"),
    ];
    for (name, bytes) in rows {
        let (origin, site) = site().await;
        let heard = exchange(site.address, format!("{bytes}{HIDDEN}")).await;
        let heard = String::from_utf8_lossy(&heard);
        let status: Option<u16> = heard.get(9..12).and_then(|status| status.parse().ok());
        let refused = status.is_none() || matches!(status, Some(400..=599));
        assert!(refused, "{name}: {heard}");
        assert!(heard.matches("HTTP/1.1 ").count() <= 1, "{name}: {heard}");
        assert_eq!(origin.calls(), 0, "{name}: {:?}", origin.heard());
    }
}

#[tokio::test]
async fn safety_17_what_has_one_meaning_is_passed_on_in_one_form() {
    let rows = [
        (
            "CL.TE",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "TE.CL",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "one length twice",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "length with a zero in front",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 003\r\n\r\nabc",
        ),
        (
            "coding in capitals",
            "POST /a HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "space before the value",
            "POST /a HTTP/1.1\r\nhost: x\r\ncontent-length:   3 \r\n\r\nabc",
        ),
        (
            "chunk extension",
            "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "bare line feeds",
            "POST /a HTTP/1.1\nhost: x\ncontent-length: 3\n\nabc",
        ),
        (
            "empty lines first",
            "\r\n\r\nGET /a HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        (
            "absolute target",
            "GET http://x/a HTTP/1.1\r\nhost: y\r\n\r\n",
        ),
        (
            "absolute target with another scheme",
            "GET https://x/a HTTP/1.1\r\nhost: x\r\n\r\n",
        ),
        (
            "body of a GET",
            "GET /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "chunked body of a GET",
            "GET /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "body of a HEAD",
            "HEAD /a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "length hidden by Connection",
            "POST /a HTTP/1.1\r\nhost: x\r\nconnection: content-length\r\ncontent-length: 3\r\n\r\nabc",
        ),
        (
            "host hidden by Connection",
            "GET /a HTTP/1.1\r\nhost: x\r\nconnection: host\r\n\r\n",
        ),
    ];
    for (name, bytes) in rows {
        let (origin, site) = site().await;
        let mut client = Raw::connect(site.address).await;
        client.write(bytes).await;
        client
            .write("GET /second HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
        let answers = client.rest().await;
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.starts_with("HTTP/1.1 200"), "{name}: {answers}");
        let heard = origin.heard();
        assert_eq!(heard[0].path(), "/a", "{name}");
        assert_eq!(heard[0].field("host"), Some("x"), "{name}");
        let expected: &[u8] = if bytes.contains("abc") { b"abc" } else { b"" };
        assert_eq!(heard[0].body, expected, "{name}");
        // A server may close rather than read on behind a doubtful body (RFC 9112 §6.1).
        assert!(
            heard[1..].iter().all(|heard| heard.path() == "/second"),
            "{name}: {heard:?}"
        );
        assert_canonical(&origin, name);
    }
}

#[tokio::test]
async fn safety_17_a_malformed_body_is_never_completed() {
    let rows = [
        ("chunk size with a bare line feed", "3\nabc\r\n0\r\n\r\n"),
        ("chunk longer than it says", "3\r\nabcd\r\n0\r\n\r\n"),
        ("chunk size that is no number", "xyz\r\nabc\r\n0\r\n\r\n"),
        ("negative chunk size", "-3\r\nabc\r\n0\r\n\r\n"),
        ("huge chunk size", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("chunk size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("chunk size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ];
    for (name, body) in rows {
        let (origin, site) = site().await;
        let head = "POST /a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let heard = exchange(site.address, format!("{head}{body}{HIDDEN}")).await;
        let heard = String::from_utf8_lossy(&heard);
        assert!(!heard.starts_with("HTTP/1.1 2"), "{name}: {heard}");
        // The origin counts a request only when it is complete.
        assert_eq!(origin.calls(), 0, "{name}: {:?}", origin.heard());
    }
}

#[tokio::test]
async fn safety_18_a_hit_leaves_no_body_behind_that_is_taken_for_a_request() {
    let (origin, site) = site().await;
    assert!(!get(site.address, Version::HTTP_11, "/a").await.is_hit());
    let mut client = Raw::connect(site.address).await;
    let length = HIDDEN.len();
    for _ in 0..2 {
        client
            .write(format!(
                "GET /a HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n{HIDDEN}",
                site.address
            ))
            .await;
    }
    client
        .write("GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let answers = String::from_utf8(client.rest().await).unwrap();
    assert!(!answers.contains("/hidden"), "{answers}");
    assert!(origin.heard().iter().all(|heard| heard.path() != "/hidden"));
    let with_body: Vec<_> = origin
        .heard()
        .into_iter()
        .filter(|heard| !heard.body.is_empty())
        .collect();
    assert!(
        with_body
            .iter()
            .all(|heard| heard.body == HIDDEN.as_bytes())
    );
    assert!(!with_body.is_empty(), "a GET with a body is forwarded");
}

#[tokio::test]
async fn safety_18_pipelined_requests_are_answered_in_their_order() {
    let (_origin, site) = site().await;
    let paths = ["/a", "/b", "/a", "/c", "/a"];
    let asked = paths.map(|path| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"));
    let mut client = Raw::connect(site.address).await;
    client.write(asked.concat()).await;
    for path in paths {
        assert_eq!(client.answer().await.expect("an answer").text(), path);
    }
}
