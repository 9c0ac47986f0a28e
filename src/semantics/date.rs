//! HTTP dates (RFC 9110 §5.6.7), read as RFC 9111 §4.2 tells caches to: without regard to case, and
//! with GMT as the only zone.
//!
//! Nothing else is tolerated: a date with one space too many, a one-digit hour or `UTC` is no date,
//! and a response whose `Expires` is no date is stale. The name of the weekday has to be one, but
//! not the right one: nothing depends on it. (`httpdate` reads fewer dates than a cache should: it
//! minds case and holds two-digit years to a fixed century.)

use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::syntax::single;
use crate::clock::Timestamp;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
const DAYS: [&[u8]; 7] = [
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
    b"sunday",
];

/// The date in a field that stands once and is one; `now` settles the century of a two-digit year.
/// A date before 1970 counts as 1970: both are long past.
pub(super) fn field(headers: &HeaderMap, name: &HeaderName, now: Timestamp) -> Option<Timestamp> {
    parse(single(headers, name)?, now)
}

/// A field value that says `time`.
pub(crate) fn value(time: Timestamp) -> Option<HeaderValue> {
    let text = httpdate::fmt_http_date(in_range(time));
    HeaderValue::try_from(text).ok()
}

/// `httpdate` panics after the year 9999.
fn in_range(time: Timestamp) -> SystemTime {
    const LAST_MILLIS: u64 = 253_402_300_799_000;
    Timestamp::from_millis(time.as_millis().min(LAST_MILLIS)).into()
}

