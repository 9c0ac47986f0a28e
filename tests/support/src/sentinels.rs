//! A private master with a replica, and real Sentinels over them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use redis::Value;

use crate::redis::{free_port, redis_server, send};
use crate::{RedisServer, until};

/// Sentinels watch each other: more than half of them have to agree.
const SENTINELS: usize = 3;

/// A master that the Sentinels call `house`, and its replica, on free loopback ports, killed when dropped.
#[derive(Debug)]
pub struct RedisSentinels {
    pub master: RedisServer,
    pub replica: RedisServer,
    pub sentinels: Vec<SentinelServer>,
}

/// One Sentinel.
#[derive(Debug)]
pub struct SentinelServer {
    child: Child,
    port: u16,
    config: PathBuf,
}

impl RedisSentinels {
    /// Returns when the Sentinels know each other and the replica.
    pub async fn start() -> Self {
        let master = RedisServer::start();
        let port = master.port();
        let replica = RedisServer::start_with(&["--replicaof", &format!("127.0.0.1 {port}")]);
        let sentinels: Vec<_> = (0..SENTINELS)
            .map(|_| SentinelServer::start(port))
            .collect();
        for sentinel in &sentinels {
            until("they know each other", async || {
                let Ok(known) = sentinel.say(&["SENTINEL", "MASTER", "house"]).await else {
                    return false;
                };
                let known: HashMap<String, String> =
                    redis::from_redis_value(known).unwrap_or_default();
                let number = |name: &str| known.get(name).and_then(|text| text.parse().ok());
                number("num-slaves") == Some(1)
                    && number("num-other-sentinels") == Some(SENTINELS - 1)
            })
            .await;
        }
        Self {
            master,
            replica,
            sentinels,
        }
    }

    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .sentinels
            .iter()
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        format!("redis+sentinel://{}/house", hosts.join(","))
    }

    /// Makes the replica the master, and the master its replica.
    pub async fn fail_over(&self) {
        until("they let it take over", async || {
            self.sentinels[0]
                .say(&["SENTINEL", "FAILOVER", "house"])
                .await
                == Ok(Value::Okay)
        })
        .await;
    }
}

impl SentinelServer {
    fn start(master: u16) -> Self {
        Self::start_with(master, "")
    }

    /// One with more lines of configuration, into which it writes its state.
    pub fn start_with(master: u16, more: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (port, number) = (free_port(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("tagcache-sentinel-{}-{number}", std::process::id());
        let config = std::env::temp_dir().join(name);
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor house 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds house 1000\nsentinel failover-timeout house 5000\n{more}"
        );
        std::fs::write(&config, text).expect("a temporary file");
        let child = Command::new(redis_server())
            .arg(&config)
            .arg("--sentinel")
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is there");
        Self {
            child,
            port,
            config,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers, once it runs.
    pub async fn say(&self, words: &[&str]) -> redis::RedisResult<Value> {
        send(&format!("redis://127.0.0.1:{}", self.port), words).await
    }
}

impl Drop for SentinelServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}
