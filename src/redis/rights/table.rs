//! The commands, and what is lost without each.

use crate::redis::promise::Promise::{self, P1, P2, P6, P7};

/// A command as it is sent, with the names of keys in braces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right {
    pub(super) line: &'static str,
    pub(super) lost: &'static str,
    pub(super) weight: Weight,
}

/// What it means to do without a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weight {
    /// The cache is of no use without it.
    Vital,
    /// Something is lost, and these promises have an exception.
    Lesser(&'static [Promise]),
}

use Weight::{Lesser, Vital};

const fn right(line: &'static str, lost: &'static str, weight: Weight) -> Right {
    Right { line, lost, weight }
}

/// What the client sends before anything else.
pub(super) const BEGINNING: [&str; 3] = ["auth", "hello", "select"];

const NO_LARGE: &str = "large responses are not kept in Redis";
const NO_ROLL: &str = "each purge waits until the longest lease is over, and copies in the process are asked about with each hit";
const NO_FLEET: &str = "`fleet_coalesce` has no effect: each node fetches for itself";

/// What every cache sends.
pub(super) const CACHE: [Right; 29] = [
    right("GET {entry}", "nothing is read from Redis", Vital),
    right("SET {entry} v PX 1000", "nothing is stored", Vital),
    right(
        "UNLINK {entry}",
        "what was overwritten stays until it expires",
        Lesser(&[]),
    ),
    right("SET {chunk} v PX 1000", NO_LARGE, Lesser(&[])),
    right("GET {chunk}", NO_LARGE, Lesser(&[])),
    right("GETRANGE {chunk} 0 1", NO_LARGE, Lesser(&[])),
    right("EXISTS {chunk}", NO_LARGE, Lesser(&[])),
    right(
        "PEXPIRE {chunk} 1000",
        "a large response that is replaced may end under a client that reads it slowly",
        Lesser(&[]),
    ),
    right(
        "XADD {log} NOMKSTREAM 0-* f v",
        "no purge reaches other nodes",
        Vital,
    ),
    right(
        "XREAD COUNT 1 STREAMS {log} 0",
        "no purge is heard of",
        Vital,
    ),
    right("XREVRANGE {log} + - COUNT 1", "no purge is heard of", Vital),
    right(
        "XRANGE {log} - + COUNT 1",
        "the purge log keeps records that nothing needs any more",
        Lesser(&[]),
    ),
    right(
        "XTRIM {log} MAXLEN 1000",
        "the purge log grows for ever",
        Lesser(&[]),
    ),
    right(
        "UNLINK {log}",
        "what stands in the purge log's place is not cleared away",
        Lesser(&[]),
    ),
    right(
        "INFO server",
        "a failover that forgets a purge is noticed only by nodes that had seen that purge",
        Lesser(&[P1, P2]),
    ),
    right(
        "ROLE",
        "that a server has become a replica is noticed late",
        Lesser(&[P1]),
    ),
    right(
        "WAIT 0 1",
        "a purge is acknowledged before a replica has it",
        Lesser(&[P1, P7]),
    ),
    right(
        "SET {hb} 1 PX 1000",
        "that a master is cut off from its replicas is noticed late",
        Lesser(&[P1]),
    ),
    right("HSET {roll} f v", NO_ROLL, Lesser(&[])),
    right("HSETNX {roll} f v", NO_ROLL, Lesser(&[])),
    right("HGET {roll} f", NO_ROLL, Lesser(&[])),
    right("HMGET {roll} f", NO_ROLL, Lesser(&[])),
    right("HGETALL {roll}", NO_ROLL, Lesser(&[])),
    right("HDEL {roll} f", NO_ROLL, Lesser(&[])),
    right("UNLINK {roll}", NO_ROLL, Lesser(&[])),
    right("EVAL 0 2 {roll} {log}", NO_ROLL, Lesser(&[])),
    right("SET {claim} v NX GET PX 1000", NO_FLEET, Lesser(&[])),
    right("EVAL 0 1 {claim}", NO_FLEET, Lesser(&[])),
    right("DEL {claim}", NO_FLEET, Lesser(&[])),
];

/// What is sent beside to the nodes of a Cluster.
pub(super) const CLUSTER: [Right; 2] = [
    right("CLUSTER SLOTS", "nobody says which node has what", Vital),
    right(
        "ASKING",
        "what is in a slot that moves is not found meanwhile",
        Lesser(&[]),
    ),
];

const NO_GAPS: &str =
    "lost events are forgotten if a process dies before it has purged what they touch";
const NO_HEARD: &str = "that nobody could read a stream for long is noticed late";
const NOT_SEEN: &str = "that events were lost is not noticed";
const OTHERS: &str = "that others read in the name of this group is not noticed";

