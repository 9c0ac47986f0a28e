//! [`Access`]: who may listen, and whose pages.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::PathBuf;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

use crate::clock::Timestamp;
use crate::error::ConfigError;
use crate::live::problem::Problem;
use crate::live::{LiveSettings, TicketKey};
use crate::place::Setting;
use crate::secret::Secret;
use crate::spelling::shown;

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Who may listen.
#[derive(Debug)]
pub(super) struct Access {
    open: bool,
    /// The digest of the token: digests are compared in constant time.
    token: Option<blake3::Hash>,
    pub(super) tickets: Option<TicketKey>,
    origins: Vec<String>,
}

/// What somebody may listen to who is let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// `None`: everything.
    pub(super) subjects: Option<HashSet<Box<str>>>,
    pub(super) expires: Option<Timestamp>,
}

/// The page that asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A program, or a page of this host.
    Own,
    /// A page of another one that may.
    Other,
}

impl Access {
    pub(super) fn new(settings: &LiveSettings) -> Result<Self, ConfigError> {
        let token = secret("token_file", &settings.token, &settings.token_file)?;
        let token = token.map(|token| digest(&token)).transpose()?;
        let key = secret(
            "ticket_key_file",
            &settings.ticket_key,
            &settings.ticket_key_file,
        )?;
        let tickets = key.map(|key| TicketKey::new(&key)).transpose()?;
        let open = settings.open.unwrap_or(false);
        if !open && token.is_none() && tickets.is_none() {
            let why = "nobody could listen: set `token` or `ticket_key`, or `open` for everybody";
            return Err(ConfigError::new(Setting::of("live", "open"), why, "false"));
        }
        for origin in &settings.origins {
            check_origin(origin)?;
        }
        Ok(Self {
            open,
            token,
            tickets,
            origins: settings.origins.clone(),
        })
    }

    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        ticket: Option<&str>,
        now: Timestamp,
    ) -> Result<Admission, Problem> {
        if self.shows_token(headers)? {
            return Ok(Admission::default());
        }
        match (ticket, &self.tickets) {
            (Some(ticket), Some(tickets)) => match tickets.check(ticket, now) {
                Ok(ticket) => Ok(Admission {
                    subjects: ticket.subjects,
                    expires: Some(ticket.expires),
                }),
                Err(why) => Err(Problem::unauthorized(why)),
            },
            _ if self.open => Ok(Admission::default()),
            (Some(_), None) => Err(Problem::unauthorized(
                "this server has no key for tickets: send the token",
            )),
            (None, _) => Err(Problem::unauthorized(
                "send the token as `Authorization: Bearer`, or a ticket as `?ticket=`",
            )),
        }
    }

    /// What signs tickets for who shows the token.
    pub(super) fn issues(&self) -> Option<&TicketKey> {
        self.tickets.as_ref().filter(|_| self.token.is_some())
    }

    /// Whether a request shows the token; another one is an error.
    pub(super) fn shows_token(&self, headers: &HeaderMap) -> Result<bool, Problem> {
        let Some(token) = &self.token else {
            return Ok(false);
        };
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = match (lines.next(), lines.next()) {
            (None, _) => return Ok(false),
            (Some(line), None) => line.as_bytes(),
            (Some(_), Some(_)) => {
                return Err(Problem::unauthorized(
                    "send one Authorization header, not several",
                ));
            }
        };
        // The name of a scheme is in any case (RFC 9110 §11.1).
        let given = line.split_at_checked(b"bearer ".len());
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        match given {
            Some((_, given)) if blake3::hash(given.trim_ascii()) == *token => Ok(true),
            // What another server in front asks for, where nobody is asked here.
            None if self.open => Ok(false),
            _ => Err(Problem::unauthorized("the token is wrong")),
        }
    }

    /// Which page asks. A browser says whose page it is (`Origin`), and lets every page open a WebSocket to everywhere.
    pub(super) fn asker(&self, headers: &HeaderMap, host: Option<&str>) -> Result<Asker, Problem> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(Asker::Own);
        };
        let origin = origin.to_str().unwrap_or_default();
        let may = |one: &String| one == "*" || one.eq_ignore_ascii_case(origin);
        // Before the host is looked at: behind a proxy that ends TLS, a page of the same host may be of another origin.
        if self.origins.iter().any(may) {
            return Ok(Asker::Other);
        }
        let of_field = headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = host.or(of_field);
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if let (Some(own), Some(authority)) = (own, authority)
            && own.eq_ignore_ascii_case(authority)
        {
            return Ok(Asker::Own);
        }
        let origin = shown(origin);
        let detail =
            format!("pages of {origin:?} may not listen: the operator can add it to `origins`");
        Err(Problem::forbidden(detail))
    }
}

