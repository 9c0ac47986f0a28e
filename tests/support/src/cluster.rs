//! A private Redis Cluster.

use redis::Value;

use crate::RedisServer;
use crate::redis::free_port;
use crate::until;

/// How many slots a Cluster has.
const SLOTS: usize = 16_384;
/// After so long without an answer, in milliseconds, a primary is replaced.
const NODE_TIMEOUT: &str = "1500";

/// A Cluster of our own on free loopback ports, killed when dropped.
#[derive(Debug)]
pub struct RedisCluster {
    /// The primaries that it began with, then their replicas in the same order.
    pub nodes: Vec<RedisServer>,
    primaries: usize,
}

impl RedisCluster {
    /// One with so many primaries, each with so many replicas; returns when all of it works.
    pub async fn start(primaries: usize, replicas: usize) -> Self {
        let nodes = (0..primaries * (1 + replicas)).map(|_| {
            let bus = free_port().to_string();
            let enabled = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            let timeout = ["--cluster-node-timeout", NODE_TIMEOUT];
            // A replica that was just made may take over too.
            let anyhow = ["--cluster-replica-validity-factor", "0"];
            let mut args = [&enabled[..], &timeout, &anyhow].concat();
            args.extend(["--cluster-allow-replica-migration", "no"]);
            (RedisServer::start_with(&args), bus)
        });
        let (nodes, buses): (Vec<_>, Vec<_>) = nodes.unzip();
        for (place, node) in nodes.iter().take(primaries).enumerate() {
            let (first, end) = (SLOTS * place / primaries, SLOTS * (place + 1) / primaries);
            node.run(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))
                .await;
        }
        for (place, node) in nodes.iter().enumerate() {
            node.run(&format!("CLUSTER SET-CONFIG-EPOCH {}", place + 1))
                .await;
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port());
            nodes[0].run(&meet).await;
        }
        let cluster = Self { nodes, primaries };
        cluster
            .until_all_know(&format!("cluster_known_nodes:{}", cluster.nodes.len()))
            .await;
        for (place, node) in cluster.nodes.iter().enumerate().skip(primaries) {
            let primary = cluster.id(place % primaries).await;
            until("it knows its primary", async || {
                let replicate = ["CLUSTER", "REPLICATE", &primary];
                node.try_command(&replicate).await.is_ok()
            })
            .await;
        }
        for (place, node) in cluster.nodes.iter().enumerate() {
            let says = match place < primaries {
                true => format!("connected_slaves:{replicas}"),
                false => "master_link_status:up".to_owned(),
            };
            until("replicas are in step", async || {
                node.info("replication").await.contains(&says)
            })
            .await;
        }
        cluster.until_all_know("cluster_state:ok").await;
        cluster
    }

    /// Its URL, by all nodes.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.addr().to_string())
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The node that it began with for the slot of `key`.
    pub async fn first_primary_of(&self, key: &str) -> usize {
        let slot = self.slot_of(key).await;
        (0..self.primaries)
            .find(|place| slot < SLOTS * (place + 1) / self.primaries)
            .expect("a slot is below the number of slots")
    }

    pub async fn slot_of(&self, key: &str) -> usize {
        match self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]).await {
            Value::Int(slot) => usize::try_from(slot).expect("a slot"),
            other => panic!("CLUSTER KEYSLOT answered {other:?}"),
        }
    }

    /// The name of a node among the others.
    pub async fn id(&self, place: usize) -> String {
        match self.nodes[place].run("CLUSTER MYID").await {
            Value::BulkString(id) => String::from_utf8(id).expect("hexadecimal"),
            other => panic!("CLUSTER MYID answered {other:?}"),
        }
    }

    /// Says that `slot` is on its way from one node to another, which keys follow by [`hand_over`](Self::hand_over).
    pub async fn begin_migration(&self, slot: usize, from: usize, to: usize) {
        let (source, target) = (self.id(from).await, self.id(to).await);
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {source}");
        self.nodes[to].run(&importing).await;
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {target}");
        self.nodes[from].run(&migrating).await;
    }

    /// Moves the keys of `slot`, and then the slot.
    pub async fn hand_over(&self, slot: usize, from: usize, to: usize) {
        let port = self.nodes[to].port();
        loop {
            let keys = self.nodes[from]
                .run(&format!("CLUSTER GETKEYSINSLOT {slot} 100"))
                .await;
            let keys: Vec<String> = redis::from_redis_value(keys).expect("names of keys");
            if keys.is_empty() {
                break;
            }
            let migrate = format!(
                "MIGRATE 127.0.0.1 {port} \"\" 0 5000 KEYS {}",
                keys.join(" ")
            );
            let parts: Vec<&str> = migrate
                .split(' ')
                .map(|part| part.trim_matches('"'))
                .collect();
            self.nodes[from].command(&parts).await;
        }
        let target = self.id(to).await;
        for place in [to, from] {
            self.nodes[place]
                .run(&format!("CLUSTER SETSLOT {slot} NODE {target}"))
                .await;
        }
    }

    async fn until_all_know(&self, what: &str) {
        for node in &self.nodes {
            until("all nodes know", async || {
                let said = node.run("CLUSTER INFO").await;
                let said: String = redis::from_redis_value(said).expect("text");
                said.lines().any(|line| line == what)
            })
            .await;
        }
    }
}
