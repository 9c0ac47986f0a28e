//! `tagcache check --connect`: what a Redis server lets this cache keep, and what not. Nothing is written.

use std::collections::HashMap;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError, cmd};
use serde::Serialize;

use super::rights::{FOR_ACTIVITY, FOR_STREAMS, NEEDED};
use tower_tagcache::config::{Config, Secret};

/// For the connection, and for each question.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was found, a line each.
#[derive(Debug, Default, Serialize)]
pub(super) struct Survey {
    /// What is so.
    pub(super) facts: Vec<String>,
    /// What cannot be promised, and why.
    #[serde(rename = "warnings")]
    pub(super) doubts: Vec<String>,
    /// What keeps the cache from using this server.
    #[serde(rename = "errors")]
    pub(super) faults: Vec<String>,
}

impl Survey {
    /// It could not be made.
    pub(super) fn failed(why: String) -> Self {
        Self {
            faults: vec![why],
            ..Self::default()
        }
    }
}

/// Asks the server that `config` names.
///
/// # Errors
/// It cannot be reached, or lets nobody in, in a sentence.
pub(super) async fn survey(config: &Config) -> Result<Survey, String> {
    let Some(Secret(url)) = &config.redis.url else {
        return Err(
            "no Redis is configured: responses are kept in this process, and there is nothing to \
                    connect to"
                .to_owned(),
        );
    };
    let told = |error: RedisError| format!("redis cannot be used: {error}");
    let client = Client::open(url.as_str()).map_err(told)?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let connected = client.get_multiplexed_async_connection_with_config(&settings);
    let mut questions = Questions {
        connection: connected.await.map_err(told)?,
        survey: Survey::default(),
    };
    let pong: Result<String, RedisError> = questions.ask("PING").await;
    // The cache itself has no need of it.
    match pong {
        Err(error) if error.code() != Some("NOPERM") => return Err(told(error)),
        _ => {}
    }
    let info = questions.info().await;
    questions.server(&info);
    questions.replication(&info).await;
    questions.memory(&info).await;
    questions.persistence(&info);
    questions.rights(config).await;
    questions.streams(config).await;
    Ok(questions.survey)
}

struct Questions {
    connection: MultiplexedConnection,
    survey: Survey,
}

type Info = HashMap<String, String>;

