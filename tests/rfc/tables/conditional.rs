//! RFC 9110 §13, RFC 9111 §4.3: conditions, the client's and ours.

use super::*;

const TAGGED: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"a\""),
    ("last-modified", HOUR_AGO),
];
const WEAK: script::Fields = &[("cache-control", "max-age=60"), ("etag", "W/\"a\"")];
const DATED: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("last-modified", HOUR_AGO),
    ("date", DATE_NOW),
];

#[test]
fn a_clients_conditions_are_answered_from_the_store() {
    run(rows![
        "If-None-Match", "RFC 9110 §13.1.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-none-match", "\"a\"").status(304).has("etag", "\"a\"").lacks("content-type");
        "another tag", "RFC 9110 §13.1.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-none-match", "\"b\"").body("1");
        "a list", "RFC 9110 §13.1.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-none-match", "\"b\", W/\"a\"").status(304);
        "any", "RFC 9110 §13.1.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-none-match", "*").status(304);
        "weakly compared", "RFC 9110 §8.8.3.2":
            get("/").reply(200, WEAK, "1"),
            get("/").with("if-none-match", "\"a\"").status(304);
        "If-Modified-Since", "RFC 9110 §13.1.3":
            get("/").reply(200, DATED, "1"),
            get("/").with("if-modified-since", HOUR_AGO).status(304),
            get("/").with("if-modified-since", DAY_AGO).body("1");
        "If-Modified-Since as an RFC 850 date", "RFC 9110 §5.6.7":
            get("/").reply(200, DATED, "1"),
            get("/").with("if-modified-since", "Sunday, 22-Nov-26 23:00:00 GMT").status(304);
        "If-None-Match comes first", "RFC 9110 §13.2.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-none-match", "\"b\"").with("if-modified-since", DATE_NOW).body("1");
        "If-Match is not for a cache", "RFC 9111 §4.3.2":
            get("/").reply(200, TAGGED, "1"),
            get("/").with("if-match", "\"b\"").body("1");
        "only a 200 becomes a 304", "RFC 9110 §15.4.5":
            get("/").reply(404, TAGGED, "1"),
            get("/").with("if-none-match", "\"a\"").status(404).body("1");
        "a HEAD too", "RFC 9110 §13.1.2":
            get("/").reply(200, TAGGED, "1"),
            ask("HEAD", "/").with("if-none-match", "\"a\"").status(304);
    ]);
}

#[test]
fn the_origin_is_asked_by_what_is_stored_and_the_client_answered_by_what_it_has() {
    run(rows![
        "tag and date", "RFC 9111 §4.3.1":
            get("/").reply(200, TAGGED, "1"), wait(61),
            get("/").reply(304, &[], "").body("1").sent("if-none-match", "\"a\"").sent("if-modified-since", HOUR_AGO);
        "date alone", "RFC 9111 §4.3.1":
            get("/").reply(200, DATED, "1"), wait(61),
            get("/").reply(304, &[], "").body("1").sent("if-modified-since", HOUR_AGO).not_sent("if-none-match");
        "never by our own tag", "RFC 9111 §4.3.1":
            get("/").reply(200, &[("cache-control", "max-age=1, stale-if-error=60")], "1"), wait(2),
            get("/").reply(200, &[], "2").not_sent("if-none-match");
        "a client's condition is not forwarded on a miss", "RFC 9111 §4.3.2":
            get("/").with("if-none-match", "\"a\"").reply(200, TAGGED, "1").status(304).not_sent("if-none-match"),
            get("/").body("1");
        "a client that has what is new", "RFC 9111 §4.3.3":
            get("/").reply(200, TAGGED, "1"), wait(61),
            get("/").with("if-none-match", "\"b\"").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"b\"")], "2")
                .status(304).sent("if-none-match", "\"a\""),
            get("/").body("2");
        "a client that has what is freshened", "RFC 9111 §4.3.3":
            get("/").reply(200, TAGGED, "1"), wait(61),
            get("/").with("if-none-match", "\"a\"").reply(304, &[("etag", "\"a\"")], "").status(304),
            get("/").body("1");
        "a full response replaces", "RFC 9111 §4.3.3":
            get("/").reply(200, TAGGED, "1"), wait(61),
            get("/").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"b\"")], "2"),
            get("/").body("2");
        "a server error is passed on where nothing allows stale", "RFC 9111 §4.3.3":
            get("/").reply(200, TAGGED, "1"), wait(61),
            get("/").reply(503, &[], "x"),
            get("/").reply(304, &[], "").body("1");
    ]);
}
