//! The ways in which servers of Redis stand together, and what can happen to them.

use std::net::SocketAddr;
use std::time::Duration;

use redis::Value;
use tokio::time::sleep;

use crate::{Forwarder, RedisSentinels, RedisServer, SentinelServer, eventually};

/// How Redis is laid out. A Cluster (`RedisCluster`) has no rows yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One server.
    Single,
    /// A master and a replica, which somebody promotes by hand.
    Replica,
    /// A master and a replica, watched by three Sentinels.
    Sentinel,
}

impl Layout {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Replica => "replica",
            Self::Sentinel => "sentinel",
        }
    }
}

/// Servers of a test's own. They end with it.
#[derive(Debug)]
pub struct Topology {
    layout: Layout,
    servers: Vec<RedisServer>,
    /// Which of them is the master.
    master: usize,
    sentinels: Vec<SentinelServer>,
    /// The way of the replica to its master, where no Sentinel watches.
    replication: Option<Forwarder>,
}

impl Topology {
    /// Starts the servers, each with further arguments, and returns when they are in step.
    pub async fn start(layout: Layout, args: &[&str]) -> Self {
        let (mut servers, mut sentinels) = (Vec::new(), Vec::new());
        match layout {
            Layout::Single => servers.push(RedisServer::start_with(args)),
            Layout::Replica => servers.extend([(); 2].map(|()| RedisServer::start_with(args))),
            Layout::Sentinel => {
                let all = RedisSentinels::start().await;
                servers.extend([all.master, all.replica]);
                sentinels = all.sentinels;
            }
        }
        let mut topology = Self {
            layout,
            servers,
            master: 0,
            sentinels,
            replication: None,
        };
        if layout == Layout::Replica {
            let way = Forwarder::start(topology.servers[0].addr()).await;
            topology.replication = Some(way);
            topology.replicate(1).await;
        }
        topology
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn master(&self) -> &RedisServer {
        &self.servers[self.master]
    }

    pub fn master_mut(&mut self) -> &mut RedisServer {
        &mut self.servers[self.master]
    }

    /// The server that is not the master.
    pub fn replica(&self) -> &RedisServer {
        &self.servers[1 - self.master]
    }

    pub fn replica_mut(&mut self) -> &mut RedisServer {
        &mut self.servers[1 - self.master]
    }

    /// The URL of a node, which reaches a server through `way` unless Sentinels say where it is.
    pub fn url(&self, way: &Forwarder) -> String {
        if self.sentinels.is_empty() {
            return way.url();
        }
        let hosts = self.sentinels.iter().map(SentinelServer::port);
        let hosts: Vec<_> = hosts.map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/house", hosts.join(","))
    }

    /// Where a node's way leads to.
    pub fn target(&self) -> SocketAddr {
        self.master().addr()
    }

    /// The way of the replica to its master.
    pub fn replication(&self) -> &Forwarder {
        let way = self.replication.as_ref();
        way.expect("a replica without Sentinels")
    }

    /// Makes server `number` a replica of the first one, through the way between them, and waits until it is in step.
    pub async fn replicate(&self, number: usize) {
        let port = self.replication().addr().port();
        let replica = &self.servers[number];
        replica.run(&format!("REPLICAOF 127.0.0.1 {port}")).await;
        eventually(async || {
            let info = replica.info("replication").await;
            let up = info.contains("master_link_status:up");
            let waited = self.servers[0].run("WAIT 1 100").await;
            (up && waited == Value::Int(1))
                .then_some(())
                .ok_or("the replica is in step")
        })
        .await;
    }

    /// Makes the replica the master, by hand, and leaves the old master as it is.
    pub async fn promote(&mut self) {
        self.replica().run("REPLICAOF NO ONE").await;
        self.master = 1 - self.master;
    }

    /// Has the Sentinels make the replica the master.
    pub async fn fail_over(&mut self) {
        eventually(async || {
            let command = ["SENTINEL", "FAILOVER", "house"];
            match self.sentinels[0].say(&command).await {
                Ok(Value::Okay) => Ok(()),
                other => Err(format!("a failover: {other:?}")),
            }
        })
        .await;
        self.switched().await;
    }

    /// Waits until most Sentinels name the other server as the master.
    pub async fn switched(&mut self) {
        let replica = self.replica().port();
        eventually(async || {
            let mut agree = 0;
            for sentinel in &self.sentinels {
                agree += usize::from(names(sentinel).await == Some(replica));
            }
            (agree * 2 > self.sentinels.len())
                .then_some(())
                .ok_or("the Sentinels name another master")
        })
        .await;
        // They name it when it was promoted; it is one now, or in a moment.
        while !self
            .replica()
            .info("replication")
            .await
            .contains("role:master")
        {
            sleep(Duration::from_millis(5)).await;
        }
        self.master = 1 - self.master;
    }
}

/// The port of the master, as a Sentinel says.
async fn names(sentinel: &SentinelServer) -> Option<u16> {
    let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "house"];
    let answer = sentinel.say(&command).await.ok()?;
    let (_, port): (String, String) = redis::from_redis_value(answer).ok()?;
    port.parse().ok()
}
