//! [`Origins`]: whose pages may ask (Fetch, "CORS protocol").

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, HOST, ORIGIN,
    VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::problem::Problem;
use super::words::FaceWords;
use crate::error::ConfigError;
use crate::spelling::shown;

/// Whose pages may ask, besides those of this host.
#[derive(Debug)]
pub(crate) struct Origins {
    words: FaceWords,
    named: Vec<String>,
}

/// The page that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A program, or a page of this host.
    Own,
    /// A page of this origin, which may.
    Other(HeaderValue),
}

/// What a page of another host may send (Fetch §3.3.3).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preflight {
    pub(crate) methods: &'static str,
    pub(crate) headers: &'static str,
}

impl Origins {
    pub(crate) fn compile(words: FaceWords, named: &[String]) -> Result<Self, ConfigError> {
        for origin in named {
            check(words, origin)?;
        }
        Ok(Self {
            words,
            named: named.to_vec(),
        })
    }

    /// Which page asks, which a browser says (`Origin`).
    pub(crate) fn asker(&self, request: &Parts) -> Result<Asker, Problem> {
        let authority = request.uri.authority().map(|authority| authority.as_str());
        self.asker_at(&request.headers, authority)
    }

    /// Without a `host` of the request's target it is the one that the field `Host` names.
    fn asker_at(&self, headers: &HeaderMap, host: Option<&str>) -> Result<Asker, Problem> {
        let Some(field) = headers.get(ORIGIN) else {
            return Ok(Asker::Own);
        };
        let origin = field.to_str().unwrap_or_default();
        let may = |one: &String| one == "*" || one.eq_ignore_ascii_case(origin);
        // Before the host is looked at: behind a proxy that ends TLS, a page of the same host may be of another origin.
        if self.named.iter().any(may) {
            return Ok(Asker::Other(field.clone()));
        }
        let of_field = headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = host.or(of_field);
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if let (Some(own), Some(authority)) = (own, authority)
            && own.eq_ignore_ascii_case(authority)
        {
            return Ok(Asker::Own);
        }
        let (origin, act) = (shown(origin), self.words.act);
        let detail =
            format!("pages of {origin:?} may not {act}: the operator can add it to `origins`");
        Err(Problem::forbidden(detail))
    }
}

impl Asker {
    /// Lets the page that asks read `response`.
    pub(crate) fn admit<B>(self, response: &mut Response<B>) {
        if let Self::Other(origin) = self {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.append(VARY, HeaderValue::from_static("Origin"));
            // A page of another host reads no field that is not named here, and this one says when to come back.
            let exposed = HeaderValue::from_static("retry-after");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

impl Preflight {
    pub(crate) fn response<B>(self, empty: B) -> Response<B> {
        let mut response = Response::new(empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        for (name, value) in [
            (ALLOW, self.methods),
            (ACCESS_CONTROL_ALLOW_METHODS, self.methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, self.headers),
            (ACCESS_CONTROL_MAX_AGE, "600"),
            (CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn check(words: FaceWords, origin: &str) -> Result<(), ConfigError> {
    let (host, usual) = match origin.strip_prefix("https://") {
        Some(host) => (Some(host), "443"),
        None => (origin.strip_prefix("http://"), "80"),
    };
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    // As a browser writes it: nobody's name, and no port that its scheme has anyway.
    let is_origin = authority.is_some_and(|authority| {
        let port = authority.port();
        !authority.as_str().contains('@') && port.is_none_or(|port| port.as_str() != usual)
    });
    if is_origin || origin == "*" {
        return Ok(());
    }
    let why = "not an origin as browsers write it, such as https://auctions.example, nor *";
    Err(ConfigError::new(words.setting("origins"), why, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: FaceWords = FaceWords {
        table: "live",
        act: "listen",
        act_on: "listen to",
    };

    #[test]
    fn pages_of_other_hosts_may_ask_if_they_are_named() {
        let origins = Origins::compile(WORDS, &["https://a.example".to_owned()]).unwrap();
        let asker = |origin, host| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            headers.insert(HOST, HeaderValue::from_static(host));
            origins.asker_at(&headers, None).ok()
        };
        let other = HeaderValue::from_static("https://a.example");
        assert_eq!(
            asker("https://a.example", "b.example"),
            Some(Asker::Other(other))
        );
        assert_eq!(asker("http://B.example", "b.example"), Some(Asker::Own));
        assert_eq!(asker("http://b.example:81", "b.example"), None);
        assert_eq!(asker("https://a.example.evil", "b.example"), None);
        assert_eq!(asker("null", "b.example"), None);
        let program = origins.asker_at(&HeaderMap::new(), None);
        assert_eq!(program.ok(), Some(Asker::Own));
    }

    #[test]
    fn what_no_browser_writes_is_no_origin() {
        for origin in [
            "a.example",
            "https://",
            "https://a.example/",
            "https://a b",
            "https://a?x",
            "https://u@a",
            "https://a:443",
            "http://a:80",
            "ftp://a",
        ] {
            let refused = Origins::compile(WORDS, &[origin.to_owned()]);
            assert!(refused.is_err(), "{origin}");
        }
    }
}
