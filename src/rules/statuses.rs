//! Which statuses a rule's lifetimes are for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

use super::options::Profile;
use crate::error::ConfigError;

/// A status, or a class of them, that a lifetime is for: `404` or `4xx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Statuses(Which);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Which {
    Code(u16),
    Class(u16),
}

/// Cacheable without being named (RFC 9110 §15.1), less those that fit an attacker's or a
/// mistaken request as well as a missing page: 404, 405, 410, 414 and 501 have to be named.
const BY_DEFAULT: [u16; 6] = [200, 203, 204, 300, 301, 308];

/// They blame the one request, so that stored they would poison the resource for all (SAFETY 13).
const BLAME_REQUEST: [u16; 11] = [400, 406, 408, 411, 413, 414, 415, 417, 421, 425, 426];

/// They blame who asks.
const BLAME_CLIENT: [u16; 3] = [401, 403, 407];

/// They answer the condition or range of one request and are no full response; the last four RFC
/// 6585 forbids to store.
const NEVER: [u16; 8] = [206, 304, 412, 416, 428, 429, 431, 511];

/// RFC 6585 forbids to store them, whatever they say themselves.
const FORBIDDEN: [u16; 4] = [428, 429, 431, 511];

impl Statuses {
    /// 2xx.
    pub const SUCCESS: Self = Self(Which::Class(2));
    /// 3xx.
    pub const REDIRECTION: Self = Self(Which::Class(3));
    /// 4xx, less those that blame the one request or client.
    pub const CLIENT_ERROR: Self = Self(Which::Class(4));
    /// 5xx.
    pub const SERVER_ERROR: Self = Self(Which::Class(5));

    /// One status.
    #[must_use]
    pub const fn code(code: u16) -> Self {
        Self(Which::Code(code))
    }
}

impl From<u16> for Statuses {
    fn from(code: u16) -> Self {
        Self::code(code)
    }
}

impl From<StatusCode> for Statuses {
    fn from(status: StatusCode) -> Self {
        Self::code(status.as_u16())
    }
}

/// Reads `404` or `4xx`.
impl FromStr for Statuses {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
        match (class, text.parse()) {
            (Some(class @ 2..=5), _) => Ok(Self(Which::Class(class))),
            (None, Ok(code @ 100..=999)) => Ok(Self::code(code)),
            _ => Err(ConfigError::new(
                "status",
                "neither a status such as `404` nor a class such as `4xx`",
                text,
            )),
        }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Which::Code(code) => write!(f, "{code}"),
            Which::Class(class) => write!(f, "{class}xx"),
        }
    }
}

/// A rule's lifetimes by status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lifetimes {
    default: Option<Duration>,
    named: Box<[(Statuses, Duration)]>,
}

impl Lifetimes {
    /// `default` for the statuses cacheable by default, `named` for those named.
    ///
    /// # Errors
    /// A status that does not exist, is named twice, or is never a stored response.
    pub(super) fn new(
        default: Option<Duration>,
        named: &[(Statuses, Duration)],
    ) -> Result<Self, ConfigError> {
        for (place, (statuses, _)) in named.iter().enumerate() {
            let problem = match statuses.0 {
                Which::Code(code) if !(200..=599).contains(&code) => "no final status",
                Which::Code(code) if NEVER.contains(&code) => {
                    "a status that answers one request and is never stored"
                }
                _ if named[..place].iter().any(|(other, _)| other == statuses) => {
                    "a status that is named twice"
                }
                _ => continue,
            };
            return Err(ConfigError::new("ttl_for", problem, statuses.to_string()));
        }
        Ok(Self {
            default,
            named: named.into(),
        })
    }

