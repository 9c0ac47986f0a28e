//! Redis Sentinel: who the master is. Who connects asks all of them at once. Whoever they name is verified before it is used, so
//! a Sentinel that lags costs a try, never truth.

use std::collections::HashMap;
use std::io::Error as IoError;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisResult};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::redis::address::{HostPort, Sentinels};
use crate::redis::dial::{Driver, Wiring, greet_at};

/// How long each of them may take.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

pub(super) type SentinelLink = (MultiplexedConnection, Driver);

/// Where the master is: what most of the Sentinels say that answer.
///
/// # Errors
/// None of them knows it.
pub(super) async fn master(sentinels: &Sentinels, wiring: &Wiring) -> RedisResult<HostPort> {
    let asked = sentinels.hosts.iter().map(|at| async move {
        let asked = async {
            let (mut sentinel, _driver) =
                converse(at, wiring, AsyncConnectionConfig::new()).await?;
            named(&mut sentinel, &sentinels.name).await
        };
        let late = |_| Err(IoError::from(std::io::ErrorKind::TimedOut).into());
        (at, timeout(PATIENCE, asked).await.unwrap_or_else(late))
    });
    let mut votes = Votes::new(sentinels);
    let mut asked: FuturesUnordered<_> = asked.collect();
    while let Some((at, said)) = asked.next().await {
        if let Some(master) = votes.count(at, said) {
            return Ok(master);
        }
    }
    votes.most()
}

/// What the Sentinels say.
pub(super) struct Votes<'a> {
    sentinels: &'a Sentinels,
    said: HashMap<HostPort, usize>,
    trouble: Vec<String>,
}

impl<'a> Votes<'a> {
    pub(super) fn new(sentinels: &'a Sentinels) -> Self {
        Self {
            sentinels,
            said: HashMap::new(),
            trouble: Vec::new(),
        }
    }

    /// The master, if more than half of all Sentinels name it now.
    pub(super) fn count(
        &mut self,
        at: &HostPort,
        said: RedisResult<Option<HostPort>>,
    ) -> Option<HostPort> {
        match said {
            Ok(Some(master)) => {
                let count = self.said.entry(master.clone()).or_default();
                *count += 1;
                (*count > self.sentinels.hosts.len() / 2).then_some(master)
            }
            Ok(None) => {
                let name = &self.sentinels.name;
                self.trouble
                    .push(format!("{at} watches no master called {name:?}"));
                None
            }
            Err(error) if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
                self.trouble.push(format!(
                    "{at} does not let us in ({error}): see user and password under [redis.sentinel]"
                ));
                None
            }
            Err(error) if error.code() == Some("ERR") => {
                self.trouble.push(format!("{at} is no Sentinel ({error})"));
                None
            }
            Err(error) => {
                self.trouble.push(format!("{at}: {error}"));
                None
            }
        }
    }

    fn most(self) -> RedisResult<HostPort> {
        let most = self.said.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(master, _)| master).ok_or_else(|| {
            let why = self.trouble.join("; ");
            IoError::other(format!("Sentinel: no master is known: {why}")).into()
        })
    }
}

/// A connection to the Sentinel `at`, by its own user and password, if they are said.
pub(super) async fn converse(
    at: &HostPort,
    wiring: &Wiring,
    config: AsyncConnectionConfig,
) -> RedisResult<SentinelLink> {
    let mut settings = RedisConnectionInfo::default()
        .set_skip_set_lib_name()
        .set_protocol(ProtocolVersion::RESP3);
    if wiring.sentinel.says_something() {
        let said = wiring.sentinel.read();
        let said = said.map_err(|flaw| IoError::other(format!("[redis.sentinel]: {flaw}")))?;
        settings = said.lay_over(settings);
    }
    greet_at(at, &settings, wiring, config).await
}

/// Which master it watches under this name, if any.
pub(super) async fn named(
    sentinel: &mut MultiplexedConnection,
    name: &str,
) -> RedisResult<Option<HostPort>> {
    let mut ask = ::redis::cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let said: Option<(String, u16)> = ask.query_async(sentinel).await?;
    Ok(said.map(|(host, port)| HostPort {
        host: host.into(),
        port,
    }))
}
