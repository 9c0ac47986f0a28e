//! What is asked of a server. Nothing is written.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::{RedisError, Value, from_redis_value};

use super::facts::{
    CommandFacts, Facts, LatencyFacts, LogFacts, MemoryFacts, PersistenceFacts, StreamFacts,
};
use super::questions::{Heard, Questions};
use crate::clock::Clock;
use crate::redis::info::{Flaw, Identity};
use crate::redis::reply::Last;
use crate::redis::rights::Needs;
use crate::redis::verify::{is_no_id, trial};

/// How often it is asked how long it takes to answer.
const ROUND_TRIPS: usize = 9;

/// One entry of what `INFO` or `CONFIG GET` says.
type Lines = HashMap<String, String>;

/// Who the server says that it is; what cannot be understood of it is not known.
#[derive(Debug, Default)]
pub(super) struct Identified {
    pub(super) identity: Identity,
    pub(super) flaw: Option<Flaw>,
    /// `INFO` was answered.
    pub(super) shows_info: Option<bool>,
}

/// Who the server is.
///
/// # Errors
/// What a server says that answers nothing else either, such as `NOAUTH` or `LOADING`.
pub(super) async fn server(
    questions: &mut Questions,
    facts: &mut Facts,
    needs: &Needs,
) -> Result<Identified, RedisError> {
    let info: Heard<String> = match questions.ask(&["INFO"]).await {
        Heard::Refused(error) if !matches!(error.code(), Some("ERR" | "NOPERM")) => {
            return Err(error);
        }
        heard => heard,
    };
    let shows_info = info.is_answered();
    let info = info.told().unwrap_or_default();
    let identity = Identity::parse(&info);
    let mut flaw = identity.unfit(facts.topology == "cluster");
    if flaw.is_none() && identity.is_to_be_tried() && shows_info.is_some() {
        let mut pipe = ::redis::pipe();
        pipe.add_command(trial(needs.keys()));
        let tried = questions.ask_all(&pipe).await;
        let tried = tried.and_then(|mut all| all.pop());
        let error = tried.as_ref().and_then(crate::redis::fault::error_in);
        flaw = error.filter(is_no_id).map(|_| Flaw::too_old(&identity));
    }
    facts.software = identity.software.as_deref().map(str::to_owned);
    facts.role = identity.is_master.map(|is_master| match is_master {
        true => "master",
        false => "replica",
    });
    let said = lines(&info);
    facts.replicas = said
        .contains_key("connected_slaves")
        .then_some(identity.replicas);
    let set = settings(questions).await;
    facts.min_replicas_to_write = number(&set, "min-replicas-to-write");
    facts.min_replicas_max_lag = number(&set, "min-replicas-max-lag");
    facts.memory = memory(&said, &set);
    facts.persistence = persistence(&said, &set);
    Ok(Identified {
        identity,
        flaw,
        shows_info,
    })
}

fn lines(info: &str) -> Lines {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.trim().to_owned());
    lines.map(owned).collect()
}

/// What is set, if the server tells it.
async fn settings(questions: &mut Questions) -> Lines {
    let words = [
        "CONFIG",
        "GET",
        "maxmemory",
        "maxmemory-policy",
        "min-replicas-to-write",
        "min-replicas-max-lag",
        "appendonly",
        "save",
    ];
    questions.ask(&words).await.told().unwrap_or_default()
}

fn number<T: std::str::FromStr>(said: &Lines, name: &str) -> Option<T> {
    said.get(name)?.parse().ok()
}

fn memory(info: &Lines, set: &Lines) -> MemoryFacts {
    let policy = set.get("maxmemory-policy");
    MemoryFacts {
        used_bytes: number(info, "used_memory"),
        limit_bytes: number(set, "maxmemory").or_else(|| number(info, "maxmemory")),
        policy: policy.or_else(|| info.get("maxmemory_policy")).cloned(),
        fragmentation: number(info, "mem_fragmentation_ratio"),
        evicted: number(info, "evicted_keys"),
    }
}

fn persistence(info: &Lines, set: &Lines) -> PersistenceFacts {
    let is = |said: Option<&String>, value: &str| said.map(|said| said == value);
    let fails = ["rdb_last_bgsave_status", "aof_last_write_status"]
        .iter()
        .filter_map(|name| info.get(*name))
        .map(|status| status != "ok");
    PersistenceFacts {
        append_only: is(info.get("aof_enabled"), "1").or_else(|| is(set.get("appendonly"), "yes")),
        snapshots: set.get("save").map(|save| !save.is_empty()),
        failing: fails.reduce(|one, other| one || other),
    }
}

