use super::*;
use crate::amount::Period;
use crate::outcome::{Detail, ForwardReason, Why};
use crate::rules::*;
use crate::semantics::StoreSetCookie;
use http::{Request as HttpRequest, StatusCode};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn compile(rules: impl IntoIterator<Item = Rule>) -> Result<(RuleSet, Vec<Warning>), ConfigError> {
    RuleSet::compile(rules.into_iter().collect(), &Defaults::default())
}

fn set(rules: impl IntoIterator<Item = Rule>) -> RuleSet {
    compile(rules).expect("good rules").0
}

fn rule() -> Rule {
    Rule::new("auction", "/auctions/{address}")
}

fn name<'a>(set: &'a RuleSet, method: &Method, path: &'a str) -> Option<String> {
    set.find(method, path)
        .map(|found| found.rule.name().to_string())
}

#[test]
fn the_most_specific_route_wins_whatever_the_order() {
    let rules = || {
        [
            Rule::new("rest", "/auctions/{*rest}"),
            Rule::new("history", "/lots/{address}/price-history"),
            Rule::new("lot", "/lots/{address}"),
            Rule::new("featured", "/lots/featured"),
            Rule::new("list", "/lots"),
        ]
    };
    let mut reversed = rules();
    reversed.reverse();
    for set in [set(rules()), set(reversed)] {
        for (path, expected) in [
            ("/lots", Some("list")),
            ("/lots/", None),
            ("/lots/1", Some("lot")),
            ("/lots/featured", Some("featured")),
            ("/lots/featured/price-history", Some("history")),
            ("/auctions/1/2", Some("rest")),
            ("/auctions/", None),
            ("/", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(
                name(&set, &Method::GET, path).as_deref(),
                expected,
                "{path}"
            );
        }
    }
}

#[test]
fn only_get_and_head_ever_match() {
    let set = set([rule()]);
    for (method, matches) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::POST, false),
        (Method::PUT, false),
        (Method::DELETE, false),
        (Method::OPTIONS, false),
        (Method::CONNECT, false),
        (Method::from_bytes(b"M-SEARCH").expect("a method"), false),
        (Method::from_bytes(b"get").expect("a method"), false),
    ] {
        assert_eq!(
            name(&set, &method, "/auctions/1").is_some(),
            matches,
            "{method}"
        );
    }
}

#[test]
fn safety_14_no_spelling_of_a_path_reaches_a_rule_of_another_route() {
    let set = set([
        Rule::new("me", "/me"),
        Rule::new("style", "/static/{*file}"),
    ]);
    for path in [
        "/me/x.css",
        "/me;x.css",
        "/me%2fx.css",
        "/me%00",
        "/me/",
        "//me",
        "/./me",
        "/x/../me",
        "/me.",
        "/ME",
        "/%6de",
        "/static/",
        "/static",
    ] {
        assert_eq!(name(&set, &Method::GET, path), None, "{path}");
    }
    // The inner service's router takes it for a file as well.
    assert!(name(&set, &Method::GET, "/static/../me").is_some());
}

#[test]
fn a_disabled_rule_keeps_its_route_from_a_broader_one() {
    let set = set([
        Rule::new("all", "/users/{id}"),
        Rule::new("me", "/users/me").enabled(false),
    ]);
    assert_eq!(name(&set, &Method::GET, "/users/1").as_deref(), Some("all"));
    assert_eq!(name(&set, &Method::GET, "/users/me"), None);
}

