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
            "UNBLOCKED" | "READONLY" | "MOVED" | "ASK" | "NOREPLICAS" | "LOADING"
            | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => Self::new(ErrorKind::Unavailable, true),
            "BUSY" => Self::new(ErrorKind::Unavailable, false),
            "OOM" | "MISCONF" | "CROSSSLOT" | "NOSCRIPT" => Self::new(ErrorKind::Denied, false),
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
    Error::new(kind, format!("redis, {operation}: {error}")).with_source(error)
}

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
        use ErrorKind::{Denied, Protocol, Unavailable};
        for (line, kind, loses_trust) in [
            (
                "READONLY You can't write against a read only replica.",
                Unavailable,
                true,
            ),
            ("MOVED 3999 127.0.0.1:6381", Unavailable, true),
            ("ASK 3999 127.0.0.1:6381", Unavailable, true),
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
            ("CLUSTERDOWN The cluster is down", Unavailable, true),
            (
                "TRYAGAIN Multiple keys request during rehashing",
                Unavailable,
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
                Denied,
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
}
