//! The target of a request in one form only: scheme and authority from where they can be trusted,
//! `Host` the same (RFC 9112 §3.2, RFC 9113 §8.3.1). What the key and the upstream read is then the
//! same (SAFETY 9, 17).

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri, Version};

use crate::proxy::refusal::Refusal;

/// The last host that a connection asked for: nearly always the next one too.
#[derive(Debug, Default)]
pub(super) struct LastHost(Option<KnownHost>);

/// A host that was read.
#[derive(Debug)]
struct KnownHost {
    /// As it was sent, and with which scheme.
    sent: Box<[u8]>,
    scheme: Scheme,
    line: HeaderValue,
    authority: Authority,
}

impl LastHost {
    /// `host` as an authority, with the field that says the same: in lower case, and without the port of
    /// the scheme (RFC 9110 §4.2.3). Upstream gets it so too, or its answer to one spelling would be
    /// served for another (SAFETY 67).
    fn read(&mut self, host: &[u8], scheme: &Scheme) -> Result<(HeaderValue, Authority), Refusal> {
        if let Some(known) = &self.0
            && *known.sent == *host
            && known.scheme == *scheme
        {
            return Ok((known.line.clone(), known.authority.clone()));
        }
        let authority = Authority::try_from(host).map_err(|_| Refusal::Host)?;
        // User information in a target is deprecated and a way to hide the host (RFC 9110 §4.2.4).
        let plain = !host.contains(&b'@') && !authority.host().is_empty();
        let port = authority.as_str().len() == authority.host().len() || has_port(&authority);
        if !plain || !port {
            return Err(Refusal::Host);
        }
        let normal = normal(&authority, scheme);
        let line = HeaderValue::try_from(&*normal).map_err(|_| Refusal::Host)?;
        let authority = Authority::try_from(normal).map_err(|_| Refusal::Host)?;
        self.0 = Some(KnownHost {
            sent: host.into(),
            scheme: scheme.clone(),
            line: line.clone(),
            authority: authority.clone(),
        });
        Ok((line, authority))
    }
}

/// What all equivalent spellings have in common (RFC 3986 §6.2.2.1, §6.2.3).
fn normal(authority: &Authority, scheme: &Scheme) -> String {
    let host = authority.host().to_ascii_lowercase();
    let own = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    match authority.port_u16() {
        Some(port) if port != own => format!("{host}:{port}"),
        _ => host,
    }
}

/// Whether what follows the host is a port, which may be empty (RFC 3986 §3.2.3).
fn has_port(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    let digits = rest.and_then(|rest| rest.strip_prefix(':'));
    // `+80` is a number for who parses it, and no port.
    let plain = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    plain && (digits == Some("") || authority.port_u16().is_some())
}

/// Gives the request an absolute target with `scheme`, and the `Host` that belongs to it.
///
/// `fallback` is the host of an HTTP/1.0 request that has none.
///
/// # Errors
/// If the target or `Host` is missing, malformed or ambiguous.
pub(super) fn settle(
    parts: &mut Parts,
    scheme: &Scheme,
    last: &mut LastHost,
    fallback: &Authority,
) -> Result<(), Refusal> {
    if parts.method == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    if more.is_some() {
        return Err(Refusal::Host);
    }
    let (line, authority) = match (parts.uri.authority(), host) {
        // The target decides (RFC 9112 §3.2.2); in HTTP/2 they must agree (RFC 9113 §8.3.1).
        (Some(target), host) => {
            let differ = host.is_some_and(|host| !same(host, target, scheme));
            if differ && parts.version >= Version::HTTP_2 {
                return Err(Refusal::Host);
            }
            if parts.version == Version::HTTP_11 && host.is_none() {
                return Err(Refusal::Host);
            }
            last.read(target.as_str().as_bytes(), scheme)?
        }
        (None, Some(host)) => last.read(host.as_bytes(), scheme)?,
        (None, None) if parts.version == Version::HTTP_10 => {
            last.read(fallback.as_str().as_bytes(), scheme)?
        }
        (None, None) => return Err(Refusal::Host),
    };
    let same_line = host == Some(&line);
    let path = path(parts)?;
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(scheme.clone());
    uri.authority = Some(authority);
    uri.path_and_query = Some(path);
    parts.uri = Uri::from_parts(uri).map_err(|_| Refusal::Target)?;
    if !same_line {
        parts.headers.insert(HOST, line);
    }
    Ok(())
}

fn same(host: &HeaderValue, target: &Authority, scheme: &Scheme) -> bool {
    let host = Authority::try_from(host.as_bytes());
    host.is_ok_and(|host| normal(&host, scheme) == normal(target, scheme))
}

