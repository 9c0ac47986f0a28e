//! What an error of the Redis client means: its kind for our callers, and whether it ends the trust
//! in every log connection of this process (PROTOCOL 8).

use ::redis::{ErrorKind as Kind, RedisError, Value};

use crate::error::{Error, ErrorKind};

/// The meaning of a Redis error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    /// PROTOCOL 8: the server may no longer be the one that was verified.
    pub(crate) loses_trust: bool,
}

impl Fault {
    const fn new(kind: ErrorKind, loses_trust: bool) -> Self {
        Self { kind, loses_trust }
    }

    /// What `error` means.
    pub(crate) fn of(error: &RedisError) -> Self {
        if let Some(code) = error.code() {
            return Self::of_answer(code, error.detail().unwrap_or_default());
        }
        match error.kind() {
            Kind::AuthenticationFailed => Self::new(ErrorKind::Denied, true),
            // Our own time limits do not pass through here: a time-out of the socket is its end.
            Kind::Io if error.is_timeout() => Self::new(ErrorKind::Timeout, true),
            Kind::Io => Self::new(ErrorKind::Unavailable, true),
            Kind::Parse => Self::new(ErrorKind::Protocol, true),
            _ => Self::new(ErrorKind::Protocol, false),
        }
    }

    /// What an error that the server sent means.
    fn of_answer(code: &str, detail: &str) -> Self {
        match code {
            // Not `loses_trust` for WRONGPASS and NOPERM: the server is the one it was.
            "WRONGPASS" | "NOPERM" => Self::new(ErrorKind::Denied, false),
            // A connection that was let in and is not any more is of no use.
            "NOAUTH" => Self::new(ErrorKind::Denied, true),
            "UNBLOCKED" | "READONLY" | "NOREPLICAS" | "LOADING" | "MASTERDOWN" => {
                Self::new(ErrorKind::Unavailable, true)
            }
            // Only nodes of a Cluster send these.
            "MOVED" | "ASK" | "CLUSTERDOWN" | "TRYAGAIN" => Self::new(ErrorKind::Unsupported, true),
            "CROSSSLOT" => Self::new(ErrorKind::Unsupported, false),
            "BUSY" => Self::new(ErrorKind::Unavailable, false),
            "OOM" | "MISCONF" | "NOSCRIPT" => Self::new(ErrorKind::Denied, false),
            "ERR" if detail.starts_with("max number of clients") => {
                Self::new(ErrorKind::Unavailable, true)
            }
            "ERR" if detail.starts_with("unknown ") => Self::new(ErrorKind::Denied, false),
            _ => Self::new(ErrorKind::Protocol, false),
        }
    }
}

/// `error` as our own, saying what was being done.
pub(crate) fn error(operation: &str, error: RedisError) -> Error {
    let kind = Fault::of(&error).kind;
    // Of a transaction or a pipeline, what the first of its commands was refused for.
    let refused = error.clone().into_server_errors();
    let first = refused.and_then(|all| Some(RedisError::from(all.first()?.1.clone())));
    let cause = first.as_ref().unwrap_or(&error);
    let said = said(cause);
    let message = match advice(cause).or_else(|| first_advice(operation, cause)) {
        Some(advice) => format!("redis, {operation}: {said}: {advice}"),
        None => format!("redis, {operation}: {said}"),
    };
    Error::new(kind, message).with_source(error)
}

/// That a node of the Cluster that is meant does not have a key, or not now; nothing if `error` does not say so.
pub(crate) fn passing_in_cluster(operation: &str, error: &RedisError) -> Option<Error> {
    let why = match error.code()? {
        "MOVED" | "ASK" | "TRYAGAIN" => "its slot moves from node to node",
        "CLUSTERDOWN" => {
            "the Cluster has lost nodes, or slots that nobody has: see CLUSTER INFO there"
        }
        _ => return None,
    };
    let message = format!("redis, {operation}: {}: {why}", said(error));
    Some(Error::new(ErrorKind::Unavailable, message).with_source(error.clone()))
}

