//! What the query of a URL asks for: entries or counters, and of what.

use std::borrow::Cow;
use std::fmt;

use super::cursor::ActivityCursor;
use super::feed::{ActivityQuery, AnalyticsQuery, SUBJECT_HOURS};
use crate::defaults;
use crate::error::Error;
use crate::spelling::shown;
use crate::tag::Tag;
use crate::web::{Problem, Subjects, list, once};

const SUBJECT: &str = "subject";
const TYPE: &str = "type";

/// What is asked of `/activity`.
#[derive(Debug, Default)]
pub(crate) struct EntriesAsked {
    limit: Option<usize>,
    cursor: Option<ActivityCursor>,
    reorged: Option<bool>,
    about: About,
}

/// What is asked of `/analytics`.
#[derive(Debug, Default)]
pub(crate) struct CountersAsked {
    hours: Option<u64>,
    by_hour: bool,
    by_subject: bool,
    about: About,
}

/// What both may be asked about.
#[derive(Debug, Default)]
struct About {
    subject: Option<Tag>,
    kinds: Vec<Cow<'static, str>>,
}

impl EntriesAsked {
    pub(crate) fn parse(query: Option<&str>, subjects: &Subjects) -> Result<Self, Problem> {
        let mut asked = Self::default();
        for (name, value) in pairs(query) {
            match &*name {
                "limit" => {
                    let limit = number(&name, &value, defaults::ACTIVITY_FEED)?;
                    once(&mut asked.limit, limit, &name)?;
                }
                "cursor" => {
                    let cursor = value.parse().map_err(|why| refused(&name, &value, why))?;
                    once(&mut asked.cursor, cursor, &name)?;
                }
                "reorged" => {
                    let why = "not `true` or `false`";
                    let reorged = value.parse().map_err(|_| refused(&name, &value, why))?;
                    once(&mut asked.reorged, reorged, &name)?;
                }
                _ => {
                    let own = "limit, cursor, reorged";
                    asked.about.take(&name, &value, subjects, own)?;
                }
            }
        }
        Ok(asked)
    }

    pub(crate) fn query(&self) -> Result<ActivityQuery, Problem> {
        let mut query = ActivityQuery::new();
        if let Some(limit) = self.limit {
            query = query.limit(limit).map_err(|why| of("limit", &why))?;
        }
        if let Some(cursor) = self.cursor {
            query = query.behind(cursor);
        }
        if self.reorged == Some(true) {
            query = query.reorged();
        }
        if let Some(subject) = &self.about.subject {
            query = query.subject(subject);
        }
        let kinds = self.about.kinds.iter();
        let with = |query: ActivityQuery, kind| query.kind(kind).map_err(|why| of(TYPE, &why));
        kinds.map(|kind| &**kind).try_fold(query, with)
    }
}

impl CountersAsked {
    /// `kept`: how many hours are.
    pub(crate) fn parse(
        query: Option<&str>,
        subjects: &Subjects,
        kept: u64,
    ) -> Result<Self, Problem> {
        let most = usize::try_from(kept).unwrap_or(usize::MAX);
        let mut asked = Self::default();
        for (name, value) in pairs(query) {
            match &*name {
                "hours" => {
                    let hours = number(&name, &value, most)?;
                    once(&mut asked.hours, hours as u64, &name)?;
                }
                "by" => {
                    for by in list(&value) {
                        match &*by {
                            "hour" => asked.by_hour = true,
                            "subject" => asked.by_subject = true,
                            _ => return Err(refused(&name, &by, "not `hour` or `subject`")),
                        }
                    }
                }
                _ => asked.about.take(&name, &value, subjects, "hours, by")?,
            }
        }
        // Of one that is named there is one row.
        let tells_apart = asked.by_subject && asked.about.subject.is_none();
        if tells_apart && asked.hours.is_some_and(|hours| hours > SUBJECT_HOURS) {
            let hours = asked.hours.unwrap_or_default().to_string();
            let why = format!("at most {SUBJECT_HOURS} with `by=subject`");
            return Err(refused("hours", &hours, why));
        }
        asked.hours = asked.hours.or(Some(defaults::ANALYTICS_HOURS.min(kept)));
        Ok(asked)
    }

