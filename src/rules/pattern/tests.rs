use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;

/// What a route means, written down without regard to speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Literal(char),
    Capture,
    Rest,
}

fn pieces(route: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = route;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.starts_with("{{") || rest.starts_with("}}");
        rest = if first == '{' && !escaped {
            let (name, tail) = rest.split_once('}').expect("a good route");
            let catch_all = name.starts_with("{*");
            pieces.push(if catch_all {
                Piece::Rest
            } else {
                Piece::Capture
            });
            tail
        } else {
            pieces.push(Piece::Literal(first));
            &rest[if escaped { 2 } else { first.len_utf8() }..]
        };
    }
    pieces
}

/// A capture takes the rest of its segment. At the end of a route it takes at least one byte; before
/// a `/` it may be empty, which is how axum 0.8 has it.
fn naive<'p>(pieces: &[Piece], path: &'p str) -> Option<Vec<&'p str>> {
    let Some((first, rest)) = pieces.split_first() else {
        return path.is_empty().then(Vec::new);
    };
    match first {
        Piece::Literal(c) => naive(rest, path.strip_prefix(*c)?),
        Piece::Rest => (!path.is_empty()).then(|| vec![path]),
        Piece::Capture => {
            let end = path.find('/').unwrap_or(path.len());
            if path.is_empty() || (end == 0 && rest.is_empty()) {
                return None;
            }
            let mut taken = vec![&path[..end]];
            taken.extend(naive(rest, &path[end..])?);
            Some(taken)
        }
    }
}

/// The most specific match: where two routes part, a literal beats a capture beats the rest.
fn naive_find<'p>(routes: &[&String], path: &'p str) -> Option<(usize, Vec<&'p str>)> {
    let matches = routes.iter().enumerate().filter_map(|(number, route)| {
        let pieces = pieces(route);
        naive(&pieces, path).map(|taken| (number, pieces, taken))
    });
    let specific = |a: &[Piece], b: &[Piece]| -> Ordering {
        let kind = |piece: &Piece| match piece {
            Piece::Literal(_) => 0,
            Piece::Capture => 1,
            Piece::Rest => 2,
        };
        a.iter().map(kind).cmp(b.iter().map(kind))
    };
    let best = matches.min_by(|(_, a, _), (_, b, _)| specific(a, b));
    best.map(|(number, _, taken)| (number, taken))
}

fn compile(routes: &[&String]) -> Routes {
    let mut set = Routes::default();
    let mut earlier = Vec::new();
    for (number, route) in routes.iter().enumerate() {
        let pattern = Pattern::parse(route).expect("a good route");
        let number = u32::try_from(number).expect("few");
        set.insert(&pattern, number, &earlier).expect("no conflict");
        earlier.push(pattern);
    }
    set
}

/// Those of `routes` that can stand beside the ones before them.
fn compatible(routes: &[String]) -> Vec<&String> {
    let mut set = Routes::default();
    let mut kept = Vec::new();
    for route in routes {
        let pattern = Pattern::parse(route).expect("a good route");
        let number = u32::try_from(kept.len()).expect("few");
        if set.insert(&pattern, number, &[]).is_ok() {
            kept.push(route);
        } else {
            // A refused insertion may leave half of itself behind.
            set = compile(&kept);
        }
    }
    kept
}

fn a_route() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a", "b", "ab", "", "CAP", "aCAP", "abCAP", "{{", "%61",
    ]);
    let end = prop::sample::select(vec!["", "/", "/{*rest}", "/a{*rest}"]);
    (prop::collection::vec(segment, 0..4), end).prop_map(|(segments, end)| {
        let named = segments.iter().enumerate();
        let named = named.map(|(n, s)| format!("/{}", s.replace("CAP", &format!("{{c{n}}}"))));
        let route = named.collect::<String>() + end;
        if route.is_empty() { "/".into() } else { route }
    })
}

