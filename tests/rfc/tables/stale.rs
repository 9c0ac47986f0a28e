//! RFC 9111 §4.2.4, RFC 5861: stale only where it is allowed.

use super::*;

#[test]
fn stale_is_served_when_the_origin_is_gone_unless_a_directive_forbids_it() {
    run(rows![
        "disconnected", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "max-age=5")], "1"), wait(6),
            get("/").dropped().body("1").has("age", "6");
        "not for ever", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "max-age=5")], "1"), wait(3606),
            get("/").dropped().status(502);
        "must-revalidate", "RFC 9111 §5.2.2.2":
            get("/").reply(200, &[("cache-control", "max-age=5, must-revalidate"), ("etag", "\"a\"")], "1"), wait(6),
            get("/").dropped().status(502);
        "proxy-revalidate", "RFC 9111 §5.2.2.8":
            get("/").reply(200, &[("cache-control", "max-age=5, proxy-revalidate"), ("etag", "\"a\"")], "1"), wait(6),
            get("/").dropped().status(502);
        "s-maxage", "RFC 9111 §5.2.2.10":
            get("/").reply(200, &[("cache-control", "s-maxage=5, stale-if-error=60"), ("etag", "\"a\"")], "1"), wait(6),
            get("/").dropped().status(502);
        "no-cache", "RFC 9111 §5.2.2.4":
            get("/").reply(200, &[("cache-control", "max-age=5, no-cache, stale-if-error=60"), ("etag", "\"a\"")], "1"),
            get("/").dropped().status(502);
        "a server error is an answer", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "max-age=5"), ("etag", "\"a\"")], "1"), wait(6),
            get("/").reply(503, &[], "x");
    ]);
}

#[test]
fn windows_begin_at_the_end_of_freshness() {
    run(rows![
        "stale-if-error, error", "RFC 5861 §4":
            get("/").reply(200, &[("cache-control", "max-age=5, stale-if-error=10")], "1"), wait(14),
            get("/").reply(500, &[], "x").status(200).body("1"),
            wait(1), get("/").reply(500, &[], "x");
        "stale-while-revalidate", "RFC 5861 §3":
            get("/").reply(200, &[("cache-control", "max-age=5, stale-while-revalidate=10")], "1"), wait(14),
            get("/").reply(200, &[("cache-control", "max-age=5")], "2").behind().body("1"),
            get("/").body("2");
        "no stale-while-revalidate after its window", "RFC 5861 §3":
            get("/").reply(200, &[("cache-control", "max-age=5, stale-while-revalidate=10")], "1"), wait(15),
            get("/").reply(200, &[], "2");
        "s-maxage ends stale-while-revalidate", "RFC 9111 §4.2.4":
            get("/").reply(200, &[("cache-control", "s-maxage=5, stale-while-revalidate=10")], "1"), wait(6),
            get("/").reply(200, &[], "2");
    ]);
}
