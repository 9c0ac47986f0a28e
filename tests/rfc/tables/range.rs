//! RFC 9110 §14: parts of a stored 200.

use super::*;

const TEN: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("etag", "\"a\""),
    ("content-type", "text/plain"),
];
const BODY: &str = "0123456789";

#[test]
fn a_stored_response_answers_ranges() {
    run(rows![
        "first and last", "RFC 9110 §14.1.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=2-4").status(206).body("234")
                .has("content-range", "bytes 2-4/10").has("content-length", "3");
        "from", "RFC 9110 §14.1.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=7-").status(206).body("789").has("content-range", "bytes 7-9/10");
        "the last so many", "RFC 9110 §14.1.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=-2").status(206).body("89").has("content-range", "bytes 8-9/10");
        "past the end", "RFC 9110 §15.5.17":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=10-").status(416).body("").has("content-range", "bytes */10").lacks("etag");
        "another unit is ignored", "RFC 9110 §14.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "lines=1-2").status(200).body(BODY);
        "HEAD has none", "RFC 9110 §14.2":
            get("/").reply(200, TEN, BODY),
            ask("HEAD", "/").with("range", "bytes=1-2").status(200);
        "a condition comes first", "RFC 9110 §13.2.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=1-2").with("if-none-match", "\"a\"").status(304);
        "If-Range that holds", "RFC 9110 §13.1.5":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=1-2").with("if-range", "\"a\"").status(206).body("12");
        "If-Range that does not", "RFC 9110 §13.1.5":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=1-2").with("if-range", "\"b\"").status(200).body(BODY);
        "If-Range by a weak tag does not", "RFC 9110 §13.1.5":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=1-2").with("if-range", "W/\"a\"").status(200).body(BODY);
    ]);
}

#[test]
fn lists_of_ranges_are_answered_in_parts_or_with_the_whole() {
    run(rows![
        "one can be satisfied", "RFC 9110 §14.1.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=20-, 1-2").status(206).body("12").has("content-range", "bytes 1-2/10");
        "none can", "RFC 9110 §15.5.17":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=20-,30-").status(416);
        "overlapping", "RFC 9110 §14.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=0-5,4-9").status(200).body(BODY);
        "too many", "RFC 9110 §14.2":
            get("/").reply(200, TEN, BODY),
            get("/").with("range", "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,-0,-0,-0,-0,-0,-0,-0").status(200).body(BODY);
    ]);
}

#[tokio::test]
async fn several_parts_are_a_multipart_with_a_boundary_of_its_own() {
    use bytes::Bytes;
    use http::Request;

    let layer = Layer::rfc9111();
    let request = |range: &str| {
        let request = Request::get("/").header("range", range);
        request.body(Bytes::new()).expect("a request")
    };
    layer.script().answer_next(subject::Reply::Response {
        status: 200,
        fields: TEN,
        body: BODY,
    });
    let whole = layer
        .ask(Request::new(Bytes::new()))
        .await
        .expect("an answer");
    assert_eq!(whole.body(), BODY);
    let answer = layer
        .ask(request("bytes=0-1, -3"))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 206);
    assert!(
        !answer.headers().contains_key("content-range"),
        "RFC 9110 §15.3.7.2"
    );
    let content_type = answer.headers()["content-type"].to_str().expect("text");
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("a multipart");
    let expected = format!(
        "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\
         \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-9/10\r\n\r\n789\
         \r\n--{boundary}--\r\n"
    );
    assert_eq!(answer.body(), expected.as_bytes());
    let length = expected.len().to_string();
    assert_eq!(answer.headers()["content-length"], length.as_str());
}
