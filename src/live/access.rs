//! [`Access`]: who may listen, and whose pages.

use std::collections::HashSet;

use http::HeaderMap;

use crate::clock::Timestamp;
use crate::error::ConfigError;
use crate::live::settings::WORDS;
use crate::live::{LiveSettings, TicketKey};
use crate::web::{Guard, Origins, Problem, secret};

/// Who may listen.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) guard: Guard,
    pub(super) tickets: Option<TicketKey>,
    /// A browser lets every page open a WebSocket to everywhere, so these are asked for that too.
    pub(super) origins: Origins,
}

/// What somebody may listen to who is let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// `None`: everything.
    pub(super) subjects: Option<HashSet<Box<str>>>,
    pub(super) expires: Option<Timestamp>,
}

impl Access {
    pub(super) fn new(settings: &LiveSettings) -> Result<Self, ConfigError> {
        let guard = Guard::new(WORDS, settings.open, &settings.token, &settings.token_file)?;
        let key = secret(
            WORDS.setting("ticket_key_file"),
            &settings.ticket_key,
            &settings.ticket_key_file,
        )?;
        let tickets = key.map(|key| TicketKey::new(&key)).transpose()?;
        if !guard.is_open() && !guard.has_token() && tickets.is_none() {
            let why = "nobody could listen: set `token` or `ticket_key`, or `open` for everybody";
            return Err(ConfigError::new(WORDS.setting("open"), why, "false"));
        }
        Ok(Self {
            guard,
            tickets,
            origins: Origins::compile(WORDS, &settings.origins)?,
        })
    }

    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        ticket: Option<&str>,
        now: Timestamp,
    ) -> Result<Admission, Problem> {
        if self.guard.shows_token(headers)? {
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
            _ if self.guard.is_open() => Ok(Admission::default()),
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
        self.tickets.as_ref().filter(|_| self.guard.has_token())
    }
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
    }
}
