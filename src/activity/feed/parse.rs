//! What the query of a URL asks of the feed and of the counters: `limit=50&type=sale,kick`.

use std::fmt::Display;

use super::{ActivityQuery, AnalyticsQuery};
use crate::activity::cursor::ActivityCursor;
use crate::defaults;
use crate::error::{Error, ErrorKind};
use crate::spelling::{nearest, shown};
use crate::tag::Tag;

/// Hours that somebody may ask for: a year, the longest that counters are kept.
const MAX_HOURS: usize = 366 * 24;

impl ActivityQuery {
    /// What the query of a URL asks for; [the newest](Self::new), if it is empty. Of `limit`, `cursor`, `subject`, `auction`
    /// (its address, for `subject=auction:…`) and `reorged` (`true`, `false` or nothing, which is `true`) each may be given
    /// once, and `type` several times or as a list with commas.
    ///
    /// ```
    /// use tower_tagcache::ActivityQuery;
    ///
    /// # fn main() -> Result<(), tower_tagcache::Error> {
    /// let query = ActivityQuery::parse("limit=50&type=sale,kick")?;
    /// assert_eq!(query, ActivityQuery::new().limit(50)?.kind("sale")?.kind("kick")?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: a parameter is not known, is given twice, or has a value that it cannot have.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let known = ["limit", "cursor", "type", "subject", "auction", "reorged"];
        let parameters = Parameters::parse(query, &known)?;
        let mut asked = Self::new();
        if let Some(text) = parameters.once("limit")? {
            asked = asked.limit(number("limit", text, defaults::ACTIVITY_FEED)?)?;
        }
        if let Some(text) = parameters.once("cursor")? {
            let cursor: Result<ActivityCursor, _> = text.parse();
            let why = "is none: it is the `id` of an entry, 64 hexadecimal digits in lower case";
            asked = asked.behind(cursor.map_err(|_| unusable("cursor", text, why))?);
        }
        for kind in parameters.list("type") {
            asked = asked.kind(kind)?;
        }
        if let Some(subject) = parameters.subject()? {
            asked = asked.subject(&subject);
        }
        match parameters.once("reorged")? {
            None | Some("false" | "0") => Ok(asked),
            Some("" | "true" | "1") => Ok(asked.reorged()),
            Some(text) => Err(unusable("reorged", text, "is not true or false")),
        }
    }
}

impl AnalyticsQuery {
    /// What the query of a URL asks for; [the last day](Self::new), if it is empty. Of `hours`, `subject` and `auction` (its
    /// address, for `subject=auction:…`) each may be given once, and `type` and `by` (`hour`, `subject`) several times or as a
    /// list with commas.
    ///
    /// ```
    /// use tower_tagcache::AnalyticsQuery;
    ///
    /// # fn main() -> Result<(), tower_tagcache::Error> {
    /// let query = AnalyticsQuery::parse("hours=48&by=hour")?;
    /// assert_eq!(query, AnalyticsQuery::new().hours(48).by_hour());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`ActivityQuery::parse`].
    pub fn parse(query: &str) -> Result<Self, Error> {
        let known = ["hours", "by", "type", "subject", "auction"];
        let parameters = Parameters::parse(query, &known)?;
        let mut asked = Self::new();
        if let Some(text) = parameters.once("hours")? {
            asked = asked.hours(number("hours", text, MAX_HOURS)? as u64);
        }
        for part in parameters.list("by") {
            asked = match part {
                "hour" => asked.by_hour(),
                "subject" => asked.by_subject(),
                _ => return Err(unusable("by", part, "is not hour or subject")),
            };
        }
        for kind in parameters.list("type") {
            asked = asked.kind(kind)?;
        }
        Ok(match parameters.subject()? {
            Some(subject) => asked.subject(&subject),
            None => asked,
        })
    }
}

/// The parameters of a query, of which all are known.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(query: &str, known: &[&str]) -> Result<Self, Error> {
        let mut parameters = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let help = match nearest(&name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are `{}`", known.join("`, `")),
                };
                let name = shown(&name);
                return Err(invalid(format!("parameter {name:?} is not known; {help}")));
            }
            parameters.push((name.into_owned(), value.trim().to_owned()));
        }
        Ok(Self(parameters))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self.0.iter().filter(move |(own, _)| own == name);
        of_name.map(|(_, value)| value.as_str())
    }

    fn once(&self, name: &str) -> Result<Option<&str>, Error> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(invalid(format!("`{name}` is given twice"))),
        }
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let parts = self.all(name).flat_map(|value| value.split(','));
        parts.map(str::trim)
    }

    fn subject(&self) -> Result<Option<Tag>, Error> {
        match (self.once("subject")?, self.once("auction")?) {
            (None, None) => Ok(None),
            (Some(subject), None) => Tag::new(subject).map(Some),
            (None, Some(auction)) => auction_of(auction).map(Some),
            (Some(_), Some(_)) => {
                let why = "`subject` and `auction` are the same, and only one of them can be given";
                Err(invalid(why.to_owned()))
            }
        }
    }
}

