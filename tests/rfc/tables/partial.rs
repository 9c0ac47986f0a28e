//! RFC 9111 §3.3, §3.4: 206 responses of the origin.

use super::*;

const FIRST: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 0-4/10"),
    ("etag", "\"a\""),
];
const SECOND: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 5-9/10"),
    ("etag", "\"a\""),
];
const OTHER: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 5-9/10"),
    ("etag", "\"b\""),
];
const WEAK: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 0-4/10"),
    ("etag", "W/\"a\""),
];
const LYING: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 0-5/10"),
    ("etag", "\"a\""),
];
const BARE: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("content-range", "bytes 5-9/10"),
];
const WHOLE: script::Fields = &[("cache-control", "max-age=60"), ("etag", "\"a\"")];

#[test]
fn a_part_answers_what_it_covers_and_nothing_else() {
    run(rows![
        "the same range", "RFC 9111 §3.3":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234").sent("range", "bytes=0-4"),
            get("/").with("range", "bytes=0-4").status(206).body("01234").has("content-range", "bytes 0-4/10");
        "a smaller one", "RFC 9111 §3.3":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            get("/").with("range", "bytes=1-2").status(206).body("12").has("content-range", "bytes 1-2/10").has("content-length", "2");
        "a suffix, as the length is known", "RFC 9111 §3.3":
            get("/").with("range", "bytes=5-").reply(206, SECOND, "56789"),
            get("/").with("range", "bytes=-2").status(206).body("89");
        "not one that reaches further", "RFC 9111 §3.3":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            get("/").with("range", "bytes=4-6").reply(206, SECOND, "56789");
        "not the whole", "RFC 9111 §3.3":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            get("/").reply(200, WHOLE, "0123456789").not_sent("range"),
            get("/").with("range", "bytes=5-").status(206).body("56789");
        "not once it is stale", "RFC 9111 §4.2":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"), wait(61),
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "abcde");
        "not after an unsafe request", "RFC 9111 §4.4":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            ask("POST", "/").reply(200, &[], ""),
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "abcde");
        "without a strong validator as well", "RFC 9111 §3.3":
            get("/").with("range", "bytes=0-4").reply(206, WEAK, "01234"),
            get("/").with("range", "bytes=1-2").status(206).body("12");
        "and without any", "RFC 9111 §3.3":
            get("/").with("range", "bytes=5-9").reply(206, BARE, "56789"),
            get("/").with("range", "bytes=-1").status(206).body("9");
        "a 206 that nobody asked for is not stored", "RFC 9111 §3.3":
            get("/").reply(206, FIRST, "01234"),
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234");
        "nor one that its body contradicts", "RFC 9110 §14.4":
            get("/").with("range", "bytes=0-5").reply(206, LYING, "01234"),
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234");
        "a whole 200 to a range is stored", "RFC 9110 §14.2":
            get("/").with("range", "bytes=0-4").reply(200, WHOLE, "0123456789"),
            get("/").body("0123456789");
    ]);
}

#[test]
fn parts_with_the_same_strong_validator_are_combined() {
    run(rows![
        "into the whole", "RFC 9111 §3.4":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            get("/").with("range", "bytes=5-9").reply(206, SECOND, "56789"),
            get("/").status(200).body("0123456789").has("content-length", "10").lacks("content-range"),
            get("/").with("range", "bytes=3-6").status(206).body("3456");
        "not of another representation", "RFC 9111 §3.4":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            get("/").with("range", "bytes=5-9").reply(206, OTHER, "fghij"),
            get("/").with("range", "bytes=5-6").status(206).body("fg"),
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234");
        "not without a strong validator", "RFC 9111 §3.4":
            get("/").with("range", "bytes=0-4").reply(206, WEAK, "01234"),
            get("/").with("range", "bytes=5-9").reply(206, BARE, "56789"),
            get("/").with("range", "bytes=6-7").status(206).body("67"),
            get("/").reply(200, WHOLE, "0123456789").not_sent("range");
        "not over a purge", "RFC 9111 §4.4":
            get("/").with("range", "bytes=0-4").reply(206, FIRST, "01234"),
            ask("POST", "/").reply(200, &[], ""),
            get("/").with("range", "bytes=5-9").reply(206, SECOND, "56789"),
            get("/").reply(200, WHOLE, "abcdefghij");
        "a part that is the whole", "RFC 9111 §3.4":
            get("/").with("range", "bytes=0-")
                .reply(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-9/10"), ("etag", "\"a\"")], "0123456789"),
            get("/").status(200).body("0123456789");
    ]);
}
