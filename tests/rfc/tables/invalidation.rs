//! RFC 9111 §4.4: what unsafe requests invalidate.

use super::*;
use tower_tagcache::{Profile, Rule};

const FRESH: script::Fields = &[("cache-control", "max-age=600")];

#[test]
fn a_successful_unsafe_request_invalidates_its_target() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "UNKNOWN"] {
        run(vec![
            row(
                "the target",
                "RFC 9111 §4.4",
                [
                    get("/a").reply(200, FRESH, "1").into(),
                    get("/a").body("1").into(),
                    ask(method, "/a").reply(200, &[], "done").into(),
                    get("/a").reply(200, FRESH, "2").into(),
                ],
            ),
            row(
                "a redirect is no error",
                "RFC 9111 §4.4",
                [
                    get("/a").reply(200, FRESH, "1").into(),
                    ask(method, "/a")
                        .reply(303, &[("location", "/done")], "")
                        .into(),
                    get("/a").reply(200, FRESH, "2").into(),
                ],
            ),
            row(
                "an error does not",
                "RFC 9111 §4.4",
                [
                    get("/a").reply(200, FRESH, "1").into(),
                    ask(method, "/a").reply(500, &[], "x").into(),
                    ask(method, "/a").reply(404, &[], "x").into(),
                    get("/a").body("1").into(),
                ],
            ),
        ]);
    }
}

#[test]
fn safe_requests_invalidate_nothing() {
    for method in ["OPTIONS", "TRACE", "PROPFIND", "QUERY"] {
        run(vec![row(
            "safe",
            "RFC 9110 §9.2.1",
            [
                get("/a").reply(200, FRESH, "1").into(),
                ask(method, "/a").reply(200, &[], "done").into(),
                get("/a").body("1").into(),
            ],
        )]);
    }
}

#[test]
fn what_the_response_names_goes_too_if_it_has_the_same_origin() {
    run(rows![
        "Location", "RFC 9111 §4.4":
            get("/b").reply(200, FRESH, "1"),
            ask("POST", "/a").reply(201, &[("location", "/b")], ""),
            get("/b").reply(200, FRESH, "2");
        "Content-Location, relative", "RFC 9111 §4.4":
            get("/x/b").reply(200, FRESH, "1"),
            ask("POST", "/x/a").reply(200, &[("content-location", "b?c")], ""),
            get("/x/b").reply(200, FRESH, "2");
        "the same host", "RFC 9111 §4.4":
            get("/b").reply(200, FRESH, "1"),
            ask("POST", "/a").reply(201, &[("location", "http://h.example/b")], ""),
            get("/b").reply(200, FRESH, "2");
        "not another host's", "RFC 9111 §4.4":
            get("/b").reply(200, FRESH, "1"),
            ask("POST", "/a").reply(201, &[("location", "http://other.example/b")], ""),
            get("/b").body("1");
        "a response that names it from another path", "RFC 9111 §4.4":
            get("/c").reply(200, FRESH, "1"),
            ask("POST", "/a").reply(201, &[("location", "/b")], ""),
            get("/c").body("1");
    ]);
}

#[test]
fn a_method_in_a_field_changes_as_one_in_the_request_line() {
    run(rows![
        "X-HTTP-Method-Override", "RFC 9111 §4.4":
            get("/a").reply(200, FRESH, "1"),
            get("/a").with("x-http-method-override", "DELETE").reply(200, &[], "done"),
            get("/a").reply(200, FRESH, "2");
    ]);
}

#[test]
fn only_uris_that_a_rule_takes_are_invalidated() {
    let rule = || Rule::new("a", "/a/{id}").ttl(std::time::Duration::from_secs(60));
    run_on(
        &|| Layer::new(|builder| builder.rule(rule()).profile(Profile::Careful)),
        rows![
            "a rule of the operator's", "RFC 9111 §4.4":
                get("/a/1").reply(200, &[], "1"), get("/a/1").body("1"),
                ask("DELETE", "/a/1").reply(204, &[], ""),
                get("/a/1").reply(200, &[], "2");
            "a path without one", "RFC 9111 §4.4":
                ask("DELETE", "/b").reply(204, &[], "").lacks("cache-status");
        ],
    );
}
