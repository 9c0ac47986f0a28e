//! What an unsafe request invalidates beside its own target (RFC 9111 §4.4).

use http::header::{CONTENT_LOCATION, HeaderMap, LOCATION};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};

/// Whether a request with this method may change what a `GET` of the same URI answers: every one
/// that is not known to be safe (RFC 9110 §9.2.1 and the registry of methods).
pub(crate) fn is_unsafe(method: &Method) -> bool {
    let safe = [
        "GET", "HEAD", "OPTIONS", "TRACE", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH",
    ];
    // A tunnel has no target that could be stored.
    method != Method::CONNECT && !safe.contains(&method.as_str())
}

/// RFC 9111 §4.4: only a response that is no error invalidates.
pub(crate) fn is_non_error(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// The paths that `Location` and `Content-Location` name, where they have the origin of `target`,
/// whose host is `host`. Other origins' are not ours to invalidate.
pub(crate) fn named_paths(
    response: &HeaderMap,
    target: &Uri,
    host: Option<&str>,
) -> impl Iterator<Item = String> {
    [LOCATION, CONTENT_LOCATION]
        .into_iter()
        .filter_map(move |name| {
            let value = response.get(name)?.to_str().ok()?;
            path_of(value.trim(), target, host)
        })
}

/// The path of a reference resolved against `target` (RFC 3986 §5.2); `None` for another origin.
fn path_of(reference: &str, target: &Uri, host: Option<&str>) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let (scheme, rest) = match reference.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
        _ => (None, reference),
    };
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            if !same_origin(scheme, authority, target, host) {
                return None;
            }
            if path.starts_with('/') { path } else { "/" }
        }
        // `scheme:path` has no authority, hence no host to share.
        None if scheme.is_some() => return None,
        None => rest,
    };
    let path = path.split('?').next().unwrap_or_default();
    Some(if path.is_empty() {
        target.path().to_owned()
    } else if path.starts_with('/') {
        without_dots(path)
    } else {
        let (directory, _) = target.path().rsplit_once('/').unwrap_or_default();
        without_dots(&format!("{directory}/{path}"))
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Where a scheme or port is not known, as behind a proxy that ends TLS, the host decides.
fn same_origin(scheme: Option<&str>, authority: &str, target: &Uri, host: Option<&str>) -> bool {
    let ours = target.scheme_str();
    if let (Some(theirs), Some(ours)) = (scheme, ours)
        && !theirs.eq_ignore_ascii_case(ours)
    {
        return false;
    }
    let port = match scheme.or(ours) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => ":443",
        _ => ":80",
    };
    let plain = |authority: &str| {
        authority
            .strip_suffix(port)
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    let own = target.authority().map(Authority::as_str).or(host);
    own.is_some_and(|own| plain(own) == plain(authority))
}

/// RFC 3986 §5.2.4, of an absolute path.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let last = segments.clone().count() - 1;
    for (place, segment) in segments.enumerate() {
        match segment {
            "." if place == last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if place == last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_other_origins_left_alone() {
        let target: Uri = "/a/b?q=1".parse().unwrap();
        let rows: &[(&str, Option<&str>)] = &[
            ("/x", Some("/x")),
            ("/x?y#z", Some("/x")),
            ("c", Some("/a/c")),
            ("./c", Some("/a/c")),
            ("../c", Some("/c")),
            ("../../../c/.", Some("/c/")),
            ("?page=2", Some("/a/b")),
            ("", Some("/a/b")),
            ("http://h.example/x", Some("/x")),
            ("http://H.example:80/x", Some("/x")),
            ("https://h.example", Some("/")),
            ("//h.example?x", Some("/")),
            ("http://h.example:8080/x", None),
            ("http://other.example/x", None),
            ("http://u@h.example/x", None),
            ("mailto:a@h.example", None),
        ];
        for (reference, expected) in rows {
            let found = path_of(reference, &target, Some("h.example"));
            assert_eq!(found.as_deref(), *expected, "{reference}");
        }
        let secure: Uri = "https://h.example/a".parse().unwrap();
        assert_eq!(path_of("http://h.example/x", &secure, None), None);
        assert_eq!(
            path_of("https://h.example:443/x", &secure, None).as_deref(),
            Some("/x")
        );
    }

    #[test]
    fn methods_not_known_to_be_safe_are_unsafe() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO", "get"] {
            assert!(is_unsafe(&method.parse().unwrap()), "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "CONNECT"] {
            assert!(!is_unsafe(&method.parse().unwrap()), "{method}");
        }
    }
}
