//! Settings that work and deserve a second look.

use super::{Loaded, Period, announced, receivers};
use crate::{ConfigPlace, Cookies, RuleSettings, StreamSettings, Warning};

impl Loaded {
    /// What of the rules deserves a second look: routes taken from a broader rule whose tags they
    /// lack, cookies that do not end caching, lifetimes below what a stream needs to settle, streams
    /// that nothing trims or that there is no Redis to read from, activity and alerts that nothing which is
    /// announced reaches, receivers that no alert goes to, and ways on which others could read alerts. The cache itself warns of more when it is built.
    #[must_use]
    pub fn advice(&self) -> Vec<Warning> {
        let rules = &self.config.rules;
        let mut advice = Vec::new();
        for rule in rules {
            let place = ConfigPlace::rule(&*rule.name);
            let broader = rules
                .iter()
                .filter(|broad| covers(&broad.route, &rule.route));
            let messages = broader
                .filter_map(|broad| shadow(broad, rule))
                .chain(cookies(rule))
                .chain(
                    self.config
                        .streams
                        .iter()
                        .filter_map(|stream| self.settles(rule, stream)),
                );
            advice.extend(messages.map(|message| Warning::new(place.clone(), message)));
        }
        let meant =
            self.config.mode() == super::Mode::Mock || self.config.redis.streams == Some(false);
        let unheard = self.config.redis.url.is_none() && !meant;
        for stream in self.config.streams.iter().filter(|_| unheard) {
            let message = "no Redis is named, so that nothing reads it: a program hands its events in with \
                           `Cache::events`, and `tagcache proxy` does not start";
            advice.push(Warning::new(ConfigPlace::stream(&*stream.name), message));
        }
        let untrimmed = self
            .config
            .streams
            .iter()
            .filter(|stream| !unheard && !meant && !stream.trim);
        advice.extend(untrimmed.map(|stream| {
            let message = "nothing here trims it: it grows until Redis is full, if its publisher does not \
                           trim it either (`trim = true` drops what all its groups have read)";
            Warning::new(ConfigPlace::stream(&*stream.name), message)
        }));
        advice.extend(announced::advice(&self.config));
        advice.extend(receivers::advice(&self.config));
        advice
    }

    fn settles(&self, rule: &RuleSettings, stream: &StreamSettings) -> Option<String> {
        let Period(settle) = stream.settle;
        let ttl = self.config.cache.ttl(rule.ttl?);
        let purged: Vec<&str> = stream
            .on
            .iter()
            .flat_map(|on| &on.purge)
            .map(|t| family(t))
            .collect();
        let touched = rule.tags.iter().any(|tag| purged.contains(&family(tag)));
        (touched && ttl < settle).then(|| {
            format!(
                "its ttl of {} is shorter than the {} that stream `{}` settles: after an \
                 event nothing is stored for longer than a response would live",
                Period(ttl),
                Period(settle),
                stream.name
            )
        })
    }
}

/// What is lost where `narrow` takes requests that the route of `broad` matches too.
fn shadow(broad: &RuleSettings, narrow: &RuleSettings) -> Option<String> {
    let (other, route) = (&broad.name, &broad.route);
    if !narrow.enabled && broad.enabled {
        return Some(format!(
            "it is switched off and keeps its route from rule `{other}` ({route}), which would cache it"
        ));
    }
    let own: Vec<&str> = narrow.tags.iter().map(|tag| family(tag)).collect();
    let lacks = broad.tags.iter().find(|tag| !own.contains(&family(tag)))?;
    Some(format!(
        "it takes requests that rule `{other}` ({route}) matches too, and lacks its tag {lacks:?}: \
         a purge of that does not reach them"
    ))
}

fn cookies(rule: &RuleSettings) -> Option<String> {
    let cookies = rule.cookies.as_ref()?;
    if *cookies == Cookies::ignore_all() {
        let told =
            "all cookies are ignored: if one of them changes a response, it is shown to others";
        return Some(told.to_owned());
    }
    let keyed: Vec<&str> = cookies.keyed_names().collect();
    (!keyed.is_empty()).then(|| {
        let keyed = keyed.join("`, `");
        format!("each value of the cookie `{keyed}` has responses of its own")
    })
}

/// What stands before the first colon of a tag.
fn family(tag: &str) -> &str {
    tag.split(':').next().unwrap_or(tag)
}

/// Whether every path that `narrow` matches is matched by `broad`, the more general one.
fn covers(broad: &str, narrow: &str) -> bool {
    let is_capture = |segment: &str| segment.starts_with('{') && !segment.starts_with("{{");
    let (mut broad, mut narrow) = (broad.split('/'), narrow.split('/'));
    let mut more_general = false;
    loop {
        match (broad.next(), narrow.next()) {
            (None, None) => return more_general,
            (Some(b), Some(n)) if b.starts_with("{*") => return !n.starts_with("{*"),
            (Some(b), Some(n)) if is_capture(b) => {
                if n.starts_with("{*") {
                    return false;
                }
                more_general |= !is_capture(n);
            }
            (Some(b), Some(n)) if b == n => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broader_route_covers_a_narrower_one() {
        for (broad, narrow, expected) in [
            ("/a/{x}", "/a/b", true),
            ("/a/{x}", "/a/{y}", false),
            ("/a/{*x}", "/a/{y}", true),
            ("/a/{*x}", "/a/b/c", true),
            ("/a/{*x}", "/a", false),
            ("/a/{*x}", "/a/{*y}", false),
            ("/a/{x}/c", "/a/b/c", true),
            ("/a/{x}/c", "/a/b/d", false),
            ("/a/b", "/a/b", false),
            ("/a/b", "/a/{x}", false),
            ("/{{x}", "/b", false),
        ] {
            assert_eq!(covers(broad, narrow), expected, "{broad} {narrow}");
        }
    }
}
