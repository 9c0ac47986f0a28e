//! What the program says of upstreams that fail: what, where, why and what to do, once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::program::{Directory, get};

/// A server that writes `text` to each connection and closes it, or keeps it open without a word.
fn server(text: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            match text {
                Some(text) => {
                    let _ = stream.read(&mut [0; 4096]);
                    let _ = stream.write_all(text.as_bytes());
                }
                None => kept.push(stream),
            }
        }
    });
    address
}

fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

fn configured(url: &str, more: &str) -> Directory {
    let directory = Directory::new();
    directory.configure(&format!(
        "[proxy]\nupstreams = [\"{url}\"]\n[proxy.timeouts]\nresponse_head = \"300ms\"\n\
         [proxy.health]\nfailures = 2\npause = \"1h\"\n{more}"
    ));
    directory
}

/// An upstream, and what is told of it: status, detail, cause, advice.
type Told = (String, &'static str, &'static str, String, &'static str);

fn rows() -> [Told; 6] {
    let (nobody, mail) = (nobody(), server(Some("220 mail\r\n")));
    let (mute, ill) = (server(None), server(Some("")));
    let unknown = format!("http://{}.test", "a".repeat(64));
    [
        (
            format!("http://{nobody}"),
            "502",
            "upstream-connect",
            format!("no connection: {nobody}: "),
            "does it listen where `upstreams` says?",
        ),
        (
            unknown,
            "502",
            "upstream-name",
            "its name was not found".to_owned(),
            "check the name in `upstreams`",
        ),
        (
            format!("https://{mail}"),
            "502",
            "upstream-handshake",
            "it does not speak TLS on this port".to_owned(),
            "is it http:// instead of https://?",
        ),
        (
            format!("http://{mail}"),
            "502",
            "upstream-malformed",
            "its answer is not HTTP".to_owned(),
            "does it speak HTTP there",
        ),
        (
            format!("http://{ill}"),
            "502",
            "upstream-closed",
            "the connection ended before an answer".to_owned(),
            "its own log says why",
        ),
        (
            format!("http://{mute}"),
            "504",
            "upstream-timeout",
            "no head of a response within 300ms".to_owned(),
            "`response_head` in [proxy.timeouts]",
        ),
    ]
}

#[test]
fn safety_117_why_an_upstream_is_down_is_told_once_with_address_and_advice() {
    for (url, status, detail, cause, advice) in rows() {
        let mut proxy = configured(&url, "").proxy(&[]);
        for _ in 0..4 {
            let answer = proxy.get("/");
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{url}: {answer}"
            );
            let told = format!("fwd=miss; detail={detail}");
            assert!(answer.contains(&told), "{url}: {answer}");
            assert!(answer.contains("the proxy's log says more"), "{answer}");
            let address = url.split("//").nth(1).expect("an address");
            assert!(!answer.contains(address), "{answer}");
        }
        let line = proxy.log.wait("upstream is down: ");
        for expected in [url.as_str(), detail, &cause, advice] {
            assert!(line.contains(expected), "{expected}: {line}");
        }
        proxy.signal("TERM");
        proxy.log.wait("ended");
        assert_eq!(
            proxy.log.count("upstream gave no usable answer: "),
            1,
            "{url}"
        );
        assert_eq!(proxy.log.count("upstream is down"), 1, "{url}");
        assert_eq!(proxy.ended(), Some(0));
    }
}

#[test]
fn safety_117_a_question_that_finds_an_upstream_down_says_why() {
    let ill = server(Some("HTTP/1.1 500 Ill\r\ncontent-length: 0\r\n\r\n"));
    let more = "path = \"/health\"\ninterval = \"200ms\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    for (url, cause) in [
        (format!("http://{ill}"), "it answers 500 to GET /health"),
        (format!("http://{}", nobody()), "no connection: 127.0.0.1:"),
        (format!("http://{}", server(None)), " within 200ms"),
    ] {
        let proxy = configured(&url, more).proxy(&[]);
        let admin = proxy.log.wait("admin listener");
        let admin = admin.split_once("address=").expect("an address").1;
        let line = proxy.log.wait("upstream is down: ");
        assert!(line.contains(cause) && line.contains(&url), "{line}");
        let told = get(admin.trim().parse().expect("an address"), "/readyz");
        assert!(told.contains(cause), "{told}");
    }
}

#[test]
fn safety_115_an_error_says_why_the_request_was_forwarded() {
    let rule = "[[rules]]\nname = \"a\"\nroute = \"/a\"\nttl = \"1m\"\n";
    let proxy = configured(&format!("http://{}", nobody()), rule).proxy(&[]);
    for (path, reason) in [("/a", "miss"), ("/none", "bypass")] {
        let answer = proxy.get(path);
        let told = format!("tagcache; fwd={reason}; detail=upstream-connect");
        assert!(answer.contains(&told), "{answer}");
    }
}