    /// The statuses among those named that blame the one request: stored by the operator's word,
    /// but worth a warning.
    pub(super) fn risky(&self) -> impl Iterator<Item = u16> + '_ {
        self.named
            .iter()
            .filter_map(|(statuses, ttl)| match statuses.0 {
                Which::Code(code) if BLAME_REQUEST.contains(&code) && !ttl.is_zero() => Some(code),
                _ => None,
            })
    }

    /// The lifetimes of statuses that are named.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (Statuses, Duration)> + '_ {
        self.named.iter().copied()
    }

    /// The rule's lifetime for `status`; `None` where it has no say.
    pub(super) fn of(&self, status: StatusCode) -> Option<Duration> {
        let default = self
            .default
            .filter(|_| BY_DEFAULT.contains(&status.as_u16()));
        self.named(status).or(default)
    }

    /// Whether a response with `status` may be stored at all, be it by its own lifetime.
    pub(super) fn permit(&self, status: StatusCode, profile: Profile) -> bool {
        match self.named(status) {
            Some(ttl) => !ttl.is_zero(),
            None => {
                let code = status.as_u16();
                match profile {
                    Profile::Careful => {
                        let apart = [&BLAME_REQUEST[..], &BLAME_CLIENT, &NEVER];
                        !apart.iter().any(|codes| codes.contains(&code)) && code < 500
                    }
                    Profile::Rfc9111 => !FORBIDDEN.contains(&code),
                }
            }
        }
    }

    fn named(&self, status: StatusCode) -> Option<Duration> {
        let code = status.as_u16();
        let find = |which| {
            let found = self.named.iter().find(|(statuses, _)| statuses.0 == which);
            found.map(|(_, ttl)| *ttl)
        };
        let apart = [&BLAME_REQUEST[..], &BLAME_CLIENT, &NEVER];
        let in_class = !apart.iter().any(|codes| codes.contains(&code));
        let class = || find(Which::Class(code / 100)).filter(|_| in_class);
        find(Which::Code(code)).or_else(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_secs(1);

    fn lifetimes(named: &[(Statuses, Duration)]) -> Lifetimes {
        Lifetimes::new(Some(TTL), named).expect("good statuses")
    }

    #[test]
    fn a_ttl_is_for_the_statuses_cacheable_by_default() {
        let rule = lifetimes(&[]);
        for code in 100..=599 {
            let status = StatusCode::from_u16(code).expect("a status");
            let expected = [200, 203, 204, 300, 301, 308]
                .contains(&code)
                .then_some(TTL);
            assert_eq!(rule.of(status), expected, "{code}");
        }
    }

    #[test]
    fn safety_13_errors_that_blame_the_request_are_stored_only_if_named_by_code() {
        let none = lifetimes(&[]);
        let class = lifetimes(&[(Statuses::CLIENT_ERROR, SHORT)]);
        for code in BLAME_REQUEST {
            let status = StatusCode::from_u16(code).expect("a status");
            assert!(!none.permit(status, Profile::Careful), "{code}");
            assert!(!class.permit(status, Profile::Careful), "{code}");
            assert_eq!(class.of(status), None, "{code}");
            let named = lifetimes(&[(code.into(), SHORT)]);
            assert!(named.permit(status, Profile::Careful), "{code}");
            assert_eq!(named.risky().next(), Some(code));
        }
        assert!(!none.permit(StatusCode::BAD_GATEWAY, Profile::Careful));
        assert!(
            none.permit(StatusCode::NOT_FOUND, Profile::Careful),
            "by its own lifetime"
        );
    }

    #[test]
    fn a_status_beats_its_class_and_zero_forbids() {
        let rule = lifetimes(&[
            (Statuses::CLIENT_ERROR, SHORT),
            (Statuses::code(404), Duration::ZERO),
            (Statuses::SERVER_ERROR, SHORT),
            (Statuses::SUCCESS, SHORT),
            (Statuses::REDIRECTION, Duration::ZERO),
            (Statuses::code(200), TTL * 2),
        ]);
        for (code, ttl, permitted) in [
            (404, Some(Duration::ZERO), false),
            (410, Some(SHORT), true),
            // A class says nothing of answers to one client, which have to be named.
            (401, None, false),
            (403, None, false),
            (503, Some(SHORT), true),
            (200, Some(TTL * 2), true),
            (302, Some(Duration::ZERO), false),
            (206, None, false),
            (304, None, false),
        ] {
            let status = StatusCode::from_u16(code).expect("a status");
            assert_eq!(rule.of(status), ttl, "{code}");
            assert_eq!(rule.permit(status, Profile::Careful), permitted, "{code}");
        }
    }

    #[test]
    fn statuses_read_back_what_they_print() {
        for text in ["404", "2xx", "5xx", "200"] {
            let read = Statuses::from_str(text).map(|statuses| statuses.to_string());
            assert_eq!(read.as_deref(), Ok(text));
        }
        for text in [
            "", "xx", "1xx", "6xx", "40", "4x", "4XX", "1000", "-4xx", "4040",
        ] {
            assert!(Statuses::from_str(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_status_that_is_never_stored_or_named_twice_is_refused() {
        for code in [0, 99, 103, 206, 304, 412, 416, 429, 511, 600, u16::MAX] {
            assert!(
                Lifetimes::new(None, &[(code.into(), TTL)]).is_err(),
                "{code}"
            );
        }
        let twice = [(Statuses::code(404), TTL), (Statuses::code(404), SHORT)];
        let error = Lifetimes::new(None, &twice).expect_err("named twice");
        assert_eq!(
            error.to_string(),
            "ttl_for: a status that is named twice in \"404\""
        );
    }
}
