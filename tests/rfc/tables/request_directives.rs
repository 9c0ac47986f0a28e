//! RFC 9111 §5.2.1, §5.4: what a request asks of a cache, where the rule hears it.

use super::*;
use std::time::Duration;
use tower_tagcache::Rule;

const FRESH: script::Fields = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

#[test]
fn a_client_is_heard_by_the_implicit_rule() {
    run(rows![
        "no-cache validates", "RFC 9111 §5.2.1.4":
            get("/").reply(200, FRESH, "1"),
            get("/").with("cache-control", "no-cache").reply(304, &[], "").body("1").sent("if-none-match", "\"a\"");
        "Pragma: no-cache likewise", "RFC 9111 §5.4":
            get("/").reply(200, FRESH, "1"),
            get("/").with("pragma", "no-cache").reply(304, &[], "").body("1");
        "Pragma beside Cache-Control is ignored", "RFC 9111 §5.4":
            get("/").reply(200, FRESH, "1"),
            get("/").with("pragma", "no-cache").with("cache-control", "foo").body("1");
        "no stale for no-cache", "RFC 9111 §5.2.1.4":
            get("/").reply(200, &[("cache-control", "max-age=60, stale-if-error=60")], "1"),
            get("/").with("cache-control", "no-cache").dropped().status(502);
        "max-age", "RFC 9111 §5.2.1.1":
            get("/").reply(200, FRESH, "1"), wait(10),
            get("/").with("cache-control", "max-age=10").body("1"),
            get("/").with("cache-control", "max-age=9").reply(304, &[], "").body("1");
        "min-fresh", "RFC 9111 §5.2.1.3":
            get("/").reply(200, FRESH, "1"), wait(10),
            get("/").with("cache-control", "min-fresh=50").body("1"),
            get("/").with("cache-control", "min-fresh=51").reply(304, &[], "").body("1");
        "max-stale", "RFC 9111 §5.2.1.2":
            get("/").reply(200, FRESH, "1"), wait(70),
            get("/").with("cache-control", "max-stale=10").body("1"),
            get("/").with("cache-control", "max-stale").body("1"),
            get("/").with("cache-control", "max-stale=9").reply(304, &[], "").body("1");
        "max-stale opens nothing that a directive forbids", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "max-age=60, must-revalidate"), ("etag", "\"a\"")], "1"), wait(70),
            get("/").with("cache-control", "max-stale").reply(304, &[], "").body("1");
        "no-store keeps the response out", "RFC 9111 §5.2.1.5":
            get("/").with("cache-control", "no-store").reply(200, FRESH, "1"),
            get("/").reply(200, FRESH, "2");
        "only-if-cached", "RFC 9111 §5.2.1.7":
            get("/").with("cache-control", "only-if-cached").status(504),
            get("/").reply(200, FRESH, "1"),
            get("/").with("cache-control", "only-if-cached").body("1");
    ]);
}

#[test]
fn a_rule_hears_nobody_unless_it_says_so() {
    let rule = || Rule::new("a", "/").ttl(Duration::from_secs(60));
    let asks = || {
        rows![
            "no-cache", "RFC 9111 §5.2.1":
                get("/").reply(200, &[], "1"), get("/").with("cache-control", "no-cache").body("1"),
                get("/").with("cache-control", "no-store").body("1"), get("/").with("pragma", "no-cache").body("1");
        ]
    };
    run_on(&|| Layer::new(|builder| builder.rule(rule())), asks());
    let heard = rows![
        "no-cache", "RFC 9111 §5.2.1":
            get("/").reply(200, &[], "1"), get("/").with("cache-control", "no-cache").reply(200, &[], "2");
    ];
    run_on(
        &|| Layer::new(|builder| builder.rule(rule().honor_request_directives())),
        heard,
    );
}
