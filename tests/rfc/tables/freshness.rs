//! RFC 9111 §4.2.1, §4.2.2: how long a response is fresh.

use super::*;

#[test]
fn lifetimes_are_taken_in_their_order() {
    run(rows![
        "max-age", "RFC 9111 §4.2.1":
            get("/").reply(200, &[("cache-control", "max-age=60")], "1"),
            wait(59), get("/").body("1"),
            wait(1), get("/").reply(200, &[], "2");
        "s-maxage before max-age", "RFC 9111 §5.2.2.10":
            get("/").reply(200, &[("cache-control", "max-age=1, s-maxage=60")], "1"),
            wait(59), get("/").body("1");
        "max-age before Expires", "RFC 9111 §5.3":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("expires", "0"), ("date", DATE_NOW)], "1"),
            wait(59), get("/").body("1");
        "Expires less Date", "RFC 9111 §4.2.1":
            get("/").reply(200, &[("expires", IN_AN_HOUR), ("date", DATE_NOW)], "1"),
            wait(3599), get("/").body("1"),
            wait(1), get("/").reply(200, &[], "2");
        "Expires: 0 is the past", "RFC 9111 §5.3":
            get("/").reply(200, &[("expires", "0"), ("last-modified", DAY_AGO)], "1"),
            get("/").reply(304, &[], "").body("1");
        "Expires that is no date is the past", "RFC 9111 §5.3":
            get("/").reply(200, &[("expires", "Mon, 23 Nov 2026 01:00:00 UTC")], "1"),
            get("/").reply(200, &[], "2");
        "Expires in the form of RFC 850", "RFC 9110 §5.6.7":
            get("/").reply(200, &[("expires", "Monday, 23-Nov-26 01:00:00 GMT")], "1"),
            wait(60), get("/").body("1");
        "Expires in the form of asctime", "RFC 9110 §5.6.7":
            get("/").reply(200, &[("expires", "Mon Nov 23 01:00:00 2026")], "1"),
            wait(60), get("/").body("1");
        "of two max-age the shorter", "RFC 9111 §4.2.1":
            get("/").reply(200, &[("cache-control", "max-age=60, max-age=5")], "1"),
            wait(6), get("/").reply(200, &[], "2");
        "a lifetime too large to hold is a long one", "RFC 9111 §1.2.2":
            get("/").reply(200, &[("cache-control", "max-age=99999999999999999999")], "1"),
            wait(3600), get("/").body("1");
    ]);
}

#[test]
fn without_a_lifetime_one_is_guessed_where_that_is_allowed() {
    run(rows![
        "a tenth of the time since Last-Modified", "RFC 9111 §4.2.2":
            get("/").reply(200, &[("last-modified", HOUR_AGO), ("date", DATE_NOW)], "1"),
            wait(359), get("/").body("1"),
            wait(1), get("/").reply(304, &[], "").body("1");
        "not for a status that is not heuristically cacheable", "RFC 9111 §4.2.2":
            get("/").reply(201, &[("last-modified", DAY_AGO), ("date", DATE_NOW)], "1"),
            get("/").reply(200, &[], "2");
        "unless it is public", "RFC 9111 §4.2.2":
            get("/").reply(201, &[("last-modified", DAY_AGO), ("date", DATE_NOW), ("cache-control", "public")], "1"),
            wait(60), get("/").status(201).body("1");
        "404 is", "RFC 9110 §15.1":
            get("/").reply(404, &[("last-modified", DAY_AGO), ("date", DATE_NOW)], "1"),
            wait(60), get("/").status(404).body("1");
    ]);
}
