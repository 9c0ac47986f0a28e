//! The commands that a Redis user needs, and what is lost without each.

/// Commands that are needed, each as it is sent, `{k}` standing for one of the cache's keys; and what is lost
/// without it.
pub(super) const NEEDED: [(&str, &str, bool); 20] = [
    ("GET {k}", "nothing is read from Redis", true),
    (
        "EXISTS {k}",
        "nothing is kept from being stored twice",
        false,
    ),
    (
        "ROLE",
        "that a server has become a replica is noticed late",
        false,
    ),
    (
        "GETRANGE {k} 0 1",
        "large responses are not read in parts",
        false,
    ),
    ("SET {k} v PX 1000", "nothing is stored", true),
    (
        "UNLINK {k}",
        "what was overwritten stays until it expires",
        false,
    ),
    (
        "PEXPIRE {k} 1000",
        "the purge log is not kept as long as it should be",
        false,
    ),
    ("XADD {k} * f v", "no purge reaches other nodes", true),
    ("XREAD COUNT 1 STREAMS {k} 0", "no purge is heard of", true),
    ("XRANGE {k} - + COUNT 1", "no purge is heard of", true),
    ("XREVRANGE {k} + - COUNT 1", "no purge is heard of", true),
    (
        "XTRIM {k} MAXLEN 1000",
        "the purge log grows for ever",
        false,
    ),
    ("XLEN {k}", "the purge log is not bounded in bytes", false),
    (
        "HSETNX {k} f v",
        "copies in the process are asked about with each hit",
        false,
    ),
    (
        "HGET {k} f",
        "each purge waits until the longest lease is over",
        false,
    ),
    (
        "HMGET {k} f",
        "copies in the process are asked about with each hit",
        false,
    ),
    (
        "HGETALL {k}",
        "each purge waits until the longest lease is over",
        false,
    ),
    (
        "EVAL 0 1 {k}",
        "`fleet_coalesce` has no effect, and each purge waits until the longest lease is over",
        false,
    ),
    (
        "WAIT 0 1",
        "a purge is acknowledged before a replica has it",
        false,
    ),
    (
        "INFO server",
        "a failover that forgets a purge is noticed late",
        false,
    ),
];

/// What is tried for each event stream, whose key is `{k}`; `{o}` is one of the cache's own.
pub(super) const FOR_STREAMS: [(&str, &str, bool); 12] = [
    (
        "XGROUP CREATE {k} g $ MKSTREAM",
        "the group has to be made by hand",
        false,
    ),
    (
        "XREADGROUP GROUP g c STREAMS {k} >",
        "no event is read",
        true,
    ),
    ("XACK {k} g 0-1", "events are read again and again", true),
    (
        "XAUTOCLAIM {k} g c 0 0",
        "a dead consumer's events are not taken over",
        false,
    ),
    (
        "XPENDING {k} g",
        "a dead consumer's events are not noticed",
        false,
    ),
    (
        "XCLAIM {k} g c 0 0-1",
        "a purge that takes long is made twice",
        false,
    ),
    (
        "HSET {o}:gaps f v",
        "lost events are forgotten if a process dies before it has purged what they touch",
        false,
    ),
    (
        "HKEYS {o}:gaps",
        "lost events of others are not noticed",
        false,
    ),
    (
        "HDEL {o}:gaps f",
        "lost events are purged again and again",
        false,
    ),
    (
        "DEL {o}:heard",
        "what is known of a lost group is not forgotten",
        false,
    ),
    ("XINFO STREAM {k}", "lost events are not noticed", false),
    (
        "XINFO CONSUMERS {k} g",
        "dead consumers are not noticed",
        false,
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the client sends before anything else.
    const BEGINNING: [&str; 3] = ["auth", "hello", "select"];

    #[test]
    fn safety_118_what_is_asked_about_is_what_the_user_of_the_example_may() {
        let user = include_str!("../../../examples/deploy/redis-user.acl");
        let allowed = user
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('+'));
        let allowed: BTreeSet<String> = allowed.map(str::to_owned).collect();
        let asked = NEEDED.iter().chain(&FOR_STREAMS);
        let asked = asked.filter_map(|(line, ..)| line.split(' ').next());
        let asked: BTreeSet<String> = asked.chain(BEGINNING).map(str::to_lowercase).collect();
        assert_eq!(asked, allowed);
    }
}
