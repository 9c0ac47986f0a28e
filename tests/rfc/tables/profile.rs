//! What the two profiles differ in, and nothing else.

use super::*;
use tower_tagcache::Profile;

fn careful(rows: Vec<Row>) {
    run_on(
        &|| Layer::new(|builder| builder.upstream_rule().profile(Profile::Careful)),
        rows,
    );
}

#[test]
fn set_cookie_is_stored_as_the_rfc_has_it_or_not_at_all() {
    const FIELDS: script::Fields = &[("cache-control", "max-age=60"), ("set-cookie", "a=b")];
    run(rows![
        "stored", "RFC 9111 §7.3":
            get("/").reply(200, FIELDS, "1"), get("/").body("1").has("set-cookie", "a=b");
    ]);
    careful(rows![
        "not stored", "P5":
            get("/").reply(200, FIELDS, "1"), get("/").reply(200, &[], "2");
    ]);
}

#[test]
fn a_request_cookie_counts_where_vary_names_it_or_ends_caching() {
    const PLAIN: script::Fields = &[("cache-control", "max-age=60")];
    const VARY: script::Fields = &[("cache-control", "max-age=60"), ("vary", "cookie")];
    run(rows![
        "no matter", "RFC 9111 §4":
            get("/").with("cookie", "a=1").reply(200, PLAIN, "1"), get("/").with("cookie", "a=2").body("1");
        "named by Vary", "RFC 9111 §4.1":
            get("/").with("cookie", "a=1").reply(200, VARY, "1"), get("/").with("cookie", "a=1").body("1"),
            get("/").with("cookie", "a=2").reply(200, VARY, "2");
    ]);
    careful(rows![
        "bypass", "P5":
            get("/").reply(200, PLAIN, "1"), get("/").with("cookie", "a=1").reply(200, PLAIN, "2"), get("/").body("1");
    ]);
}

#[test]
fn errors_with_a_lifetime_are_stored_or_not() {
    run(rows![
        "stored", "RFC 9111 §3":
            get("/").reply(503, &[("cache-control", "max-age=60")], "1"), get("/").status(503).body("1");
    ]);
    careful(rows![
        "a server error", "SAFETY 13":
            get("/").reply(503, &[("cache-control", "max-age=60")], "1"), get("/").reply(200, &[], "2");
        "one that blames the request", "SAFETY 13":
            get("/").reply(400, &[("cache-control", "max-age=60")], "1"), get("/").reply(200, &[], "2");
        "404 is stored all the same", "RFC 9110 §15.1":
            get("/").reply(404, &[("cache-control", "max-age=60")], "1"), get("/").status(404).body("1");
    ]);
}

#[test]
fn stale_is_served_on_a_broken_connection_or_only_where_the_response_says_so() {
    careful(rows![
        "not by itself", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "max-age=5")], "1"), wait(6), get("/").dropped().status(502);
        "stale-if-error", "RFC 5861 §4":
            get("/").reply(200, &[("cache-control", "max-age=5, stale-if-error=60")], "1"), wait(6),
            get("/").dropped().body("1");
    ]);
}
