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

const NO_ACTIVITY: &str = "nothing is kept of activity, and no alert is raised";

/// What is tried where activity is kept, for a key of it, `{k}`, and the channel that new entries are published on, `{c}`.
pub(super) const FOR_ACTIVITY: [(&str, &str, bool); 31] = [
    ("EVAL 0 1 {k}", NO_ACTIVITY, false),
    ("TIME", NO_ACTIVITY, false),
    ("EXISTS {k}", NO_ACTIVITY, false),
    ("UNLINK {k}", NO_ACTIVITY, false),
    ("TYPE {k}", NO_ACTIVITY, false),
    ("EXPIRE {k} 1", NO_ACTIVITY, false),
    ("HLEN {k}", NO_ACTIVITY, false),
    ("HSET {k} f v", NO_ACTIVITY, false),
    ("HGET {k} f", NO_ACTIVITY, false),
    ("HMGET {k} f", NO_ACTIVITY, false),
    ("HDEL {k} f", NO_ACTIVITY, false),
    ("HEXISTS {k} f", NO_ACTIVITY, false),
    ("HINCRBY {k} f 1", NO_ACTIVITY, false),
    ("HGETALL {k}", "nothing is told of counters", false),
    ("ZADD {k} 0 m", NO_ACTIVITY, false),
    ("ZREM {k} m", NO_ACTIVITY, false),
    ("ZCARD {k}", NO_ACTIVITY, false),
    ("ZPOPMIN {k}", NO_ACTIVITY, false),
    ("ZRANGE {k} 0 1", NO_ACTIVITY, false),
    (
        "ZREMRANGEBYLEX {k} [a (b",
        "no browser subscribes to alerts",
        false,
    ),
    ("RPUSH {k} v", NO_ACTIVITY, false),
    ("LLEN {k}", NO_ACTIVITY, false),
    ("LPOP {k}", NO_ACTIVITY, false),
    ("SADD {k} m", NO_ACTIVITY, false),
    ("SREM {k} m", NO_ACTIVITY, false),
    ("SMEMBERS {k}", NO_ACTIVITY, false),
    ("PUBLISH {c} v", NO_ACTIVITY, false),
    ("LINDEX {k} 0", "no alert is sent", false),
    (
        "LPUSH {k} v",
        "an alert that fails holds up those behind it",
        false,
    ),
    (
        "LTRIM {k} 0 1",
        "an alert that fails holds up those behind it",
        false,
    ),
    (
        "LRANGE {k} 0 1",
        "nobody is told which alerts failed",
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
        let asked = NEEDED.iter().chain(&FOR_STREAMS).chain(&FOR_ACTIVITY);
        let asked = asked.filter_map(|(line, ..)| line.split(' ').next());
        let asked: BTreeSet<String> = asked.chain(BEGINNING).map(str::to_lowercase).collect();
        assert_eq!(asked, allowed);
    }
    #[test]
    fn safety_118_what_is_asked_about_for_activity_is_what_its_scripts_do() {
        let scripts = [
            include_str!("../../../src/redis/activity/apply.lua"),
            include_str!("../../../src/redis/activity/counted.lua"),
            include_str!("../../../src/redis/activity/keep.lua"),
            include_str!("../../../src/redis/activity/read.lua"),
            include_str!("../../../src/redis/activity/resign.lua"),
            include_str!("../../../src/redis/activity/send_again.lua"),
            include_str!("../../../src/redis/activity/settle.lua"),
            include_str!("../../../src/redis/activity/subscribe.lua"),
        ];
        let calls = scripts
            .iter()
            .flat_map(|script| script.split("call('").skip(1));
        let done = calls.filter_map(|call| call.split('\'').next());
        let done: BTreeSet<&str> = done.chain(["EVAL"]).collect();
        let asked = FOR_ACTIVITY
            .iter()
            .filter_map(|(line, ..)| line.split(' ').next());
        assert_eq!(asked.collect::<BTreeSet<_>>(), done);
    }
}
