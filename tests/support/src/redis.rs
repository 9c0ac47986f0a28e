//! A private `redis-server`.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use redis::Value;

use crate::{RedisCluster, RedisSentinels, until};

const PORTS_TRIED: usize = 20;

/// A server of our own on a free loopback port, without persistence, killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    child: Child,
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
    /// What it is a part of, if it is the one that tests share.
    around: Option<Topology>,
}

/// What a server can be a part of.
#[derive(Debug)]
enum Topology {
    /// Its Sentinels.
    Sentinels(Box<RedisSentinels>),
    /// The other nodes of its Cluster.
    Cluster(RedisCluster),
}

impl RedisServer {
    /// Starts a server.
    ///
    /// # Panics
    /// No `redis-server` is installed: the message says how to get one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `["--requirepass", "secret"]`.
    pub fn start_with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.into()).collect();
        let dir = fresh_dir();
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            if let Some(child) = spawn(port, &dir, &args) {
                return Self {
                    child,
                    port,
                    dir,
                    args,
                    around: None,
                };
            }
        }
        panic!("redis-server did not start on any of {PORTS_TRIED} ports with {args:?}");
    }

    /// Starts a server that is a part of a `topology`: `single`, the master of a `sentinel`, or a node of a `cluster`. It
    /// has no replica, so that nodes whose companion does not run can use it.
    pub fn start_in(topology: &str) -> Self {
        let topology = topology.to_owned();
        // On a thread of its own, as the caller is in a runtime.
        let started = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            match &*topology {
                "" | "single" => Self::start(),
                "sentinel" => {
                    let mut sentinels = runtime.block_on(RedisSentinels::start());
                    sentinels.replica.stop();
                    runtime.block_on(until("it has no replica", async || {
                        let info = sentinels.master.info("replication").await;
                        info.contains("connected_slaves:0")
                    }));
                    let mut master = Self::start();
                    std::mem::swap(&mut master, &mut sentinels.master);
                    master.around = Some(Topology::Sentinels(Box::new(sentinels)));
                    master
                }
                "cluster" => {
                    let mut cluster = runtime.block_on(RedisCluster::start(3, 0));
                    let mut first = cluster.nodes.remove(0);
                    first.around = Some(Topology::Cluster(cluster));
                    first
                }
                other => panic!("TAGCACHE_TOPOLOGY is {other:?}, not single, sentinel or cluster"),
            }
        });
        started.join().expect("it starts")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The URL of the server, or of what it is a part of.
    pub fn url(&self) -> String {
        match &self.around {
            None => self.own_url(),
            Some(Topology::Sentinels(sentinels)) => sentinels.url(),
            Some(Topology::Cluster(others)) => format!("{},{}", others.url(), self.addr()),
        }
    }

    fn own_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The nodes of the Cluster that it stands for; else itself.
    fn nodes(&self) -> Vec<&Self> {
        match &self.around {
            Some(Topology::Cluster(others)) => [self].into_iter().chain(&others.nodes).collect(),
            _ => vec![self],
        }
    }

    /// Kills the server, as a crash would.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills the server and starts it again on the same port with the same data.
    pub fn restart(&mut self) {
        self.stop();
        for _ in 0..PORTS_TRIED {
            if let Some(child) = spawn(self.port, &self.dir, &self.args) {
                self.child = child;
                return;
            }
        }
        panic!("redis-server did not start again on port {}", self.port);
    }

    /// Stops the process without ending it: connections live, nothing is answered.
    pub fn suspend(&self) {
        self.signal("-STOP");
    }

    /// Lets a suspended process go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args([signal, &pid]).status();
        assert!(kill.is_ok_and(|status| status.success()), "kill {signal}");
    }

    /// Sends one command, such as `"SET a 1"`, on a connection of its own.
    ///
    /// # Panics
    /// The server cannot be reached or answers with an error.
    pub async fn run(&self, command: &str) -> Value {
        let parts: Vec<&str> = command.split_whitespace().collect();
        self.command(&parts).await
    }

    /// Sends one command whose arguments may have spaces.
    pub async fn command(&self, parts: &[&str]) -> Value {
        self.try_command(parts)
            .await
            .unwrap_or_else(|error| panic!("{parts:?}: {error}"))
    }

    /// As [`run`](Self::run), with a password.
    pub async fn admin(&self, password: &str, command: &str) -> Value {
        let parts: Vec<&str> = command.split_whitespace().collect();
        let url = format!("redis://:{password}@127.0.0.1:{}", self.port);
        let answer = send(&url, &parts).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Of a Cluster, to the node that has the key.
    pub async fn try_command(&self, parts: &[&str]) -> redis::RedisResult<Value> {
        let answer = send(&self.own_url(), parts).await;
        match answer {
            Err(error) if error.code() == Some("MOVED") => {
                let at = error.detail().and_then(|detail| detail.split(' ').nth(1));
                let at = at.expect("MOVED says where");
                send(&format!("redis://{at}"), parts).await
            }
            answer => answer,
        }
    }

    /// Makes this server a replica of `master`, and returns when it is in step.
    pub async fn replica_of(&self, master: &Self) {
        self.run(&format!("REPLICAOF 127.0.0.1 {}", master.port))
            .await;
        // Counts as one more replica only once it has acknowledged what was written before.
        let mark = format!("in-step-{}", self.port);
        loop {
            master.command(&["SET", &mark, "1"]).await;
            if let Ok(Value::BulkString(_)) = self.try_command(&["GET", &mark]).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        master.command(&["DEL", &mark]).await;
        while master.run("WAIT 1 1000").await == Value::Int(0) {}
    }

    /// How often `command` (in lower case) was called, by the server's own count.
    pub async fn calls(&self, command: &str) -> u64 {
        let mut calls = 0;
        for node in self.nodes() {
            calls += node.own_calls(command).await;
        }
        calls
    }

    async fn own_calls(&self, command: &str) -> u64 {
        let stats = self.info("commandstats").await;
        let line = stats.lines().find_map(|line| {
            let (name, rest) = line.split_once(':')?;
            (name == format!("cmdstat_{command}")).then_some(rest)
        });
        let calls = line.and_then(|rest| rest.strip_prefix("calls=")?.split(',').next());
        calls.map_or(0, |calls| calls.parse().expect("a count"))
    }

    pub async fn info(&self, section: &str) -> String {
        match self.command(&["INFO", section]).await {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } => text,
            other => panic!("INFO answered {other:?}"),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The server that tests of one binary share which leave it as it is. It ends with the last of them.
pub fn shared_server() -> Arc<RedisServer> {
    static SHARED: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().expect("no test panics while starting it");
    shared.upgrade().unwrap_or_else(|| {
        let topology = std::env::var("TAGCACHE_TOPOLOGY").unwrap_or_default();
        let server = Arc::new(RedisServer::start_in(&topology));
        *shared = Arc::downgrade(&server);
        server
    })
}

/// The server program: `redis-server`, or what `TAGCACHE_REDIS_SERVER` names, such as a Valkey.
pub fn redis_server() -> String {
    std::env::var("TAGCACHE_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into())
}

/// Whether the server that `TAGCACHE_REDIS_SERVER` names was built with TLS. The `redis-server` of every distribution is.
pub fn speaks_tls() -> bool {
    if std::env::var_os("TAGCACHE_REDIS_SERVER").is_none() {
        return true;
    }
    // It has no certificate, and ends for the one reason or the other.
    let asked = Command::new(redis_server())
        .args(["--port", "0", "--tls-port", "1"])
        .output();
    let said = asked.map(|ended| [ended.stdout, ended.stderr].concat());
    let said = said.unwrap_or_else(|error| panic!("{}", how_to_install(&error)));
    let said = String::from_utf8_lossy(&said);
    let lacks = ["Bad directive", "Failed finding TLS support"];
    let knows = !lacks.iter().any(|lack| said.contains(lack));
    if !knows {
        println!("NOT CHECKED: {} was built without TLS", redis_server());
    }
    knows
}

pub(crate) async fn send(url: &str, parts: &[&str]) -> redis::RedisResult<Value> {
    let client = redis::Client::open(url)?;
    // A loaded machine connects too.
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(crate::GENEROUS))
        .set_response_timeout(None);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut conn = connecting.await?;
    let mut command = redis::cmd(parts[0]);
    command.arg(&parts[1..]);
    command.query_async(&mut conn).await
}

/// Starts a server and waits until it says that it is ready; `None` if it ended instead, because
/// the port was taken.
fn spawn(port: u16, dir: &Path, args: &[String]) -> Option<Child> {
    let mut child = Command::new(redis_server())
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args([
            "--repl-diskless-sync-delay",
            "0",
            "--repl-ping-replica-period",
            "1",
        ])
        .arg("--dir")
        .arg(dir)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}", how_to_install(&error)));
    let stdout = child.stdout.take().expect("it is piped");
    let mut output = BufReader::new(stdout).lines();
    let ready = output.any(|line| line.is_ok_and(|line| line.contains("Ready to accept")));
    if !ready {
        let _ = child.wait();
        return None;
    }
    // Read on, so that the server never waits for a full pipe. Ends with the server.
    std::thread::spawn(move || output.for_each(drop));
    Some(child)
}

fn how_to_install(error: &std::io::Error) -> String {
    format!(
        "these tests need `redis-server` 7.0 or newer, which could not be started ({error}).\n\
         Debian, Ubuntu: sudo apt-get install redis-server\n\
         macOS: brew install redis\n\
         or run `make test`, which installs it"
    )
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn fresh_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tagcache-redis-{}-{next}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    dir
}
