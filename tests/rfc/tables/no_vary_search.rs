//! No-Vary-Search (draft-ietf-httpbis-no-vary-search), where a rule opts in.

use super::*;
use tower_tagcache::Rule;

const ORDER: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("no-vary-search", "key-order"),
];
const TRACKING: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("no-vary-search", "params=(\"utm\")"),
];
const EXCEPT: script::Fields = &[
    ("cache-control", "max-age=60"),
    ("no-vary-search", "params, except=(\"id\")"),
];
const PLAIN: script::Fields = &[("cache-control", "max-age=60")];

fn opted_in() -> Layer {
    Layer::new(|builder| builder.rule(Rule::new("a", "/{*path}").no_vary_search()))
}

#[test]
fn a_response_answers_urls_that_differ_in_what_it_says_makes_no_difference() {
    run_on(
        &opted_in,
        rows![
            "key-order", "No-Vary-Search §3":
                get("/a?x=1&y=2").reply(200, ORDER, "1"), get("/a?y=2&x=1").body("1"),
                get("/a?y=2&x=2").reply(200, ORDER, "2");
            "params", "No-Vary-Search §3":
                get("/a?id=1&utm=x").reply(200, TRACKING, "1"), get("/a?id=1").body("1"), get("/a?utm=y&id=1").body("1"),
                get("/a?id=2").reply(200, TRACKING, "2"), get("/a?id=1&utm=z").body("1");
            "except", "No-Vary-Search §3":
                get("/a?id=1&b=2").reply(200, EXCEPT, "1"), get("/a?c=3&id=1").body("1"),
                get("/a?id=2").reply(200, EXCEPT, "2");
            "not another path's", "No-Vary-Search §3":
                get("/a?utm=1").reply(200, TRACKING, "1"), get("/b?utm=2").reply(200, PLAIN, "2");
            "the last response decides", "No-Vary-Search §3":
                get("/a?utm=1").reply(200, TRACKING, "1"), get("/a?id=1").reply(200, PLAIN, "2"),
                get("/a?utm=2").reply(200, PLAIN, "3");
            "Vary counts as well", "RFC 9111 §4.1":
                get("/a?utm=1").with("b", "1")
                    .reply(200, &[("cache-control", "max-age=60"), ("vary", "b"), ("no-vary-search", "params=(\"utm\")")], "1"),
                get("/a?utm=2").with("b", "1").body("1"),
                get("/a?utm=2").with("b", "2").reply(200, PLAIN, "2");
        ],
    );
}

#[test]
fn nobody_hears_it_without_the_rules_word() {
    run(rows![
        "the implicit rule", "No-Vary-Search §3":
            get("/a?x=1&y=2").reply(200, ORDER, "1").has("no-vary-search", "key-order"),
            get("/a?y=2&x=1").reply(200, ORDER, "2");
    ]);
}

#[tokio::test]
async fn a_purge_of_the_path_takes_what_answers_other_urls_too() {
    let layer = opted_in();
    let ask = async |target: &str| {
        let request = http::Request::get(target)
            .body(bytes::Bytes::new())
            .expect("a request");
        let answer = layer.ask(request).await;
        layer.settle().await;
        answer
    };
    layer.script().answer_next(subject::Reply::Response {
        status: 200,
        fields: TRACKING,
        body: "1",
    });
    ask("/a?utm=1").await.expect("stored");
    ask("/a?utm=2").await.expect("a hit");
    layer.purger().url("/a").await.expect("purged");
    assert!(
        ask("/a?utm=2").await.is_err(),
        "the origin is asked, and has no more answers"
    );
}
