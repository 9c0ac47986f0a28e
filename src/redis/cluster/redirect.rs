//! `MOVED` and `ASK`: that another node has a key.

use ::redis::Value;

use super::slots::address;
use crate::redis::address::HostPort;
use crate::redis::fault;

/// Where a node sends us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// For good.
    Moved(HostPort),
    /// This once, while the slot is on its way there.
    Ask(HostPort),
}

/// Where the node `asked` sends us, if it does.
pub(super) fn redirect(answer: &[Value], asked: &HostPort) -> Option<Redirect> {
    let error = answer.iter().find_map(fault::error_in)?;
    let (_, place) = error.detail()?.split_once(' ')?;
    let (host, port) = place.trim().rsplit_once(':')?;
    let to = address(Some(host), port.parse().ok()?, asked)?;
    match error.code()? {
        "MOVED" => Some(Redirect::Moved(to)),
        "ASK" => Some(Redirect::Ask(to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_says_where_to_ask() {
        let asked = HostPort {
            host: "me".into(),
            port: 1,
        };
        let of = |line: &str| {
            let text = format!("-{line}\r\n");
            let answer = ::redis::parse_redis_value(text.as_bytes()).unwrap();
            redirect(&[Value::Okay, answer], &asked)
        };
        let at = |host: &str, port| HostPort {
            host: host.into(),
            port,
        };
        assert_eq!(
            of("MOVED 3999 127.0.0.1:6381"),
            Some(Redirect::Moved(at("127.0.0.1", 6381)))
        );
        assert_eq!(
            of("ASK 3999 ::1:6381"),
            Some(Redirect::Ask(at("::1", 6381)))
        );
        assert_eq!(
            of("MOVED 3999 :6381"),
            Some(Redirect::Moved(at("me", 6381)))
        );
        assert_eq!(of("MOVED 3999 ?:6381"), None);
        assert_eq!(of("MOVED 3999"), None);
        assert_eq!(of("ERR 3999 a:6381"), None);
    }
}
