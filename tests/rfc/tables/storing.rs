//! RFC 9111 §3: which responses are stored, and what of them.

use super::*;

#[test]
fn what_may_be_stored_is_and_what_may_not_is_not() {
    run(rows![
        "explicit freshness is stored", "RFC 9111 §3":
            get("/").reply(200, &[("cache-control", "max-age=60")], "1"), get("/").body("1");
        "no-store is not", "RFC 9111 §5.2.2.5":
            get("/").reply(200, &[("cache-control", "max-age=60, no-store")], "1"),
            get("/").reply(200, &[], "2");
        "private is not, in a shared cache", "RFC 9111 §5.2.2.7":
            get("/").reply(200, &[("cache-control", "max-age=60, private")], "1"),
            get("/").reply(200, &[], "2");
        "without lifetime and validator there is nothing to reuse", "RFC 9111 §3":
            get("/").reply(200, &[], "1"), get("/").reply(200, &[], "2");
        "without a lifetime a validator is enough", "RFC 9111 §4.3":
            get("/").reply(200, &[("etag", "\"a\"")], "1"),
            get("/").reply(304, &[], "").body("1").sent("if-none-match", "\"a\"");
        "no-cache is stored, and asked about each time", "RFC 9111 §5.2.2.4":
            get("/").reply(200, &[("cache-control", "max-age=60, no-cache"), ("etag", "\"a\"")], "1"),
            get("/").reply(304, &[], "").body("1").sent("if-none-match", "\"a\""),
            get("/").reply(200, &[("cache-control", "no-cache"), ("etag", "\"b\"")], "2")
                .sent("if-none-match", "\"a\""),
            get("/").reply(304, &[], "").body("2").sent("if-none-match", "\"b\"");
        "a POST is not stored, nor answered", "RFC 9111 §3":
            ask("POST", "/").reply(200, &[("cache-control", "max-age=60")], "1"),
            ask("POST", "/").reply(200, &[], "2"),
            get("/").reply(200, &[], "3");
    ]);
}

#[test]
fn fields_of_the_connection_and_withheld_ones_are_not_stored() {
    run(rows![
        "fields that Connection names", "RFC 9111 §3.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("connection", "a"), ("a", "1"), ("b", "2")], "1"),
            get("/").lacks("a").has("b", "2").lacks("connection");
        "Proxy-Authenticate", "RFC 9111 §3.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("proxy-authenticate", "Basic")], "1"),
            get("/").lacks("proxy-authenticate");
        "a field that private names", "RFC 9111 §5.2.2.7":
            get("/").reply(200, &[("cache-control", "max-age=60, private=\"a\""), ("a", "1"), ("b", "2")], "1")
                .has("a", "1"),
            get("/").lacks("a").has("b", "2");
        "a field that no-cache names", "RFC 9111 §5.2.2.4":
            get("/").reply(200, &[("cache-control", "max-age=60, no-cache=\"a\""), ("a", "1"), ("b", "2")], "1"),
            get("/").lacks("a").has("b", "2");
    ]);
}
