//! P4: hit and miss are what the origin sent, but for the fields that the design names.

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use http_body_util::Empty;
use tagcache_test_support::Answer;

use crate::client::{Raw, VERSIONS, get, request, send};
use crate::raw_origin::{RawOrigin, Reply, ok, reply};
use crate::site::ProxySite;

/// The fields that the proxy may add or take away (DESIGN P4).
const OURS: [&str; 8] = [
    "age",
    "cache-status",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
    "via",
];

/// The fields of a head as sent, by name, each with its lines in their order.
fn sent(fields: &[u8]) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut sent: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for line in fields
        .split(|byte| *byte == b'\n')
        .filter(|line| line.len() > 1)
    {
        let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
        let name = String::from_utf8(line[..colon].to_ascii_lowercase()).unwrap();
        let value = line[colon + 1..].trim_ascii().to_vec();
        match sent.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lines)) => lines.push(value),
            None => sent.push((name, vec![value])),
        }
    }
    sent
}

/// The validator that a stored response without one gets.
fn is_own_validator(name: &str, headers: &HeaderMap) -> bool {
    name == "etag" && headers["etag"].as_bytes().starts_with(b"\"tc-")
}

fn received(headers: &HeaderMap) -> Vec<(String, Vec<Vec<u8>>)> {
    let names = headers.keys().map(http::HeaderName::as_str);
    names
        .filter(|name| !OURS.contains(name) && !is_own_validator(name, headers))
        .map(|name| {
            let lines = headers.get_all(name).iter();
            (
                name.to_owned(),
                lines.map(|line| line.as_bytes().to_vec()).collect(),
            )
        })
        .collect()
}

