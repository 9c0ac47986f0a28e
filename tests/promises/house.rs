//! An auction house with its cache on a private Redis server, on as many nodes as a test wants.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::Value;
use tagcache_test_support::{self as support, Notices, Origin, RedisServer, ok, until};
use tokio::sync::watch;
use tower_tagcache::{Cache, CacheBuilder, Companion, Notice, On, Rule, Stream};

use crate::captures::{AUCTIONS, Entry};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// An auction that no capture names.
pub(crate) const BYSTANDER: &str = "0x9999999999999999999999999999999999999999";

/// The origin, and the server that the nodes share.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) server: RedisServer,
    pub(crate) origin: Pages,
}

impl House {
    pub(crate) fn open() -> Self {
        Self::on("single")
    }

    /// One whose server is a part of `topology`.
    pub(crate) fn on(topology: &str) -> Self {
        Self {
            server: RedisServer::start_in(topology),
            origin: Pages::new(),
        }
    }

    /// A node with the sample rules and `streams`, without its companion.
    pub(crate) fn node(&self, streams: impl IntoIterator<Item = Stream>) -> Node {
        self.node_with(streams, |builder| builder.redis(self.server.url()))
    }

    /// A node with the sample rules and `streams`, set up further. Whoever sets it up says where Redis is.
    pub(crate) fn node_with(
        &self,
        streams: impl IntoIterator<Item = Stream>,
        set_up: impl FnOnce(CacheBuilder) -> CacheBuilder,
    ) -> Node {
        let told = watch::Sender::new(Vec::new());
        let observer = told.clone();
        let builder = streams.into_iter().fold(rules(), CacheBuilder::stream);
        let patient = builder
            .read_timeout(PATIENCE)
            .write_timeout(PATIENCE)
            .observer(move |notice: &Notice<'_>| {
                if let Some(new) = Told::of(notice) {
                    observer.send_modify(|told: &mut Vec<Told>| told.push(new));
                }
            });
        let (cache, companion) = set_up(patient).build().unwrap();
        let node = support::Node::new(cache, Notices::new(), self.origin.origin.clone());
        Node {
            node,
            companion: Some(companion),
            pages: self.origin.clone(),
            told,
        }
    }

    /// Adds `entry` to `stream`, under its own id if it has one.
    pub(crate) async fn publish(&self, stream: &str, entry: &Entry) {
        let mut command = vec!["XADD", stream, &entry.id];
        command.extend(entry.fields.iter().map(String::as_str));
        self.server.command(&command).await;
    }

    /// How many entries of `stream` were taken and are not acknowledged.
    pub(crate) async fn unacknowledged(&self, stream: &str) -> i64 {
        match self.server.command(&["XPENDING", stream, "tagcache"]).await {
            Value::Array(summary) => match summary[0] {
                Value::Int(count) => count,
                ref other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    /// How many records the purge log has.
    pub(crate) async fn purges(&self) -> i64 {
        match self.server.run("XLEN tagcache:purges").await {
            Value::Int(length) => length,
            other => panic!("{other:?}"),
        }
    }

    /// The texts of all targets in the purge log.
    pub(crate) async fn purge_log(&self) -> String {
        format!("{:?}", self.server.run("XRANGE tagcache:purges - +").await)
    }

    /// When each record of the purge log was written, in Unix milliseconds, and the targets in it.
    pub(crate) async fn purged(&self) -> Vec<(u128, String)> {
        let log = self.server.run("XRANGE tagcache:purges - +").await;
        let log: Vec<(String, HashMap<String, String>)> =
            ::redis::from_redis_value(log).expect("a list of records");
        let of_record = |(_, mut fields): (String, HashMap<String, String>)| {
            let at = fields["at"].parse().expect("a number");
            (at, fields.remove("targets").unwrap_or_default())
        };
        log.into_iter().map(of_record).collect()
    }
}

/// The rules of DESIGN's sample configuration, and one that no event touches. All are strict.
fn rules() -> CacheBuilder {
    let minute = Duration::from_secs(60);
    let rule = |name, route| Rule::new(name, route).ttl(minute);
    Cache::builder()
        .strict()
        .rule(rule("auction", "/auctions/{address}").tag("auction:{address:address}"))
        .rule(rule("history", "/auctions/{address}/price-history").tag("history:{address:address}"))
        .rule(rule("list", "/auctions").tag("auctions"))
        .rule(rule("stats", "/stats").tag("stats"))
        .rule(rule("row", "/rows/{table}/{id}").tag("{table}:{id}"))
}

/// What `sale`, a kick and a deployment purge, in DESIGN's sample configuration.
pub(crate) fn sample(stream: &str, sale: &str) -> Stream {
    let emitter = "{transaction_information.address}";
    let kick = On::event("AuctionRoundKicked")
        .purge(format!("auction:{emitter}"))
        .purge("auctions");
    let deployed = On::event("DeployedNewAuction")
        .purge("auction:{auction}")
        .purge("auctions");
    let sale = On::event(sale)
        .purge(format!("auction:{emitter}"))
        .purge(format!("history:{emitter}"))
        .purge("auctions");
    Stream::rindexer(stream).on(sale).on(kick).on(deployed)
}

/// One response for each auction, each history, and the list; and the bystander's.
pub(crate) fn touchable() -> BTreeSet<String> {
    let each = |address: &str| {
        let auction = format!("/auctions/{address}");
        [format!("{auction}/price-history"), auction]
    };
    let addresses = AUCTIONS.into_iter().chain([BYSTANDER]);
    let mut paths: BTreeSet<String> = addresses.flat_map(each).collect();
    paths.insert("/auctions".into());
    paths
}

/// All that events can touch, and a response that none can.
pub(crate) fn everything() -> BTreeSet<String> {
    let mut paths = touchable();
    paths.insert("/stats".into());
    paths
}

/// The origin's data: each path has a version. A cheap clone.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    origin: Origin,
    versions: Versions,
}

type Versions = Arc<Mutex<BTreeMap<String, u64>>>;

fn version(versions: &Versions, path: &str) -> u64 {
    versions.lock().unwrap().get(path).copied().unwrap_or(0)
}

impl Pages {
    fn new() -> Self {
        let versions = Versions::default();
        let shown = Arc::clone(&versions);
        let origin = Origin::answering(move |asked| {
            let path = asked.parts.uri.path();
            ok(&[], format!("{path} {}", version(&shown, path)))
        });
        Self { origin, versions }
    }

    /// The data that `path` shows change.
    pub(crate) fn change(&self, path: &str) {
        let mut versions = self.versions.lock().unwrap();
        *versions.entry(path.into()).or_default() += 1;
    }
}

/// One node: a cache with connections of its own, and what it told.
#[derive(Debug)]
pub(crate) struct Node {
    node: support::Node,
    companion: Option<Companion>,
    pages: Pages,
    told: watch::Sender<Vec<Told>>,
}

impl Deref for Node {
    type Target = support::Node;

    fn deref(&self) -> &support::Node {
        &self.node
    }
}

impl Node {
    /// Spawns the companion.
    pub(crate) fn run(mut self) -> Self {
        let companion = self.companion.take().unwrap();
        self.node = self.node.accompany(companion);
        self
    }

    /// Spawns the companion, and waits until it made the group of `stream`, which purges what the
    /// stream can touch, and reads: from here on each purge is an event's.
    pub(crate) async fn join(self, house: &House, stream: &str) -> Self {
        let node = self.run();
        let made = Told::Gap(stream.into(), "no group");
        node.until("the group is made", |told| told.contains(&made))
            .await;
        // In a Cluster it stands in the stream's slot.
        let [alone, in_slot] = ["", &format!("{{{stream}}}:")]
            .map(|tag| format!("EXISTS tagcache:{tag}heard:{stream}"));
        until("it reads", async || {
            house.server.run(&alone).await == Value::Int(1)
                || house.server.run(&in_slot).await == Value::Int(1)
        })
        .await;
        node
    }

    /// Asks for `path`, and says whether the inner service was called for it. The answer is always
    /// the newest.
    pub(crate) async fn misses(&self, path: &str) -> bool {
        self.ask(path).await.1
    }

    /// The answer's `Cache-Status`, and whether the inner service was called for it.
    pub(crate) async fn ask(&self, path: &str) -> (String, bool) {
        let pages = &self.pages;
        let (version, calls) = (version(&pages.versions, path), pages.origin.calls_to(path));
        let answer = self.get(path).await;
        let expected = format!("{path} {version}");
        assert_eq!(answer.body, expected, "an old answer: {}", answer.how());
        (answer.how().to_owned(), pages.origin.calls_to(path) > calls)
    }

    /// Those of `paths` for which the inner service was called. All of them are stored afterwards.
    pub(crate) async fn missing(&self, paths: &BTreeSet<String>) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for path in paths {
            if self.misses(path).await {
                missing.insert(path.clone());
            }
        }
        missing
    }

    /// Stores `paths`.
    pub(crate) async fn store(&self, paths: &BTreeSet<String>) {
        // More than once: a fill ends after its response has, and a node that has just joined may still
        // repeat its purges.
        until("all are stored", async || {
            self.missing(paths).await.is_empty()
        })
        .await;
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Waits until what was told is `enough`.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Told]) -> bool) {
        let mut told = self.told.subscribe();
        let waiting = told.wait_for(|told| enough(told));
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("not in time: {what}; told {:#?}", self.told());
        }
    }

    /// Waits until this was told.
    pub(crate) async fn tells(&self, expected: Told) {
        let what = format!("{expected:?}");
        self.until(&what, |told| told.contains(&expected)).await;
    }
}

