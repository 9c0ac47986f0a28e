//! What settings are that nobody sets, each with its reason: read by the builder, by rules, and by what is shown of a
//! configuration. The table in `docs/DESIGN.md` is checked against them.

use std::time::Duration;

/// A TTL of seconds was accepted where this is chosen; as far as a near rule may lag behind a purge.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// A purge waits so long, and a tenth more, for a node that has stopped (PROTOCOL 34).
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(5);

/// A record that every node of the other region reads; a node that starts hits nothing for up to two of them, where
/// `max_cut` is set.
#[cfg(feature = "redis")]
pub(crate) const RELAY_BEAT: Duration = Duration::from_secs(2);

/// The last net under an event that never came.
pub(crate) const LIFETIME_CEILING: Duration = Duration::from_secs(24 * 60 * 60);

/// What rules mean by `"default"`, `"long"` and `"short"`: a page, what hardly changes, what changes all the time.
pub(crate) const TTL: Duration = Duration::from_secs(30);
pub(crate) const LONG_TTL: Duration = Duration::from_secs(5 * 60);
pub(crate) const SHORT_TTL: Duration = Duration::from_secs(10);

/// An inner service that is slow has not failed, and a second call makes it slower.
pub(crate) const COALESCE_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer than any fetch should take: who is waited for longer has died.
pub(crate) const FLEET_CLAIM: Duration = Duration::from_secs(30);

/// Pages and documents, not downloads.
pub(crate) const BODY_LIMIT: usize = 2 << 20;

/// About a hundred of the largest bodies that a rule stores by default, at once.
pub(crate) const FILL_BYTES: u64 = 256 << 20;

/// Small beside what a service has, and thousands of pages.
pub(crate) const STORE_BYTES: u64 = 64 << 20;

/// A copy from the first time on: more where there are more responses than room.
pub(crate) const NEAR_AFTER: u32 = 1;

/// What all keys in Redis begin with: recognised by who looks there.
pub(crate) const NAMESPACE: &str = "tagcache";

/// A server that is far away, and what it is asked before it is trusted.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Some managed servers cut connections after twelve hours.
#[cfg(feature = "redis")]
pub(crate) const CONNECTION_AGE: Duration = Duration::from_secs(11 * 60 * 60);

/// A request waits for each lookup, and would rather go to the inner service.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(25);

/// No request waits for it.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Who purges waits for it, and a replica may have to acknowledge it.
pub(crate) const PURGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Far more than an event has, and little beside what a process may hold.
pub(crate) const STREAM_ENTRY_BYTES: u64 = 4 << 20;

/// The purge of the first event does not wait long for the others.
pub(crate) const STREAM_BATCH: usize = 32;

/// The purges of a consumer that was killed are in force within 5 s of its death.
pub(crate) const CLAIM_AFTER: Duration = Duration::from_secs(3);

/// rindexer gives up after about 90 s.
pub(crate) const AWAY: Duration = Duration::from_secs(60);

/// Messages that wait for one receiver of updates: a slow one gets a resync and delays nobody.
pub(crate) const UPDATES_WAITING: usize = 1_024;

/// Updates that are kept for receivers that come back: two hours of one a second.
pub(crate) const HISTORY_UPDATES: usize = 8_192;

/// The most bytes of them, in all the forms in which they are kept.
pub(crate) const HISTORY_BYTES: usize = 16 * 1024 * 1024;

/// Clients of live updates at once.
pub(crate) const LIVE_CONNECTIONS: usize = 10_000;

/// Those of one address: a few people behind one router, each with a few pages.
pub(crate) const LIVE_CONNECTIONS_PER_ADDRESS: usize = 100;

/// How often a silent connection of live updates is written to: below the shortest idle limit of usual proxies, 30 s.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long clients of live updates wait before they connect again.
pub(crate) const RETRY: Duration = Duration::from_secs(3);

