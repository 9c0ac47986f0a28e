//! Which commands a cache sends to Redis, on which keys, and what is lost without each: the one place that says so. What
//! the documents list, what is asked of a server, and what an operator is told to allow are made of it (SAFETY 118).

mod table;

use std::collections::BTreeSet;

use self::table::{BEGINNING, CACHE, CLUSTER, Right, STREAM, Weight};
use crate::redis::keyspace::{Keyspace, StreamKeys};
use crate::redis::promise::Promise;

#[cfg(feature = "activity")]
use self::table::ACTIVITY;

/// What a cache has use for.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    keys: Keyspace,
    namespace: Box<str>,
    group: Box<str>,
    streams: Vec<Box<str>>,
    in_cluster: bool,
    /// The channel that new entries are published on, if activity is kept.
    #[cfg(feature = "activity")]
    channel: Option<Box<str>>,
}

/// A command on one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// The command and its arguments.
    pub(crate) words: Vec<Box<str>>,
    pub(crate) lost: &'static str,
    /// The cache is of no use without it.
    pub(crate) is_vital: bool,
    /// The promises that have an exception without it.
    pub(crate) promises: &'static [Promise],
}

impl Needs {
    /// Those of a cache that keeps `keys` under `namespace`, and reads no streams and keeps no activity.
    pub(crate) fn new(keys: Keyspace, namespace: &str) -> Self {
        Self {
            keys,
            namespace: namespace.into(),
            group: namespace.into(),
            streams: Vec::new(),
            in_cluster: false,
            #[cfg(feature = "activity")]
            channel: None,
        }
    }

    /// One that reads these streams as `group`.
    pub(crate) fn reading(mut self, group: &str, streams: impl Iterator<Item = Box<str>>) -> Self {
        self.group = group.into();
        self.streams = streams.collect();
        self
    }

    /// One whose keys lie over the nodes of a Cluster, if so.
    pub(crate) const fn over_nodes(mut self, in_cluster: bool) -> Self {
        self.in_cluster = in_cluster;
        self
    }

    /// One that keeps activity, and publishes it there.
    #[cfg(feature = "activity")]
    pub(crate) fn publishing(mut self, channel: &str) -> Self {
        self.channel = Some(channel.into());
        self
    }

    pub(crate) fn keys(&self) -> &Keyspace {
        &self.keys
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    pub(crate) fn streams(&self) -> &[Box<str>] {
        &self.streams
    }

    /// Each command, on a key such as it is sent for.
    pub(crate) fn commands(&self) -> Vec<Need> {
        let own = [
            ("{entry}", format!("{}:e:0", self.namespace)),
            ("{chunk}", self.keys.chunk(0, 0)),
            ("{claim}", format!("{}:claim:0", self.namespace)),
            ("{log}", self.keys.log().to_owned()),
            ("{hb}", self.keys.heartbeat().to_owned()),
            ("{roll}", self.keys.roll().to_owned()),
        ];
        let mut needs: Vec<_> = CACHE.iter().map(|right| need(right, &own)).collect();
        if self.in_cluster {
            needs.extend(CLUSTER.iter().map(|right| need(right, &own)));
        }
        for stream in &self.streams {
            let keys = StreamKeys::new(&self.namespace, &self.group, stream, 0, self.in_cluster);
            let names = [
                ("{stream}", stream.to_string()),
                ("{group}", self.group.to_string()),
                ("{at}", keys.at),
                ("{gaps}", keys.gaps),
                ("{heard}", keys.heard),
                ("{quarantine}", keys.quarantine),
            ];
            needs.extend(STREAM.iter().map(|right| need(right, &names)));
        }
        #[cfg(feature = "activity")]
        if let Some(channel) = &self.channel {
            let names = [
                ("{activity}", self.keys.activity().to_owned()),
                ("{channel}", channel.to_string()),
            ];
            needs.extend(ACTIVITY.iter().map(|right| need(right, &names)));
        }
        needs
    }

    /// The names of the commands, in lower case and in order, with those that begin a connection.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let needs = self.commands();
        let sent = needs.iter().map(|need| need.words[0].to_lowercase());
        sent.chain(BEGINNING.map(str::to_owned)).collect()
    }

