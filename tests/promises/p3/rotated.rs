//! Credentials that change while requests, purges and events go on (SAFETY 140, 141, 142).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use redis::Value;
use tagcache_test_support::{GENEROUS, Node, Notices, Origin, RedisServer, ok, until};
use tokio::task::{JoinHandle, JoinSet};
use tower_tagcache::{
    BoxError, Cache, CacheBuilder, On, RedisCredentials, RedisLogin, Rule, Stream,
};

use crate::captures;

const USER: &str = include_str!("../../../examples/deploy/redis-user.acl");
const STREAM: &str = "auction_sales";
const CLIENTS: usize = 4;
/// Rounds of a rotation.
const ROUNDS: usize = 3;
/// For lookups, stores, appends, the follower, and two for the stream.
const CONNECTIONS: usize = 6;

/// Makes `user` with the rights of a cache, and `password` beside those that it has.
async fn let_in(server: &RedisServer, user: &str, password: &str) {
    let rules = USER
        .trim()
        .strip_prefix("user tagcache on >change-me ")
        .unwrap();
    let command = format!("ACL SETUSER {user} on >{password} {rules}");
    server.run(&command).await;
}

/// The lines of `CLIENT LIST` about `user`.
async fn clients(server: &RedisServer, user: &str) -> Vec<String> {
    let list: String = redis::from_redis_value(server.run("CLIENT LIST").await).unwrap();
    let user = format!(" user={user} ");
    let of_user = list.lines().filter(|line| line.contains(&user));
    of_user.map(str::to_owned).collect()
}

/// The connections of `user`.
async fn ids(server: &RedisServer, user: &str) -> BTreeSet<String> {
    let lines = clients(server, user).await;
    let id = |line: &String| line.split(' ').next().map(str::to_owned);
    lines.iter().filter_map(id).collect()
}

/// As many of them as a node of these tests needs.
async fn connected(server: &RedisServer, user: &str) -> BTreeSet<String> {
    until("it is connected", async || {
        ids(server, user).await.len() == CONNECTIONS
    })
    .await;
    ids(server, user).await
}

fn url(server: &RedisServer, user: &str) -> String {
    format!("redis://{user}@127.0.0.1:{}", server.port())
}

/// A node under load: lookups of both kinds, and events that purge.
struct Loaded {
    node: Arc<Node>,
    server: Arc<RedisServer>,
    stop: Arc<AtomicBool>,
    load: JoinSet<()>,
    asked: Arc<AtomicUsize>,
    published: JoinHandle<usize>,
    failures: Arc<AtomicUsize>,
    misses: Arc<AtomicUsize>,
}

fn node(builder: CacheBuilder) -> Node {
    let rule = |name: &str| {
        let route = format!("/{name}/{{id}}");
        let rule = Rule::new(name, route).ttl(Duration::from_secs(600));
        rule.tag(format!("auction:{name}-{{id}}"))
    };
    let on = On::event("AuctionSale").purge("auction:{transaction_information.address}");
    let notices = Notices::new();
    let (cache, companion) = builder
        .rule(rule("near"))
        .rule(rule("strict").strict())
        .stream(Stream::rindexer(STREAM).on(on))
        .connect_timeout(GENEROUS)
        .read_timeout(GENEROUS)
        .write_timeout(GENEROUS)
        .purge_timeout(GENEROUS)
        .observer(notices.clone())
        .build()
        .unwrap();
    let origin = Origin::answering(|_| ok(&[], b"there".to_vec()));
    Node::new(cache, notices, origin).accompany(companion)
}

