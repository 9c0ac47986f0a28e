//! Several nodes on one Redis and one namespace, over one origin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::Value;
use tower_tagcache::{Cache, CacheBuilder, ManualClock, Rule};

use crate::{GENEROUS, Node, Notices, Origin, RedisServer, shared_server, until};

/// What a test's nodes have in common: server, namespace, origin, rules and a clock that the test
/// moves.
pub struct Fleet {
    pub server: Arc<RedisServer>,
    pub namespace: String,
    pub origin: Origin,
    pub clock: ManualClock,
    rules: Vec<Rule>,
    copies: bool,
}

/// The rule that most tests need: `/item/{id}` for a minute, tagged `item:{id}` and `items`.
pub fn item_rule() -> Rule {
    Rule::new("item", "/item/{id}")
        .ttl(Duration::from_secs(60))
        .tags(["item:{id}", "items"])
        .strict()
}

impl Fleet {
    /// A fleet on the shared server.
    pub fn new() -> Self {
        Self::on(shared_server())
    }

    /// A fleet on a server that the test may break.
    pub fn private() -> Self {
        Self::on(Arc::new(RedisServer::start()))
    }

    pub fn on(server: Arc<RedisServer>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            server,
            namespace: format!("test-{number}"),
            origin: Origin::new(),
            clock: ManualClock::default(),
            rules: vec![item_rule()],
            copies: false,
        }
    }

    /// With copies in the nodes, as they are by default; otherwise each hit of a test is read from Redis.
    #[must_use]
    pub fn copying(mut self) -> Self {
        self.copies = true;
        self
    }

    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Puts `rule` in the place of the usual one.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules = vec![rule];
        self
    }

    /// A node without its companion.
    pub fn node(&self) -> Node {
        self.node_by(self.builder())
    }

    /// A node whose companion runs.
    pub fn companied(&self) -> Node {
        self.companied_by(self.builder())
    }

    pub fn node_if(&self, companion: bool) -> Node {
        if companion {
            self.companied()
        } else {
            self.node()
        }
    }

    /// The builder of one more node, for a test to change.
    pub fn builder(&self) -> CacheBuilder {
        self.builder_at(self.server.url())
    }

    pub fn builder_at(&self, url: impl Into<String>) -> CacheBuilder {
        let rules = self.rules.iter().cloned();
        let builder = rules.fold(Cache::builder(), CacheBuilder::rule);
        let builder = match self.copies {
            true => builder,
            false => builder.store_bytes(0),
        };
        builder
            .redis(url)
            .namespace(&self.namespace)
            .clock(self.clock.clone())
            // No node of a test has a longer one than by default: then a purge waits no longer either.
            .longest_lease(Duration::from_secs(1))
            .connect_timeout(GENEROUS)
            .read_timeout(GENEROUS)
            .write_timeout(GENEROUS)
            .purge_timeout(GENEROUS)
    }

    pub fn node_by(&self, builder: CacheBuilder) -> Node {
        let notices = Notices::new();
        let (cache, _) = builder
            .observer(notices.clone())
            .build()
            .expect("the rules of a test are good");
        Node::new(cache, notices, self.origin.clone())
    }

    pub fn companied_by(&self, builder: CacheBuilder) -> Node {
        let notices = Notices::new();
        let (cache, companion) = builder
            .observer(notices.clone())
            .build()
            .expect("the rules of a test are good");
        Node::new(cache, notices, self.origin.clone()).accompany(companion)
    }

    pub fn log_key(&self) -> String {
        format!("{}:purges", self.namespace)
    }

    /// Sends `command` to the server with `LOG` in it replaced by the log's key.
    pub async fn run(&self, command: &str) -> Value {
        let command = command.replace("LOG", &self.log_key());
        self.server.run(&command).await
    }

    /// The keys of the entries that Redis holds.
    pub async fn entries(&self) -> Vec<String> {
        let pattern = format!("{}:e:*", self.namespace);
        let keys = self.server.command(&["KEYS", &pattern]).await;
        redis::from_redis_value(keys).expect("a list of keys")
    }

    /// Deletes the entries, so that [`stored`](Self::stored) can tell a new one.
    pub async fn forget_entries(&self) {
        for key in self.entries().await {
            self.server.command(&["DEL", &key]).await;
        }
    }

    /// Waits until `count` entries are stored.
    pub async fn stored(&self, count: usize) {
        until("the entries are stored", async || {
            self.entries().await.len() >= count
        })
        .await;
    }

    /// Copies the entries under names that no node knows.
    pub async fn keep_entries(&self) {
        let entries = self.entries().await;
        assert!(!entries.is_empty(), "something is stored");
        for key in entries {
            let copy = format!("kept-{key}");
            let copied = self.server.command(&["COPY", &key, &copy, "REPLACE"]).await;
            assert_eq!(copied, Value::Int(1));
        }
    }

    /// Puts the copies back, as a write that was on its way for long would.
    pub async fn put_back_entries(&self) {
        let pattern = format!("kept-{}:e:*", self.namespace);
        let keys = self.server.command(&["KEYS", &pattern]).await;
        let keys: Vec<String> = redis::from_redis_value(keys).expect("a list of keys");
        assert!(!keys.is_empty(), "the copies are still there");
        for copy in keys {
            let key = copy.trim_start_matches("kept-");
            self.server.command(&["COPY", &copy, key, "REPLACE"]).await;
        }
    }

    /// How many records the log has.
    pub async fn log_length(&self) -> i64 {
        match self.run("XLEN LOG").await {
            Value::Int(length) => length,
            other => panic!("XLEN answered {other:?}"),
        }
    }
}
