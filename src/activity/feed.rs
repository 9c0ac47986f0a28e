//! [`ActivityFeed`]: reads what happened, and how much of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

pub use self::failed::FailedDelivery;
use super::cursor::ActivityCursor;
use super::entry::hour_of;
use super::store::{ActivityStore, CountedOf, FeedQuery, StoredActivity};
use super::sum::LimbSum;
use crate::clock::{Clock, Timestamp};
use crate::defaults;
use crate::error::{Error, ErrorKind};
use crate::tag::Tag;
use crate::update::check_kind;

mod failed;
mod json;
mod parse;

const HOUR_MILLIS: u64 = 3_600_000;
/// Subjects of which counters are told at once: those that were active last.
const SUBJECTS: usize = 20;
/// The most hours of them: a server does nothing else while it reads.
pub(crate) const SUBJECT_HOURS: u64 = 48;
/// The most types that somebody asks for.
const MAX_TYPES: usize = 20;

/// Reads the activity feed and its counters, in one command to Redis each. A cheap clone; made by
/// [`Cache::activity`](crate::Cache::activity).
#[derive(Debug, Clone)]
pub struct ActivityFeed {
    store: Arc<dyn ActivityStore>,
    clock: Arc<dyn Clock>,
    hours: u64,
}

/// Which entries of the activity feed somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ActivityQuery(FeedQuery);

/// Some entries of the activity feed, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivityPage {
    /// The entries.
    pub entries: Vec<ActivityEntry>,
    /// The cursor of the next, older page; `None` if this is the last.
    pub next: Option<ActivityCursor>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivityEntry {
    /// Where it stands, which is its id.
    pub id: ActivityCursor,
    /// A reorg undid it.
    pub reorged: bool,
    /// A JSON object: `id`, `type`, `subject`, `amount`, `price`, `timestamp` (seconds since 1970), `tx_hash`, where they are
    /// known `network`, `block` and `auction_address` (`<kind>_address` of a subject with an address, otherwise `<kind>`), and
    /// the fields of the update as text. `truncated` is true where fields were left out, past 4 KiB of them.
    pub json: Box<str>,
}

/// Which counters somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct AnalyticsQuery {
    hours: u64,
    subject: Option<Box<str>>,
    types: Vec<Box<str>>,
    by_hour: bool,
    by_subject: bool,
}

/// How many updates of one type there were, and how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnalyticsRow {
    /// The type.
    pub kind: String,
    /// When the hour began; `None` if hours are not told apart.
    pub hour: Option<Timestamp>,
    /// `None` if subjects are not told apart.
    pub subject: Option<String>,
    /// How many that no reorg undid.
    pub count: u64,
    /// The sums of their fields that are whole numbers, in decimal, of any size.
    pub sums: BTreeMap<String, String>,
}

impl ActivityFeed {
    pub(crate) fn new(store: Arc<dyn ActivityStore>, clock: Arc<dyn Clock>, hours: u64) -> Self {
        Self {
            store,
            clock,
            hours,
        }
    }

    /// How many hours are counted.
    #[must_use]
    pub const fn hours(&self) -> u64 {
        self.hours
    }

    /// Reads entries, newest first.
    ///
    /// # Errors
    /// Redis cannot be reached, or refuses.
    pub async fn read(&self, query: &ActivityQuery) -> Result<ActivityPage, Error> {
        let entries = self.store.read(&query.0).await?;
        let entries: Vec<ActivityEntry> = entries.into_iter().map(Into::into).collect();
        let last = entries.last().map(|last| last.id);
        Ok(ActivityPage {
            next: last.filter(|_| entries.len() == query.0.limit),
            entries,
        })
    }