/// Updates that are remembered, to tell none twice: repeats come within minutes.
pub(crate) const UPDATES_KNOWN: usize = 65_536;

/// Entries of a stream in hand: taken, and their purges not acknowledged.
pub(crate) const ENTRIES_IN_HAND: usize = 1_024;

/// Where people are told, an entry waits until its purge is everywhere and has settled: the purges of those behind it do not.
pub(crate) const ENTRIES_TO_ANNOUNCE: usize = 16_384;

/// Events that are remembered: days of a busy market, and 30 MB in Redis.
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_ENTRIES: usize = 20_000;

/// Entries of the feed of all, and of that of one subject, as the requirement says.
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_FEED: usize = 1_000;
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_SUBJECT_FEED: usize = 100;

/// Entries that are read at once if nobody says how many.
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_PAGE: usize = 20;

/// Hours whose counters are read at once if nobody says how many: a day.
#[cfg(feature = "activity")]
pub(crate) const ANALYTICS_HOURS: u64 = 24;

/// What an auction adds up.
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_SUM: &str = "amount";

/// A week can be compared with the day before.
#[cfg(feature = "activity")]
pub(crate) const ANALYTICS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The pauses between the tries of an alert that is not taken, from the first to the longest, and for how long it is tried.
#[cfg(feature = "activity")]
pub(crate) const ALERT_FIRST_PAUSE: Duration = Duration::from_secs(1);
#[cfg(feature = "activity")]
pub(crate) const ALERT_LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);
#[cfg(feature = "activity")]
pub(crate) const ALERT_TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The name that the requirement gives it.
#[cfg(feature = "activity")]
pub(crate) const ACTIVITY_CHANNEL: &str = "activity:new";
/// A webhook or a push: an endpoint that is far away answers within it, TLS included.
#[cfg(feature = "alerts")]
pub(crate) const OUTGOING_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Receivers are told to answer before they work; what takes longer is sent again.
#[cfg(feature = "alerts")]
pub(crate) const OUTGOING_TIMEOUT: Duration = Duration::from_secs(10);

/// The push services of Chrome, Firefox, Safari and Edge.
#[cfg(feature = "push")]
pub(crate) const PUSH_HOSTS: [&str; 4] = [
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
];

