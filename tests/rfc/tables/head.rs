//! RFC 9111 §4.3.5: HEAD, from the store and for it.

use super::*;

const TAGGED: script::Fields = &[
    ("cache-control", "max-age=5"),
    ("etag", "\"a\""),
    ("a", "1"),
    ("content-length", "1"),
];

#[test]
fn a_stored_get_answers_head() {
    run(rows![
        "fields, and no body", "RFC 9110 §9.3.2":
            get("/").reply(200, TAGGED, "1"),
            ask("HEAD", "/").has("etag", "\"a\"").has("content-length", "1");
        "a HEAD alone stores nothing", "RFC 9111 §3":
            ask("HEAD", "/").reply(200, TAGGED, ""),
            get("/").reply(200, TAGGED, "1");
    ]);
}

#[test]
fn the_response_to_a_head_updates_a_stored_get_or_makes_it_stale() {
    run(rows![
        "the same tag updates fields and lifetime", "RFC 9111 §4.3.5":
            get("/").reply(200, TAGGED, "1"), wait(6),
            ask("HEAD", "/").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"a\""), ("a", "2")], ""),
            wait(59), get("/").body("1").has("a", "2");
        "another tag does not", "RFC 9111 §4.3.5":
            get("/").reply(200, TAGGED, "1"), wait(6),
            ask("HEAD", "/").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"b\"")], ""),
            get("/").reply(200, &[], "2");
        "another length does not", "RFC 9111 §4.3.5":
            get("/").reply(200, TAGGED, "1"), wait(6),
            ask("HEAD", "/").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-length", "2")], ""),
            get("/").reply(200, &[], "2");
        "another tag makes a fresh one stale", "RFC 9111 §4.3.5":
            get("/").reply(200, TAGGED, "1"), get("/").body("1"),
            ask("HEAD", "/").with("cache-control", "no-cache").reply(200, &[("etag", "\"b\"")], ""),
            get("/").reply(200, &[], "2");
        "an error changes nothing", "RFC 9111 §4.3.5":
            get("/").reply(200, TAGGED, "1"),
            ask("HEAD", "/").with("cache-control", "no-cache").reply(500, &[("etag", "\"b\"")], ""),
            get("/").body("1");
    ]);
}
