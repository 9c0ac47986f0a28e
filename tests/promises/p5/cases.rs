//! Rule, response and clients of each case.

use tower_tagcache::{Authorization, Cookies, Host, Query, Rule, SetCookie};

use super::Case;

const fn as_is(rule: Rule) -> Rule {
    rule
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Authorization (RFC 9111 §3.5).
    Case {
        name: "an answer to Authorization is nobody else's",
        rule: as_is,
        response: "",
        clients: &[
            ("authorization: a", 1), ("authorization: a", 2), ("authorization: b", 3),
            ("", 4), ("", 4), ("authorization: a", 5),
        ],
        first: "authorization",
    },
    Case {
        name: "a lifetime alone permits nothing",
        rule: as_is,
        response: "cache-control: max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 2), ("", 3)],
        first: "authorization",
    },
    Case {
        name: "upstream's public is its permission",
        rule: as_is,
        response: "cache-control: public, max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "upstream's s-maxage is its permission",
        rule: as_is,
        response: "cache-control: s-maxage=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "upstream's must-revalidate is its permission",
        rule: as_is,
        response: "cache-control: must-revalidate, max-age=60",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "a rule's word that Authorization changes nothing",
        rule: |rule| rule.authorization(Authorization::Ignore),
        response: "",
        clients: &[("authorization: a", 1), ("authorization: b", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "Authorization in the key",
        rule: |rule| rule.authorization(Authorization::Key),
        response: "",
        clients: &[
            ("authorization: a", 1), ("authorization: b", 2), ("authorization: a", 1), ("", 3),
            ("authorization: b", 2), ("", 3),
        ],
        first: "stored",
    },
    Case {
        name: "cookies that are ignored do not open Authorization",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "",
        clients: &[("authorization: a\ncookie: s=1", 1), ("authorization: b", 2), ("cookie: s=1", 3)],
        first: "authorization",
    },
    // Cookies of requests.
    Case {
        name: "a request with a cookie is not the cache's",
        rule: as_is,
        response: "",
        clients: &[("cookie: s=1", 1), ("cookie: s=1", 2), ("", 3), ("", 3), ("cookie: s=1", 4)],
        first: "cookie",
    },
    Case {
        name: "upstream's public does not change that",
        rule: as_is,
        response: "cache-control: public, max-age=60",
        clients: &[("cookie: s=1", 1), ("cookie: s=2", 2), ("", 3)],
        first: "cookie",
    },
    Case {
        name: "cookies that the rule names to be ignored",
        rule: |rule| rule.cookies(Cookies::ignore(["_ga*"])),
        response: "",
        clients: &[("cookie: _ga_X=1", 1), ("", 1), ("cookie: _ga=2; s=1", 2), ("cookie: _ga=2", 1)],
        first: "stored",
    },
    Case {
        name: "a cookie hidden on a second line or behind a comma",
        rule: |rule| rule.cookies(Cookies::ignore(["_ga*"])),
        response: "",
        clients: &[("cookie: _ga=1\ncookie: s=1", 1), ("cookie: _ga=1, s=1", 2), ("", 3)],
        first: "cookie",
    },
    Case {
        name: "cookies in the key",
        rule: |rule| rule.cookies(Cookies::keyed(["s"])),
        response: "",
        clients: &[
            ("cookie: s=1", 1), ("cookie: s=2", 2), ("cookie: s=1", 1), ("", 3),
            ("cookie: s=1; t=1", 4), ("cookie: s=2", 2),
        ],
        first: "stored",
    },
    Case {
        name: "all cookies ignored",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "",
        clients: &[("cookie: s=1", 1), ("cookie: t=2", 1), ("", 1)],
        first: "stored",
    },
    // Responses that say that they are one client's.
    Case {
        name: "a response that sets a cookie",
        rule: as_is,
        response: "set-cookie: id=1\ncache-control: public, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "set-cookie",
    },
    Case {
        name: "a response that sets a cookie, stored without it",
        rule: |rule| rule.set_cookie(SetCookie::Strip),
        response: "set-cookie: id=1",
        clients: &[("", 1), ("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "private",
        rule: as_is,
        response: "cache-control: private, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "a rule's TTL does not go past private",
        rule: |rule| rule.override_upstream(),
        response: "cache-control: private",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "private, named by the rule",
        rule: |rule| rule.ignore_private(),
        response: "cache-control: private",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "a field that is private",
        rule: as_is,
        response: "cache-control: private=\"x-private\", max-age=60\nx-private: 1",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    Case {
        name: "no-store",
        rule: as_is,
        response: "cache-control: no-store",
        clients: &[("", 1), ("", 2)],
        first: "no-store",
    },
    Case {
        name: "a rule's TTL does not go past no-store",
        rule: |rule| rule.override_upstream(),
        response: "cache-control: no-store, max-age=60",
        clients: &[("", 1), ("", 2)],
        first: "no-store",
    },
    Case {
        name: "ignoring no-store does not ignore private",
        rule: |rule| rule.ignore_no_store(),
        response: "cache-control: no-store, private",
        clients: &[("", 1), ("", 2)],
        first: "private",
    },
    Case {
        name: "no-store, named by the rule",
        rule: |rule| rule.ignore_no_store(),
        response: "cache-control: no-store",
        clients: &[("", 1), ("", 1)],
        first: "stored",
    },
    // Vary.
    Case {
        name: "Vary selects",
        rule: as_is,
        response: "vary: accept-language",
        clients: &[
            ("accept-language: en", 1), ("accept-language: de", 2), ("accept-language: en", 1),
            ("accept-language: de", 2), ("", 3), ("accept-language: en", 1),
        ],
        first: "stored",
    },
    Case {
        name: "Vary on any",
        rule: as_is,
        response: "vary: accept, *",
        clients: &[("", 1), ("", 2)],
        first: "vary-any",
    },
    Case {
        name: "Vary on a cookie that the rule ignores",
        rule: |rule| rule.cookies(Cookies::ignore_all()),
        response: "vary: cookie",
        clients: &[("cookie: s=1", 1), ("cookie: s=2", 2), ("cookie: s=1", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "Vary on Authorization that the rule ignores",
        rule: |rule| rule.authorization(Authorization::Ignore),
        response: "vary: authorization",
        clients: &[("authorization: a", 1), ("authorization: b", 2), ("authorization: a", 1)],
        first: "stored",
    },
    // Everything that can change a response is in its key.
    Case {
        name: "a header in the key",
        rule: |rule| rule.header("x-tenant"),
        response: "",
        clients: &[("x-tenant: a", 1), ("x-tenant: b", 2), ("x-tenant: a", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "a header that a tag is made from",
        rule: |rule| rule.tag("tenant:{request.x-tenant}"),
        response: "",
        clients: &[("x-tenant: a", 1), ("x-tenant: b", 2), ("x-tenant: a", 1)],
        first: "stored",
    },
    Case {
        name: "what proxies pass on is in the key unasked",
        rule: as_is,
        response: "",
        clients: &[("", 1), ("x-forwarded-host: evil.example", 2), ("", 1), ("x-original-url: /admin", 3)],
        first: "stored",
    },
    Case {
        name: "unless the rule says that nobody reads it",
        rule: |rule| rule.ignore_header("x-forwarded-host"),
        response: "",
        clients: &[("", 1), ("x-forwarded-host: evil.example", 1)],
        first: "stored",
    },
    Case {
        name: "hosts are apart",
        rule: as_is,
        response: "",
        clients: &[(":host: one.example", 1), (":host: two.example", 2), (":host: ONE.example", 3)],
        first: "stored",
    },
    Case {
        name: "hosts together, if the rule says so",
        rule: |rule| rule.host(Host::Ignore),
        response: "",
        clients: &[(":host: one.example", 1), (":host: two.example", 1)],
        first: "stored",
    },
    Case {
        name: "the query as it was sent",
        rule: as_is,
        response: "",
        clients: &[(":query: user=1", 1), (":query: user=2", 2), (":query: user=1", 1), ("", 3)],
        first: "stored",
    },
    Case {
        name: "the parameters that the rule names",
        rule: |rule| rule.query(Query::allow(["user"])),
        response: "",
        clients: &[(":query: user=1", 1), (":query: user=2", 2), (":query: user=1&utm=x", 1)],
        first: "stored",
    },
    Case {
        name: "a request that would be another method's",
        rule: as_is,
        response: "",
        // RFC 9111 §4.4: it succeeded, so it has invalidated what was stored.
        clients: &[("", 1), ("x-http-method-override: DELETE", 2), ("", 3)],
        first: "stored",
    },
    Case {
        name: "a client cannot ask for what the rule protects",
        rule: as_is,
        response: "",
        clients: &[("", 1), ("cache-control: no-cache", 1), ("pragma: no-cache", 1)],
        first: "stored",
    },
];