/// Browsers that are kept to be pushed to, and told of an alert in a minute or so.
#[cfg(feature = "push")]
pub(crate) const PUSH_SUBSCRIPTIONS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spelling::written;
    use crate::tag::{MAX_TAG_BYTES, MAX_TAGS};

    /// The table of `docs/DESIGN.md`: what, and its default.
    fn rows() -> Vec<(&'static str, &'static str)> {
        let design = include_str!("../docs/DESIGN.md");
        let (_, rest) = design
            .split_once("## Defaults and bounds\n")
            .expect("its heading");
        let table = rest.lines().take_while(|line| line.starts_with('|'));
        let cells = table.filter_map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            cells.next().zip(cells.next())
        });
        cells.collect()
    }

    /// As the document writes it: a space before the unit.
    fn time(time: Duration) -> String {
        let short = written(time);
        let unit = short.find(char::is_alphabetic).expect("a unit");
        let (number, unit) = short.split_at(unit);
        format!("{number} {unit}")
    }

    /// With a comma before the last three digits of four or more.
    fn count(number: usize) -> String {
        match number {
            0..1_000 => number.to_string(),
            _ => format!("{},{:03}", number / 1_000, number % 1_000),
        }
    }

    #[test]
    fn the_table_of_the_design_says_what_the_code_does() {
        let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
        let limits = format!("{}; {MAX_TAGS}; {MAX_TAG_BYTES}", mib(BODY_LIMIT as u64));
        let budgets = format!(
            "{} (`REDIS_TIMEOUT`), {}, {}, {}",
            time(CONNECT_TIMEOUT),
            time(READ_TIMEOUT),
            time(WRITE_TIMEOUT),
            time(PURGE_TIMEOUT)
        );
        let rows = rows();
        for (what, default) in [
            ("consistency", format!("near, `lease` {}", time(LEASE))),
            ("longest lease", time(LONGEST_LEASE)),
            ("body limit; tags an entry; tag bytes", limits),
            ("Redis budgets: connect, read, write, purge", budgets),
            ("near copy; marks; globs", mib(STORE_BYTES)),
            ("`fill_bytes`", mib(FILL_BYTES)),
            ("`coalesce_timeout`", time(COALESCE_TIMEOUT)),
            ("`fleet_claim`", time(FLEET_CLAIM)),
            ("lifetime ceiling", time(LIFETIME_CEILING)),
            ("`ttl`: default, long, short", {
                let times = [TTL, LONG_TTL, SHORT_TTL].map(time);
                times.join(", ")
            }),
            ("`near_after`", NEAR_AFTER.to_string()),
            (
                "a stream's `max_entry_bytes`; `batch`; `claim_after`; `away`",
                {
                    let (bytes, claim) = (mib(STREAM_ENTRY_BYTES), time(CLAIM_AFTER));
                    format!("{bytes}; {STREAM_BATCH}; {claim}; {}", time(AWAY))
                },
            ),
            ("updates that wait for one receiver", {
                let (waiting, known) = (count(UPDATES_WAITING), count(UPDATES_KNOWN));
                format!("{waiting}; {known}")
            }),
            ("updates that are kept for receivers that come back", {
                let (updates, bytes) = (count(HISTORY_UPDATES), mib(HISTORY_BYTES as u64));
                format!("{updates}; {bytes}")
            }),
            ("clients of live updates", {
                let (all, one) = (count(LIVE_CONNECTIONS), count(LIVE_CONNECTIONS_PER_ADDRESS));
                format!("{all}; {one}; {}; {}", time(KEEP_ALIVE), time(RETRY))
            }),
            ("entries in hand", {
                let (plain, told) = (count(ENTRIES_IN_HAND), count(ENTRIES_TO_ANNOUNCE));
                format!("{plain}; {told}")
            }),
            ("`namespace`", format!("`{NAMESPACE}`")),
        ] {
            check(&rows, what, &default);
        }
    }

    fn check(rows: &[(&str, &str)], what: &str, default: &str) {
        let row = rows.iter().find(|(row, _)| row.starts_with(what));
        let says = row.is_some_and(|(_, says)| says.starts_with(default));
        assert!(
            says,
            "write into docs/DESIGN.md: | {what} | {default} | … (now: {row:?})"
        );
    }

    #[cfg(feature = "push")]
    #[test]
    fn the_table_of_the_design_says_what_is_kept_and_sent() {
        let rows = rows();
        for (what, default) in [
            ("events that the activity feed remembers", {
                let feed = [
                    ACTIVITY_ENTRIES,
                    ACTIVITY_FEED,
                    ACTIVITY_SUBJECT_FEED,
                    ACTIVITY_PAGE,
                ];
                feed.map(count).join("; ")
            }),
            ("what analytics adds up", {
                let kept = ANALYTICS_KEPT.as_secs() / 3_600;
                format!("`{ACTIVITY_SUM}`; {kept} h; {ANALYTICS_HOURS}")
            }),
            ("an alert that is not taken", {
                let times = [ALERT_FIRST_PAUSE, ALERT_LONGEST_PAUSE, ALERT_TRIED_FOR];
                times.map(time).join("; ")
            }),
            ("a webhook or push", {
                let times = [OUTGOING_CONNECT_TIMEOUT, OUTGOING_TIMEOUT];
                times.map(time).join("; ")
            }),
            ("browsers that are pushed to", {
                let (thousands, rest) = (PUSH_SUBSCRIPTIONS / 1_000, PUSH_SUBSCRIPTIONS % 1_000);
                format!("{thousands},{rest:03}")
            }),
        ] {
            check(&rows, what, &default);
        }
    }
}
