//! An upstream's URL, as operators write it.

use std::net::{Ipv4Addr, SocketAddr};

use http::Uri;
use http::uri::Authority;

use crate::proxy::ProxyError;
use crate::setting::UPSTREAMS;

/// A URL of scheme, host and port.
#[derive(Debug)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) authority: Authority,
    /// As it was written, without what may be secret.
    pub(super) shown: String,
}

impl Url {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(super) fn read(text: &str) -> Result<Self, ProxyError> {
        let shown = masked(text);
        let bad = |what: String| Err(ProxyError::new(what).about(UPSTREAMS, shown.clone()));
        if !text.contains("://") {
            let rest = text.trim_start_matches('/');
            let meant = format!("http://{rest}");
            return match meant.parse::<Uri>() {
                Ok(uri) if uri.authority().is_some() && !text.contains('@') => {
                    bad(format!("the scheme is missing: write {meant:?}, or https"))
                }
                _ => bad("not a URL such as http://127.0.0.1:9000".to_owned()),
            };
        }
        if text.contains('@') {
            return bad(
                "a URL with a user or password: requests pass with the credentials that their clients send; \
                 write it without what stands before the @"
                    .to_owned(),
            );
        }
        // The default has neither scheme nor host.
        let uri = text.parse::<Uri>().unwrap_or_default();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return bad("not a URL such as http://127.0.0.1:9000".to_owned());
        };
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return bad(format!(
                "a URL with a path: requests are sent with the path that their clients ask for; write \
                 \"{scheme}://{authority}\""
            ));
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            authority: authority.clone(),
            shown,
        })
    }

    pub(super) fn bad(&self, what: &str) -> ProxyError {
        ProxyError::new(what).about(UPSTREAMS, self.shown.as_str())
    }

    /// The host, an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    /// The port, if it names one.
    ///
    /// # Errors
    /// It is none: `http` reads an authority with any number of digits, and then finds no port in it.
    pub(super) fn port(&self) -> Result<Option<u16>, ProxyError> {
        let whole = self.authority.as_str();
        let port = whole.strip_prefix(self.authority.host());
        match port.unwrap_or_default().trim_start_matches(':') {
            "" => Ok(None),
            digits => match digits.parse() {
                Ok(port) if port > 0 => Ok(Some(port)),
                _ => Err(self.bad("the port is not from 1 to 65535")),
            },
        }
    }
}

/// Where the upstream at `url` is, if that is written as an address.
///
/// # Errors
/// The URL cannot be used.
pub(in crate::proxy) fn address(url: &str) -> Result<Option<SocketAddr>, ProxyError> {
    let url = Url::read(url)?;
    let usual = if url.scheme == "https" { 443 } else { 80 };
    let port = url.port()?.unwrap_or(usual);
    let ip = match url.host() {
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        host => host.parse().ok(),
    };
    Ok(ip.map(|ip| SocketAddr::new(ip, port)))
}

/// `text` without what may be a password: all up to the last `@`, but for the scheme.
fn masked(text: &str) -> String {
    let Some(at) = text.rfind('@') else {
        return text.to_owned();
    };
    let scheme = text.find("://").map_or(0, |scheme| scheme + 3).min(at);
    format!("{}***{}", &text[..scheme], &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_113_a_url_that_cannot_be_used_says_what_to_write() {
        for (text, expected) in [
            ("127.0.0.1:9000", "write \"http://127.0.0.1:9000\""),
            ("localhost", "write \"http://localhost\""),
            ("//localhost:1", "write \"http://localhost:1\""),
            ("", "not a URL"),
            ("http://", "not a URL"),
            ("http:///x", "not a URL"),
            ("http://h o", "not a URL"),
            ("http://h:1/api", "write \"http://h:1\""),
            ("http://h:1?x", "write \"http://h:1\""),
            ("http://h:1/#x", "write \"http://h:1\""),
            ("http://user:hunter2@h:1", "write it without"),
            ("http://user:hunt@er2@h:1", "write it without"),
            ("user:hunter2@h:1", "not a URL"),
        ] {
            let error = Url::read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunt"), "{text}: {error}");
        }
        for text in ["http://h:65536", "http://h:0", "http://h:99999999"] {
            let error = Url::read(text).and_then(|url| url.port()).unwrap_err();
            assert!(!error.to_string().is_empty(), "{text}");
        }
        for text in ["http://h", "https://h:1/", "http://[::1]:9000", "ftp://h"] {
            Url::read(text).and_then(|url| url.port()).unwrap();
        }
    }
}
