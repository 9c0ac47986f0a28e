//! RFC 9111 §3, §5.2.2.3: status codes.

use super::*;
use crate::script::Step;

#[test]
fn any_final_status_with_explicit_freshness_is_stored() {
    for status in [
        200, 203, 204, 299, 301, 302, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599,
    ] {
        let steps: [Step; 2] = [
            get("/")
                .reply(status, &[("cache-control", "max-age=60")], "")
                .into(),
            get("/").status(status).into(),
        ];
        run(vec![row("explicit freshness", "RFC 9111 §3", steps)]);
    }
}

#[test]
fn some_are_not_whatever_they_say() {
    for status in [206, 428, 429, 431, 511] {
        let steps: [Step; 2] = [
            get("/")
                .reply(status, &[("cache-control", "max-age=60")], "")
                .into(),
            get("/").reply(200, &[], "2").into(),
        ];
        run(vec![row(
            "never",
            "RFC 9111 §3.3, RFC 6585 §3 to §6",
            steps,
        )]);
    }
}

#[test]
fn must_understand_is_for_statuses_that_are_understood() {
    run(rows![
        "understood, in spite of no-store", "RFC 9111 §5.2.2.3":
            get("/").reply(200, &[("cache-control", "max-age=60, must-understand, no-store")], "1"), get("/").body("1");
        "not understood", "RFC 9111 §5.2.2.3":
            get("/").reply(299, &[("cache-control", "max-age=60, must-understand")], "1"), get("/").reply(200, &[], "2");
    ]);
}
