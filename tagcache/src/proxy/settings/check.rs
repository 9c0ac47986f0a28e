//! Settings that a proxy cannot work with, found before anything listens.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tower_tagcache::Setting;

use crate::proxy::error::nonzero;
use crate::proxy::ports::{clash, takes};
use crate::proxy::upstream::address;
use crate::proxy::{ProxyError, ProxySettings};
use crate::setting::{ACCESS_LOG_PATH, LISTEN, UPSTREAMS, health, limit, proxy, timeout};

impl ProxySettings {
    /// Whether the bounds leave room to work in, and the listeners are apart.
    pub(in crate::proxy) fn check(&self) -> Result<(), ProxyError> {
        let name = &self.name;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            let message = "not made of letters, digits and -._~";
            return Err(ProxyError::new(message).about(proxy("name"), name));
        }
        self.codings()?;
        self.check_limits()?;
        self.check_timeouts()?;
        if let Some(log) = &self.access_log {
            nonzero(
                Setting::of("proxy.access_log", "one_in").called("access_log one_in"),
                log.one_in == 0,
            )?;
            let folder = log
                .path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if log.path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
                let message = "a file cannot be made there";
                let error = ProxyError::new(message);
                return Err(error.about(ACCESS_LOG_PATH, log.path.display().to_string()));
            }
        }
        if let Some(path) = &self.health.path
            && (!path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err())
        {
            let message = "not a path, which begins with `/`: the upstream would never be well";
            return Err(ProxyError::new(message).about(health("path"), path));
        }
        for (place, listen) in self.listen.iter().enumerate() {
            let earlier = &self.listen[..place];
            if earlier
                .iter()
                .any(|other| clash(other.address, listen.address))
            {
                let message = "another listener has this port";
                return Err(ProxyError::new(message).about(LISTEN, listen.address.to_string()));
            }
        }
        Ok(())
    }

    /// Whether an upstream is the proxy itself, as far as addresses tell. In a circle through others each request
    /// is answered 508.
    ///
    /// # Errors
    /// Which one.
    pub fn check_circle(&self) -> Result<(), ProxyError> {
        self.upstreams.iter().try_for_each(|upstream| {
            let own = address(&upstream.url)?;
            let own =
                own.filter(|own| self.listen.iter().any(|listen| takes(listen.address, *own)));
            own.map_or(Ok(()), |_| {
                let message = "this is where the proxy itself listens: it would ask itself";
                Err(ProxyError::new(message).about(UPSTREAMS, upstream.url.as_str()))
            })
        })
    }

    /// The content codings as they are asked for.
    pub(in crate::proxy) fn codings(&self) -> Result<Arc<[HeaderValue]>, ProxyError> {
        let coding = |name: &String| {
            let letter =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let named = name != "identity" && !name.is_empty() && name.bytes().all(letter);
            let value = HeaderValue::from_str(name).ok().filter(|_| named);
            value.ok_or_else(|| {
                let message = "no content coding, such as `gzip`, `br` or `zstd`";
                ProxyError::new(message).about(proxy("accept_encoding"), name)
            })
        };
        self.accept_encoding.iter().map(coding).collect()
    }

    fn check_limits(&self) -> Result<(), ProxyError> {
        let limits = &self.limits;
        for (name, value) in [
            ("connections", limits.connections),
            ("head_fields", limits.head_fields),
            ("streams", limits.streams as usize),
            ("upstream_requests", limits.upstream_requests),
            ("attempts", limits.attempts),
        ] {
            nonzero(limit(name), value == 0)?;
        }
        if limits.head_bytes < 8 * 1024 {
            let message = "fewer than the 8192 bytes that a head needs";
            let error = ProxyError::new(message);
            return Err(error.about(limit("head_bytes"), limits.head_bytes.to_string()));
        }
        Ok(())
    }

    fn check_timeouts(&self) -> Result<(), ProxyError> {
        let timeouts = &self.timeouts;
        let is_zero = |(setting, time): (Setting, Duration)| nonzero(setting, time.is_zero());
        [
            (timeout("client_handshake"), timeouts.client_handshake),
            (timeout("client_head"), timeouts.client_head),
            (timeout("client_body"), timeouts.client_body),
            (timeout("client_write"), timeouts.client_write),
            (timeout("client_idle"), timeouts.client_idle),
            (timeout("connect"), timeouts.connect),
            (timeout("handshake"), timeouts.handshake),
            (timeout("response_head"), timeouts.response_head),
            (timeout("response_body"), timeouts.response_body),
            (timeout("tunnel_idle"), timeouts.tunnel_idle),
            (health("interval"), self.health.interval),
        ]
        .into_iter()
        .try_for_each(is_zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_113_bounds_without_room_and_addresses_in_a_circle_are_refused() {
        type Change = fn(&mut ProxySettings);
        let cases: [(&str, Change); 8] = [
            ("attempts", |to| to.limits.attempts = 0),
            ("streams", |to| to.limits.streams = 0),
            ("head_bytes", |to| to.limits.head_bytes = 100),
            ("response_head", |to| {
                to.timeouts.response_head = Duration::ZERO
            }),
            ("interval", |to| to.health.interval = Duration::ZERO),
            ("path", |to| to.health.path = Some("healthz".to_owned())),
            ("name", |to| to.name = "a b".to_owned()),
            ("listen", |to| to.listen.push(to.listen[0].clone())),
        ];
        for (setting, change) in cases {
            let mut settings = ProxySettings::new("http://127.0.0.1:9000");
            settings.check().unwrap();
            change(&mut settings);
            let error = settings.check().unwrap_err();
            assert_eq!(
                error.setting().map(|(setting, _)| setting.as_str()),
                Some(setting),
                "{error}"
            );
        }
        let circle = ProxySettings::new("http://127.0.0.1:8080").check_circle();
        assert!(circle.is_err());
    }
}
