//! [`ServerAddress`]: what the URL of a Redis server says.

use std::io::{Error as IoError, ErrorKind as IoErrorKind};
use std::path::PathBuf;

use ::redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisError};

/// Where a server listens, and as whom we speak to it.
#[derive(Debug, Clone)]
pub(super) struct ServerAddress {
    pub(super) place: ServerPlace,
    /// Whether by TLS.
    pub(super) is_secure: bool,
    /// Database, user, password, protocol.
    pub(super) settings: RedisConnectionInfo,
}

#[derive(Debug, Clone)]
pub(super) enum ServerPlace {
    Tcp { host: Box<str>, port: u16 },
    Unix(PathBuf),
}

impl ServerAddress {
    /// What `url` says, or why it cannot be used; that does not quote it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if let Some(why) = not_supported(url) {
            return Err(why.to_owned());
        }
        let (is_secure, plain) = plainly(url);
        if is_secure && url.contains('#') {
            return Err("has a fragment: the server's certificate is always verified".to_owned());
        }
        let info = plain
            .as_str()
            .into_connection_info()
            .map_err(|error| reason(&error))?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) => ServerPlace::Tcp {
                host: host.as_str().into(),
                port: *port,
            },
            ConnectionAddr::Unix(path) => ServerPlace::Unix(path.clone()),
            _ => return Err("cannot be used".to_owned()),
        };
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        Ok(Self {
            place,
            is_secure,
            settings,
        })
    }
}

impl ServerAddress {
    /// Nobody answered there in time.
    pub(super) fn late(&self) -> IoError {
        let timed_out = IoErrorKind::TimedOut;
        // A Redis without TLS waits for the end of what it takes for a command.
        let why = "TLS: no answer in time: it hangs, or that port does not speak TLS (redis://)";
        match self.is_secure {
            true => IoError::new(timed_out, why),
            false => timed_out.into(),
        }
    }
}

/// Whether `url` asks for TLS, and the same without that: TLS is ours, below what the client does.
fn plainly(url: &str) -> (bool, String) {
    for (secure, plain) in [("rediss", "redis"), ("valkeys", "valkey")] {
        let scheme = url.get(..secure.len());
        let rest = scheme
            .filter(|scheme| scheme.eq_ignore_ascii_case(secure))
            .and_then(|_| url[secure.len()..].strip_prefix("://"));
        if let Some(rest) = rest {
            return (true, format!("{plain}://{rest}"));
        }
    }
    (false, url.to_owned())
}

/// Why this cache cannot do what a URL asks for, although others can.
fn not_supported(url: &str) -> Option<&'static str> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme.contains("sentinel") {
        return Some(
            "Redis Sentinel is not supported yet: name the master itself, as redis://host:port",
        );
    }
    if scheme.contains("cluster") {
        return Some(
            "Redis Cluster is not supported yet: name one server that is no part of one, as redis://host:port",
        );
    }
    if cfg!(not(feature = "tls")) && matches!(&*scheme, "rediss" | "valkeys") {
        return Some(
            "TLS to Redis needs the feature `tls` of this library: add it, or name a port without TLS",
        );
    }
    // What stands before the path, without user and password.
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = place.rsplit('@').next().unwrap_or_default();
    let several =
        matches!(&*scheme, "redis" | "rediss" | "valkey" | "valkeys") && hosts.contains(',');
    several.then_some(
        "several servers are not supported: name the one that is the master, as redis://host:port",
    )
}

/// Why the client refused a URL, without what it quotes of it.
fn reason(error: &RedisError) -> String {
    let text = error.to_string();
    let short = text.split(" - InvalidClientConfig").next();
    short.unwrap_or("cannot be used").to_lowercase()
}
