//! [`ServerAddress`]: what the URL of a Redis server says.

use std::fmt;
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
    Tcp(HostPort),
    Unix(PathBuf),
    /// Wherever they say that the master is.
    Sentinel(Sentinels),
    /// Over the nodes of a Cluster, of which these are some.
    Cluster(Vec<HostPort>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HostPort {
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

/// Sentinels, and what they call the master.
#[derive(Debug, Clone)]
pub(super) struct Sentinels {
    pub(super) hosts: Vec<HostPort>,
    pub(super) name: Box<str>,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl ServerAddress {
    /// What `url` says, or why it cannot be used; that does not quote it.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        if let Some(why) = not_supported(url) {
            return Err(why.to_owned());
        }
        let (plain, several) = match several(url)? {
            Some((plain, several)) => (plain, Some(several)),
            None => (url.to_owned(), None),
        };
        let (is_secure, plain) = plainly(&plain);
        if is_secure && url.contains('#') {
            return Err("has a fragment: the server's certificate is always verified".to_owned());
        }
        let info = plain
            .as_str()
            .into_connection_info()
            .map_err(|error| reason(&error))?;
        if matches!(several, Some(ServerPlace::Cluster(_))) && info.redis_settings().db() != 0 {
            return Err("a Cluster has one database, number 0: name none".to_owned());
        }
        let place = match (several, info.addr()) {
            (Some(several), _) => several,
            (None, ConnectionAddr::Tcp(host, port)) => ServerPlace::Tcp(HostPort {
                host: host.as_str().into(),
                port: *port,
            }),
            (None, ConnectionAddr::Unix(path)) => ServerPlace::Unix(path.clone()),
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
    /// Who says where it is, if it does not.
    pub(super) const fn sentinels(&self) -> Option<&Sentinels> {
        match &self.place {
            ServerPlace::Sentinel(sentinels) => Some(sentinels),
            _ => None,
        }
    }

    /// It is reached without a network.
    pub(super) fn is_here(&self) -> bool {
        match &self.place {
            ServerPlace::Unix(_) => true,
            ServerPlace::Tcp(at) => {
                let address: Result<std::net::IpAddr, _> = at.host.parse();
                address.map_or(&*at.host == "localhost", |address| address.is_loopback())
            }
            ServerPlace::Sentinel(_) | ServerPlace::Cluster(_) => false,
        }
    }

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

/// By Sentinels, without and with TLS to all of them and to the master.
const SENTINEL: [&str; 2] = ["redis+sentinel", "rediss+sentinel"];
/// Where a Sentinel listens if nobody says.
const SENTINEL_PORT: u16 = 26379;

/// By nodes of a Cluster, without and with TLS to all of them.
const CLUSTER: [&str; 2] = ["redis+cluster", "rediss+cluster"];
/// Where a Redis listens if nobody says.
const REDIS_PORT: u16 = 6379;

/// What `url` names if it names several hosts, and a URL with all else that it says; nothing if it names one.
fn several(url: &str) -> Result<Option<(String, ServerPlace)>, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Ok(None);
    };
    let scheme = scheme.to_ascii_lowercase();
    let (by_sentinel, by_nodes) = (SENTINEL.contains(&&*scheme), CLUSTER.contains(&&*scheme));
    if !by_sentinel && !by_nodes {
        return Ok(None);
    }
    let form = match by_sentinel {
        true => "is not like redis+sentinel://host:port,host:port/name",
        false => "is not like redis+cluster://host:port,host:port",
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password may have a slash, a host may not.
    let end = rest.rfind('@').map_or(end, |at| {
        let after = &rest[at..];
        at + after.find(['/', '?']).unwrap_or(after.len())
    });
    let (place, more) = rest.split_at(end);
    let (user, hosts) = match place.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), place),
    };
    let port = if by_sentinel {
        SENTINEL_PORT
    } else {
        REDIS_PORT
    };
    let hosts: Option<Vec<_>> = hosts.split(',').map(|text| host_port(text, port)).collect();
    let hosts = hosts.ok_or(form)?;
    let (place, more) = if by_sentinel {
        let path = more.strip_prefix('/').ok_or(form)?;
        let end = path.find(['/', '?']).unwrap_or(path.len());
        let (name, more) = path.split_at(end);
        if name.is_empty() {
            return Err(form.to_owned());
        }
        let name = name.into();
        (ServerPlace::Sentinel(Sentinels { hosts, name }), more)
    } else {
        (ServerPlace::Cluster(hosts), more)
    };
    let secure = if scheme.starts_with("rediss") {
        "s"
    } else {
        ""
    };
    Ok(Some((
        format!("redis{secure}://{user}several{more}"),
        place,
    )))
}

/// The host and the port that `text` names, `default` if it names none.
fn host_port(text: &str, default: u16) -> Option<HostPort> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| HostPort {
        host: host.into(),
        port,
    })
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
    if scheme.contains("sentinel") && !SENTINEL.contains(&&*scheme) {
        return Some("Sentinels are written redis+sentinel://host:port,host:port/name");
    }
    if scheme.contains("cluster") && !CLUSTER.contains(&&*scheme) {
        return Some("a Cluster is written redis+cluster://host:port,host:port");
    }
    if cfg!(not(feature = "tls")) && (scheme.starts_with("rediss") || scheme == "valkeys") {
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
        "it names several servers: write redis+cluster:// for a Cluster, redis+sentinel:// for Sentinels, or name the one \
         that is the master, as redis://host:port",
    )
}

/// Why the client refused a URL, without what it quotes of it.
fn reason(error: &RedisError) -> String {
    let text = error.to_string();
    let short = text.split(" - InvalidClientConfig").next();
    short.unwrap_or("cannot be used").to_lowercase()
}