/// Which commands there are, and may be sent.
pub(super) async fn commands(
    questions: &mut Questions,
    needs: &Needs,
    shows_info: Option<bool>,
) -> Vec<CommandFacts> {
    let log = needs.keys().log();
    let mut found = vec![CommandFacts {
        name: "INFO",
        answered: shows_info,
    }];
    let tried: [(&'static str, &[&str]); 4] = [
        ("XINFO", &["XINFO", "STREAM", log]),
        ("WAIT", &["WAIT", "0", "1"]),
        // There is no such group.
        (
            "XAUTOCLAIM",
            &["XAUTOCLAIM", log, "tagcache doctor", "nobody", "0", "0"],
        ),
        ("EVAL", &["EVAL", "return 1", "0"]),
    ];
    for (name, words) in tried {
        let answer: Heard<Value> = questions.ask(words).await;
        let answered = answer.is_answered();
        found.push(CommandFacts { name, answered });
    }
    found
}

/// By how many milliseconds its clock is ahead of ours.
pub(super) async fn clock_ahead(questions: &mut Questions, clock: &dyn Clock) -> Option<i64> {
    let before = clock.now().as_millis();
    let told: Heard<(u64, u64)> = questions.ask(&["TIME"]).await;
    let after = clock.now().as_millis();
    let (seconds, micros) = told.told()?;
    let theirs = seconds.saturating_mul(1_000).saturating_add(micros / 1_000);
    let ours = before / 2 + after / 2;
    i64::try_from(i128::from(theirs) - i128::from(ours)).ok()
}

/// How long it takes to answer what every lookup asks.
pub(super) async fn latency(
    questions: &mut Questions,
    needs: &Needs,
    clock: &dyn Clock,
    budget: Duration,
) -> Option<LatencyFacts> {
    let words = ["XREVRANGE", needs.keys().log(), "+", "-", "COUNT", "1"];
    let mut took = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let sent = clock.monotonic();
        if let Heard::Silence = questions.ask::<Value>(&words).await {
            continue;
        }
        took.push(micros(clock.monotonic().saturating_sub(sent)));
    }
    took.sort_unstable();
    Some(LatencyFacts {
        median_us: *took.get(took.len() / 2)?,
        worst_us: *took.last()?,
        round_trips: took.len(),
        budget_us: micros(budget),
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The purge log.
pub(super) async fn log(questions: &mut Questions, needs: &Needs) -> LogFacts {
    let key = needs.keys().log();
    let last: Heard<Value> = questions
        .ask(&["XREVRANGE", key, "+", "-", "COUNT", "1"])
        .await;
    let last = match last {
        Heard::Told(reply) => Last::parse(reply).ok(),
        Heard::Refused(error) if error.code() == Some("WRONGTYPE") => Some(Last::WrongType),
        _ => None,
    };
    let length: Heard<u64> = questions.ask(&["XLEN", key]).await;
    let kind = last.as_ref().map(|last| match last {
        Last::Missing => "none",
        Last::WrongType => "other",
        Last::Record(_) => "stream",
    });
    LogFacts {
        key: key.to_owned(),
        kind: kind.map(str::to_owned),
        length: length.told(),
        tip: last
            .and_then(|last| last.position())
            .map(|position| position.to_string()),
    }
}

/// A stream of events, as it is read by `group`, in which consumers of ours are called `ours` and more.
pub(super) async fn stream(
    questions: &mut Questions,
    name: &str,
    group: &str,
    ours: &str,
) -> StreamFacts {
    let mut facts = StreamFacts {
        name: name.to_owned(),
        group: group.to_owned(),
        ..StreamFacts::default()
    };
    let length: Heard<u64> = questions.ask(&["XLEN", name]).await;
    let groups: Heard<Vec<HashMap<String, Value>>> =
        questions.ask(&["XINFO", "GROUPS", name]).await;
    facts.kind = match (&length, &groups) {
        (Heard::Refused(error), _) if error.code() == Some("WRONGTYPE") => Some("other"),
        (Heard::Told(0), Heard::Refused(_)) => Some("none"),
        (Heard::Told(_), _) => Some("stream"),
        _ => None,
    }
    .map(str::to_owned);
    facts.length = length.told();
    let groups = groups.told();
    facts.has_group = match (&groups, facts.kind.as_deref()) {
        (_, Some("none")) => Some(false),
        (Some(groups), _) => Some(groups.iter().any(|one| is_called(one, group))),
        (None, _) => None,
    };
    let Some(found) = groups
        .unwrap_or_default()
        .into_iter()
        .find(|one| is_called(one, group))
    else {
        return facts;
    };
    facts.pending = field(&found, "pending");
    facts.unread = field(&found, "lag");
    let oldest: Heard<Vec<(String, String, u64, u64)>> = questions
        .ask(&["XPENDING", name, group, "-", "+", "1"])
        .await;
    let oldest = oldest.told().and_then(|mut waiting| waiting.pop());
    facts.oldest_pending_ms = oldest.map(|(_, _, idle, _)| idle);
    let consumers: Heard<Vec<HashMap<String, Value>>> =
        questions.ask(&["XINFO", "CONSUMERS", name, group]).await;
    let consumers = consumers.told().unwrap_or_default();
    let names = consumers.iter().filter_map(|one| field(one, "name"));
    facts.strangers = names
        .filter(|name: &String| !name.starts_with(ours))
        .collect();
    facts
}

fn is_called(told: &HashMap<String, Value>, name: &str) -> bool {
    field::<String>(told, "name").as_deref() == Some(name)
}

fn field<T: ::redis::FromRedisValue>(told: &HashMap<String, Value>, name: &str) -> Option<T> {
    from_redis_value(told.get(name)?.clone()).ok()
}
