//! Words for people: what a misspelt one was probably meant to be, how a time is written, and a URL without its
//! secrets.

use std::time::Duration;

/// The one of `known` that `word` was probably meant to be.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (word.chars().count() / 2).clamp(1, 3);
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), *known));
    let near = near.filter(|(distance, _)| *distance <= allowed).min();
    near.map(|(_, known)| known)
}

/// The beginning of `text`, for messages.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// `time` in the largest unit that it is a whole number of, as a person would have written it: `24h`, `90s`.
pub(crate) fn written(time: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let nanos = time.as_nanos();
    let whole = |(unit, _): &&(u128, &str)| {
        // "1d" is written "24h", and "1m" "60s" is not.
        nanos > 0 && nanos.is_multiple_of(*unit) && (*unit < UNITS[0].0 || nanos > *unit)
    };
    match UNITS.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".to_owned(),
        None => format!("{nanos}ns"),
    }
}

/// `url` without what may be secret: everything between the scheme and the last `@`, and a
/// password in the query.
#[cfg(feature = "redis")]
pub(crate) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url
        .split_once("://")
        .map_or(("", url), |(scheme, rest)| (scheme, rest));
    let after_secret = match rest.rfind('@') {
        Some(at) => format!("***{}", &rest[at..]),
        // `redis://:secret`, where the host was forgotten.
        None if rest.starts_with(':') => "***".into(),
        None => rest.into(),
    };
    let shown = match after_secret.split_once('?') {
        Some((place, query)) if query.contains("pass") => format!("{place}?***"),
        _ => after_secret,
    };
    if scheme.is_empty() {
        shown
    } else {
        format!("{scheme}://{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_person_would() {
        for (millis, expected) in [
            (0, "0s"),
            (5, "5ms"),
            (1_500, "1500ms"),
            (60_000, "1m"),
            (90_000, "90s"),
            (86_400_000, "24h"),
            (90_000_000, "25h"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(written(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        for (word, near) in [
            ("tll", Some("ttl")),
            ("rout", Some("route")),
            ("route", Some("route")),
            ("stale_while_revalidat", Some("stale_while_revalidate")),
            ("banana", None),
        ] {
            let known = ["ttl", "route", "stale_while_revalidate", "name"];
            assert_eq!(nearest(word, &known), near, "{word}");
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn a_url_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("redis://h:1", "redis://h:1"),
            ("redis://:p@h:1/0", "redis://***@h:1/0"),
            ("redis://u:p@q@h", "redis://***@h"),
            ("u:p@h", "***@h"),
            ("redis+unix:///s?pass=p", "redis+unix:///s?***"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
