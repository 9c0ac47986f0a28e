//! The API that knows how much was sold, and `tagcache proxy` before it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tagcache_test_support::RedisServer;

use crate::sales::{AUCTIONS, GROUP, address};
use crate::{LEASE, PATIENCE};

/// Answers each auction with the number of its sales.
pub(crate) struct Origin {
    sold: Arc<[AtomicU64]>,
    address: SocketAddr,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let sold: Arc<[AtomicU64]> = (0..AUCTIONS).map(|_| AtomicU64::new(0)).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::clone(&sold);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sold = Arc::clone(&known);
                thread::spawn(move || answer(stream, &sold));
            }
        });
        Self { sold, address }
    }

    /// Sells in the auction whose turn it is: in the database first, as rindexer does.
    pub(crate) fn sell(&self, number: usize) -> usize {
        let auction = number % AUCTIONS;
        self.sold[auction].fetch_add(1, Ordering::SeqCst);
        auction
    }

    pub(crate) fn sold(&self, auction: usize) -> u64 {
        self.sold[auction].load(Ordering::SeqCst)
    }
}

/// Serves one connection until it ends.
fn answer(stream: TcpStream, sold: &[AtomicU64]) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {}
        line.clear();
        let auction = (0..AUCTIONS).find(|auction| path.contains(&address(*auction)));
        let number = auction.map_or(0, |auction| sold[auction].load(Ordering::SeqCst));
        let body = format!("{number}");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length";
        if write!(writer, "{head}: {}\r\n\r\n{body}", body.len()).is_err() {
            return;
        }
    }
}

/// The proxy; ended when dropped.
pub(crate) struct Site {
    child: Child,
    address: SocketAddr,
    gaps: Arc<AtomicU64>,
}

impl Site {
    /// With the shipped file and the environment of the compose file, addresses replaced.
    pub(crate) async fn start(redis: &RedisServer, origin: &Origin) -> Self {
        let config = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/deploy/tagcache.toml"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagcache"))
            .args(["proxy", "--config", config, "--listen", "127.0.0.1:0"])
            .args(["--upstream", &format!("http://{}", origin.address)])
            .env_clear()
            .envs([
                ("MODE", "prod"),
                ("REDIS_CONNECTION_URI", &redis.url()),
                ("REDIS_MAX_CONNECTIONS", "50"),
                ("REDIS_TIMEOUT", "5"),
                ("STREAM_CONSUMER_GROUP", GROUP),
                ("TAGCACHE_ADMIN_LISTEN", "127.0.0.1:0"),
                ("TAGCACHE_ADMIN_TOKEN", "a-token-of-the-soak"),
            ])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = |line: &std::io::Result<String>| {
            line.as_ref()
                .is_ok_and(|line| line.contains("listening") && !line.contains("admin"))
        };
        let line = lines.find(listening).unwrap().unwrap();
        let (_, rest) = line.split_once("address=").unwrap();
        let address = rest.split_whitespace().next().unwrap().parse().unwrap();
        let gaps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&gaps);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("WARN") || line.contains("ERROR") {
                    println!("proxy: {line}");
                }
                if line.contains("events may be missing") {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let site = Self {
            child,
            address,
            gaps,
        };
        // The groups are there, and their gap at the start is closed.
        let since = std::time::Instant::now();
        loop {
            let health = redis
                .try_command(&["XINFO", "GROUPS", "auction_sales"])
                .await;
            if matches!(health, Ok(redis::Value::Array(groups)) if !groups.is_empty()) {
                break;
            }
            assert!(since.elapsed() < PATIENCE, "no group is made");
            tokio::time::sleep(LEASE / 20).await;
        }
        site
    }

    /// How often everything was purged because events might be missing, which hides what is stale.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::SeqCst)
    }

    /// How many sales of `auction` are shown.
    pub(crate) async fn read(&self, auction: usize) -> u64 {
        let to = self.address;
        let path = format!("/auctions/{}", address(auction));
        let read = move || {
            let mut stream = TcpStream::connect(to).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nhost: auctions\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
            body.trim().parse().unwrap()
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
