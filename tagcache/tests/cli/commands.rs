//! The commands that end by themselves.

use serde_json::Value;

use super::program::Directory;

const FILE: &str = "\
[[rules]]
name  = \"auction\"
route = \"/auctions/{address}\"
ttl   = \"10s\"
tags  = [\"auction:{address:address}\", \"seller:{/seller}\"]

[[rules]]
name  = \"featured\"
route = \"/auctions/featured\"
ttl   = \"1s\"
tags  = [\"featured\"]
cookies = \"ignore\"

[[streams]]
name   = \"sales\"
format = \"rindexer\"
settle = \"2s\"
on     = [{ event = \"Sale\", purge = [\"auction:{transaction_information.address}\", \"featured\"] }]
";

fn configured(text: &str) -> Directory {
    let directory = Directory::new();
    directory.configure(text);
    directory
}

#[test]
fn check_quotes_the_line_of_a_mistake() {
    let directory = configured(&FILE.replace("{address:address}", "{adress:address}"));
    let ran = directory.run(&["check"]);
    assert_eq!(ran.status, 2);
    let expected = "error: tagcache.toml:5:20: rule `auction`, tag: unknown capture `adress` (the route has \
                    `address`) in \"auction:{adress:address}\"\n  |\n\
                    5 | tags  = [\"auction:{adress:address}\", \"seller:{/seller}\"]\n  |                    ^\n";
    assert_eq!(ran.err, expected);
    let ran = directory.run(&["check", "--json"]);
    assert_eq!((ran.status, ran.err.as_str()), (2, ""));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["ok"], false);
    assert_eq!(told["errors"][0]["line"], 5);
    assert_eq!(told["errors"][0]["column"], 20);
}

#[test]
fn check_warns_of_what_is_probably_not_meant() {
    let directory = configured(FILE);
    let ran = directory.run(&["check"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "warning: tagcache.toml:2: rule `auction`: no event purges the tag \"seller:{/seller}\"",
        "warning: tagcache.toml:8: rule `featured`: it takes requests that rule `auction` (/auctions/{address})",
        "warning: tagcache.toml:8: rule `featured`: all cookies are ignored",
        "warning: tagcache.toml:8: rule `featured`: its ttl of 1s is shorter than the 2s that stream `sales`",
        "warning: tagcache.toml:15: stream `sales`: no Redis is named",
        "ok: 2 rules, 1 stream, 5 warnings; responses are kept in this process",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    let ran = directory.run(&["check", "--json"]);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["warnings"].as_array().unwrap().len(), 5);
    let none = Directory::new().run(&["check"]);
    assert_eq!(none.status, 2);
}

#[test]
fn explain_tells_rule_key_tags_and_lifetime() {
    let directory = configured(FILE);
    let path = "/auctions/0xA16E02E87b7454126E5E10d957A927A7F5B5d2be?x=1";
    let ran = directory.run(&["explain", "GET", path, "-H", "host: Example.org"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "rule       auction (/auctions/{address})\n",
        "host=Example.org path=/auctions/0xA16E02E87b7454126E5E10d957A927A7F5B5d2be query=x=1\n",
        "tag        auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be\n",
        "tag        seller:{/seller} (from the response)\n",
        "lifetime   the response's own, else 10s\n",
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    let told = directory.run(&["explain", "GET", path, "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["cached"], true);
    assert_eq!(told["ttl"], 10.0);
}

/// Arguments, and what is said.
const EXPLAINED: [(&[&str], &str); 17] = [
    (
        &["-H", "authorization: Bearer x"],
        "lifetime   none unless the response says public, must-revalidate or s-maxage",
    ),
    (
        &[
            "-H",
            "authorization: Bearer x",
            "-R",
            "cache-control: max-age=5",
        ],
        "is not stored (authorization)",
    ),
    (
        &[
            "-H",
            "authorization: Bearer x",
            "-R",
            "cache-control: public, max-age=5",
        ],
        "is stored, and fresh for 5s",
    ),
    (
        &["-H", "cache-control: no-store"],
        "not stored request-no-store\n",
    ),
    (
        &["-H", "cache-control: no-cache"],
        "is validated with the upstream first",
    ),
    (&["-H", "content-length: 3"], "not cached it has a body"),
    (
        &["-H", "range: bytes=0-1"],
        "its Range is answered from what is stored",
    ),
    (&[], "status 404: 5s\n"),
    (&[], "status 5xx: not stored\n"),
    (&["--status", "404"], "is stored, and fresh for 5s"),
    (&["--status", "503"], "is not stored ("),
    (
        &["--status", "403", "-R", "cache-control: max-age=60"],
        "is not stored (",
    ),
    (&["-R", "set-cookie: a=b"], "is not stored (set-cookie)"),
    (&["-H", "cache-after: 12-3"], "it names a position"),
    (&["-R", "cache-control: private"], "is not stored (private)"),
    (&["-R", "vary: *"], "is not stored (vary-any)"),
    (
        &["-R", "cache-control: max-age=60"],
        "is stored, and fresh for 1m",
    ),
];

#[test]
fn safety_113_explain_promises_no_lifetime_that_a_response_does_not_get() {
    let rule = "[[rules]]\nname = \"a\"\nroute = \"/a/{id}\"\nttl = \"10s\"\nttl_for = { 404 = \"5s\", 5xx = \"0s\" }\n";
    let directory = configured(&format!("{rule}honor_request_directives = true\n"));
    let explain = |args: &[&str]| {
        let mut all = vec!["explain", "GET", "/a/1"];
        all.extend(args);
        directory.run(&all).out
    };
    for (args, expected) in EXPLAINED {
        let out = explain(args);
        assert!(out.contains(expected), "{args:?}: {out}");
        if expected.starts_with("not stored") || expected.starts_with("not cached") {
            assert!(!out.contains("lifetime"), "{args:?}: {out}");
        }
    }
    let told = explain(&["-H", "authorization: Bearer x", "--json", "--status", "200"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["needs_permission"], true);
    assert_eq!(told["response"]["why"], "authorization");
    let put = directory.run(&["explain", "PUT", "/a/1"]);
    assert!(
        put.out.contains("what is stored under its URL is purged"),
        "{put:?}"
    );
}

/// The proxy settles some things before the cache sees them.
#[test]
fn safety_113_explain_sees_what_the_proxy_lets_the_cache_see() {
    let proxy = "[proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n";
    let rule = "[[rules]]\nname = \"a\"\nroute = \"/a/{id}\"\nttl = \"10s\"\n";
    let directory = configured(&format!("{proxy}{rule}"));
    for (fields, expected) in [
        (&["host: Example.ORG:80"][..], "host=example.org"),
        (&["host: a", "host: b"], "the proxy answers 400"),
        (&["host: a b"], "the proxy answers 400"),
        (&["transfer-encoding: gzip"], "the proxy answers 501"),
        (&["transfer-encoding: chunked"], "it has a body"),
        (
            &["connection: upgrade", "upgrade: websocket"],
            "it asks for another protocol",
        ),
        (
            &["connection: cookie", "cookie: a=b"],
            "lifetime   the response's own",
        ),
        (&["x_cookie: a"], "lifetime   the response's own"),
    ] {
        let mut args = vec!["explain", "GET", "/a/1"];
        args.extend(fields.iter().flat_map(|field| ["-H", *field]));
        let ran = directory.run(&args);
        assert!(ran.out.contains(expected), "{fields:?}: {ran:?}");
    }
}

#[test]
fn explain_tells_why_not() {
    let directory = configured(FILE);
    for (args, expected) in [
        (vec!["GET", "/other"], "no rule's route matches this path"),
        (
            vec!["POST", "/auctions/1"],
            "only GET and HEAD are cached, not POST",
        ),
        (
            vec!["GET", "/auctions/1", "-H", "cookie: a=b"],
            "it has a cookie that the rule neither",
        ),
        (
            vec!["GET", "/auctions/1"],
            "not stored tag-missing: auction:{address:address}",
        ),
    ] {
        let mut all = vec!["explain"];
        all.extend(args);
        let ran = directory.run(&all);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains(expected), "{all:?}: {ran:?}");
    }
    let ran = directory.run(&["explain", "GET", "/a", "-H", "no field"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn purge_says_what_it_would_do_and_needs_somebody_to_tell() {
    let directory = configured(FILE);
    let tag = "auction:0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
    let ran = directory.run(&["purge", "--tag", tag, "--glob", "/a/**", "--dry-run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for expected in [
        "would purge tag auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be\n",
        "would purge glob /a/**\n",
    ] {
        assert!(ran.out.contains(expected), "{ran:?}");
    }
    for (args, status, expected) in [
        (vec!["purge"], 2, "required"),
        (vec!["purge", "--all"], 2, "no Redis is configured"),
        (vec!["purge", "--tag", ""], 2, "tag"),
        (
            vec!["purge", "--all", "--admin", "localhost:1"],
            2,
            "expected http://host:port",
        ),
        (
            vec!["purge", "--all", "--admin", "http://127.0.0.1:1"],
            1,
            "admin listener at http://127.0.0.1:1",
        ),
    ] {
        let ran = directory.run(&args);
        assert_eq!(ran.status, status, "{args:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
    }
}

#[test]
fn init_writes_a_file_that_passes_its_own_check() {
    let directory = Directory::new();
    assert_eq!(directory.run(&["init"]).status, 0);
    let ran = directory.run(&["check"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.out.starts_with("ok: 2 rules, 0 streams, 0 warnings"),
        "{ran:?}"
    );
    let again = directory.run(&["init"]);
    assert_eq!(again.status, 1);
    assert!(again.err.contains("is there already"), "{again:?}");
    assert_eq!(directory.run(&["init", "--force"]).status, 0);
    assert!(
        directory
            .run(&["init", "-"])
            .out
            .starts_with("# The configuration")
    );
}

#[test]
fn schema_and_completions_are_printed() {
    let directory = Directory::new();
    let schema: Value = serde_json::from_str(&directory.run(&["schema"]).out).unwrap();
    for key in [
        "mode", "redis", "cache", "rules", "streams", "proxy", "admin", "log",
    ] {
        assert!(!schema["properties"][key].is_null(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            directory
                .run(&["completions", shell])
                .out
                .contains("tagcache")
        );
    }
}

#[test]
fn help_and_usage_are_told() {
    let directory = Directory::new();
    let ran = directory.run(&["--help"]);
    assert_eq!(ran.status, 0);
    for command in [
        "proxy",
        "check",
        "explain",
        "purge",
        "init",
        "schema",
        "completions",
    ] {
        assert!(ran.out.contains(&format!("\n  {command}")), "{}", ran.out);
    }
    assert_eq!(directory.run(&["nonsense"]).status, 2);
}