/// The subject of the auction with this address, or number.
fn auction_of(text: &str) -> Result<Tag, Error> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let is_address =
        |digits: &str| digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // What looks like an address is one, or a mistake that finds nothing.
    if text.is_empty() || digits.is_some_and(|digits| !is_address(digits)) {
        let why = "is no address, which is 0x and 40 hexadecimal digits";
        return Err(unusable("auction", text, why));
    }
    Tag::new(&format!("auction:{text}"))
}

/// A whole number from 1 to `most`, in digits alone.
fn number(name: &str, text: &str, most: usize) -> Result<usize, Error> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    let number = number.filter(|number| (1..=most).contains(number));
    let why = || format!("is not a whole number from 1 to {most}");
    number.ok_or_else(|| unusable(name, text, why()))
}

fn unusable(name: &str, text: &str, why: impl Display) -> Error {
    let text = shown(text);
    invalid(format!("{name} {text:?} {why}"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";

    #[test]
    fn a_query_asks_for_entries() {
        let (new, cursor) = (ActivityQuery::new, "0".repeat(64));
        let auction = Tag::new(&format!("auction:{ADDRESS}")).unwrap();
        let sale = || new().kind("sale").unwrap();
        for (query, expected) in [
            ("", new()),
            ("limit=1000", new().limit(1_000).unwrap()),
            (
                &*format!("cursor={cursor}"),
                new().behind(cursor.parse().unwrap()),
            ),
            ("type=sale", sale()),
            ("type=sale,kick", sale().kind("kick").unwrap()),
            ("type=sale&type=kick", sale().kind("kick").unwrap()),
            (
                &*format!("subject=auction%3A{ADDRESS}"),
                new().subject(&auction),
            ),
            (&*format!("auction={ADDRESS}"), new().subject(&auction)),
            ("auction=7", new().subject(&Tag::new("auction:7").unwrap())),
            ("reorged", new().reorged()),
            ("reorged=true", new().reorged()),
            ("reorged=0", new()),
        ] {
            assert_eq!(ActivityQuery::parse(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn a_query_asks_for_counters() {
        let new = AnalyticsQuery::new;
        for (query, expected) in [
            ("", new()),
            ("hours=48", new().hours(48)),
            ("by=hour", new().by_hour()),
            ("by=hour,subject", new().by_hour().by_subject()),
            ("by=subject&by=hour", new().by_hour().by_subject()),
            ("type=sale&hours=1", new().kind("sale").unwrap().hours(1)),
            ("subject=a:1", new().subject(&Tag::new("a:1").unwrap())),
        ] {
            assert_eq!(AnalyticsQuery::parse(query).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_nobody_can_ask_for_is_refused_with_its_reason() {
        let of_feed = |query: &str| ActivityQuery::parse(query).map(drop);
        let of_counters = |query: &str| AnalyticsQuery::parse(query).map(drop);
        let of_feed: &dyn Fn(&str) -> _ = &of_feed;
        let of_counters: &dyn Fn(&str) -> _ = &of_counters;
        for (parse, query, expected) in [
            (
                of_feed,
                "limt=5",
                "parameter \"limt\" is not known; did you mean `limit`?",
            ),
            (
                of_feed,
                "by=hour",
                "parameter \"by\" is not known; there are `limit`, `cursor`,",
            ),
            (
                of_feed,
                "limit=0",
                "limit \"0\" is not a whole number from 1 to 1000",
            ),
            (of_feed, "limit=%2B5", "limit \"+5\" is not a whole number"),
            (of_feed, "limit=5&limit=6", "`limit` is given twice"),
            (
                of_feed,
                "cursor=5",
                "cursor \"5\" is none: it is the `id` of an entry, ",
            ),
            (
                of_feed,
                "type=a b",
                "type of update \"a b\" is not 1 to 64 ASCII letters",
            ),
            (of_feed, "type=sale,", "type of update \"\" is not"),
            (of_feed, "subject=", "tag \"\" is empty"),
            (of_feed, "auction=0x12", "auction \"0x12\" is no address"),
            (of_feed, "auction=", "auction \"\" is no address"),
            (
                of_feed,
                "auction=7&subject=a:1",
                "`subject` and `auction` are the same",
            ),
            (
                of_feed,
                "reorged=maybe",
                "reorged \"maybe\" is not true or false",
            ),
            (
                of_counters,
                "hours=0",
                "hours \"0\" is not a whole number from 1 to 8784",
            ),
            (
                of_counters,
                "hours=8785",
                "hours \"8785\" is not a whole number from 1 to 8784",
            ),
            (
                of_counters,
                "hours=1d",
                "hours \"1d\" is not a whole number",
            ),
            (of_counters, "by=day", "by \"day\" is not hour or subject"),
            (of_counters, "limit=5", "parameter \"limit\" is not known"),
        ] {
            let error = parse(query).expect_err(query);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().starts_with(expected), "{query}: {error}");
        }
        let many: Vec<String> = (0..21).map(|n| format!("type=t{n}")).collect();
        assert!(ActivityQuery::parse(&many.join("&")).is_err());
    }
}
