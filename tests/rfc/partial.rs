//! RFC 9111 §3.3, §3.4: 206 responses of the origin.

use crate::*;

#[test]
fn a_part_never_stands_for_the_whole() {
    run(rows![
        "a range goes to the origin as it is", "RFC 9110 §14.2":
            get("/").with("range", "bytes=0-4")
                .reply(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-4/10"), ("etag", "\"a\"")], "01234")
                .sent("range", "bytes=0-4"),
            get("/").reply(200, &[("cache-control", "max-age=60"), ("etag", "\"a\"")], "0123456789")
                .not_sent("range").not_sent("if-none-match"),
            get("/").with("range", "bytes=5-").status(206).body("56789");
        "a 206 that nobody asked for", "RFC 9111 §3.3":
            get("/").reply(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-4/10")], "01234"),
            get("/").reply(200, &[], "0123456789");
        "a 206 whose Content-Range its body contradicts", "RFC 9110 §14.4":
            get("/").with("range", "bytes=0-4")
                .reply(206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-5/10"), ("etag", "\"a\"")], "01234"),
            get("/").with("range", "bytes=0-4").reply(206, &[("content-range", "bytes 0-4/10")], "01234");
    ]);
}
