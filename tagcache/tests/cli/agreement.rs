//! One code decides for `proxy`, `check` and `explain`: what a start refuses, the others refuse in the same words
//! (SAFETY 113).

use super::program::{Directory, Upstream};

const STREAM: &str = "[[streams]]\nname = \"sales\"\nformat = \"rindexer\"\non = [{ event = \"Sale\", purge = [\"a\"] }]\n";

fn upstreams(list: &str) -> String {
    format!("[proxy]\nupstreams = [{list}]\n")
}

const GOOD: &str = "\"http://127.0.0.1:9\"";
const LISTEN: &str = "listen = [\"127.0.0.1:18080\"]\n";

/// Upstreams, what follows them in the file, and what is said.
const REFUSED: [(&str, &str, &str); 27] = [
    (
        GOOD,
        "access_log = { path = \"none/a.log\" }\n",
        "tagcache.toml:3:23: access_log path: a file cannot be made there",
    ),
    (
        "\"127.0.0.1:9000\"",
        "",
        "tagcache.toml:2:14: upstreams: the scheme is missing: write \"http://127.0.0.1:9000\"",
    ),
    ("\"localhost:9000\"", "", "write \"http://localhost:9000\""),
    (
        "\"ftp://127.0.0.1:9000\"",
        "",
        "the scheme is neither http nor https",
    ),
    (
        "\"http://127.0.0.1:9000/api\"",
        "",
        "write \"http://127.0.0.1:9000\"",
    ),
    (
        "\"http://user:hunter2@127.0.0.1:9000\"",
        "",
        "a URL with a user or password",
    ),
    ("\"user:hunter2@127.0.0.1:9000\"", "", "not a URL"),
    (
        "\"http://127.0.0.1:99999\"",
        "",
        "the port is not from 1 to 65535",
    ),
    ("\"http://127.0.0.1:18080\"", LISTEN, "it would ask itself"),
    (
        "{ url = \"https://h\", authorities = \"none.pem\" }",
        "",
        "none.pem",
    ),
    (
        GOOD,
        "listen = [\"127.0.0.1:18080\"]\n[admin]\nlisten = \"127.0.0.1:18080\"\n",
        "tagcache.toml:5:10: admin listen: clients connect to this port",
    ),
    (
        GOOD,
        "listen = [\"127.0.0.1:1\", \"0.0.0.0:1\"]\n",
        "another listener has this port",
    ),
    (
        GOOD,
        "listen = [{ address = \"127.0.0.1:0\", certificates = \"no.pem\", key = \"no.key\" }]\n",
        "no.pem",
    ),
    (GOOD, "name = \"a b\"\n", "not made of letters"),
    (GOOD, "host = { set = \"a b\" }\n", "not a host"),
    (GOOD, "trusted_peers = [\"10.0.0.0/99\"]\n", "no network"),
    (
        GOOD,
        "[proxy.limits]\nattempts = 0\n",
        "tagcache.toml:4:12: attempts: it has to be more than zero",
    ),
    (
        GOOD,
        "[proxy.timeouts]\nresponse_head = \"0s\"\n",
        "tagcache.toml:4:17: response_head",
    ),
    (
        GOOD,
        "[proxy.health]\npath = \"healthz\"\n",
        "not a path, which begins with `/`",
    ),
    (GOOD, "[admin]\ntoken = \"short\"\n", "shorter than 16"),
    (GOOD, "[admin]\ntoken_file = \"none\"\n", "none"),
    (
        GOOD,
        "[admin]\ntimeout = \"0s\"\n",
        "admin timeout: it has to be more",
    ),
    (
        GOOD,
        "[log]\nlevel = \"verbose\"\n",
        "tagcache.toml:4:9: log level: none of error, warn",
    ),
    (GOOD, "[log]\nlevel = \"info,a=b=c\"\n", "log level"),
    (
        GOOD,
        STREAM,
        "tagcache.toml:4:8: stream `sales`: no Redis is named",
    ),
    (GOOD, "[redis]\nurl = \"nonsense\"\n", "redis url"),
    (GOOD, "[cache]\nlease = \"1ms\"\n", "lease"),
];

#[test]
fn safety_113_what_a_start_refuses_check_and_explain_refuse_in_the_same_words() {
    for (list, more, expected) in REFUSED {
        let file = upstreams(list) + more;
        let directory = Directory::new();
        directory.configure(&file);
        let check = directory.run(&["check"]);
        assert_eq!(check.status, 2, "{file}: {check:?}");
        assert!(check.err.contains(expected), "{file}: {check:?}");
        assert!(!check.err.contains("hunter2"), "{file}: {check:?}");
        for args in [&["proxy"][..], &["explain", "GET", "/"]] {
            let ran = directory.run(args);
            assert_eq!((ran.status, &ran.err), (2, &check.err), "{args:?}: {file}");
        }
    }
}

#[test]
fn safety_113_arguments_are_checked_as_they_would_be_used() {
    let directory = Directory::new();
    directory.configure("[proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n");
    for args in [
        &["--upstream", "127.0.0.1:9000"][..],
        &["--upstream", "ftp://h"],
        &[
            "--upstream",
            "http://127.0.0.1:7",
            "--listen",
            "127.0.0.1:7",
        ],
        &["--redis", "nonsense"],
    ] {
        let with = |command: &'static str| {
            let mut all = vec![command];
            all.extend(args);
            directory.run(&all)
        };
        let (check, proxy) = (with("check"), with("proxy"));
        assert_eq!(
            (check.status, proxy.status),
            (2, 2),
            "{args:?} {check:?} {proxy:?}"
        );
        assert_eq!(check.err, proxy.err, "{args:?}");
        assert!(
            check.err.starts_with("error: argument: "),
            "no line of the file is to blame: {check:?}"
        );
    }
    let ran = Directory::new().run(&["check", "--upstream", "http://127.0.0.1:9"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn safety_113_streams_without_redis_are_told_where_a_program_may_hand_in_events() {
    let directory = Directory::new();
    for (file, expected) in [
        (
            STREAM.to_owned(),
            "warning: tagcache.toml:2: stream `sales`: no Redis is named",
        ),
        (
            format!(
                "mode = \"mock\"\n{}{STREAM}",
                upstreams("\"http://127.0.0.1:9\"")
            ),
            "0 warnings",
        ),
        (
            format!(
                "{}[redis]\nstreams = false\n{STREAM}",
                upstreams("\"http://127.0.0.1:9\"")
            ),
            "0 warnings",
        ),
    ] {
        directory.configure(&file);
        let ran = directory.run(&["check"]);
        assert_eq!(ran.status, 0, "{file}: {ran:?}");
        assert!(ran.out.contains(expected), "{file}: {ran:?}");
    }
}

#[test]
fn safety_113_a_running_proxy_refuses_a_file_with_which_the_next_start_would_fail() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let rule = "[[rules]]\nname = \"a\"\nroute = \"/a\"\nttl = \"1m\"\n";
    directory.configure(&(upstreams(&format!("\"{}\"", upstream.url)) + rule));
    let proxy = directory.proxy(&[]);
    directory.configure(&(upstreams("\"ftp://h\"") + rule + "enabled = false\n"));
    proxy.signal("HUP");
    let line = proxy.log.wait("the old rules stay");
    assert!(
        line.contains("the scheme is neither http nor https"),
        "{line}"
    );
}
