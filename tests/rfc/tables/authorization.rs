//! RFC 9111 §3.5.

use super::*;

#[test]
fn what_was_asked_for_with_authorization_answers_others_only_where_the_response_allows_it() {
    run(rows![
        "not by itself", "RFC 9111 §3.5":
            get("/").with("authorization", "Bearer a").reply(200, &[("cache-control", "max-age=60")], "1"),
            get("/").reply(200, &[], "2");
        "public", "RFC 9111 §3.5":
            get("/").with("authorization", "Bearer a").reply(200, &[("cache-control", "max-age=60, public")], "1"),
            get("/").with("authorization", "Bearer b").body("1"), get("/").body("1");
        "s-maxage", "RFC 9111 §3.5":
            get("/").with("authorization", "Bearer a").reply(200, &[("cache-control", "s-maxage=60")], "1"),
            get("/").body("1");
        "must-revalidate", "RFC 9111 §3.5":
            get("/").with("authorization", "Bearer a").reply(200, &[("cache-control", "max-age=60, must-revalidate")], "1"),
            get("/").body("1");
        "what was stored without does not answer with", "RFC 9111 §3.5":
            get("/").reply(200, &[("cache-control", "max-age=60")], "1"),
            get("/").with("authorization", "Bearer a").reply(200, &[], "2");
    ]);
}
