//! What a request asks for: its target, its filter, where it goes on.

use std::borrow::Cow;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use crate::live::filter::Filter;
use crate::live::hub::Hub;
use crate::spelling::shown;
use crate::update::{ALERT, UpdateCursor};
use crate::web::{Problem, list, once};

/// What stands behind the path of the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListenTarget {
    /// Nothing: all updates, or those that the query names.
    All,
    /// `/auction/0x…`.
    Subject(String),
    /// `/alerts`: those of all rules.
    Alerts,
    /// `/ticket`.
    Ticket,
}

impl ListenTarget {
    /// What `path` is; `None` if it is none of the service at `base`.
    pub(super) fn of(base: &str, path: &str) -> Option<Self> {
        let rest = path.strip_prefix(base)?;
        match rest {
            "" | "/" => return Some(Self::All),
            "/alerts" => return Some(Self::Alerts),
            "/ticket" => return Some(Self::Ticket),
            _ => {}
        }
        let (kind, id) = rest.strip_prefix('/')?.split_once('/')?;
        let decode = |part| percent_decode_str(part).decode_utf8().ok();
        let (kind, id) = (decode(kind)?, decode(id)?);
        Some(Self::Subject(format!("{kind}:{id}")))
    }
}

/// What the query says.
#[derive(Debug, Default)]
pub(super) struct ListenQuery<'a> {
    pub(super) ticket: Option<Cow<'a, str>>,
    last_event_id: Option<Cow<'a, str>>,
    /// For how long a ticket is wanted.
    pub(super) seconds: Option<Cow<'a, str>>,
    pub(super) subjects: Vec<Cow<'a, str>>,
    others: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> ListenQuery<'a> {
    pub(super) fn parse(query: Option<&'a str>) -> Result<Self, Problem> {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "ticket" => once(&mut parsed.ticket, value, &name)?,
                "last_event_id" => once(&mut parsed.last_event_id, value, &name)?,
                "subject" => parsed.subjects.extend(list(&value)),
                "seconds" => once(&mut parsed.seconds, value, &name)?,
                "type" | "network" => parsed.others.push((name, value)),
                _ if name.starts_with("min_") => parsed.others.push((name, value)),
                _ => {
                    let detail = format!(
                        "parameter {:?} is not known; known are subject, type, network, min_<field>, last_event_id and \
                         ticket, and for tickets subject and seconds",
                        shown(&name)
                    );
                    return Err(Problem::bad_request(detail));
                }
            }
        }
        Ok(parsed)
    }

    /// The filter that it says, and that of `target`.
    pub(super) fn filter(&self, target: &ListenTarget, hub: &Hub) -> Result<Filter, Problem> {
        let mut filter = Filter::default();
        let subject = match target {
            ListenTarget::Subject(subject) => Some(&**subject),
            ListenTarget::Alerts => {
                filter.add_kind(ALERT)?;
                None
            }
            ListenTarget::All | ListenTarget::Ticket => None,
        };
        let subjects = self.subjects.iter().map(|subject| &**subject);
        for subject in subjects.chain(subject) {
            filter.add_subject(subject, &hub.subjects)?;
        }
        for (name, value) in &self.others {
            match name.strip_prefix("min_") {
                Some(field) => filter.add_least(field, value)?,
                None if name == "type" => {
                    list(value).try_for_each(|kind| filter.add_kind(&kind))?;
                }
                None => list(value).try_for_each(|network| filter.add_network(&network))?,
            }
        }
        Ok(filter)
    }

    /// Whether it says only what is asked for: a ticket, or updates.
    pub(super) fn says_only(&self, of_ticket: bool) -> Result<(), Problem> {
        let others =
            !self.others.is_empty() || self.ticket.is_some() || self.last_event_id.is_some();
        match of_ticket {
            true if others => Err(Problem::bad_request(
                "a ticket has `subject` and `seconds` only",
            )),
            false if self.seconds.is_some() => {
                Err(Problem::bad_request("`seconds` is for tickets"))
            }
            _ => Ok(()),
        }
    }

    /// Where the client goes on: as the browser says that connects again, or the client's own program.
    pub(super) fn cursor(&self, headers: &HeaderMap) -> Result<Option<UpdateCursor>, Problem> {
        let field = headers.get("last-event-id");
        let of_field = field.map(|field| String::from_utf8_lossy(field.as_bytes()));
        // An empty one is none (WHATWG HTML §9.2.2). What the browser says is newer than its URL.
        let given = [of_field.as_deref(), self.last_event_id.as_deref()];
        let Some(given) = given.into_iter().flatten().find(|text| !text.is_empty()) else {
            return Ok(None);
        };
        given.parse().map(Some).map_err(|_| {
            let shown = shown(given);
            let detail =
                format!("Last-Event-ID {shown:?} is no id of this service, such as 7-12.0");
            Problem::bad_request(detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_subject_or_nothing() {
        for (path, expected) in [
            ("/events", Some(ListenTarget::All)),
            ("/events/", Some(ListenTarget::All)),
            ("/events/ticket", Some(ListenTarget::Ticket)),
            (
                "/events/auction/0x1",
                Some(ListenTarget::Subject("auction:0x1".into())),
            ),
            (
                "/events/a%3Ab/c%2Fd",
                Some(ListenTarget::Subject("a:b:c/d".into())),
            ),
            ("/events/auction", None),
            ("/eventsauction/1", None),
            ("/other", None),
            ("/events/a/%ff", None),
        ] {
            assert_eq!(ListenTarget::of("/events", path), expected, "{path}");
        }
    }

    #[test]
    fn what_a_query_says_is_understood_or_refused() {
        let query =
            "subject=a:1,a:2&subject=a:3&type=sale&min_amount=5&ticket=t&last_event_id=1-2.3";
        let query = ListenQuery::parse(Some(query)).unwrap();
        assert_eq!(query.subjects, ["a:1", "a:2", "a:3"]);
        assert_eq!(query.ticket.as_deref(), Some("t"));
        let cursor = query.cursor(&HeaderMap::new()).unwrap().unwrap();
        assert_eq!(cursor.to_string(), "1-2.3");
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", "1-9".parse().unwrap());
        assert_eq!(query.cursor(&headers).unwrap().unwrap().to_string(), "1-9");
        for wrong in [
            "x=1",
            "ticket=a&ticket=b",
            "seconds=1&seconds=2",
            "last_event_id=1-1&last_event_id=2-2",
        ] {
            assert!(ListenQuery::parse(Some(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["1", "1-2.", "x", "1-2.3.4"] {
            headers.insert("last-event-id", wrong.parse().unwrap());
            assert!(ListenQuery::default().cursor(&headers).is_err(), "{wrong}");
        }
        headers.insert("last-event-id", "".parse().unwrap());
        assert_eq!(ListenQuery::default().cursor(&headers).unwrap(), None);
    }
}