impl Loaded {
    async fn start(
        server: &Arc<RedisServer>,
        setting: impl FnOnce(CacheBuilder) -> CacheBuilder,
    ) -> Self {
        let node = Arc::new(node(setting(Cache::builder())));
        let failures = Arc::new(AtomicUsize::new(0));
        for path in ["/near/1", "/strict/1"] {
            node.warm(path).await;
        }
        let group = async || {
            let groups = server.try_command(&["XINFO", "GROUPS", STREAM]).await;
            groups.is_ok()
        };
        until("the group is made", group).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, misses) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut load = JoinSet::new();
        for client in 0..CLIENTS {
            let (node, stop) = (Arc::clone(&node), Arc::clone(&stop));
            let (asked, failures) = (Arc::clone(&asked), Arc::clone(&failures));
            let misses = Arc::clone(&misses);
            load.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let kind = ["near", "strict"][client % 2];
                    let answer = node.get(&format!("/{kind}/1")).await;
                    asked.fetch_add(1, Ordering::Relaxed);
                    let missed = usize::from(!answer.is_hit());
                    misses.fetch_add(missed, Ordering::Relaxed);
                    if answer.status != 200 || answer.body != "there" {
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        let published = tokio::spawn(publish(Arc::clone(server), Arc::clone(&stop)));
        Self {
            node,
            server: Arc::clone(server),
            stop,
            load,
            asked,
            published,
            failures,
            misses,
        }
    }

    /// Requests that go on after this was called.
    async fn goes_on(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        until("requests go on", async || {
            self.asked.load(Ordering::Relaxed) > before + 20
        })
        .await;
    }

    /// Whether credentials are complained of.
    fn is_complained(&self) -> bool {
        let troubles = self.node.cache.health().troubles;
        troubles.iter().any(|trouble| trouble.part == "credentials")
    }

    fn misses(&self) -> usize {
        self.misses.load(Ordering::Relaxed)
    }

    /// Ends the load, and holds what became of it against what was asked for.
    async fn end(mut self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.load.join_next().await {
            ended.unwrap();
        }
        let published = self.published.await.unwrap();
        assert!(published > 0);
        // All events are purged and acknowledged: none is pending, none is unread.
        until("all events are taken", async || {
            let groups = self.server.command(&["XINFO", "GROUPS", STREAM]).await;
            let text = format!("{groups:?}");
            let pending = self.server.command(&["XPENDING", STREAM, "tagcache"]).await;
            let none = matches!(&pending, Value::Array(parts) if parts[0] == Value::Int(0));
            none && !text.is_empty() && lag(&groups) == Some(0)
        })
        .await;
        assert_eq!(self.failures.load(Ordering::Relaxed), 0, "failed requests");
        let waiting = self.node.cache.health().waiting;
        assert_eq!(waiting, 0, "purges that are not in the log");
    }
}

/// How many entries the group has not read.
fn lag(groups: &Value) -> Option<i64> {
    let groups: Vec<std::collections::HashMap<String, Value>> =
        redis::from_redis_value(groups.clone()).ok()?;
    let group = groups.first()?;
    redis::from_redis_value(group.get("lag")?.clone()).ok()
}

/// Adds events, and purges beside them, until it is to `stop`; how many.
async fn publish(server: Arc<RedisServer>, stop: Arc<AtomicBool>) -> usize {
    let sale = captures::first("AuctionSale").document().to_string();
    let mut published = 0;
    while !stop.load(Ordering::Relaxed) {
        let added = ["XADD", STREAM, "*", "payload", &sale];
        server.command(&added).await;
        published += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    published
}

struct SecretFile(PathBuf);

impl SecretFile {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("tagcache-{name}-{}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, format!("{text}\n")).unwrap();
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Every connection authenticates again, and none is lost: the old user is deleted, which would end its connections.
#[tokio::test(flavor = "multi_thread")]
async fn safety_140_a_user_and_password_in_files_change_and_no_connection_ends() {
    let server = Arc::new(RedisServer::start());
    let_in(&server, "user-0", "secret-0").await;
    let user = SecretFile::new("user", "user-0");
    let password = SecretFile::new("password", "secret-0");
    let login = RedisLogin::new()
        .username_file(&user.0)
        .password_file(&password.0);
    let url = format!("{}?protocol=resp3", server.url());
    let loaded = Loaded::start(&server, |to| to.redis(url).redis_login(login)).await;
    let misses = loaded.misses();
    for round in 1..=ROUNDS {
        let (before, after) = (format!("user-{}", round - 1), format!("user-{round}"));
        let_in(&server, &after, &format!("secret-{round}")).await;
        let present = connected(&server, &before).await;
        user.write(&after);
        password.write(&format!("secret-{round}"));
        until("all are the new user", async || {
            clients(&server, &before).await.is_empty()
        })
        .await;
        assert_eq!(ids(&server, &after).await, present, "the same connections");
        server.run(&format!("ACL DELUSER {before}")).await;
        loaded.goes_on().await;
    }
    assert_eq!(loaded.misses(), misses, "each was a hit");
    assert!(!loaded.is_complained());
    loaded.end().await;
}

/// The password is another one, and all connections are cut, again and again: in either order of server and file.
#[tokio::test(flavor = "multi_thread")]
async fn safety_140_a_password_is_rotated_while_connections_are_killed() {
    let server = Arc::new(RedisServer::start());
    let_in(&server, "cache", "secret-0").await;
    let password = SecretFile::new("rotated", "secret-0");
    let login = RedisLogin::new().password_file(&password.0);
    let at = url(&server, "cache");
    let loaded = Loaded::start(&server, |to| to.redis(at).redis_login(login)).await;
    let purger = loaded.node.cache.purger();
    for round in 1..=ROUNDS {
        let (old, new) = (format!("secret-{}", round - 1), format!("secret-{round}"));
        let change = format!("ACL SETUSER cache >{new} <{old}");
        if round % 2 == 0 {
            server.run(&change).await;
            password.write(&new);
        } else {
            // The file first: the server does not know it yet.
            password.write(&new);
            until("it is said", async || loaded.is_complained()).await;
            server.run("CLIENT KILL USER cache").await;
            loaded.goes_on().await;
            server.run(&change).await;
        }
        server.run("CLIENT KILL USER cache").await;
        purger.tag("auction:other").await.unwrap();
        until("it is in order", async || !loaded.is_complained()).await;
        loaded.goes_on().await;
    }
    loaded.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn safety_141_a_wrong_new_password_leaves_the_old_one_in_use() {
    let server = Arc::new(RedisServer::start());
    let_in(&server, "cache", "right").await;
    let password = SecretFile::new("wrong", "right");
    let login = RedisLogin::new().password_file(&password.0);
    let at = url(&server, "cache");
    let loaded = Loaded::start(&server, |to| to.redis(at).redis_login(login)).await;
    let present = connected(&server, "cache").await;
    for wrong in ["hunter2", "", "hunter3"] {
        password.write(wrong);
        let said = if wrong.is_empty() {
            "is empty"
        } else {
            "refuses the new ones"
        };
        let complaint = async || {
            let troubles = loaded.node.cache.health().troubles;
            let mut messages = troubles.iter().map(|trouble| &*trouble.message);
            messages.any(|message| {
                assert!(
                    !message.contains("hunter") && !message.contains("right"),
                    "{message}"
                );
                message.contains(said)
            })
        };
        until(said, complaint).await;
        assert_eq!(ids(&server, "cache").await, present, "none was lost");
    }
    // New connections come by the old one.
    server.run("CLIENT KILL USER cache").await;
    loaded.goes_on().await;
    until("it is connected again", async || {
        let now = ids(&server, "cache").await;
        now.len() >= CONNECTIONS - 1 && now.is_disjoint(&present)
    })
    .await;
    password.write("right");
    until("it is in order", async || !loaded.is_complained()).await;
    loaded.end().await;
}

/// A server that lets each token in for its time only, and ends what was opened by it: as managed servers do.
#[tokio::test(flavor = "multi_thread")]
async fn safety_140_tokens_that_end_are_renewed_before() {
    const LIFE: Duration = Duration::from_secs(4);
    let server = Arc::new(RedisServer::start());
    let asked = Arc::new(AtomicUsize::new(0));
    let ending = Arc::new(tokio::sync::Mutex::new(JoinSet::new()));
    let tokens = {
        let (server, asked, ending) =
            (Arc::clone(&server), Arc::clone(&asked), Arc::clone(&ending));
        move || {
            let (server, ending) = (Arc::clone(&server), Arc::clone(&ending));
            let user = format!("token-{}", asked.fetch_add(1, Ordering::Relaxed));
            async move {
                let_in(&server, &user, "secret").await;
                let token = RedisCredentials::new(&*user, "secret").good_for(LIFE);
                ending.lock().await.spawn(async move {
                    tokio::time::sleep(LIFE).await;
                    let cut = clients(&server, &user).await.len();
                    server.run(&format!("ACL DELUSER {user}")).await;
                    cut
                });
                Ok::<_, BoxError>(token)
            }
        }
    };
    let at = server.url();
    let loaded = Loaded::start(&server, |to| to.redis(at).redis_credentials(tokens)).await;
    let misses = loaded.misses();
    until("tokens are renewed", async || {
        asked.load(Ordering::Relaxed) >= 4
    })
    .await;
    assert_eq!(loaded.misses(), misses, "each was a hit");
    loaded.end().await;
    let mut ending = ending.lock().await;
    while let Some(cut) = ending.try_join_next() {
        assert_eq!(cut.unwrap(), 0, "connections that a token outlived");
    }
}

/// Whatever ends connections at an age finds none of that age, and nothing that was under way ends with them.
#[tokio::test(flavor = "multi_thread")]
async fn safety_142_connections_are_replaced_before_they_are_cut() {
    let server = Arc::new(RedisServer::start());
    let_in(&server, "cache", "secret").await;
    let at = server.url().replace("redis://", "redis://cache:secret@");
    let age = Duration::from_secs(1);
    let loaded = Loaded::start(&server, |to| to.redis(at).max_connection_age(age)).await;
    let misses = loaded.misses();
    for _ in 0..ROUNDS {
        let present = ids(&server, "cache").await;
        until("all are replaced", async || {
            let now = ids(&server, "cache").await;
            now.len() == CONNECTIONS && now.is_disjoint(&present)
        })
        .await;
    }
    assert_eq!(loaded.misses(), misses, "each was a hit");
    loaded.end().await;
}

/// As many connections as are needed, and no more: each is replaced all the same.
#[tokio::test(flavor = "multi_thread")]
async fn safety_142_connections_are_replaced_where_no_more_are_allowed() {
    let server = Arc::new(RedisServer::start());
    let_in(&server, "cache", "secret").await;
    let at = server.url().replace("redis://", "redis://cache:secret@");
    let age = Duration::from_secs(1);
    let setting = |to: CacheBuilder| to.redis(at).max_connection_age(age);
    let loaded = Loaded::start(&server, |to| setting(to).max_connections(CONNECTIONS)).await;
    for _ in 0..ROUNDS {
        let present = ids(&server, "cache").await;
        until("all are replaced", async || {
            ids(&server, "cache").await.is_disjoint(&present)
        })
        .await;
        loaded.goes_on().await;
    }
    loaded.end().await;
}
