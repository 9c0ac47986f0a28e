//! A Redis in which something happened, for one test.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::cell::Cell;

use serde_json::{Value, json};
use tagcache_test_support::{RedisServer, until};
use tokio::runtime::Runtime;
use tower_tagcache::{ActivityQuery, ActivitySettings, AlertRule, Cache, Companion, Update};

use super::program::{Directory, Ran, Running, Upstream};

pub(crate) const AUCTION: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";
pub(crate) const TOKEN: &str = "0123456789abcdef";
/// What the program is told to keep, as the cache of the test does.
pub(crate) const KEPT: &str = "[activity]\n[[alerts]]\nname = \"big\"\n";

/// A Redis in which something happened, and a directory whose configuration names it.
pub(crate) struct History {
    pub(crate) directory: Directory,
    pub(crate) redis: RedisServer,
    url: String,
    cache: Cache,
    /// Until something is announced: it also brings alerts to their receivers, or gives them up.
    companion: Cell<Option<Companion>>,
    runtime: Runtime,
}

impl History {
    pub(crate) fn new() -> Self {
        let redis = RedisServer::start();
        let url = redis.url();
        Self::on(redis, url)
    }

    /// On this server, at this URL.
    pub(crate) fn on(redis: RedisServer, url: String) -> Self {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let builder = Cache::builder().redis(&url);
        let builder = builder.activity(ActivitySettings::new());
        let (cache, companion) = builder.alert(AlertRule::new("big")).build().unwrap();
        let directory = Directory::new();
        let history = Self {
            directory,
            redis,
            url,
            cache,
            companion: Cell::new(Some(companion)),
            runtime,
        };
        history.configure(KEPT);
        history
    }

    /// Two sales and a kick, one after the other, of this moment.
    pub(crate) fn busy() -> Self {
        let history = Self::new();
        history.announce("sale", AUCTION, &[("amount", "1500000000000000000000")], 1);
        history.announce("sale", AUCTION, &[("amount", "5"), ("price", "7")], 2);
        history.announce("kick", "auction:8", &[], 3);
        history
    }

    pub(crate) fn configure(&self, text: &str) {
        let redis = format!("[redis]\nurl = \"{}\"\n", self.url);
        self.directory.configure(&format!("{redis}{text}"));
    }

    /// Announces something, and waits until so many entries are kept.
    pub(crate) fn announce(
        &self,
        kind: &str,
        subject: &str,
        fields: &[(&str, &str)],
        entries: usize,
    ) {
        let update = Update::new(kind, subject).unwrap();
        let with = |update: Update, (name, value): &(&str, &str)| update.with_field(*name, *value);
        let update = fields.iter().try_fold(update, with).unwrap();
        if let Some(companion) = self.companion.take() {
            self.runtime.spawn(companion.run(std::future::pending()));
        }
        self.runtime.block_on(async {
            let purger = self.cache.purger().announcing(update);
            purger.tag("auctions").await.unwrap();
            let feed = self.cache.activity().unwrap();
            until("it is kept", async || {
                let page = feed.read(&ActivityQuery::new()).await;
                page.is_ok_and(|page| page.entries.len() == entries)
            })
            .await;
        });
    }

    /// An alert that was given up.
    pub(crate) fn fail(&self, id: &str, reason: &str) {
        let alert = json!({ "rule": "big" }).to_string();
        let failed = json!({
            "queue": "big/webhook/ops", "id": id, "json": alert, "suppressed": 0, "reason": reason,
            "at": 1_700_000_000_000_u64,
        });
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut push = redis::cmd("LPUSH");
        push.arg("{tagcache:purges}:activity:failed")
            .arg(failed.to_string());
        push.query::<redis::Value>(&mut connection).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.directory.run(args)
    }

    /// What is printed, of a command that does what it was asked.
    pub(crate) fn told(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
        ran.out
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        serde_json::from_str(&self.told(&all)).unwrap()
    }

    /// A proxy with an admin listener, and the URL of that.
    pub(crate) fn proxy(&self, upstream: &Upstream, more: &str) -> (Running, String) {
        self.configure(&format!(
            "[proxy]\nupstreams = [\"{}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n{more}",
            upstream.url
        ));
        let proxy = self.directory.proxy(&[]);
        let line = proxy.log.wait("admin listener");
        let address = line.split_once("address=").unwrap().1.trim();
        let url = format!("http://{address}");
        (proxy, url)
    }
}
