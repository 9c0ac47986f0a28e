//! What happens to the Redis, from its beginning to the moment at which all is well there again.

use std::time::Duration;

use tagcache_test_support::{Forwarder, RedisServer};
use tokio::time::sleep;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Hang,
    Kill,
    KillPersistent,
    HalfOpen,
    Flapping,
    MaxClients,
}

impl Fault {
    pub const ALL: [Self; 6] = [
        Self::Hang,
        Self::Kill,
        Self::KillPersistent,
        Self::HalfOpen,
        Self::Flapping,
        Self::MaxClients,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::Kill => "kill",
            Self::KillPersistent => "kill-persistent",
            Self::HalfOpen => "half-open",
            Self::Flapping => "flapping",
            Self::MaxClients => "maxclients",
        }
    }

    pub fn server(self) -> RedisServer {
        match self {
            Self::KillPersistent => {
                RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
            }
            _ => RedisServer::start(),
        }
    }

    pub async fn happens(self, server: &mut RedisServer, forwarder: &Forwarder) {
        let seconds = |seconds| sleep(Duration::from_secs(seconds));
        match self {
            Self::Hang => {
                server.suspend();
                seconds(6).await;
                server.resume();
            }
            Self::Kill | Self::KillPersistent => {
                server.stop();
                seconds(4).await;
                server.restart();
            }
            Self::HalfOpen => {
                forwarder.swallow();
                seconds(4).await;
                forwarder.resume();
            }
            Self::Flapping => {
                for _ in 0..8 {
                    server.suspend();
                    sleep(Duration::from_millis(300)).await;
                    server.resume();
                    sleep(Duration::from_millis(200)).await;
                }
            }
            Self::MaxClients => {
                // The one who asks for that keeps its place.
                let client = ::redis::Client::open(server.url()).unwrap();
                let mut control = client.get_multiplexed_async_connection().await.unwrap();
                let mut ask = async |command: &[&str]| {
                    let mut asked = ::redis::cmd(command[0]);
                    asked.arg(&command[1..]);
                    asked.query_async::<::redis::Value>(&mut control).await
                };
                ask(&["CONFIG", "SET", "maxclients", "1"]).await.unwrap();
                ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
                    .await
                    .unwrap();
                seconds(4).await;
                ask(&["CONFIG", "SET", "maxclients", "10000"])
                    .await
                    .unwrap();
            }
        }
    }
}
