//! RFC 9111 §5.2, §5.4: odd spellings.

use super::*;

#[test]
fn directives_are_read_however_they_are_spelled() {
    run(rows![
        "case", "RFC 9111 §5.2":
            get("/").reply(200, &[("cache-control", "MaX-aGe=60")], "1"), get("/").body("1");
        "quoted", "RFC 9111 §5.2":
            get("/").reply(200, &[("cache-control", "max-age=\"60\"")], "1"), get("/").body("1");
        "on two lines", "RFC 9110 §5.3":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("cache-control", "no-store")], "1"),
            get("/").reply(200, &[], "2");
        "unknown ones are ignored", "RFC 9111 §5.2.3":
            get("/").reply(200, &[("cache-control", "foo, bar=\"max-age=1, no-store\", max-age=60")], "1"),
            wait(5), get("/").body("1");
        "empty members are ignored", "RFC 9110 §5.6.1.2":
            get("/").reply(200, &[("cache-control", ", ,max-age=60,")], "1"), get("/").body("1");
        "a lifetime that is no number is zero", "RFC 9111 §4.2.1":
            get("/").reply(200, &[("cache-control", "max-age=a60"), ("expires", IN_AN_HOUR)], "1"),
            get("/").reply(200, &[], "2");
        "a directive inside a quoted text is none", "RFC 9110 §5.6.4":
            get("/").reply(200, &[("cache-control", "ext=\"a, max-age=60\"")], "1"),
            get("/").reply(200, &[], "2");
        "Pragma in a response does not forbid", "RFC 9111 §5.4":
            get("/").reply(200, &[("cache-control", "max-age=60"), ("pragma", "no-cache")], "1"),
            get("/").body("1");
        "immutable counts only while fresh", "RFC 8246 §2":
            get("/").reply(200, &[("cache-control", "max-age=60, immutable")], "1"),
            wait(30), get("/").with("cache-control", "max-age=0").body("1"),
            wait(31), get("/").reply(200, &[], "2");
    ]);
}