    pub(crate) fn hours(&self) -> u64 {
        self.hours.unwrap_or(defaults::ANALYTICS_HOURS)
    }

    pub(crate) fn query(&self) -> Result<AnalyticsQuery, Problem> {
        let mut query = AnalyticsQuery::new().hours(self.hours());
        if self.by_hour {
            query = query.by_hour();
        }
        if self.by_subject {
            query = query.by_subject();
        }
        if let Some(subject) = &self.about.subject {
            query = query.subject(subject);
        }
        let kinds = self.about.kinds.iter();
        let with = |query: AnalyticsQuery, kind| query.kind(kind).map_err(|why| of(TYPE, &why));
        kinds.map(|kind| &**kind).try_fold(query, with)
    }
}

impl About {
    /// Takes in a parameter that is not of the `own` ones of what is asked.
    fn take(
        &mut self,
        name: &str,
        value: &str,
        subjects: &Subjects,
        own: &str,
    ) -> Result<(), Problem> {
        if name == TYPE {
            self.kinds.extend(list(value));
            return Ok(());
        }
        let text = match name {
            SUBJECT => value.to_owned(),
            _ if subjects.kinds().any(|kind| kind == name) => format!("{name}:{value}"),
            _ => return Err(unknown(name, subjects, own)),
        };
        let of_name = |why: Problem| Problem::bad_request(format!("`{name}`: {}", why.detail()));
        let subject = subjects.parse(&text).map_err(of_name)?;
        match self.subject.replace(subject) {
            None => Ok(()),
            Some(_) => {
                let detail = format!("`{name}` names a second subject; there is one at most");
                Err(Problem::bad_request(detail))
            }
        }
    }
}

impl fmt::Display for EntriesAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit.unwrap_or(defaults::ACTIVITY_PAGE);
        write!(f, "the newest {limit} entries{}", self.about)?;
        if let Some(cursor) = self.cursor {
            write!(f, ", behind {cursor}")?;
        }
        match self.reorged {
            Some(true) => f.write_str(", also those that a reorg undid"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for CountersAsked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match (self.by_hour, self.by_subject) {
            (false, false) => "type",
            (true, false) => "type and hour",
            (false, true) => "type and subject",
            (true, true) => "type, hour and subject",
        };
        let hours = self.hours();
        write!(f, "counters of {hours} h by {by}{}", self.about)
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kinds.is_empty() {
            write!(f, ", of type {}", self.kinds.join(" or "))?;
        }
        match &self.subject {
            Some(subject) => write!(f, ", of {}", subject.as_str()),
            None => Ok(()),
        }
    }
}

fn pairs(query: Option<&str>) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

/// A whole number from 1 to `most`, in digits alone.
fn number(name: &str, text: &str, most: usize) -> Result<usize, Problem> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    let number = number.filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| refused(name, text, format!("not a whole number from 1 to {most}")))
}

fn refused(name: &str, text: &str, why: impl fmt::Display) -> Problem {
    let shown = shown(text);
    Problem::bad_request(format!("`{name}` is {shown:?}: {why}"))
}

fn of(name: &str, why: &Error) -> Problem {
    Problem::bad_request(format!("`{name}`: {why}"))
}

fn unknown(name: &str, subjects: &Subjects, own: &str) -> Problem {
    let shown = shown(name);
    let mut known = vec![own, TYPE, SUBJECT];
    known.extend(subjects.kinds());
    let known = known.join(", ");
    Problem::bad_request(format!(
        "parameter {shown:?} is not known; known are {known}"
    ))
}
