//! `tagcache purge`: what happened, why, and a status that a script can use (SAFETY 112).

use std::net::TcpListener;

use serde_json::Value;
use tagcache_test_support::RedisServer;

use super::program::{Directory, Running, Upstream};

const RULE: &str = "[[rules]]\nname = \"products\"\nroute = \"/products/{id}\"\nttl = \"1m\"\ntags = [\"product:{id:int}\"]\n";
const TOKEN: &str = "0123456789abcdef";

fn configured(more: &str) -> Directory {
    let directory = Directory::new();
    directory.configure(&format!("{more}\n{RULE}"));
    directory
}

fn at(url: &str) -> String {
    format!("[redis]\nurl = \"{url}\"\npurge_timeout = \"20s\"\n")
}

/// A port at which nobody is.
fn nobody() -> String {
    let away = TcpListener::bind("127.0.0.1:0").expect("a free port");
    away.local_addr().expect("bound").to_string()
}

/// A proxy, and the URL of its admin listener.
fn administered(directory: &Directory, upstream: &Upstream, more: &str) -> (Running, String) {
    let admin = format!("[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    let proxy = format!("[proxy]\nupstreams = [\"{}\"]\n", upstream.url);
    directory.configure(&format!("{proxy}{admin}{more}\n{RULE}"));
    let proxy = directory.proxy(&[]);
    let line = proxy.log.wait("admin listener");
    let address = line.split_once("address=").expect("an address").1.trim();
    let url = format!("http://{address}");
    (proxy, url)
}

#[test]
fn safety_112_a_purge_that_failed_says_why_and_that_nothing_waits() {
    let directory = configured(&at(&format!("redis://{}", nobody())));
    let ran = directory.run(&["purge", "--tag", "product:1"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    for words in ["refused", "nothing waits", "repeat the command"] {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.err.contains("this process only"), "{ran:?}");
    let ran = directory.run(&["purge", "--tag", "product:1", "--json"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["status"], "failed");
    assert!(
        told["reason"].as_str().unwrap().contains("refused"),
        "{told}"
    );
}

#[test]
fn safety_112_a_server_that_refuses_is_quoted() {
    let redis =
        RedisServer::start_with(&["--user", "default", "on", "nopass", "~*", "+@all", "-xadd"]);
    let ran = configured(&at(&redis.url())).run(&["purge", "--all"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains("nothing was purged"), "{ran:?}");
    assert!(
        ran.err.to_lowercase().contains("noperm") && ran.err.contains("xadd"),
        "{ran:?}"
    );
}

#[test]
fn safety_112_a_rule_that_there_is_not_is_told_and_nothing_purged() {
    let redis = RedisServer::start();
    let directory = configured(&at(&redis.url()));
    for args in [
        &["purge", "--rule", "prodct"][..],
        &[
            "purge",
            "--rule",
            "products",
            "--rule",
            "prodct",
            "--tag",
            "product:1",
        ],
        &["purge", "--rule", "prodct", "--dry-run"],
    ] {
        let ran = directory.run(args);
        assert_eq!(ran.status, 2, "{args:?}: {ran:?}");
        let expected = "no rule is called `prodct`; did you mean `products`?";
        assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
        assert_eq!(ran.out, "", "{args:?}");
    }
    let ran = directory.run(&["purge", "--rule", "prodct", "--force"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.starts_with("purged rule prodct\n"), "{ran:?}");
    let ran = directory.run(&["purge", "--tag", "prodct:1", "--url", "/other"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.err.contains("did you mean the family `product`?"),
        "{ran:?}"
    );
    assert!(
        ran.err.contains("no rule's route matches this path"),
        "{ran:?}"
    );
}

#[test]
fn safety_112_a_dry_run_says_what_it_would_take() {
    let directory = configured("");
    let ran = directory.run(&[
        "purge",
        "--tag",
        "product:7",
        "--tag",
        "product:seven",
        "--url",
        "http://h/products/7?x",
        "--glob",
        "/a/**",
        "--dry-run",
    ]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.out
            .contains("would purge tag product:7\n  takes stored responses of rule `products`\n"),
        "{ran:?}"
    );
    assert!(
        ran.out
            .contains("its value has another form than the template's"),
        "{ran:?}"
    );
    assert!(
        ran.out
            .contains("would purge url /products/7\n  takes stored responses of rule `products`\n"),
        "{ran:?}"
    );
    assert!(ran.out.contains("no rule's route can match"), "{ran:?}");
    // The text of the tag in its one form.
    let tag = "auction:0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
    let ran = Directory::new().run(&["purge", "--tag", tag, "--dry-run"]);
    assert!(
        ran.out
            .starts_with("would purge tag auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be\n"),
        "{ran:?}"
    );
    assert!(ran.out.contains("no configuration is read"), "{ran:?}");
}

#[test]
fn safety_112_a_purge_that_waits_in_a_proxy_has_a_status_of_its_own() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let redis = format!(
        "[redis]\nurl = \"redis://{}\"\npurge_timeout = \"1s\"\n",
        nobody()
    );
    let (_proxy, url) = administered(&directory, &upstream, &redis);
    let ran = directory.run(&["purge", "--all", "--admin", &url, "--token", TOKEN]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.err.starts_with("pending: "), "{ran:?}");
    assert!(ran.err.contains("refused"), "the cause: {ran:?}");
}

#[test]
fn safety_112_the_admin_listener_knows_its_rules_and_logs_no_dry_run_as_a_purge() {
    let (directory, upstream) = (Directory::new(), Upstream::start());
    let (proxy, url) = administered(&directory, &upstream, "");
    let purge = |args: &[&str]| {
        let mut all = vec!["purge", "--admin", url.as_str(), "--token", TOKEN];
        all.extend(args);
        directory.run(&all)
    };
    let ran = purge(&["--rule", "products", "--dry-run"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(
        ran.out,
        "would purge rule products\n  takes stored responses of rule `products`\n"
    );
    let ran = purge(&["--rule", "prodct"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("did you mean `products`?"), "{ran:?}");
    let ran = purge(&["--tag", "product:1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.out
            .starts_with("purged tag product:1\nno node answers with it any more ("),
        "{ran:?}"
    );
    // The first line about a purge is that of the one that was none of a dry run.
    let line = proxy.log.wait("asked to purge");
    assert!(
        line.contains("asked to purge a rule that there is not"),
        "{line}"
    );
    let denied = directory.run(&["purge", "--all", "--admin", &url]);
    assert_eq!(denied.status, 1, "{denied:?}");
    assert!(denied.err.contains("TAGCACHE_ADMIN_TOKEN"), "{denied:?}");
}
