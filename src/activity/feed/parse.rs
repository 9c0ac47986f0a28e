//! What the query of a URL asks of the feed and of the counters, of whatever subject: `limit=50&type=sale,kick`.

use super::{ActivityQuery, AnalyticsQuery};
use crate::activity::asked::{CountersAsked, EntriesAsked};
use crate::error::{Error, ErrorKind};
use crate::web::{FaceWords, Problem, Subjects};

/// Whoever may ask may ask about everything.
const WORDS: FaceWords = FaceWords {
    table: "",
    act: "ask",
    act_on: "ask about",
};

impl ActivityQuery {
    /// What the query of a URL asks for; [the newest](Self::new), if it is empty. Of `limit`, `cursor`, `reorged` (`true` or
    /// `false`), `subject` and `auction` (for `subject=auction:…`) each may be given once, and `type` several times or as a list
    /// with commas.
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
        let asked = EntriesAsked::parse(Some(query), &Subjects::any(WORDS));
        asked.and_then(|asked| asked.query()).map_err(invalid)
    }
}

impl AnalyticsQuery {
    /// What the query of a URL asks for; [the last day](Self::new), if it is empty. Of `hours` (up to those that are
    /// [`kept`](super::ActivityFeed::hours)), `subject` and `auction` (for `subject=auction:…`) each may be given once, and
    /// `type` and `by` (`hour`, `subject`) several times or as a list with commas.
    ///
    /// ```
    /// use tower_tagcache::AnalyticsQuery;
    ///
    /// # fn main() -> Result<(), tower_tagcache::Error> {
    /// let query = AnalyticsQuery::parse("hours=48&by=hour", 168)?;
    /// assert_eq!(query, AnalyticsQuery::new().hours(48).by_hour());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As of [`ActivityQuery::parse`].
    pub fn parse(query: &str, kept: u64) -> Result<Self, Error> {
        let asked = CountersAsked::parse(Some(query), &Subjects::any(WORDS), kept);
        asked.and_then(|asked| asked.query()).map_err(invalid)
    }
}

fn invalid(problem: Problem) -> Error {
    Error::new(ErrorKind::Invalid, problem.detail())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::Tag;

    const ADDRESS: &str = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";

    #[test]
    fn a_query_asks_for_entries() {
        let (new, cursor) = (ActivityQuery::new, "0".repeat(64));
        let of = |subject: &str| new().subject(&Tag::new(subject).unwrap());
        let auction = format!("auction:{ADDRESS}");
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
            (&*format!("subject=auction%3A{ADDRESS}"), of(&auction)),
            (&*format!("auction={ADDRESS}"), of(&auction)),
            // Whatever it may be, as it is no page that asks.
            ("auction=7", of("auction:7")),
            ("subject=market", of("market")),
            ("reorged=true", new().reorged()),
            ("reorged=false", new()),
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
            ("by=hour,subject", new().by_hour().by_subject()),
            ("by=subject&by=hour", new().by_hour().by_subject()),
            ("type=sale&hours=1", new().kind("sale").unwrap().hours(1)),
            ("subject=a:1", new().subject(&Tag::new("a:1").unwrap())),
        ] {
            assert_eq!(
                AnalyticsQuery::parse(query, 168).unwrap(),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn what_nobody_can_ask_for_is_refused_with_its_reason() {
        for (query, expected) in [
            (
                "limt=5",
                "parameter \"limt\" is not known; known are limit,",
            ),
            (
                "limit=0",
                "`limit` is \"0\": not a whole number from 1 to 1000",
            ),
            (
                "cursor=5",
                "`cursor` is \"5\": a cursor is the `id` of an entry",
            ),
            ("type=a%20b", "`type`: type of update \"a b\" is not"),
            ("subject=", "`subject`: tag \"\" is empty"),
            (
                "auction=0x12",
                "`auction`: subject \"auction:0x12\" is not like",
            ),
            ("auction=7&subject=a:1", "`subject` names a second subject"),
        ] {
            let error = ActivityQuery::parse(query).expect_err(query);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().starts_with(expected), "{query}: {error}");
        }
        let error = AnalyticsQuery::parse("hours=169", 168).unwrap_err();
        let expected = "`hours` is \"169\": not a whole number from 1 to 168";
        assert_eq!(error.to_string(), expected);
    }
}
