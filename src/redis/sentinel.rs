//! Redis Sentinel: who the master is. Who connects asks all of them at once. Whoever they name is verified before it is used, so
//! a Sentinel that lags costs a try, never truth.

use std::io::Error as IoError;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisResult};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::redis::address::{HostPort, Sentinels};
use crate::redis::dial::{Driver, Wiring, greet_at};
use crate::redis::votes::Votes;

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
    let mut votes = Votes::of(sentinels.hosts.len());
    let mut asked: FuturesUnordered<_> = asked.collect();
    while let Some((at, said)) = asked.next().await {
        let named = match said {
            Ok(Some(master)) => votes.name(master),
            Ok(None) => {
                votes.abstain(format!(
                    "{at} watches no master called {:?}: write the name that its `sentinel monitor` has",
                    sentinels.name
                ));
                None
            }
            Err(error) if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => {
                votes.abstain(format!(
                    "{at} does not let us in ({error}): see user and password under [redis.sentinel]"
                ));
                None
            }
            Err(error) if error.code() == Some("ERR") => {
                votes.abstain(format!("{at} is no Sentinel ({error})"));
                None
            }
            Err(error) => {
                votes.abstain(format!("{at}: {error}"));
                None
            }
        };
        if let Some(master) = named {
            return Ok(master);
        }
    }
    let most = votes.most().cloned();
    most.ok_or_else(|| votes.undecided("Sentinel: no master is known"))
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
