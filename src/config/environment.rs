//! The environment laid over the file.

use std::str::FromStr;
use std::time::Duration;

use super::error::ConfigFileError;
use super::{Config, Mode, Period, Secret};

type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Lets each variable that is set beat its key.
pub(super) fn lay_over(config: &mut Config, env: Env<'_>) -> Result<(), ConfigFileError> {
    let variables = Variables(env);
    variables.parsed("MODE", "\"dev\", \"prod\" or \"mock\"", &mut config.mode)?;
    config.redis.url = url(config, &variables)?;
    let (redis, cache) = (&mut config.redis, &mut config.cache);
    let connections = &mut redis.max_connections;
    variables.parsed("REDIS_MAX_CONNECTIONS", "a whole number", connections)?;
    variables.seconds("REDIS_TIMEOUT", &mut redis.connect_timeout)?;
    variables.switch("ENABLE_REDIS_STREAMS", &mut redis.streams)?;
    if let Some(group) = variables.text("STREAM_CONSUMER_GROUP") {
        redis.consumer_group = Some(group);
    }
    variables.seconds("CACHE_DEFAULT_TTL", &mut cache.default_ttl)?;
    variables.seconds("CACHE_LONG_TTL", &mut cache.long_ttl)?;
    variables.seconds("CACHE_SHORT_TTL", &mut cache.short_ttl)
}

/// The server: the mode's own variable, the general one, host and port, the file. In mode `mock` only
/// the first.
fn url(config: &Config, variables: &Variables<'_>) -> Result<Option<Secret>, ConfigFileError> {
    let (own, mock) = match config.mode() {
        Mode::Dev => ("DEV_REDIS_CONNECTION_URI", false),
        Mode::Prod => ("PROD_REDIS_CONNECTION_URI", false),
        Mode::Mock => ("MOCK_REDIS_CONNECTION_URI", true),
    };
    let own = variables.text(own);
    if own.is_some() || mock {
        return Ok(own.map(Secret));
    }
    if let Some(url) = variables.text("REDIS_CONNECTION_URI") {
        return Ok(Some(Secret(url)));
    }
    let host = variables.text("REDIS_HOST");
    let mut port: Option<u16> = None;
    variables.parsed("REDIS_PORT", "a port, from 1 to 65535", &mut port)?;
    if host.is_none() && port.is_none() {
        return Ok(config.redis.url.clone());
    }
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let port = port.unwrap_or(6379);
    // An IPv6 address needs brackets in a URL.
    Ok(Some(Secret(
        if host.contains(':') && !host.starts_with('[') {
            format!("redis://[{host}]:{port}")
        } else {
            format!("redis://{host}:{port}")
        },
    )))
}

pub(super) struct Variables<'e>(pub(super) Env<'e>);

impl Variables<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Lets the variable `name`, if it is set, beat `key`.
    fn read<T>(
        &self,
        name: &str,
        expected: &str,
        key: &mut Option<T>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<(), ConfigFileError> {
        if let Some(value) = self.text(name) {
            let unread = || ConfigFileError::variable(name, &value, expected);
            *key = Some(read(&value).ok_or_else(unread)?);
        }
        Ok(())
    }

    fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
        key: &mut Option<T>,
    ) -> Result<(), ConfigFileError> {
        self.read(name, expected, key, |value| value.parse().ok())
    }

    fn seconds(&self, name: &str, key: &mut Option<Period>) -> Result<(), ConfigFileError> {
        self.read(name, "a number of seconds, such as 30", key, |value| {
            let seconds: f64 = value.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok().map(Period)
        })
    }

    fn switch(&self, name: &str, key: &mut Option<bool>) -> Result<(), ConfigFileError> {
        self.read(name, "true or false", key, |value| {
            match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            }
        })
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "dev" => Ok(Self::Dev),
            "prod" => Ok(Self::Prod),
            "mock" => Ok(Self::Mock),
            _ => Err(()),
        }
    }
}