/// What happened, in the server's words where it sent any.
fn said(error: &RedisError) -> String {
    if let Some(code) = error.code() {
        let detail = error.detail().unwrap_or_default();
        return format!("{code} {detail}").trim_end().to_owned();
    }
    match error.kind() {
        // The client's own word for a connection that ended before the command was sent.
        Kind::Io if is_broken_pipe(error) => "the server closed the connection".into(),
        _ => error.to_string(),
    }
}

fn is_broken_pipe(error: &RedisError) -> bool {
    let text = error.to_string().to_ascii_lowercase();
    text.contains("broken pipe")
        || text.contains("unexpected end of file")
        || text.contains("driver unexpectedly")
}

/// Advice where it is the first that is asked of the server: it may be none that we can talk to.
fn first_advice(operation: &str, error: &RedisError) -> Option<&'static str> {
    let first = operation.starts_with("verify") || operation.starts_with("connect");
    // What is wrong with TLS, or with the name of a master, says itself what to do.
    let text = error.to_string();
    let is_told = text.contains("TLS: ") || text.contains("watches no master");
    let is_cut = is_broken_pipe(error) || text.to_ascii_lowercase().contains("connection reset");
    if first && operation.contains(" at rediss") && !is_told && is_cut {
        // With TLS 1.3 it is told after the handshake, and what is sent then may be refused first.
        return Some(CERTIFICATE);
    }
    (first && !is_told && error.code().is_none() && matches!(error.kind(), Kind::Io | Kind::Parse)).then_some(
        "see whether it is a Redis that listens there, whether that port speaks TLS (rediss://) or not (redis://), and whether it lets this host in",
    )
}

/// What can be done about it, where that can be told.
fn advice(error: &RedisError) -> Option<&'static str> {
    let detail = error.detail().unwrap_or_default();
    let Some(code) = error.code() else {
        let text = error.to_string().to_ascii_lowercase();
        return match error.kind() {
            Kind::AuthenticationFailed => Some(PASSWORD),
            Kind::Io if error.is_connection_refusal() => {
                Some("is a Redis running there, and does it listen on that address?")
            }
            // With TLS 1.3 it is told after the handshake.
            Kind::Io if text.contains("received fatal alert") => Some(CERTIFICATE),
            Kind::Io if text.contains("lookup") || text.contains("name or service") => {
                Some("see whether the host's name is right and can be resolved here")
            }
            _ => None,
        };
    };
    Some(match code {
        "WRONGPASS" => PASSWORD,
        "NOAUTH" => {
            "put the password into the URL, as redis://:password@host:port, or name a file with it (`password_file` under [redis])"
        }
        "NOPERM" => RIGHTS,
        "READONLY" => "it is a replica now: name the server that is the master",
        "LOADING" => "it starts and reads its data: wait, or see its log",
        "MASTERDOWN" => "it is a replica without its master: name the server that is the master",
        "MOVED" | "ASK" | "TRYAGAIN" => {
            "it is a node of a Redis Cluster, and another one has that key: write redis+cluster://host:port,host:port"
        }
        "CLUSTERDOWN" => {
            "its Cluster has lost nodes, or slots that nobody has: see CLUSTER INFO there"
        }
        "CROSSSLOT" => "it is a node of a Redis Cluster: write redis+cluster://host:port,host:port",
        "NOREPLICAS" => {
            "too few replicas are in step (min-replicas-to-write): bring them back, or see whether this master is \
             cut off from the rest"
        }
        "OOM" => {
            "it is full: raise maxmemory, or set maxmemory-policy to one that evicts, such as volatile-ttl"
        }
        "MISCONF" => {
            "it cannot write its data to disk and takes no writes: see its log and the disk, or set \
             stop-writes-on-bgsave-error no"
        }
        "BUSY" => "a script runs for too long: SCRIPT KILL ends it",
        "WRONGTYPE" => "something else uses this cache's keys: give it a namespace of its own",
        "ERR" if detail.starts_with("max number of clients") => {
            "raise maxclients there, or set max_connections here"
        }
        "ERR" if detail.starts_with("DB index is out of range") => {
            "it has no database of that number: name another at the end of the URL, or raise databases there"
        }
        "ERR" if detail.to_ascii_lowercase().starts_with("invalid stream id") => {
            "it is too old: use Redis 7.0 or Valkey 7.2, or newer"
        }
        "ERR" if detail.starts_with("unknown ") => {
            "it does not know or allow that command: use Redis 7.0 or Valkey 7.2, or newer, and rename no command"
        }
        _ => return None,
    })
}

