//! Nodes: the proxy in this process, with a clock that can be moved, or the program as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tagcache::proxy::{Listen, Proxy, ProxySettings};
use tagcache_test_support::Forwarder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_tagcache::{Cache, CacheBuilder, Clock, Rule, SystemClock, Timestamp};

use crate::form::Form;

/// For so long a page is fresh: nothing of a row ends by itself.
const TTL: Duration = Duration::from_secs(3_600);

/// The clock of a node, whose wall time can be wrong.
#[derive(Debug, Clone)]
pub(crate) struct WrongClock {
    right: SystemClock,
    wrong_by: Arc<AtomicI64>,
}

impl WrongClock {
    fn new() -> Self {
        Self {
            right: SystemClock::new(),
            wrong_by: Arc::default(),
        }
    }

    /// Is wrong by so many seconds from now on.
    pub(crate) fn jump(&self, seconds: i64) {
        self.wrong_by.store(seconds * 1_000, Ordering::SeqCst);
    }
}

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        let wrong_by = self.wrong_by.load(Ordering::SeqCst);
        let now = self.right.now().as_millis();
        Timestamp::from_millis(now.saturating_add_signed(wrong_by))
    }

    fn monotonic(&self) -> Duration {
        self.right.monotonic()
    }
}

/// The rules of all nodes.
pub(crate) fn builder(form: &Form, url: &str) -> CacheBuilder {
    let near = Rule::new("near", "/near/{id}").ttl(TTL).tag("item:{id}");
    let strict = Rule::new("strict", "/strict/{id}")
        .ttl(TTL)
        .tag("item:{id}")
        .strict();
    let builder = Cache::builder().rule(near).rule(strict).redis(url);
    match form.is_short() {
        // A purge that finds the roll lost waits no longer than that, and a loaded machine keeps the budgets.
        true => builder
            .longest_lease(Duration::from_secs(1))
            .read_timeout(Duration::from_millis(200))
            .write_timeout(Duration::from_millis(500)),
        false => builder,
    }
}

/// A node in this process, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) cache: Cache,
    /// Its way to Redis, where no Sentinel says where that is.
    pub(crate) way: Forwarder,
    pub(crate) clock: WrongClock,
    /// Ends the proxy when dropped.
    _stop: oneshot::Sender<()>,
    companion: JoinHandle<()>,
    proxy: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start(
        form: &Form,
        url: &str,
        way: Forwarder,
        upstream: &str,
        patience: Duration,
    ) -> Self {
        let clock = WrongClock::new();
        let built = builder(form, url).clock(clock.clone()).build();
        let (cache, companion) = built.unwrap();
        let mut settings = ProxySettings::new(upstream);
        settings.listen = vec![Listen::new(SocketAddr::from(([127, 0, 0, 1], 0)))];
        settings.timeouts.response_head = patience;
        settings.timeouts.response_body = patience;
        settings.timeouts.drain = Duration::ZERO;
        settings.health.pause = Duration::from_millis(500);
        let bound = Proxy::new(settings, cache.clone()).unwrap();
        let bound = bound.bind().await.unwrap();
        let address = bound.local_addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let proxy = tokio::spawn(async move {
            bound.run(async { drop(stopped.await) }).await;
        });
        Self {
            address,
            cache,
            way,
            clock,
            _stop: stop,
            companion: tokio::spawn(companion.run(std::future::pending())),
            proxy,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.companion.abort();
        self.proxy.abort();
    }
}

/// The program `tagcache proxy`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: std::path::PathBuf,
}

impl Process {
    pub(crate) fn start(redis: &str, upstream: &str) -> Self {
        let name = format!("tagcache-lab-{}-{}", std::process::id(), fastrand::u64(..));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let rule = |name: &str| {
            format!(
                "[[rules]]\nname = \"{name}\"\nroute = \"/{name}/{{id}}\"\nttl = \"1h\"\n\
                 tags = [\"item:{{id}}\"]\nconsistency = \"{name}\"\n"
            )
        };
        let text = format!(
            "mode = \"prod\"\n[redis]\nurl = \"{redis}\"\n[proxy]\nupstreams = [\"{upstream}\"]\n{}{}",
            rule("near"),
            rule("strict")
        );
        let config = directory.join("tagcache.toml");
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagcache"))
            .args(["proxy", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = lines.by_ref().map_while(Result::ok);
        let line = said.find(|line| line.contains("address="));
        let line = line.expect("it listens");
        let (_, rest) = line.split_once("address=").unwrap();
        let address = rest.split_whitespace().next().unwrap().parse().unwrap();
        // Read on, so that it never waits for a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            address,
            child,
            directory,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
