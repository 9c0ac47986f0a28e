//! RFC 9111 §3.2, §4.3.4: what a 304 updates.

use super::*;

const OLD: script::Fields = &[
    ("cache-control", "max-age=5"),
    ("etag", "\"a\""),
    ("content-type", "text/plain"),
    ("a", "1"),
    ("b", "1"),
    ("b", "2"),
];

#[test]
fn a_304_updates_field_by_field() {
    run(rows![
        "a field that it has", "RFC 9111 §3.2":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("a", "2")], "").body("1").has("a", "2"),
            get("/").has("a", "2");
        "one that it has not stays", "RFC 9111 §3.2":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\"")], "").has("a", "1").has("content-type", "text/plain");
        "all lines are replaced", "RFC 9111 §3.2":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("b", "3")], "").has("b", "3");
        "a new one is added", "RFC 9111 §3.2":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("c", "1")], "").has("c", "1");
        "not the length", "RFC 9111 §3.2":
            get("/").reply(200, &[("cache-control", "max-age=5"), ("etag", "\"a\""), ("content-length", "1")], "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("content-length", "0")], "").body("1").has("content-length", "1");
        "the lifetime", "RFC 9111 §4.3.4":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("cache-control", "max-age=60")], ""),
            wait(59), get("/").body("1");
        "the age begins anew", "RFC 9111 §4.2.3":
            get("/").reply(200, &[("cache-control", "max-age=5"), ("etag", "\"a\""), ("age", "4")], "1"), wait(2),
            get("/").reply(304, &[("etag", "\"a\"")], ""), wait(4), get("/").has("age", "4");
        "a no-store in it ends storing", "RFC 9111 §4.3.4":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"a\""), ("cache-control", "no-store")], "").body("1"),
            get("/").reply(200, &[], "2");
    ]);
}

#[test]
fn a_304_of_another_response_updates_nothing() {
    run(rows![
        "another strong tag", "RFC 9111 §4.3.4":
            get("/").reply(200, OLD, "1"), wait(6),
            get("/").reply(304, &[("etag", "\"b\""), ("cache-control", "max-age=60")], "").status(502),
            wait(1), get("/").reply(200, OLD, "2").not_sent("if-none-match");
    ]);
}