pub(super) fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    imf_fixdate(value)
        .or_else(|| rfc850_date(value, now))
        .or_else(|| asctime_date(value))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(value: &[u8]) -> Option<Timestamp> {
    let (day_name, rest) = value.split_first_chunk::<3>()?;
    is_short_day(day_name).then_some(())?;
    let [
        b',',
        b' ',
        d1,
        d2,
        b' ',
        m1,
        m2,
        m3,
        b' ',
        y1,
        y2,
        y3,
        y4,
        b' ',
        rest @ ..,
    ] = rest
    else {
        return None;
    };
    let days = days(
        number(&[*y1, *y2, *y3, *y4])?,
        month(&[*m1, *m2, *m3])?,
        number(&[*d1, *d2])?,
    )?;
    at(days, gmt(rest)?)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850_date(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let comma = value.iter().position(|byte| *byte == b',')?;
    let (day_name, rest) = value.split_at(comma);
    DAYS.iter().find(|day| day.eq_ignore_ascii_case(day_name))?;
    let [
        b',',
        b' ',
        d1,
        d2,
        b'-',
        m1,
        m2,
        m3,
        b'-',
        y1,
        y2,
        b' ',
        rest @ ..,
    ] = rest
    else {
        return None;
    };
    let (year, month, day) = (
        number(&[*y1, *y2])?,
        month(&[*m1, *m2, *m3])?,
        number(&[*d1, *d2])?,
    );
    let time = gmt(rest)?;
    // RFC 9110 §5.6.7: what seems more than 50 years ahead is the last such year in the past.
    let this_year = year_of(now);
    let century = this_year - this_year % 100;
    let year = if year + century > this_year + 50 {
        year + century - 100
    } else if year + century + 50 <= this_year {
        year + century + 100
    } else {
        year + century
    };
    at(days(year, month, day)?, time)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime_date(value: &[u8]) -> Option<Timestamp> {
    let (day_name, rest) = value.split_first_chunk::<3>()?;
    is_short_day(day_name).then_some(())?;
    let [b' ', m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = rest else {
        return None;
    };
    let (clock, year) = rest.split_first_chunk::<8>()?;
    let [b' ', y1, y2, y3, y4] = year else {
        return None;
    };
    let d1 = if *d1 == b' ' { b'0' } else { *d1 };
    let days = days(
        number(&[*y1, *y2, *y3, *y4])?,
        month(&[*m1, *m2, *m3])?,
        number(&[d1, *d2])?,
    )?;
    at(days, time_of_day(clock)?)
}

fn is_short_day(name: &[u8; 3]) -> bool {
    DAYS.iter().any(|day| day[..3].eq_ignore_ascii_case(name))
}

fn month(name: &[u8; 3]) -> Option<i64> {
    let found = MONTHS.iter().position(|m| m.eq_ignore_ascii_case(name))?;
    i64::try_from(found + 1).ok()
}

fn number(digits: &[u8]) -> Option<i64> {
    super::syntax::decimal(digits).and_then(|number| i64::try_from(number).ok())
}

/// `08:49:37 GMT`, in seconds.
fn gmt(bytes: &[u8]) -> Option<i64> {
    let (clock, zone) = bytes.split_first_chunk::<8>()?;
    zone.eq_ignore_ascii_case(b" GMT").then_some(())?;
    time_of_day(clock)
}

fn time_of_day(clock: &[u8; 8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = clock else {
        return None;
    };
    let (hour, minute, second) = (
        number(&[*h1, *h2])?,
        number(&[*m1, *m2])?,
        number(&[*s1, *s2])?,
    );
    // Second 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01, by counting years from March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn at(days: i64, seconds: i64) -> Option<Timestamp> {
    let seconds = days.checked_mul(86_400)?.checked_add(seconds)?;
    let seconds = u64::try_from(seconds.max(0)).ok()?;
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?))
}

/// The Gregorian year of `time`, close enough for a rule of 50 years.
fn year_of(time: Timestamp) -> i64 {
    let days = time.as_millis() / 86_400_000;
    1970 + i64::try_from(days * 400 / 146_097).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-23 00:00:00 UTC.
    const NOW: Timestamp = Timestamp::from_millis(1_795_392_000_000);

    fn seconds(text: &str) -> Option<u64> {
        parse(text.as_bytes(), NOW).map(|time| time.as_millis() / 1000)
    }

    #[test]
    fn dates_are_read_in_three_formats_without_regard_to_case() {
        let rows: &[(&str, &str, u64)] = &[
            ("imf-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("rfc850", "Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("asctime", "Sun Nov  6 08:49:37 1994", 784_111_777),
            (
                "asctime, two digits",
                "Wed Nov 16 08:49:37 1994",
                784_975_777,
            ),
            (
                "case of weekday",
                "sUN, 06 Nov 1994 08:49:37 GMT",
                784_111_777,
            ),
            (
                "case of month",
                "Sun, 06 nOV 1994 08:49:37 GMT",
                784_111_777,
            ),
            ("case of zone", "Sun, 06 Nov 1994 08:49:37 gmt", 784_111_777),
            ("leap day", "Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800),
            (
                "leap second",
                "Sat, 31 Dec 2016 23:59:60 GMT",
                1_483_228_800,
            ),
            ("after 2038", "Tue, 19 Jan 2038 03:14:08 GMT", 2_147_483_648),
            (
                "far future",
                "Fri, 31 Dec 9999 23:59:59 GMT",
                253_402_300_799,
            ),
            ("before 1970 is 1970", "Wed, 31 Dec 1969 23:59:59 GMT", 0),
            // Nothing depends on the weekday.
            (
                "wrong weekday",
                "Mon, 06 Nov 1994 08:49:37 GMT",
                784_111_777,
            ),
        ];
        for (name, text, expected) in rows {
            assert_eq!(seconds(text), Some(*expected), "{name}");
        }
    }

    #[test]
    fn what_is_nearly_a_date_is_none() {
        let rows: &[(&str, &str)] = &[
            ("empty", ""),
            ("zero", "0"),
            ("one-digit hour", "Sun, 06 Nov 1994 8:49:37 GMT"),
            ("one-digit day", "Sun, 6 Nov 1994 08:49:37 GMT"),
            ("two-digit year", "Sun, 06 Nov 94 08:49:37 GMT"),
            ("two spaces", "Sun,  06 Nov 1994 08:49:37 GMT"),
            ("no comma", "Sun 06 Nov 1994 08:49:37 GMT"),
            ("dashes", "Sun, 06-Nov-1994 08:49:37 GMT"),
            ("periods", "Sun, 06 Nov 1994 08.49.37 GMT"),
            ("UTC", "Sun, 06 Nov 1994 08:49:37 UTC"),
            ("AEST", "Sun, 06 Nov 1994 08:49:37 AEST"),
            ("offset", "Sun, 06 Nov 1994 08:49:37 +0000"),
            ("no zone", "Sun, 06 Nov 1994 08:49:37"),
            ("tail", "Sun, 06 Nov 1994 08:49:37 GMT, x"),
            ("weekday", "Son, 06 Nov 1994 08:49:37 GMT"),
            ("month", "Sun, 06 Nob 1994 08:49:37 GMT"),
            ("day 0", "Sun, 00 Nov 1994 08:49:37 GMT"),
            ("day 31 of 30", "Sun, 31 Nov 1994 08:49:37 GMT"),
            ("no leap year", "Sun, 29 Feb 1900 08:49:37 GMT"),
            ("hour 24", "Sun, 06 Nov 1994 24:00:00 GMT"),
            ("sign", "Sun, 06 Nov +994 08:49:37 GMT"),
            ("rfc850 short weekday", "Sun, 06-Nov-94 08:49:37 GMT"),
            ("asctime with zone", "Sun Nov  6 08:49:37 1994 GMT"),
        ];
        for (name, text) in rows {
            assert_eq!(seconds(text), None, "{name}");
        }
    }

    #[test]
    fn a_two_digit_year_is_at_most_fifty_years_ahead() {
        let year = |yy: &str, now: &str| {
            let now = parse(format!("Mon, 01 Jun {now} 00:00:00 GMT").as_bytes(), NOW).unwrap();
            let text = format!("Monday, 01-Jun-{yy} 00:00:00 GMT");
            year_of(parse(text.as_bytes(), now).unwrap())
        };
        assert_eq!(year("76", "2026"), 2076);
        assert_eq!(year("77", "2026"), 1977);
        assert_eq!(year("25", "2026"), 2025);
        assert_eq!(year("10", "2080"), 2110);
        assert_eq!(year("99", "2100"), 2099);
    }

    proptest! {
        #[test]
        fn every_second_is_read_back_as_written(seconds in 0_u64..253_402_300_799) {
            let time = Timestamp::from_millis(seconds * 1000);
            let text = httpdate::fmt_http_date(time.into());
            prop_assert_eq!(parse(text.as_bytes(), NOW), Some(time));
        }
    }
}
