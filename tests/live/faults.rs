//! Clients that come back at random, while servers die and Redis restarts: each sees each update once and in order, or is
//! told that it does not.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::ops::Bound::Excluded;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tagcache_test_support::{EventClient, RedisServer, ServerEvent, ends};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tower_tagcache::live::LiveSettings;
use tower_tagcache::{Cache, CacheBuilder, Update, UpdateId};

use super::House;

const NODES: usize = 3;
const CLIENTS: usize = 8;
/// The number of the last update, which ends a client.
const LAST: u64 = u64::MAX;

/// What one client saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Update(UpdateId, u64),
    Resync,
}

/// Where the nodes answer that are there.
type Addresses = Arc<RwLock<Vec<SocketAddr>>>;

struct Site {
    redis: RedisServer,
    nodes: Vec<House>,
    addresses: Addresses,
}

impl Site {
    async fn open() -> Self {
        let redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        let mut site = Self {
            redis,
            nodes: Vec::new(),
            addresses: Addresses::default(),
        };
        for _ in 0..NODES {
            let node = site.node().await;
            site.addresses.write().push(node.address());
            site.nodes.push(node);
        }
        for node in &site.nodes {
            node.joined().await;
        }
        site
    }

    fn builder(&self) -> CacheBuilder {
        Cache::builder()
            .redis(self.redis.url())
            .longest_lease(Duration::from_secs(1))
    }

    async fn node(&self) -> House {
        let settings = LiveSettings::open().keep_alive(Duration::from_millis(100));
        House::closed(self.builder(), settings).await
    }

    /// One node dies, with all its connections, and another one begins.
    async fn replace(&mut self, index: usize) {
        let node = self.node().await;
        self.addresses.write()[index] = node.address();
        self.nodes[index] = node;
    }

    fn spawn_client(&self) -> JoinHandle<Vec<Seen>> {
        tokio::spawn(listen(Arc::clone(&self.addresses)))
    }

    /// Tells of the update `n` by some node, until one has taken it.
    async fn tell(&self, n: u64) -> bool {
        let update = Update::new("change", "item:1").unwrap();
        let update = update.with_identity(n.to_string()).unwrap();
        let update = update.with_field("n", n.to_string()).unwrap();
        let node = &self.nodes[fastrand::usize(..NODES)];
        let purger = node.cache.purger().announcing(update);
        let told = timeout(Duration::from_secs(30), purger.tag("item:1")).await;
        matches!(told, Ok(Ok(_)))
    }
}

/// Listens until the last update, connecting again at random.
async fn listen(addresses: Addresses) -> Vec<Seen> {
    let (mut seen, mut last_id) = (Vec::new(), None::<String>);
    loop {
        let address = {
            let addresses = addresses.read();
            addresses[fastrand::usize(..addresses.len())]
        };
        let id = last_id.clone();
        let lines: Vec<_> = id.iter().map(|id| ("last-event-id", &**id)).collect();
        let client = EventClient::send("GET", address, "/events", &lines).await;
        let Some(mut client) = client.filter(|client| client.status == 200) else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        for _ in 0..fastrand::usize(1..60) {
            // Something comes every 100 ms: what is silent for so long hangs.
            let Some(event) = ends("something", client.next()).await else {
                break;
            };
            let Some(one) = understood(&event) else {
                continue;
            };
            seen.push(one);
            if matches!(one, Seen::Update(_, LAST)) {
                return seen;
            }
        }
        last_id = client.last_id.clone().or(last_id);
    }
}

fn understood(event: &ServerEvent) -> Option<Seen> {
    match event.event.as_deref()? {
        "auction_update" => {
            let data = event.data.as_ref().unwrap();
            let n = data["data"]["n"].as_str().unwrap().parse().unwrap();
            Some(Seen::Update(event.text("id").parse().unwrap(), n))
        }
        "resync" => Some(Seen::Resync),
        _ => None,
    }
}

/// Whether each client saw what there was, each update once and in the order of the log, or was told `resync` in between.
/// How often that was.
fn judge(clients: &[Vec<Seen>], told: &HashSet<u64>) -> usize {
    let mut order: BTreeMap<(u64, u64, u32), u64> = BTreeMap::new();
    let key = |id: &UpdateId| (id.position.epoch.get(), id.position.ordinal, id.index);
    let updates = clients.iter().flatten().filter_map(|seen| match seen {
        Seen::Update(id, n) => Some((key(id), *n)),
        Seen::Resync => None,
    });
    for (id, n) in updates {
        assert_eq!(*order.entry(id).or_insert(n), n, "one id, one update");
    }
    let mut resyncs = 0;
    for client in clients {
        let (mut before, mut known) = (None, HashSet::new());
        for seen in client {
            match seen {
                Seen::Resync => {
                    resyncs += 1;
                    before = None;
                    // What was announced in a log that is gone may be announced in the new one as well, and a node that
                    // was not there does not know it.
                    known.clear();
                }
                Seen::Update(id, n) => {
                    assert!(known.insert(*n), "{n} was seen twice");
                    let id = key(id);
                    if let Some(before) = before {
                        assert!(
                            id > before && id.0 == before.0,
                            "{before:?} {id:?}: the order"
                        );
                        let missed = order.range((Excluded(before), Excluded(id))).count();
                        assert_eq!(missed, 0, "between {before:?} and {id:?}");
                    }
                    before = Some(id);
                }
            }
        }
    }
    let seen: HashSet<_> = order.values().collect();
    let lost = told.iter().filter(|n| !seen.contains(n)).count();
    if resyncs == 0 {
        assert_eq!(lost, 0, "of those that were told");
    }
    resyncs
}

async fn rounds(updates: u64, restarts: bool) -> usize {
    let mut site = Site::open().await;
    let clients: Vec<_> = (0..CLIENTS).map(|_| site.spawn_client()).collect();
    let mut told = HashSet::new();
    for n in 0..updates {
        if n % 100 == 50 {
            site.replace(fastrand::usize(..NODES)).await;
        }
        if restarts && n % 200 == 120 {
            site.redis.stop();
            site.redis.restart();
        }
        if site.tell(n).await {
            told.insert(n);
        }
    }
    assert!(told.len() as u64 >= updates / 2, "{} were told", told.len());
    // Each client ends with the last one: nobody is left in silence.
    assert!(site.tell(LAST).await);
    let mut seen = Vec::new();
    for client in clients {
        seen.push(ends("a client", client).await.unwrap());
    }
    judge(&seen, &told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_124_clients_see_each_update_once_while_servers_die() {
    assert_eq!(
        rounds(1_000, false).await,
        0,
        "nobody had to be told `resync`"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn safety_124_clients_see_each_update_once_or_a_resync_while_redis_restarts() {
    rounds(1_000, true).await;
}
