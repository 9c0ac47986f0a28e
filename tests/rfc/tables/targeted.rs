//! RFC 9213: fields addressed to this cache.

use super::*;

#[test]
fn the_first_valid_target_decides_and_only_our_own_is_consumed() {
    run(rows![
        "CDN-Cache-Control in place of Cache-Control", "RFC 9213 §2.2":
            get("/").reply(200, &[("cache-control", "no-store"), ("cdn-cache-control", "max-age=60")], "1"),
            get("/").body("1").has("cdn-cache-control", "max-age=60").has("cache-control", "no-store");
        "and of Expires", "RFC 9213 §2.2":
            get("/").reply(200, &[("expires", IN_AN_HOUR), ("cdn-cache-control", "no-store")], "1"),
            get("/").reply(200, &[], "2");
        "wholly", "RFC 9213 §2.2":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("cdn-cache-control", "foo")], "1"),
            get("/").reply(200, &[], "2");
        "our own before it", "RFC 9213 §2.2":
            get("/").reply(200, &[("tagcache-cache-control", "max-age=60"), ("cdn-cache-control", "no-store")], "1")
                .lacks("tagcache-cache-control").has("cdn-cache-control", "no-store"),
            get("/").body("1").lacks("tagcache-cache-control");
        "an invalid one is ignored", "RFC 9213 §2.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("cdn-cache-control", "max-age=0, ;")], "1"),
            get("/").body("1");
        "an empty one is ignored", "RFC 9213 §2.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("cdn-cache-control", "")], "1"),
            get("/").body("1");
        "another's is passed on unheard", "RFC 9213 §2.2":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("other-cache-control", "no-store")], "1"),
            get("/").body("1").has("other-cache-control", "no-store");
        "private in it", "RFC 9213 §2.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("cdn-cache-control", "private, max-age=60")], "1"),
            get("/").reply(200, &[], "2");
        "a 304 brings a new one", "RFC 9111 §3.2":
            get("/").reply(200, &[("cdn-cache-control", "max-age=5"), ("etag", "\"a\"")], "1"), wait(6),
            get("/").reply(304, &[("cdn-cache-control", "max-age=60"), ("etag", "\"a\"")], ""), wait(59),
            get("/").body("1");
    ]);
}