    /// Reads counters, of the present hour and those before it: ordered by hour, type and subject, newest hour first.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub async fn analytics(&self, query: &AnalyticsQuery) -> Result<Vec<AnalyticsRow>, Error> {
        self.analytics_at(query, self.clock.now()).await
    }

    /// As [`analytics`](Self::analytics), as a JSON object: `rows`, each with `type`, `count`, `sums` in decimal as text, and
    /// where they are told apart `hour` and `subject`; `from` and `hour`, when an hour began, and `to`, the present, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub async fn analytics_json(&self, query: &AnalyticsQuery) -> Result<String, Error> {
        let now = self.clock.now();
        let rows = self.analytics_at(query, now).await?;
        let rows: Vec<_> = rows.iter().map(AnalyticsRow::json).collect();
        let from = self.first_hour(query, hour_of(now)) * (HOUR_MILLIS / 1_000);
        let to = now.as_millis() / 1_000;
        Ok(serde_json::json!({ "from": from, "to": to, "rows": rows }).to_string())
    }

    /// The first hour that is asked for, if it is `now`.
    fn first_hour(&self, query: &AnalyticsQuery, now: u64) -> u64 {
        let most = match query.by_subject && query.subject.is_none() {
            true => self.hours.min(SUBJECT_HOURS),
            false => self.hours,
        };
        (now + 1).saturating_sub(query.hours.clamp(1, most))
    }

    /// As [`analytics`](Self::analytics), if it is `now`.
    async fn analytics_at(
        &self,
        query: &AnalyticsQuery,
        now: Timestamp,
    ) -> Result<Vec<AnalyticsRow>, Error> {
        let of = match (&query.subject, query.by_subject) {
            (Some(subject), _) => CountedOf::Subject(subject.clone()),
            (None, true) => CountedOf::Subjects(SUBJECTS),
            (None, false) => CountedOf::All,
        };
        let now = hour_of(now);
        let first = self.first_hour(query, now);
        // An event may be some time ahead of this clock.
        let counted = self.store.counted(&of, first, now + 1).await?;
        let mut rows = BTreeMap::<_, (i64, BTreeMap<Box<str>, LimbSum>)>::new();
        for ((whose, hour, kind), counted) in counted {
            if !query.types.is_empty() && !query.types.contains(&kind) {
                continue;
            }
            let hour = query.by_hour.then_some(std::cmp::Reverse(hour));
            let whose = whose.filter(|_| query.by_subject);
            let row = rows.entry((hour, kind, whose)).or_default();
            row.0 += counted.count;
            for (field, sum) in &counted.sums {
                row.1.entry(field.clone()).or_default().merge(sum);
            }
        }
        let row =
            |((hour, kind, subject), (count, sums)): (_, (i64, BTreeMap<Box<str>, LimbSum>))| {
                let hour: Option<std::cmp::Reverse<u64>> = hour;
                let kind: Box<str> = kind;
                let subject: Option<Box<str>> = subject;
                let sums = sums.into_iter();
                AnalyticsRow {
                    kind: kind.into(),
                    hour: hour.map(|hour| Timestamp::from_millis(hour.0 * HOUR_MILLIS)),
                    subject: subject.map(Into::into),
                    count: count.try_into().unwrap_or_default(),
                    sums: sums
                        .map(|(field, sum)| (field.into(), sum.to_string()))
                        .collect(),
                }
            };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Alerts that could not be delivered, newest first; the last 1,000 are kept.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub async fn failed_alerts(&self, limit: usize) -> Result<Vec<FailedDelivery>, Error> {
        let failed = self.store.failed(limit).await?;
        Ok(failed.into_iter().map(Into::into).collect())
    }

    /// Sends alerts again that could not be delivered: that with this id, or all. How many.
    ///
    /// # Errors
    /// As of [`read`](Self::read); [`ErrorKind::Invalid`] if `id` is none.
    pub async fn send_again(&self, id: Option<&str>) -> Result<usize, Error> {
        let parse = |id: &str| {
            let number = u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 32);
            let why = "the id of an alert has 32 hexadecimal digits";
            number.ok_or_else(|| Error::new(ErrorKind::Invalid, why))
        };
        let id = id.map(parse).transpose()?;
        self.store.send_again(id).await
    }
}