/// What a node told, as far as these tests ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Stream, event, tags.
    Applied(String, String, usize),
    /// Stream, reason.
    Ignored(String, &'static str),
    /// Stream, reason.
    Gap(String, &'static str),
    /// Stream, entry, reason.
    Quarantined(String, String, String),
    /// Stream, and whether the doubt begins or ends.
    Doubt(String, bool),
    /// A purge waits for the log.
    Waiting,
}

impl Told {
    fn of(notice: &Notice<'_>) -> Option<Self> {
        Some(match *notice {
            Notice::EventApplied {
                stream,
                event,
                targets,
            } => Self::Applied(stream.into(), event.into(), targets),
            Notice::EventIgnored { stream, reason } => Self::Ignored(stream.into(), reason),
            Notice::EventGap { stream, reason } => Self::Gap(stream.into(), reason),
            Notice::EventQuarantined { stream, id, reason } => {
                Self::Quarantined(stream.into(), id.into(), reason.into())
            }
            Notice::EventsInDoubt { stream, begins } => Self::Doubt(stream.into(), begins),
            Notice::PurgePending { .. } => Self::Waiting,
            _ => return None,
        })
    }

    fn applied(&self) -> Option<&str> {
        match self {
            Self::Applied(_, event, _) => Some(event),
            _ => None,
        }
    }

    /// Whether it is what became of an event of `stream`.
    pub(crate) fn is_of(&self, stream: &str) -> bool {
        match self {
            Self::Applied(of, ..)
            | Self::Ignored(of, _)
            | Self::Gap(of, _)
            | Self::Quarantined(of, ..)
            | Self::Doubt(of, _) => of == stream,
            Self::Waiting => false,
        }
    }
}

/// The events that were applied, by name.
pub(crate) fn applied(told: &[Told]) -> Vec<&str> {
    told.iter().filter_map(Told::applied).collect()
}