#[tokio::test]
async fn safety_36_fields_and_bytes_are_those_of_the_origin() {
    let fields: [&[u8]; 8] = [
        b"",
        b"X-A: 1\r\nx-b: 2\r\nX-A: 3\r\nx-a: 4\r\n",
        b"link: </a>; rel=a\r\nLink: </b>; rel=b, </c>\r\nvary: accept\r\nvary: accept-encoding\r\n",
        b"x-obs: \xe9\xff\x80 caf\xe9\r\n",
        b"x-empty:\r\nx-space:   a  b \t c  \r\n",
        b"etag: \"a,b\"\r\ncache-control: public , max-age=60\r\ncache-control: x=\"y,z\"\r\nexpires: 0\r\n",
        b"content-encoding: gzip\r\ncontent-type: text/html;charset=\"\xfc\"\r\naccept-ranges: none\r\n",
        b"server: a\r\nserver: b\r\nwarning: 199 - \"x\"\r\nx!#$%&'*+-.^_`|~: odd name\r\n",
    ];
    let bodies: [&[u8]; 4] = [
        b"",
        b"a page",
        &[0, 255, 13, 10, 13, 10, 0],
        &[b'x'; 1_000_000],
    ];
    for (number, lines) in fields.iter().enumerate() {
        for (framing, body) in ["length", "chunked", "close"]
            .iter()
            .flat_map(|framing| bodies.map(|body| (*framing, body)))
        {
            let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
            bytes.extend_from_slice(lines);
            match framing {
                "length" => bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes()),
                "chunked" => bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
                _ => bytes.extend_from_slice(b"\r\n"),
            }
            match framing {
                "chunked" => {
                    for chunk in body.chunks(70_000) {
                        bytes.extend(format!("{:X};x=y\r\n", chunk.len()).bytes());
                        bytes.extend_from_slice(chunk);
                        bytes.extend_from_slice(b"\r\n");
                    }
                    bytes.extend_from_slice(b"0\r\n\r\n");
                }
                _ => bytes.extend_from_slice(body),
            }
            let origin = RawOrigin::start(move |_| match framing {
                "close" => Reply::Last(bytes.clone().into()),
                _ => reply(bytes.clone()),
            })
            .await;
            let site = ProxySite::before(&origin).await;
            for version in VERSIONS {
                for time in 0..2 {
                    let answer = get(site.address, version, &format!("/{version:?}")).await;
                    let name = format!(
                        "fields {number}, {framing}, {} bytes, {version:?}, {time}",
                        body.len()
                    );
                    assert_eq!(received(&answer.headers), sent(lines), "{name}");
                    assert!(answer.body == body, "{name}");
                    assert_eq!(answer.is_hit(), time == 1, "{name}: {:?}", answer.headers);
                    if framing == "length" {
                        assert_eq!(
                            answer.field("content-length"),
                            Some(body.len().to_string().as_str()),
                            "{name}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn safety_34_every_status_with_a_lifetime_is_the_same_from_the_store() {
    for status in (200..=208)
        .chain([226])
        .chain(300..=308)
        .chain(400..=431)
        .chain(500..=511)
    {
        if [206, 304].contains(&status) {
            continue;
        }
        let bodiless = status == 204;
        let origin = RawOrigin::start(move |_| {
            let framing = if bodiless {
                "\r\n"
            } else {
                "content-length: 6\r\n\r\na page"
            };
            reply(format!(
                "HTTP/1.1 {status} Odd Reason\r\ncache-control: max-age=60\r\nx-a: 1\r\n{framing}"
            ))
        })
        .await;
        let site = ProxySite::before(&origin).await;
        for version in VERSIONS {
            let answers = [
                get(site.address, version, "/a").await,
                get(site.address, version, "/a").await,
            ];
            for answer in answers {
                assert_eq!(answer.status, status, "{version:?}");
                assert_eq!(
                    answer.text(),
                    if bodiless { "" } else { "a page" },
                    "{status} {version:?}"
                );
                assert_eq!(answer.field("x-a"), Some("1"), "{status} {version:?}");
                assert!(!bodiless || answer.field("content-length").is_none());
            }
        }
    }
}

#[tokio::test]
async fn safety_34_a_head_has_the_fields_of_the_get_and_no_body() {
    let origin = RawOrigin::start(|heard| match heard.line().starts_with("HEAD") {
        true => reply("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nx-a: 1\r\n\r\n"),
        false => ok("x-a: 1", "a page"),
    })
    .await;
    let site = ProxySite::before(&origin).await;
    for version in VERSIONS {
        for filled in [false, true] {
            let path = format!("/{version:?}");
            if filled {
                get(site.address, version, &path).await;
            }
            let asked = request(site.address, Method::HEAD, &path, &[]);
            let answer = send(
                site.address,
                version,
                asked.body(Empty::<Bytes>::new()).unwrap(),
            )
            .await;
            assert_eq!(
                (answer.status.as_u16(), answer.text()),
                (200, ""),
                "{version:?}"
            );
            assert_eq!(
                (answer.field("content-length"), answer.field("x-a")),
                (Some("6"), Some("1"))
            );
            assert_eq!(answer.is_hit(), filled);
        }
    }
}

#[tokio::test]
async fn safety_34_a_304_of_upstream_to_the_clients_own_condition_passes() {
    let origin = RawOrigin::start(|_| {
        reply("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\ncontent-length: 6\r\ncache-control: no-store\r\n\r\n")
    })
    .await;
    let site = ProxySite::before(&origin).await;
    let mut client = Raw::connect(site.address).await;
    for _ in 0..2 {
        client
            .write("GET /a HTTP/1.1\r\nhost: x\r\ncookie: a=b\r\nif-none-match: \"1\"\r\n\r\n")
            .await;
        let head = client.head().await;
        assert!(
            head.starts_with("HTTP/1.1 304 ") && head.contains("etag: \"1\"\r\n"),
            "{head}"
        );
    }
}

#[tokio::test]
async fn safety_34_trailers_pass_on_a_miss_and_on_a_hit() {
    let bytes = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, x-other\r\n\r\n\
                 6\r\na page\r\n0\r\nx-sum: 1\r\nx-other: \t2\r\nx-sum: 3\r\n\r\n";
    let origin = RawOrigin::start(move |_| reply(bytes)).await;
    let site = ProxySite::before(&origin).await;
    for version in VERSIONS {
        for hit in [false, true] {
            let asked = request(
                site.address,
                Method::GET,
                &format!("/{version:?}"),
                &[("te", "trailers")],
            );
            let answer: Answer = send(
                site.address,
                version,
                asked.body(Empty::<Bytes>::new()).unwrap(),
            )
            .await;
            assert_eq!(
                (answer.text(), answer.is_hit()),
                ("a page", hit),
                "{version:?}"
            );
            let trailers = answer.trailers.expect("trailers");
            let sums: Vec<_> = trailers.get_all("x-sum").iter().collect();
            assert_eq!(sums, ["1", "3"], "{version:?}, hit: {hit}");
            assert_eq!(trailers["x-other"], "2");
        }
    }
}

#[tokio::test]
async fn an_origin_of_http_1_0_is_understood() {
    let origin =
        RawOrigin::start(|_| Reply::Last("HTTP/1.0 200 OK\r\nx-a: 1\r\n\r\na page".into())).await;
    let site = ProxySite::before(&origin).await;
    for hit in [false, true] {
        let answer = get(site.address, Version::HTTP_11, "/a").await;
        assert_eq!((answer.text(), answer.is_hit()), ("a page", hit));
        assert_eq!(answer.field("via"), Some("1.0 tagcache"));
    }
}
