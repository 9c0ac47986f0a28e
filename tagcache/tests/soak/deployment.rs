//! The API that knows how much was sold, and `tagcache proxy` before it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use tagcache_test_support::{Origin, RedisServer, ok};

use crate::sales::{AUCTIONS, GROUP, address};
use crate::{LEASE, PATIENCE};

/// What was sold in each auction, as the API knows it. Clones share it.
#[derive(Clone)]
pub(crate) struct Sold(Arc<[AtomicU64]>);

impl Sold {
    pub(crate) fn nothing() -> Self {
        Self((0..AUCTIONS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sells in the auction whose turn it is: in the database first, as rindexer does.
    pub(crate) fn sell(&self, number: usize) -> usize {
        let auction = number % AUCTIONS;
        self.0[auction].fetch_add(1, Ordering::SeqCst);
        auction
    }

    pub(crate) fn of(&self, auction: usize) -> u64 {
        self.0[auction].load(Ordering::SeqCst)
    }

    /// Answers each auction with the number of its sales.
    pub(crate) fn origin(&self) -> Origin {
        let sold = self.clone();
        Origin::answering(move |asked| {
            let path = asked.parts.uri.path();
            let auction = (0..AUCTIONS).find(|auction| path.contains(&address(*auction)));
            let number = auction.map_or(0, |auction| sold.of(auction));
            ok(&[("content-type", "text/plain")], number.to_string())
        })
    }
}

/// The shipped proxy with the shipped file; ended when dropped.
///
/// It is no `Site` of `tests/support`, which is a layer in this process: what is tested is the program, by what it
/// serves and what it logs.
pub(crate) struct Deployment {
    child: Child,
    address: SocketAddr,
    gaps: Arc<AtomicU64>,
}

impl Deployment {
    /// With the shipped file and the environment of the compose file, addresses replaced.
    pub(crate) async fn start(redis: &RedisServer, upstream: &str) -> Self {
        let config = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../examples/deploy/tagcache.toml"
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_tagcache"))
            .args(["proxy", "--config", config, "--listen", "127.0.0.1:0"])
            .args(["--upstream", upstream])
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
        let deployment = Self {
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
        deployment
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

impl Drop for Deployment {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
