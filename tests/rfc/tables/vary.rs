//! RFC 9111 §4.1: variants.

use super::*;

const VARY_A: script::Fields = &[("cache-control", "max-age=60"), ("vary", "a")];

#[test]
fn a_stored_response_answers_only_what_selects_it() {
    run(rows![
        "same value", "RFC 9111 §4.1":
            get("/").with("a", "1").reply(200, VARY_A, "1"), get("/").with("a", "1").body("1");
        "another value", "RFC 9111 §4.1":
            get("/").with("a", "1").reply(200, VARY_A, "1"),
            get("/").with("a", "2").reply(200, VARY_A, "2"),
            get("/").with("a", "1").body("1"),
            get("/").with("a", "2").body("2");
        "absence matches only absence", "RFC 9111 §4.1":
            get("/").reply(200, VARY_A, "1"),
            get("/").with("a", "").reply(200, VARY_A, "2"),
            get("/").body("1");
        "Vary: *", "RFC 9111 §4.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("vary", "*")], "1"),
            get("/").reply(200, &[], "2");
        "* among others", "RFC 9111 §4.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("vary", "a, *")], "1"),
            get("/").reply(200, &[], "2");
        "* on a second line", "RFC 9111 §4.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("vary", "a"), ("vary", "*")], "1"),
            get("/").reply(200, &[], "2");
        "names have no case, lists may be odd", "RFC 9110 §12.5.5":
            get("/").with("a", "1").with("b", "1").reply(200, &[("cache-control", "max-age=60"), ("vary", ",A ,, B")], "1"),
            get("/").with("a", "1").with("b", "1").body("1"),
            get("/").with("a", "1").with("b", "2").reply(200, &[], "2");
        // §4.1 would let both be one. The inner service sees the difference (SAFETY 67). Two lines are two for the
        // layer, and one for the proxy, which sends them on as one.
        "space around commas makes another variant", "RFC 9111 §4.1":
            get("/").with("a", "x,y").reply(200, VARY_A, "1"), get("/").with("a", "x ,  y").reply(200, VARY_A, "2");
        "a variant is revalidated by its own validator", "RFC 9111 §4.3.1":
            get("/").with("a", "1").reply(200, &[("cache-control", "max-age=5"), ("vary", "a"), ("etag", "\"1\"")], "1"),
            get("/").with("a", "2").reply(200, &[("cache-control", "max-age=5"), ("vary", "a"), ("etag", "\"2\"")], "2"),
            wait(6),
            get("/").with("a", "1").reply(304, &[], "").body("1").sent("if-none-match", "\"1\"");
    ]);
}
