//! RFC 9111 §4.2.3, §5.1: how old a response is.

use super::*;

#[test]
fn the_age_counts_what_came_before_and_is_told() {
    run(rows![
        "Age grows", "RFC 9111 §5.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "10")], "1"),
            wait(5), get("/").has("age", "15"),
            wait(45), get("/").reply(200, &[], "2");
        "an old Date is an age", "RFC 9111 §4.2.3":
            get("/").reply(200, &[("cache-control", "max-age=7200"), ("date", HOUR_AGO)], "1"),
            get("/").has("age", "3600");
        "a Date in the future is none", "RFC 9111 §4.2.3":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("date", IN_AN_HOUR)], "1"),
            wait(1), get("/").has("age", "1");
        "the larger of both", "RFC 9111 §4.2.3":
            get("/").reply(200, &[("cache-control", "max-age=7200"), ("date", HOUR_AGO), ("age", "4000")], "1"),
            get("/").has("age", "4000");
        "a response older than its lifetime is not fresh", "RFC 9111 §4.2":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "60")], "1"),
            get("/").reply(200, &[], "2");
        "an Age too large to hold is a large one", "RFC 9111 §1.2.2":
            get("/").reply(200, &[("cache-control", "max-age=3600"), ("age", "99999999999999999999")], "1"),
            get("/").reply(200, &[], "2");
        "of a list the first counts", "RFC 9111 §5.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "7, 9000")], "1"),
            get("/").has("age", "7");
        "of two lines the first counts", "RFC 9111 §5.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "7"), ("age", "9000")], "1"),
            get("/").has("age", "7");
        "what is no number is ignored", "RFC 9111 §5.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "abc")], "1"),
            get("/").has("age", "0");
        "a negative number is ignored", "RFC 9111 §5.1":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("age", "-7200")], "1"),
            get("/").has("age", "0");
        "a forwarded response keeps its own Age", "RFC 9111 §5.1":
            get("/").reply(200, &[("age", "7")], "1").has("age", "7");
    ]);
}