impl Default for ActivityQuery {
    fn default() -> Self {
        Self(FeedQuery {
            limit: defaults::ACTIVITY_PAGE,
            behind: None,
            subject: None,
            kinds: Vec::new(),
            undone: false,
        })
    }
}

impl ActivityQuery {
    /// The newest twenty of all that no reorg undid.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many, from 1 to 1,000. Default: 20.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it is another number.
    pub fn limit(mut self, limit: usize) -> Result<Self, Error> {
        let most = defaults::ACTIVITY_FEED;
        if !(1..=most).contains(&limit) {
            let message = format!("limit {limit} is not from 1 to {most}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.0.limit = limit;
        Ok(self)
    }

    /// Those that stand behind this entry, which are older.
    pub const fn behind(mut self, cursor: ActivityCursor) -> Self {
        self.0.behind = Some(cursor);
        self
    }

    /// Those of one subject: `auction:0x…`. Default: of all.
    pub fn subject(mut self, subject: &Tag) -> Self {
        self.0.subject = Some(subject.as_str().into());
        self
    }

    /// Also those of this type; at most 20 may be named. Default: all types.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it is no type of an update, or one too many.
    pub fn kind(mut self, kind: &str) -> Result<Self, Error> {
        self.0.kinds.push(checked(kind, self.0.kinds.len())?);
        Ok(self)
    }

    /// Also those that a reorg undid. Default: not these.
    pub const fn reorged(mut self) -> Self {
        self.0.undone = true;
        self
    }
}

impl Default for AnalyticsQuery {
    fn default() -> Self {
        Self {
            hours: defaults::ANALYTICS_HOURS,
            subject: None,
            types: Vec::new(),
            by_hour: false,
            by_subject: false,
        }
    }
}

impl AnalyticsQuery {
    /// The last 24 hours, by type.
    pub fn new() -> Self {
        Self::default()
    }

    /// The present hour and those before it, so many together. Default: 24.
    pub const fn hours(mut self, hours: u64) -> Self {
        self.hours = hours;
        self
    }

    /// Those of one subject. Default: of all.
    pub fn subject(mut self, subject: &Tag) -> Self {
        self.subject = Some(subject.as_str().into());
        self
    }

    /// Also those of this type; at most 20 may be named. Default: all types.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it is no type of an update, or one too many.
    pub fn kind(mut self, kind: &str) -> Result<Self, Error> {
        self.types.push(checked(kind, self.types.len())?);
        Ok(self)
    }

    /// Tells hours apart. Default: not.
    pub const fn by_hour(mut self) -> Self {
        self.by_hour = true;
        self
    }

    /// Tells subjects apart: the twenty that were active last, in the last 48 hours at
    /// most. Default: not.
    pub const fn by_subject(mut self) -> Self {
        self.by_subject = true;
        self
    }
}

fn checked(kind: &str, there: usize) -> Result<Box<str>, Error> {
    check_kind(kind)?;
    match there < MAX_TYPES {
        true => Ok(kind.into()),
        false => {
            let message = format!("more than {MAX_TYPES} types");
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

impl From<StoredActivity> for ActivityEntry {
    fn from(stored: StoredActivity) -> Self {
        Self {
            id: stored.cursor,
            reorged: stored.is_undone,
            json: stored.json.into(),
        }
    }
}

impl ActivityPage {
    /// As a JSON object: `entries`, each with `reorged` where that is so, and `next`, a cursor or null.
    #[must_use]
    pub fn to_json(&self) -> String {
        let entries = self.entries.iter().map(|entry| {
            let json: Option<Map<String, Value>> = serde_json::from_str(&entry.json).ok();
            let mut json = json.unwrap_or_default();
            if entry.reorged {
                json.insert("reorged".into(), true.into());
            }
            json
        });
        let entries: Vec<_> = entries.map(Value::from).collect();
        let next = self.next.map(|next| next.to_string());
        serde_json::json!({ "entries": entries, "next": next }).to_string()
    }
}