impl Questions {
    async fn ask<T: FromRedisValue>(&mut self, line: &str) -> Result<T, RedisError> {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap_or_default());
        command.arg(words.collect::<Vec<_>>());
        command.query_async(&mut self.connection).await
    }

    fn fact(&mut self, text: impl Into<String>) {
        self.survey.facts.push(text.into());
    }

    fn doubt(&mut self, text: impl Into<String>) {
        self.survey.doubts.push(text.into());
    }

    async fn info(&mut self) -> Info {
        let text: String = self.ask("INFO").await.unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.trim().to_owned());
        lines.map(owned).collect()
    }

    /// One setting, if the server tells it.
    async fn setting(&mut self, name: &str) -> Option<String> {
        let told: Result<Vec<String>, _> = self.ask(&format!("CONFIG GET {name}")).await;
        told.ok()?.into_iter().nth(1)
    }

    fn server(&mut self, info: &Info) {
        match info.get("redis_version") {
            None => self.doubt(
                "INFO is hidden: version, role and identity are not known, so that a failover which forgets a \
                 purge is noticed late",
            ),
            Some(version) => {
                let major = version.split('.').next().and_then(|major| major.parse().ok());
                match major {
                    Some(0..=6) => self.survey.faults.push(format!(
                        "version {version}: 7.0 or newer is needed"
                    )),
                    _ => self.fact(format!("version {version}")),
                }
            }
        }
        match info.get("redis_mode").map(String::as_str) {
            Some("cluster") => self.survey.faults.push(
                "a node of a Redis Cluster, which is not supported: name a server of its own"
                    .to_owned(),
            ),
            Some("sentinel") => self.survey.faults.push(
                "a Sentinel, which keeps no data: write redis+sentinel://host:port/name".to_owned(),
            ),
            _ => {}
        }
    }

    async fn replication(&mut self, info: &Info) {
        match info.get("role").map(String::as_str) {
            Some("master") => self.fact("role master"),
            Some(role) => self.survey.faults.push(format!(
                "role {role}: a replica takes no purges; name the master"
            )),
            None => {}
        }
        let replicas = info
            .get("connected_slaves")
            .and_then(|count| count.parse::<u32>().ok());
        let demanded = self.setting("min-replicas-to-write").await;
        match (replicas, demanded.as_deref()) {
            (Some(0), Some("0")) => self.fact("no replicas: what it loses is a new epoch, and misses"),
            (Some(0) | None, _) => {}
            (Some(count), Some("0")) => self.doubt(format!(
                "{count} replicas, and min-replicas-to-write is 0: a master that is cut off goes on taking purges \
                 that are lost with it; set it to 1"
            )),
            (Some(count), Some(least)) => {
                self.fact(format!("{count} replicas, of which {least} must be in step"));
            }
            (Some(count), None) => self.doubt(format!(
                "{count} replicas; whether min-replicas-to-write is set is hidden"
            )),
        }
    }

    async fn memory(&mut self, info: &Info) {
        let limit = info.get("maxmemory").cloned();
        let policy = self.setting("maxmemory-policy").await;
        let policy = policy.or_else(|| info.get("maxmemory_policy").cloned());
        match (limit.as_deref(), policy.as_deref()) {
            (Some("0"), _) => self.doubt(
                "maxmemory is 0: it grows until the machine ends it; set it, with a policy that evicts",
            ),
            (_, Some("noeviction")) => self.doubt(
                "maxmemory-policy noeviction: once it is full nothing is stored any more, and no purge reaches \
                 other nodes; volatile-lru evicts responses and keeps what has no lifetime",
            ),
            (_, Some(policy)) if policy.starts_with("allkeys") => self.doubt(format!(
                "maxmemory-policy {policy} may evict the purge log, which empties the cache for all, and the event \
                 streams with events that nobody has read; volatile-lru evicts responses first"
            )),
            (_, Some(policy)) => self.fact(format!("maxmemory-policy {policy}")),
            (_, None) => self.doubt("what it does when it is full (maxmemory-policy) is hidden"),
        }
    }

    fn persistence(&mut self, info: &Info) {
        let aof = info.get("aof_enabled").map(String::as_str);
        match (aof, info.contains_key("rdb_last_save_time")) {
            (Some("1"), _) => self.fact("appendonly: events and purges outlive a restart"),
            (Some(_), _) => self.fact(
                "no appendonly file: a restart may lose the purge log (a new epoch, and misses) and events of the \
                 last moments",
            ),
            (None, _) => {}
        }
    }

    async fn rights(&mut self, config: &Config) {
        let user: Result<String, RedisError> = self.ask("ACL WHOAMI").await;
        let Ok(user) = user else {
            return self
                .doubt("who we are to it (ACL WHOAMI) is refused: our rights are not known");
        };
        let mut denied = 0;
        for (line, lost, vital) in commands(config) {
            let tried: Result<String, RedisError> =
                self.ask(&format!("ACL DRYRUN {user} {line}")).await;
            let why = match tried {
                Ok(told) if told == "OK" => continue,
                Ok(told) => told,
                Err(error) if error.to_string().to_lowercase().contains("dryrun") => {
                    return self.doubt(format!(
                        "user {user} may not ask what it may (ACL DRYRUN): rights are found out by use"
                    ));
                }
                Err(error) => error.to_string(),
            };
            denied += 1;
            let told = format!("user {user} may not `{line}`: {lost} ({why})");
            match vital {
                true => self.survey.faults.push(told),
                false => self.survey.doubts.push(told),
            }
        }
        if denied == 0 {
            self.fact(format!("user {user} has all rights that are needed"));
        }
    }

    async fn streams(&mut self, config: &Config) {
        if config.redis.streams == Some(false) {
            return;
        }
        let namespace = config.redis.namespace.as_deref().unwrap_or("tagcache");
        let group = config
            .redis
            .consumer_group
            .as_deref()
            .unwrap_or(namespace)
            .to_owned();
        for stream in &config.streams {
            let name = &stream.name;
            let length: Result<u64, RedisError> = self.ask(&format!("XLEN {name}")).await;
            match length {
                Err(error) => {
                    let told = format!("stream `{name}` is none, or may not be read: {error}");
                    self.survey.faults.push(told);
                    continue;
                }
                Ok(0) => self.doubt(format!(
                    "stream `{name}` is empty or not there: is this the key that its publisher writes?"
                )),
                Ok(length) => self.fact(format!("stream `{name}` has {length} entries")),
            }
            let groups: Result<Vec<HashMap<String, ::redis::Value>>, RedisError> =
                self.ask(&format!("XINFO GROUPS {name}")).await;
            let has = groups
                .iter()
                .flatten()
                .any(|one| name_of(one) == Some(group.clone()));
            self.fact(match has {
                true => format!("stream `{name}` has the group `{group}`"),
                false => {
                    format!("stream `{name}` has no group `{group}` yet: the first start makes it")
                }
            });
            if has {
                self.company(name, &group, namespace).await;
            }
        }
    }

    /// Who else reads in the name of the group: what they are given reaches no purge here.
    async fn company(&mut self, stream: &str, group: &str, namespace: &str) {
        let line = format!("XINFO CONSUMERS {stream} {group}");
        let told: Result<Vec<HashMap<String, ::redis::Value>>, RedisError> = self.ask(&line).await;
        let ours = format!("{namespace}/");
        let names = told.iter().flatten().filter_map(name_of);
        let others: Vec<String> = names.filter(|name| !name.starts_with(&ours)).collect();
        if let Some(first) = others.first() {
            self.doubt(format!(
                "stream `{stream}`: the group `{group}` is shared with {} consumers that are none of this cache's \
                 (`{first}`): each event goes to one of them, so that purges are lost; give this cache a group of \
                 its own (`consumer_group` in [redis])",
                others.len()
            ));
        }
    }
}

/// The commands that a cache of `config` sends; what is lost without each, and whether nothing is left then.
fn commands(config: &Config) -> Vec<(String, &'static str, bool)> {
    let namespace = config.redis.namespace.as_deref().unwrap_or("tagcache");
    let own = format!("{namespace}:purges");
    let mut commands = Vec::new();
    let mut add = |needed: &[(&str, &'static str, bool)], key: &str, channel: &str| {
        commands.extend(needed.iter().map(|(line, lost, vital)| {
            let line = line.replace("{k}", key).replace("{o}", &own);
            (line.replace("{c}", channel), *lost, *vital)
        }));
    };
    add(&NEEDED, &own, "");
    let streams = config.streams.iter();
    for stream in streams.filter(|_| config.redis.streams != Some(false)) {
        add(&FOR_STREAMS, &stream.name, "");
    }
    if let Some(activity) = config.effective().activity {
        let key = format!("{{{own}}}:activity");
        add(&FOR_ACTIVITY, &key, activity.published_on());
    }
    commands
}

fn name_of(told: &HashMap<String, ::redis::Value>) -> Option<String> {
    let name = told.get("name").cloned()?;
    ::redis::from_redis_value(name).ok()
}
