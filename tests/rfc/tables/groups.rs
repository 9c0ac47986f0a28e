//! RFC 9875: cache groups.

use super::*;

const ONE: script::Fields = &[
    ("cache-control", "max-age=600"),
    ("cache-groups", "\"one\", \"shared\""),
];
const TWO: script::Fields = &[
    ("cache-control", "max-age=600"),
    ("cache-groups", "\"two\", \"shared\""),
];

#[test]
fn a_group_is_invalidated_by_the_response_to_an_unsafe_request() {
    run(rows![
        "its members and no others", "RFC 9875 §3":
            get("/1").reply(200, ONE, "1"), get("/2").reply(200, TWO, "2"),
            ask("POST", "/x").reply(200, &[("cache-group-invalidation", "\"one\"")], ""),
            get("/2").body("2"),
            get("/1").reply(200, ONE, "3");
        "several", "RFC 9875 §3":
            get("/1").reply(200, ONE, "1"), get("/2").reply(200, TWO, "2"),
            ask("POST", "/x").reply(200, &[("cache-group-invalidation", "\"none\", \"shared\"")], ""),
            get("/1").reply(200, ONE, "3"), get("/2").reply(200, TWO, "4");
        "names have case", "RFC 9875 §2":
            get("/1").reply(200, ONE, "1"),
            ask("POST", "/x").reply(200, &[("cache-group-invalidation", "\"One\"")], ""),
            get("/1").body("1");
        "ignored on a safe method", "RFC 9875 §3":
            get("/1").reply(200, ONE, "1"),
            get("/x").reply(200, &[("cache-group-invalidation", "\"one\"")], ""),
            get("/1").body("1");
        "ignored on an error", "RFC 9111 §4.4":
            get("/1").reply(200, ONE, "1"),
            ask("POST", "/x").reply(500, &[("cache-group-invalidation", "\"one\"")], ""),
            get("/1").body("1");
        "what is no list of strings is ignored", "RFC 9875 §2":
            get("/1").reply(200, ONE, "1"),
            ask("POST", "/x").reply(200, &[("cache-group-invalidation", "one, \"one\"")], ""),
            get("/1").body("1");
        "another origin's group of the same name", "RFC 9875 §2":
            get("http://a.example/1").reply(200, ONE, "1"),
            ask("POST", "http://b.example/x").reply(200, &[("cache-group-invalidation", "\"one\"")], ""),
            get("http://a.example/1").body("1");
        "the fields are passed on", "RFC 9875 §2":
            get("/1").reply(200, ONE, "1").has("cache-groups", "\"one\", \"shared\"");
    ]);
}