    /// The patterns of the keys.
    pub(crate) fn patterns(&self) -> Vec<String> {
        let mut patterns = vec![
            format!("{}:*", self.namespace),
            self.keys.heartbeat().to_owned(),
            self.keys.roll().to_owned(),
        ];
        #[cfg(feature = "activity")]
        if self.channel.is_some() {
            patterns.push(format!("{}*", self.keys.activity()));
        }
        patterns.extend(self.streams.iter().map(ToString::to_string));
        patterns
    }

    /// The least rights, as `ACL SETUSER` takes them behind the user's name.
    pub(crate) fn acl(&self) -> String {
        let mut words = vec!["resetkeys".to_owned(), "resetchannels".to_owned()];
        words.extend(self.patterns().iter().map(|pattern| format!("~{pattern}")));
        #[cfg(feature = "activity")]
        words.extend(self.channel.iter().map(|channel| format!("&{channel}")));
        words.push("-@all".to_owned());
        words.extend(self.names().iter().map(|name| format!("+{name}")));
        words.join(" ")
    }
}

fn need(right: &Right, names: &[(&str, String)]) -> Need {
    let word = |word: &str| {
        let name = names.iter().find(|(place, _)| *place == word);
        name.map_or(word, |(_, name)| name).into()
    };
    Need {
        words: right.line.split(' ').map(word).collect(),
        lost: right.lost,
        is_vital: matches!(right.weight, Weight::Vital),
        promises: match right.weight {
            Weight::Vital => &Promise::ALL,
            Weight::Lesser(promises) => promises,
        },
    }
}

#[cfg(all(test, feature = "activity"))]
mod tests {
    use super::*;

    fn all() -> Needs {
        let keys = Keyspace::new("tagcache").expect("a good name");
        let streams = ["auction_*".into()].into_iter();
        let needs = Needs::new(keys, "tagcache").reading("tagcache", streams);
        needs.publishing("activity:new")
    }

    #[test]
    fn every_name_in_braces_is_that_of_a_key() {
        for need in all().commands() {
            let left = need
                .words
                .iter()
                .find(|word| word.starts_with('{') && word.ends_with('}'));
            assert_eq!(left, None, "{need:?}");
        }
    }

    #[test]
    fn safety_118_what_is_asked_about_is_what_the_user_of_the_example_may() {
        let user = include_str!("../../examples/deploy/redis-user.acl");
        let words = |text: &str| -> BTreeSet<String> {
            let words = text.split_whitespace();
            let is_of_rights = |word: &&str| word.starts_with(['+', '-', '~', '&']);
            words.filter(is_of_rights).map(str::to_owned).collect()
        };
        assert_eq!(words(&all().acl()), words(user));
    }

    #[test]
    fn safety_118_what_is_asked_about_for_activity_is_what_its_scripts_do() {
        let scripts = [
            include_str!("activity/apply.lua"),
            include_str!("activity/counted.lua"),
            include_str!("activity/keep.lua"),
            include_str!("activity/read.lua"),
            include_str!("activity/resign.lua"),
            include_str!("activity/send_again.lua"),
            include_str!("activity/settle.lua"),
            include_str!("activity/subscribe.lua"),
        ];
        let calls = scripts
            .iter()
            .flat_map(|script| script.split("call('").skip(1));
        let done = calls.filter_map(|call| call.split('\'').next());
        let done: BTreeSet<&str> = done.chain(["EVAL"]).collect();
        let asked = ACTIVITY
            .iter()
            .filter_map(|right| right.line.split(' ').next());
        assert_eq!(asked.collect::<BTreeSet<_>>(), done);
    }

    #[test]
    fn safety_118_what_is_asked_about_is_what_scripts_and_commands_of_the_rest_do() {
        let sources = [
            include_str!("fleet.rs"),
            include_str!("group.rs"),
            include_str!("group/align.lua"),
            include_str!("group/members.rs"),
            include_str!("group/state.rs"),
            include_str!("group/take.lua"),
            include_str!("group/trim.rs"),
            include_str!("log.rs"),
            include_str!("log/append.rs"),
            include_str!("log/beat.rs"),
            include_str!("log/roll.rs"),
            include_str!("log/trim.rs"),
            include_str!("store.rs"),
            include_str!("store/chunks.rs"),
            include_str!("verify.rs"),
        ];
        let named = all().names();
        for source in sources {
            let production = source.split("#[cfg(test)]").next().unwrap();
            for mark in ["call('", "cmd(\""] {
                for said in production.split(mark).skip(1) {
                    let name = said.split(['\'', '"']).next().unwrap().to_lowercase();
                    assert!(named.contains(&name), "{name}");
                }
            }
        }
    }
}