/// What is sent for each event stream.
pub(super) const STREAM: [Right; 24] = [
    right(
        "XREADGROUP GROUP {group} c COUNT 1 STREAMS {stream} >",
        "no event is read",
        Vital,
    ),
    right(
        "XACK {stream} {group} 0-1",
        "events are read again and again",
        Vital,
    ),
    right(
        "XGROUP CREATE {stream} {group} $ MKSTREAM",
        "the group has to be made by hand",
        Lesser(&[P6]),
    ),
    right(
        "XREAD COUNT 1 STREAMS {stream} $",
        "events are heard of late",
        Lesser(&[]),
    ),
    right("XRANGE {stream} - + COUNT 1", NOT_SEEN, Lesser(&[P6])),
    right("XREVRANGE {stream} + - COUNT 1", NOT_SEEN, Lesser(&[P6])),
    right("XLEN {stream}", NOT_SEEN, Lesser(&[P6])),
    right("XINFO STREAM {stream}", NOT_SEEN, Lesser(&[P6])),
    right("XINFO GROUPS {stream}", NOT_SEEN, Lesser(&[P6])),
    right(
        "XINFO CONSUMERS {stream} {group}",
        "dead consumers are not noticed",
        Lesser(&[P6]),
    ),
    right(
        "XPENDING {stream} {group}",
        "a dead consumer's events are not noticed",
        Lesser(&[P6]),
    ),
    right(
        "XAUTOCLAIM {stream} {group} c 0 0",
        "a dead consumer's events are not taken over",
        Lesser(&[P6]),
    ),
    right(
        "XCLAIM {stream} {group} c 0 0-1",
        "a purge that takes long is made twice",
        Lesser(&[]),
    ),
    right("EVAL 0 3 {stream} {at} {gaps}", OTHERS, Lesser(&[P6])),
    right("GET {at}", OTHERS, Lesser(&[P6])),
    right("SET {at} v", OTHERS, Lesser(&[P6])),
    right("DEL {at}", OTHERS, Lesser(&[P6])),
    right("HSET {gaps} f v", NO_GAPS, Lesser(&[P6])),
    right("HKEYS {gaps}", NO_GAPS, Lesser(&[P6])),
    right(
        "HDEL {gaps} f",
        "lost events are purged again and again",
        Lesser(&[]),
    ),
    right("SET {heard} 1 PX 1000", NO_HEARD, Lesser(&[P6])),
    right("EXISTS {heard}", NO_HEARD, Lesser(&[P6])),
    right("DEL {heard}", NO_HEARD, Lesser(&[])),
    right(
        "XADD {quarantine} MAXLEN 1000 * f v",
        "events that cannot be understood are not kept",
        Lesser(&[P6]),
    ),
];

#[cfg(feature = "activity")]
const NO_ACTIVITY: &str = "nothing is kept of activity, and no alert is raised";
#[cfg(feature = "activity")]
const HELD_UP: &str = "an alert that fails holds up those behind it";

/// What is sent where activity is kept.
#[cfg(feature = "activity")]
pub(super) const ACTIVITY: [Right; 31] = [
    right("EVAL 0 1 {activity}", NO_ACTIVITY, Lesser(&[])),
    right("TIME", NO_ACTIVITY, Lesser(&[])),
    right("EXISTS {activity}", NO_ACTIVITY, Lesser(&[])),
    right("UNLINK {activity}", NO_ACTIVITY, Lesser(&[])),
    right("TYPE {activity}", NO_ACTIVITY, Lesser(&[])),
    right("EXPIRE {activity} 1", NO_ACTIVITY, Lesser(&[])),
    right("HLEN {activity}", NO_ACTIVITY, Lesser(&[])),
    right("HSET {activity} f v", NO_ACTIVITY, Lesser(&[])),
    right("HGET {activity} f", NO_ACTIVITY, Lesser(&[])),
    right("HMGET {activity} f", NO_ACTIVITY, Lesser(&[])),
    right("HDEL {activity} f", NO_ACTIVITY, Lesser(&[])),
    right("HEXISTS {activity} f", NO_ACTIVITY, Lesser(&[])),
    right("HINCRBY {activity} f 1", NO_ACTIVITY, Lesser(&[])),
    right(
        "HGETALL {activity}",
        "nothing is told of counters",
        Lesser(&[]),
    ),
    right("ZADD {activity} 0 m", NO_ACTIVITY, Lesser(&[])),
    right("ZREM {activity} m", NO_ACTIVITY, Lesser(&[])),
    right("ZCARD {activity}", NO_ACTIVITY, Lesser(&[])),
    right("ZPOPMIN {activity}", NO_ACTIVITY, Lesser(&[])),
    right("ZRANGE {activity} 0 1", NO_ACTIVITY, Lesser(&[])),
    right(
        "ZREMRANGEBYLEX {activity} [a (b",
        "no browser subscribes to alerts",
        Lesser(&[]),
    ),
    right("RPUSH {activity} v", NO_ACTIVITY, Lesser(&[])),
    right("LLEN {activity}", NO_ACTIVITY, Lesser(&[])),
    right("LPOP {activity}", NO_ACTIVITY, Lesser(&[])),
    right("SADD {activity} m", NO_ACTIVITY, Lesser(&[])),
    right("SREM {activity} m", NO_ACTIVITY, Lesser(&[])),
    right("SMEMBERS {activity}", NO_ACTIVITY, Lesser(&[])),
    right("PUBLISH {channel} v", NO_ACTIVITY, Lesser(&[])),
    right("LINDEX {activity} 0", "no alert is sent", Lesser(&[])),
    right("LPUSH {activity} v", HELD_UP, Lesser(&[])),
    right("LTRIM {activity} 0 1", HELD_UP, Lesser(&[])),
    right(
        "LRANGE {activity} 0 1",
        "nobody is told which alerts failed",
        Lesser(&[]),
    ),
];
