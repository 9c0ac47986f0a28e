//! `[live]` of the file: what the commands tell of it, and what the proxy writes down.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::program::{Directory, PATIENCE, Upstream, get};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LXRpY2tldA.c2lnbmF0dXJl";

fn configured(text: &str) -> Directory {
    let directory = Directory::new();
    directory.configure(text);
    directory
}

/// Asks for `path` with these lines, and reads the head of the answer: the stream behind it goes on.
fn listen(address: SocketAddr, path: &str, lines: &str) -> (String, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\n{lines}\r\n").expect("sent");
    let (mut reader, mut head) = (BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).expect("a line"), 0, "{head}");
    }
    (head, reader)
}

#[test]
fn a_ticket_is_in_no_log() {
    let upstream = Upstream::start();
    let directory = configured(&format!(
        "[proxy]\nupstreams = [\"{}\"]\naccess_log = {{ path = \"access.log\", format = \"json\" }}\n\
         [log]\nlevel = \"trace\"\n[live]\nopen = true\nticket_key = \"{KEY}\"\n",
        upstream.url
    ));
    let mut proxy = directory.proxy(&[]);
    let targets = [
        format!("/events?ticket={SECRET}&type=sale"),
        format!("/events/auction/1?%74icket={SECRET}"),
        // What is no path of live updates may be meant as one.
        format!("/event?type=sale&ticket={SECRET}"),
    ];
    for target in &targets {
        let answer = get(proxy.address, target);
        let expected = if target.starts_with("/event?") {
            "200"
        } else {
            "401"
        };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{answer}"
        );
        assert!(!answer.contains(SECRET), "{answer}");
    }
    let lines = directory.lines("access.log", 3);
    assert!(
        lines.iter().all(|line| !line.contains("c2Vj")),
        "{lines:#?}"
    );
    let told: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told[0]["target"], "/events?ticket=***&type=sale");
    assert_eq!(told[1]["target"], "/events/auction/1?ticket=***");
    assert_eq!(told[2]["target"], "/event?type=sale&ticket=***");
    proxy.signal("TERM");
    proxy.log.wait("ended");
    assert_eq!(proxy.ended(), Some(0));
    assert_eq!(proxy.log.count("c2Vj"), 0);
    assert_eq!(proxy.log.count(KEY), 0);
}

#[test]
fn sigterm_ends_streams_with_a_reason_and_does_not_wait_for_them() {
    let upstream = Upstream::start();
    let directory = configured(&format!(
        "[proxy]\nupstreams = [\"{}\"]\n[proxy.timeouts]\ndrain = \"1h\"\n[live]\n",
        upstream.url
    ));
    let mut proxy = directory.proxy(&[]);
    let (head, mut stream) = listen(proxy.address, "/events", "");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (head, mut socket) = listen(proxy.address, "/events", upgrade);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    proxy.signal("TERM");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(
        rest.contains("event: end\n") && rest.contains("the server is shutting down"),
        "{rest}"
    );
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    // A close (RFC 6455 §5.5.1): 1001 and the reason, after whatever was pinged.
    let reason = "the server is shutting down; connect again";
    let head = [0x88, u8::try_from(2 + reason.len()).unwrap(), 0x03, 0xe9];
    assert!(
        rest.ends_with(&[&head, reason.as_bytes()].concat()),
        "{rest:?}"
    );
    let line = proxy.log.wait("ended");
    assert!(line.contains("cut_off=0"), "{line}");
    assert_eq!(proxy.ended(), Some(0));
}

#[test]
fn check_says_where_live_updates_are_and_for_whom() {
    let ran = configured("[live]\n").run(&["check"]);
    let expected = "live: updates at /events, for everybody who connects, and for pages of the same host; an event \
                    is called `auction_update`\n";
    assert!(ran.out.starts_with(expected), "{ran:?}");
    let guarded = configured(&format!(
        "[proxy]\nlisten = [\"0.0.0.0:0\"]\n[live]\npath = \"/e\"\nevent = \"x\"\norigins = [\"https://a.example\"]\n\
         ticket_key = \"{KEY}\"\n"
    ));
    let ran = guarded.run(&["check"]);
    let expected = "live: updates at /e, for who has a ticket, and for pages of the same host and of \
                    https://a.example; an event is called `x`\n";
    assert!(ran.out.starts_with(expected), "{ran:?}");
    let told = guarded.run(&["check", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["live"]["path"], "/e");
    assert_eq!(told["live"]["origins"][0], "https://a.example");
    assert_eq!(told["warnings"], serde_json::json!([]));
}

#[test]
fn check_refuses_what_a_start_refuses_and_warns_of_what_is_open() {
    let directory = configured("[live]\n");
    for command in ["check", "proxy"] {
        let args = [
            command,
            "--listen",
            "0.0.0.0:0",
            "--upstream",
            "http://127.0.0.1:9",
        ];
        let ran = directory.run(&args);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(
            ran.err
                .contains("tagcache.toml:1:1: open: nobody says who may listen"),
            "{ran:?}"
        );
    }
    directory.configure(
        "[live]\nopen = true\n[[rules]]\nname = \"a\"\nroute = \"/events/{kind}/{id}\"\nttl = \"1m\"\n",
    );
    let ran = directory.run(&["check", "--listen", "0.0.0.0:0"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "warning: tagcache.toml:2: open: whoever can connect to 0.0.0.0:0 may listen to all updates",
        "warning: tagcache.toml:4: rule `a`: live updates are answered where its route is",
        "2 warnings",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    let upstream = Upstream::start();
    let proxy = directory.proxy(&["--upstream", &upstream.url, "--listen", "0.0.0.0:0"]);
    assert!(proxy.log.count("whoever can connect to 0.0.0.0:0") == 1);
}

#[test]
fn explain_says_what_a_client_would_be_told_or_why_not() {
    let address = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
    let directory = configured("[proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n[live]\n");
    for (url, expected) in [
        ("/events", "live       all updates\n".to_owned()),
        (
            &*format!("https://h.example/events/auction/{address}?type=sale&min_amount=5"),
            format!(
                "live       updates of auction:{} of the type sale, amount >= 5\n",
                address.to_lowercase()
            ),
        ),
        (
            "/events/ticket",
            "live       a ticket, for who sends the token\n".to_owned(),
        ),
        ("/events/auction/0x1", "live       refused: ".to_owned()),
        (
            "/events?x=1",
            "live       refused: parameter \"x\" is not known".to_owned(),
        ),
        ("/other", "rule ".to_owned()),
    ] {
        let ran = directory.run(&["explain", "GET", url]);
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.out.starts_with(&expected), "{url}: {}", ran.out);
    }
    let told = directory.run(&["explain", "GET", "/events?x=1", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["cached"], false);
    assert!(told["live"]["refused"].is_string(), "{told}");
    let ran = directory.run(&["explain", "PUT", "/events"]);
    assert!(ran.out.contains("other methods are refused"), "{ran:?}");
}