/// The path; `*` only of `OPTIONS` (RFC 9112 §3.2.4).
fn path(parts: &Parts) -> Result<PathAndQuery, Refusal> {
    let path = parts.uri.path_and_query();
    match path.map(PathAndQuery::as_str) {
        Some("*") if parts.method == Method::OPTIONS => Ok(PathAndQuery::from_static("*")),
        Some(text) if text.starts_with('/') => path.cloned().ok_or(Refusal::Target),
        // An absolute target without a path: `/`, or `*` where it is about the server (§3.2.4).
        Some("") | None if parts.uri.scheme().is_some() => Ok(PathAndQuery::from_static(
            if parts.method == Method::OPTIONS {
                "*"
            } else {
                "/"
            },
        )),
        Some(text) if text.starts_with('?') && parts.uri.scheme().is_some() => {
            PathAndQuery::try_from(format!("/{text}")).map_err(|_| Refusal::Target)
        }
        _ => Err(Refusal::Target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    type Expected = Result<(&'static str, &'static str), Refusal>;

    fn settled(
        version: Version,
        method: &str,
        target: &str,
        hosts: &[&str],
    ) -> Result<(String, String), Refusal> {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let fallback = Authority::from_static("fallback");
        settle(
            &mut parts,
            &Scheme::HTTP,
            &mut LastHost::default(),
            &fallback,
        )?;
        let host = parts.headers[HOST].to_str().unwrap().to_owned();
        Ok((parts.uri.to_string(), host))
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn safety_9_scheme_and_host_of_the_target_are_those_of_the_connection() {
        let rows: [(Version, &str, &str, &[&str], Expected); 25] = [
            (
                Version::HTTP_11,
                "GET",
                "/a?b",
                &["x"],
                Ok(("http://x/a?b", "x")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:80"],
                Ok(("http://x/a", "x")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["X.Example:080"],
                Ok(("http://x.example/a", "x.example")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:0443"],
                Ok(("http://x:443/a", "x:443")),
            ),
            (
                Version::HTTP_2,
                "GET",
                "https://X:80/a",
                &["x"],
                Ok(("http://x/a", "x")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:"],
                Ok(("http://x/a", "x")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["[::1]:8"],
                Ok(("http://[::1]:8/a", "[::1]:8")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "//y/a",
                &["x"],
                Ok(("http://x//y/a", "x")),
            ),
            // RFC 9112 §3.2.2: the absolute form decides, and the scheme is that of the connection.
            (
                Version::HTTP_11,
                "GET",
                "https://y/a",
                &["x"],
                Ok(("http://y/a", "y")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "http://y",
                &["x"],
                Ok(("http://y/", "y")),
            ),
            (
                Version::HTTP_11,
                "GET",
                "http://y/a",
                &[],
                Err(Refusal::Host),
            ),
            (
                Version::HTTP_11,
                "GET",
                "http://u@y/a",
                &["y"],
                Err(Refusal::Host),
            ),
            (Version::HTTP_11, "GET", "/a", &[], Err(Refusal::Host)),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x", "x"],
                Err(Refusal::Host),
            ),
            (Version::HTTP_11, "GET", "/a", &["x/y"], Err(Refusal::Host)),
            (Version::HTTP_11, "GET", "/a", &["x y"], Err(Refusal::Host)),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:port"],
                Err(Refusal::Host),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:+80"],
                Err(Refusal::Host),
            ),
            (
                Version::HTTP_11,
                "GET",
                "/a",
                &["x:65536"],
                Err(Refusal::Host),
            ),
            (Version::HTTP_11, "GET", "/a", &[""], Err(Refusal::Host)),
            (
                Version::HTTP_10,
                "GET",
                "/a",
                &[],
                Ok(("http://fallback/a", "fallback")),
            ),
            (
                Version::HTTP_2,
                "GET",
                "https://x/a",
                &[],
                Ok(("http://x/a", "x")),
            ),
            (
                Version::HTTP_2,
                "GET",
                "http://x/a",
                &["y"],
                Err(Refusal::Host),
            ),
            (Version::HTTP_11, "GET", "*", &["x"], Err(Refusal::Target)),
            (
                Version::HTTP_11,
                "CONNECT",
                "x:443",
                &["x:443"],
                Err(Refusal::Connect),
            ),
        ];
        for (version, method, target, hosts, expected) in rows {
            let found = settled(version, method, target, hosts);
            let expected = expected.map(|(uri, host)| (uri.to_owned(), host.to_owned()));
            assert_eq!(found, expected, "{version:?} {method} {target} {hosts:?}");
        }
    }

    #[test]
    fn a_question_about_the_server_keeps_its_star() {
        assert!(settled(Version::HTTP_11, "OPTIONS", "*", &["x"]).is_ok());
    }
}