fn a_path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a", "b", "ab", "abc", "", "x", "{", "%61", "%2f", "..", ".", "a;b", "A", "a.css", "%00",
    ]);
    prop::collection::vec(segment, 1..5).prop_map(|s| format!("/{}", s.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn safety_14_and_15_routes_match_as_the_naive_matcher_does(
        routes in prop::collection::vec(a_route(), 1..6),
        paths in prop::collection::vec(a_path(), 1..8),
    ) {
        let routes = compatible(&routes);
        let set = compile(&routes);
        for path in &paths {
            let found = set.find(path).map(|(number, captures)| {
                let taken = captures.0.iter().flat_map(Params::iter).map(|(_, value)| value).collect();
                (usize::try_from(number).expect("few"), taken)
            });
            prop_assert_eq!(found, naive_find(&routes, path), "{:?} {}", routes, path);
        }
    }

    #[test]
    fn reading_a_route_never_panics_and_agrees_with_matchit(route in "/[a{}*:/é]{0,12}") {
        let parsed = Pattern::parse(&route);
        let accepted = matchit::Router::new().insert(route.as_str(), ()).is_ok();
        // We refuse a little more: odd names, a name twice, the old notation.
        prop_assert!(parsed.is_err() || accepted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn safety_14_a_rule_matches_what_axum_routes(
        routes in prop::collection::vec(a_route(), 1..5),
        paths in prop::collection::vec(a_path(), 1..6),
    ) {
        let routes = compatible(&routes);
        let set = compile(&routes);
        let mut router = axum::Router::new();
        for (number, route) in routes.iter().enumerate() {
            router = router.route(route, axum::routing::get(move || async move { number.to_string() }));
        }
        for path in &paths {
            let found = set.find(path).map(|(number, _)| number.to_string());
            prop_assert_eq!(found, ask_axum(&router, path), "{:?} {}", routes, path);
        }
    }
}

fn ask_axum(router: &axum::Router, path: &str) -> Option<String> {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let request = http::Request::get(path).body(axum::body::Body::empty());
    let call = router.clone().oneshot(request.expect("a good path"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let response = call.await.expect("axum does not fail");
        let found = response.status() == http::StatusCode::OK;
        let body = response
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes();
        found.then(|| String::from_utf8_lossy(&body).into_owned())
    })
}

#[test]
fn captures_are_decoded_as_axum_does() {
    let routes = ["/a/{one}/{*rest}".to_owned()];
    let set = compile(&routes.iter().collect::<Vec<_>>());
    for (path, one, rest) in [
        ("/a/x/y/z", Some("x"), Some("y/z")),
        ("/a/%41/%2F", Some("A"), Some("/")),
        ("/a/+/x", Some("+"), Some("x")),
        ("/a/%C3%A9/%zz", Some("é"), Some("%zz")),
        ("/a/%FF/x", None, Some("x")),
    ] {
        let (_, captures) = set.find(path).expect(path);
        assert_eq!(captures.get(0).as_deref(), one, "{path}");
        assert_eq!(captures.get(1).as_deref(), rest, "{path}");
        assert_eq!(captures.get(2), None);
    }
}

#[test]
fn a_bad_route_is_quoted_with_its_place() {
    let long: String = (0..26).map(|n| format!("/{{c{n}}}")).collect();
    for (route, message, column) in [
        ("", "a route begins with `/`", 1),
        ("auctions", "a route begins with `/`", 1),
        (
            "/a?b=1",
            "a route has no query (see `Rule::query`) and no fragment",
            3,
        ),
        ("/a\n", "control character", 3),
        ("/a/:id", "a capture is written `{name}` or `{*rest}`", 4),
        ("/*", "a capture is written `{name}` or `{*rest}`", 2),
        ("/é/{id", "unclosed `{` (a literal one is written `{{`)", 4),
        ("/a}", "unopened `}` (a literal one is written `}}`)", 3),
        ("/{}", "a capture without a name", 2),
        ("/{*}", "a capture without a name", 2),
        (
            "/{*a}/b",
            "`{*…}` takes all the rest, nothing can follow it",
            6,
        ),
        (
            "/{a}b",
            "a capture ends its segment: only `/` can follow it",
            5,
        ),
        (
            "/{a}{b}",
            "a capture ends its segment: only `/` can follow it",
            5,
        ),
        (
            "/{a.b}",
            "a capture's name has letters, digits, `_` and `-`",
            4,
        ),
        ("/{a}/{a}", "a capture of this name was there before", 6),
        (&long, "more than 25 captures", 1),
    ] {
        let error = Pattern::parse(route).expect_err(route);
        let expected = format!("route: {message} in {route:?} at column {column}");
        assert_eq!(error.to_string(), expected);
    }
}