/// What is said itself, or stands in the file that `setting` names.
fn secret<'a>(
    setting: &'static str,
    said: &'a Option<Secret>,
    file: &Option<PathBuf>,
) -> Result<Option<Cow<'a, str>>, ConfigError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let why = format!("cannot be read: {error}");
            ConfigError::new(
                Setting::of("live", setting),
                why,
                path.display().to_string(),
            )
        })?;
        Ok(Cow::Owned(text.trim().to_owned()))
    };
    match (said, file) {
        (Some(Secret(text)), _) => Ok(Some(text.into())),
        (None, file) => file.as_ref().map(read).transpose(),
    }
}

fn digest(token: &str) -> Result<blake3::Hash, ConfigError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let why = match token.len() < SHORTEST_TOKEN {
        true => "is shorter than 16 characters",
        false if !token.bytes().all(plain) => {
            "has a character other than letters, digits and -._~+/="
        }
        false => return Ok(blake3::hash(token.as_bytes())),
    };
    Err(ConfigError::new(Setting::of("live", "token"), why, "***"))
}

fn check_origin(origin: &str) -> Result<(), ConfigError> {
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
    Err(ConfigError::new(
        Setting::of("live", "origins"),
        why,
        origin,
    ))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn who_has_the_token_or_a_ticket_may_listen() {
        let settings = LiveSettings::guarded("0123456789abcdef").ticket_key("k".repeat(32));
        let access = Access::new(&settings).unwrap();
        let now = Timestamp::from_millis(0);
        let until = Timestamp::from_millis(60_000);
        let ticket = access
            .tickets
            .as_ref()
            .unwrap()
            .issue(["a:1"], until)
            .unwrap();
        let admit = |lines: &[_], ticket: Option<&str>| access.admit(&headers(lines), ticket, now);
        assert!(admit(&[], None).is_err());
        assert!(admit(&[], Some("x")).is_err());
        assert_eq!(admit(&[], Some(&*ticket)).unwrap().expires, Some(until));
        let right = [("authorization", "bearer 0123456789abcdef")];
        assert_eq!(admit(&right, None).unwrap().expires, None);
        for wrong in [
            "Bearer 0123456789abcdeF",
            "Basic 0123456789abcdef",
            "Bearer",
        ] {
            let lines = [("authorization", wrong)];
            assert!(admit(&lines, Some(&*ticket)).is_err(), "{wrong}");
        }
        assert!(admit(&[right[0], right[0]], None).is_err());
        let open = Access::new(&LiveSettings::open()).unwrap();
        assert!(open.admit(&headers(&right), Some("x"), now).is_ok());
        // Behind a server that asks for a password.
        let mut settings = LiveSettings::guarded("0123456789abcdef");
        settings.open = Some(true);
        let open = Access::new(&settings).unwrap();
        let basic = [("authorization", "Basic YTpi")];
        assert!(open.admit(&headers(&basic), None, now).is_ok());
        let wrong = [("authorization", "Bearer wrong")];
        assert!(open.admit(&headers(&wrong), None, now).is_err());
    }

    #[test]
    fn pages_of_other_hosts_may_listen_if_they_are_named() {
        let settings = LiveSettings::open().origins(["https://a.example"]);
        let access = Access::new(&settings).unwrap();
        let asker = |origin, host| {
            let lines = [("origin", origin), ("host", host)];
            access.asker(&headers(&lines), None).ok()
        };
        assert_eq!(asker("https://a.example", "b.example"), Some(Asker::Other));
        assert_eq!(asker("http://B.example", "b.example"), Some(Asker::Own));
        assert_eq!(asker("http://b.example:81", "b.example"), None);
        assert_eq!(asker("https://a.example.evil", "b.example"), None);
        assert_eq!(asker("null", "b.example"), None);
        assert_eq!(access.asker(&HeaderMap::new(), None).ok(), Some(Asker::Own));
    }

    #[test]
    fn settings_that_let_nobody_in_or_can_be_guessed_are_refused() {
        let refused = |settings: LiveSettings| Access::new(&settings).unwrap_err().to_string();
        assert!(refused(LiveSettings::default()).contains("nobody could listen"));
        assert!(!refused(LiveSettings::guarded("tiny")).contains("tiny"));
        assert!(!refused(LiveSettings::guarded("0123456789abcdef\n")).contains("0123"));
        assert!(!refused(LiveSettings::open().ticket_key("tiny")).contains("tiny"));
        let settings = LiveSettings {
            token_file: Some("/nowhere/token".into()),
            ..LiveSettings::default()
        };
        assert!(refused(settings).contains("cannot be read"));
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
            refused(LiveSettings::open().origins([origin]));
        }
    }
}