fn assert_refused(rows: Vec<(Vec<Rule>, &str)>) {
    for (rules, message) in rows {
        let error = compile(rules).map(drop).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_bad_name_or_route_is_quoted() {
    assert_refused(vec![
        (
            vec![rule(), Rule::new("auction", "/x")],
            "rules: rules 1 and 2 have the same name in \"auction\"",
        ),
        (
            vec![rule(), Rule::new("lot", "/auctions/{id}")],
            "rule `lot`, route: rule `auction` has taken this route in \"/auctions/{id}\"",
        ),
        (
            vec![rule(), Rule::new("lot", "/auctions/{*rest}")],
            "rule `lot`, route: rule `auction` has taken this route in \"/auctions/{*rest}\"",
        ),
        (
            vec![Rule::new("x", "/a/{b")],
            "rule `x`, route: unclosed `{` (a literal one is written `{{`) in \"/a/{b\" at column 4",
        ),
        (
            vec![Rule::new("", "/")],
            "rule ``, name: a rule needs a name in \"\"",
        ),
        (
            vec![Rule::new("a ", "/")],
            "rule `a `, name: a name with a space at one end in \"a \"",
        ),
    ]);
    assert!(compile([Rule::new("n".repeat(129), "/")]).is_err());
}

#[test]
fn a_bad_tag_template_is_quoted() {
    assert_refused(vec![
        (
            vec![rule().tag("auction:{adress}")],
            "rule `auction`, tag: unknown capture `adress` (the route has `address`) in \
             \"auction:{adress}\" at column 10",
        ),
        (
            vec![Rule::new("x", "/").tag("a:{b}")],
            "rule `x`, tag: unknown capture `b` (the route has none) in \"a:{b}\" at column 4",
        ),
        (
            vec![rule().tag("a:{address:adress}")],
            "rule `auction`, tag: unknown normaliser `adress` (known are `auto`, `address`, `int`, \
             `lower`, `upper`) in \"a:{address:adress}\" at column 12",
        ),
        (
            vec![rule().tag("a:{request.x y}")],
            "rule `auction`, tag: `x y` is no header name in \"a:{request.x y}\" at column 4",
        ),
        (
            vec![rule().tag("a:{request.cookie}")],
            "rule `auction`, tag: cookies are set by `Rule::cookies` in \"cookie\"",
        ),
        (
            vec![rule().query(Query::ignore()).tag("a:{query.b}")],
            "rule `auction`, query: a tag reads this query parameter, which the rule leaves out of \
             the key in \"b\"",
        ),
    ]);
}

#[test]
fn a_lifetime_or_limit_that_makes_no_sense_is_refused() {
    assert_refused(vec![
        (
            vec![rule().ttl(Duration::ZERO)],
            "rule `auction`, ttl: stores nothing (leave it out to let responses decide, or disable \
             the rule) in \"0s\"",
        ),
        (
            vec![rule().ttl(DAY + SECOND)],
            "rule `auction`, ttl: longer than the lifetime ceiling of 24h in \"86401s\"",
        ),
        (
            vec![rule().ttl_for(404, Duration::MAX)],
            "rule `auction`, ttl_for: longer than the lifetime ceiling of 24h in \
             \"18446744073709551615999999999ns\"",
        ),
        (
            vec![rule().stale_if_error(DAY * 2)],
            "rule `auction`, stale_if_error: longer than the lifetime ceiling of 24h in \"2d\"",
        ),
        (
            vec![rule().ttl_for(304, SECOND)],
            "rule `auction`, ttl_for: a status that answers one request and is never stored in \
             \"304\"",
        ),
        (
            vec![rule().body_limit(0)],
            "rule `auction`, body_limit: stores nothing in \"0\"",
        ),
        (
            vec![rule().body_limit(usize::MAX)],
            "rule `auction`, body_limit: more than the 512 MiB that Redis stores under a key in \
             \"18446744073709551615\"",
        ),
    ]);
}

#[test]
fn a_bad_key_part_or_method_is_refused() {
    assert_refused(vec![
        (
            vec![rule().method("GET").method("POST")],
            "rule `auction`, method: only responses to `GET` are cached, which answer `HEAD` too \
             (RFC 9110 §9.2.3) in \"POST\"",
        ),
        (
            vec![rule().client(ClientPolicy::Set("a\nb".into()))],
            "rule `auction`, client: no header value in \"a\\nb\"",
        ),
        (
            vec![rule().header("x y")],
            "rule `auction`, header: no header name in \"x y\"",
        ),
        (
            vec![rule().header("Authorization")],
            "rule `auction`, header: `Authorization` is set by `Rule::authorization` in \
             \"Authorization\"",
        ),
        (
            vec![rule().ignore_header("accept")],
            "rule `auction`, ignore_header: a header that is not part of the key by itself in \
             \"accept\"",
        ),
        (
            vec![
                rule()
                    .header("X-Forwarded-Host")
                    .ignore_header("x-forwarded-host"),
            ],
            "rule `auction`, ignore_header: it is in the key as well in \"x-forwarded-host\"",
        ),
        (
            vec![rule().tag_headers(["a b"])],
            "rule `auction`, tag_headers: no header name in \"a b\"",
        ),
        (
            vec![rule().cookies(Cookies::ignore(["a*b"]))],
            "rule `auction`, cookies: `*` before the end in \"a*b\" at column 2",
        ),
    ]);
}

#[test]
fn what_works_but_looks_wrong_is_a_warning() {
    let rows = [
        (
            rule().ttl_for(400, SECOND),
            "rule `auction`: status 400 blames the one request; stored, one client's mistake \
             answers all",
        ),
        (
            Rule::new("x", "/caf é"),
            "rule `x`: route \"/caf é\" has ' ', which clients send percent-encoded; paths are \
             matched as they are sent",
        ),
        (
            rule().tag("a").tag("a"),
            "rule `auction`: tag \"a\" is there twice",
        ),
    ];
    for (rule, message) in rows {
        let (_, warnings) = compile([rule]).expect(message);
        let shown: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [message]);
    }
    let (_, warnings) = compile([rule().ttl(SECOND).tag("a:{address}")]).expect("a good rule");
    assert_eq!(warnings, []);
}

#[test]
fn a_rule_without_setters_is_the_safe_one() {
    let (set, _) = compile([rule()]).expect("a good rule");
    let rule = set.iter().next().expect("one rule");
    assert_eq!(rule.ttl(StatusCode::OK), None);
    let settings = &rule.settings;
    assert!(!settings.override_upstream);
    assert!(!settings.ignore_no_store && !settings.ignore_private);
    assert_eq!(settings.stale_while_revalidate, None);
    assert_eq!(settings.stale_if_error, None);
    assert_eq!(settings.authorization, Authorization::Upstream);
    assert_eq!(rule.set_cookie, StoreSetCookie::Refuse);
    assert_eq!(rule.body_limit, 2 * 1024 * 1024);
    assert_eq!(rule.consistency, Consistency::Near);
    assert!(!rule.has_body_tags());
    assert!(!rule.may_store(StatusCode::URI_TOO_LONG), "SAFETY 13");
    assert_eq!(rule.tag_shapes().count(), 0);
}

#[test]
fn what_the_setters_say_is_what_the_compiled_rule_answers() {
    let set = set([rule()
        .ttl(SECOND * 10)
        .ttl_for(404, SECOND)
        .override_upstream()
        .ignore_private()
        .stale_while_revalidate(SECOND * 30)
        .stale_if_error(SECOND * 20)
        .set_cookie(SetCookie::Strip)
        .authorization(Authorization::Ignore)
        .body_limit(7)
        .strict()
        .method("GET")
        .tag("auction:{address:address}")
        .tag("{/id}")]);
    let rule = set.iter().next().expect("one rule");
    assert_eq!(rule.ttl(StatusCode::OK), Some(SECOND * 10));
    assert_eq!(rule.ttl(StatusCode::NOT_FOUND), Some(SECOND));
    let settings = &rule.settings;
    assert!(settings.override_upstream && settings.ignore_private);
    assert!(!settings.ignore_no_store);
    assert_eq!(settings.stale_if_error, Some(Period(SECOND * 20)));
    assert_eq!(rule.set_cookie, StoreSetCookie::Strip);
    assert_eq!(settings.authorization, Authorization::Ignore);
    assert_eq!(rule.body_limit, 7);
    assert_eq!(rule.consistency, Consistency::Strict);
    assert!(rule.has_body_tags());
    let templates: Vec<&str> = rule.tag_shapes().map(|(text, _)| text).collect();
    assert_eq!(templates, ["auction:{address:address}", "{/id}"]);
}

#[test]
fn a_request_has_the_key_the_path_and_the_tags() {
    let set = set([rule().tag("auction:{address}")]);
    let request = |uri: &str, fields: &[(&str, &str)]| {
        let mut message = HttpRequest::get(uri);
        for (name, value) in fields {
            message = message.header(*name, *value);
        }
        let (parts, ()) = message.body(()).expect("a good request").into_parts();
        let found = set.find(&parts.method, parts.uri.path()).expect("a match");
        let mut key = crate::key::KeyBuilder::new();
        let request = found.request(&parts.uri, &parts.headers, &mut key);
        (request, key.finish(), parts)
    };
    let (asked, key, parts) = request("/auctions/%31?x", &[("authorization", "a")]);
    let mut asked = asked.expect("a lookup");
    asked.key = key.clone();
    assert_eq!(&**asked.rule.name(), "auction");
    let rule = Arc::clone(&asked.rule);
    assert!(asked.has_authorization);
    let filled = set.fill_request(asked, &parts.method, &parts.uri, &parts.headers);
    assert_eq!(&*filled.path, "/auctions/%31");
    assert_eq!(filled.asked.key, key);
    assert!(Arc::ptr_eq(&filled.asked.rule, &rule));
    assert!(filled.asked.has_authorization);
    let mut tags = TagSet::implicit("auction", "/auctions/%31");
    tags.add(&crate::tag::Tag::new("auction:1").expect("a tag"))
        .expect("few");
    assert_eq!(filled.tags, Ok(tags));
    let (bypassed, ..) = request("/auctions/1", &[("cookie", "a=b")]);
    assert!(matches!(
        bypassed.expect_err("a bypass").why,
        Why {
            reason: ForwardReason::Bypass,
            detail: Some(Detail::Cookie)
        }
    ));
}