const CERTIFICATE: &str = "it may want a client certificate (`certificate_file` and `key_file` under [redis.tls]), or another one";
const RIGHTS: &str = "let the ACL user of this cache call that command on its keys (ACL SETUSER name +command ~key): `tagcache doctor` says all that it needs";
const PASSWORD: &str =
    "see whether user and password, in the Redis URL or under [redis], are those of the server";

/// The error that an answer is, if it is one.
pub(crate) fn error_in(value: &Value) -> Option<RedisError> {
    match value {
        Value::ServerError(error) => Some(error.clone().into()),
        _ => None,
    }
}

/// The code of the error that an answer is (`WRONGTYPE`, `ERR` …), if it is one.
pub(crate) fn code(value: &Value) -> Option<&str> {
    match value {
        Value::ServerError(error) => Some(error.code()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Fault {
        let value = ::redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        Fault::of(&error_in(&value).unwrap())
    }

    #[test]
    fn safety_59_every_answer_of_a_server_has_a_meaning() {
        use ErrorKind::{Denied, Protocol, Unavailable, Unsupported};
        for (line, kind, loses_trust) in [
            (
                "READONLY You can't write against a read only replica.",
                Unavailable,
                true,
            ),
            ("MOVED 3999 127.0.0.1:6381", Unsupported, true),
            ("ASK 3999 127.0.0.1:6381", Unsupported, true),
            (
                "UNBLOCKED force unblock from blocking operation",
                Unavailable,
                true,
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                Unavailable,
                true,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Unavailable,
                true,
            ),
            ("MASTERDOWN Link with MASTER is down", Unavailable, true),
            ("CLUSTERDOWN The cluster is down", Unsupported, true),
            (
                "TRYAGAIN Multiple keys request during rehashing",
                Unsupported,
                true,
            ),
            ("ERR max number of clients reached", Unavailable, true),
            ("BUSY Redis is busy running a script.", Unavailable, false),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Denied,
                false,
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Denied,
                false,
            ),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Unsupported,
                false,
            ),
            ("NOSCRIPT No matching script.", Denied, false),
            ("WRONGPASS invalid username-password pair", Denied, false),
            ("NOPERM this user has no permissions", Denied, false),
            ("NOAUTH Authentication required.", Denied, true),
            ("ERR unknown command 'WAIT'", Denied, false),
            ("WRONGTYPE Operation against a key", Protocol, false),
            ("ERR syntax error", Protocol, false),
            ("SOMETHING new", Protocol, false),
        ] {
            assert_eq!(of(line), Fault::new(kind, loses_trust), "{line}");
        }
    }

    #[test]
    fn a_closed_socket_ends_the_trust() {
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let fault = Fault::of(&closed.into());
        assert_eq!(fault, Fault::new(ErrorKind::Unavailable, true));
    }

    /// SAFETY 95: the server's own words, and what can be done, also where a transaction hides them.
    #[test]
    fn safety_95_an_error_says_what_the_server_said_and_what_to_do() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let message = error("lookup at x", broken.into()).to_string();
        assert_eq!(
            message,
            "redis, lookup at x: the server closed the connection"
        );
        let first = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let message = error("verify at x", first.into()).to_string();
        assert!(message.contains("speaks TLS"), "{message}");
        let value = ::redis::parse_redis_value(b"-ERR DB index is out of range\r\n").unwrap();
        let message = error("connect at x", error_in(&value).unwrap()).to_string();
        assert!(message.contains("no database of that number"), "{message}");
        let full = "OOM command not allowed when used memory > 'maxmemory'.";
        let value = ::redis::parse_redis_value(format!("-{full}\r\n").as_bytes()).unwrap();
        let message = error("store at x", error_in(&value).unwrap()).to_string();
        assert!(
            message.starts_with(&format!("redis, store at x: {full}: it is full")),
            "{message}"
        );
    }
}
