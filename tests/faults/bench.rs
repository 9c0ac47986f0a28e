//! The bench of the laboratory: servers, an origin, nodes, clients and changes, and the course of a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tagcache_test_support::{Forwarder, Layout, Served, Topology, eventually, until};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower_tagcache::{Cache, ErrorKind};

use crate::form::Form;
use crate::ledger::{Ledger, Why};
use crate::load::{Asking, Connection, End, Load, Sample};
use crate::measured::{Curve, Measured, Times, hits_back};
use crate::node::{Node, Process};
use crate::upstream;

/// Pages that clients ask for.
pub(crate) const PAGES: usize = 40;
/// Pages that nobody has asked for before the fault.
pub(crate) const COLD: usize = 100;
/// Purges on their way at a time.
const PURGES: usize = 256;

/// What happens to a bench, from its beginning to the moment at which all is well there again.
pub(crate) type Fault = for<'b> fn(&'b mut Bench) -> LocalBoxFuture<'b, ()>;

/// One row of the laboratory.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What happens, for the table.
    pub(crate) what: &'static str,
    pub(crate) layout: Layout,
    /// Further arguments of the servers.
    pub(crate) args: &'static [&'static str],
    pub(crate) upstream: Upstream,
    pub(crate) nodes: Nodes,
    pub(crate) fault: Fault,
}

/// Whether the upstream answers during the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    Lives,
    Fails,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// Two in this process.
    Two,
    /// One in this process, and the program as a process of its own.
    OneAndProcess,
}

pub(crate) struct Bench {
    /// Of the row.
    name: &'static str,
    pub(crate) form: Form,
    pub(crate) topology: Topology,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) process: Option<Process>,
    /// Between nodes and origin.
    pub(crate) upstream: Forwarder,
    pub(crate) origin: Served,
    pub(crate) load: Load,
    pub(crate) changes: Arc<Changes>,
    changing: JoinHandle<()>,
    /// What the row has to say beside its counts.
    pub(crate) notes: Vec<String>,
}

/// Purges made so far, and by whom.
#[derive(Debug)]
pub(crate) struct Changes {
    caches: Vec<Cache>,
    /// The one node that purges; all in turn if it is none of them.
    pub(crate) only: AtomicUsize,
    purges: AtomicU64,
    pending: AtomicU64,
    /// In milliseconds.
    slowest: AtomicU64,
    room: Arc<Semaphore>,
}

impl Changes {
    /// Page after page changes, and is purged.
    async fn run(self: Arc<Self>, ledger: Arc<Ledger>, a_second: u32) {
        for turn in 0_usize.. {
            sleep(Duration::from_secs_f64(1.0 / f64::from(a_second))).await;
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
                continue;
            };
            let only = self.only.load(Ordering::SeqCst);
            let by = if only < self.caches.len() {
                only
            } else {
                turn % self.caches.len()
            };
            let (changes, ledger) = (Arc::clone(&self), Arc::clone(&ledger));
            tokio::spawn(async move {
                changes.change(&ledger, by, turn * 7 % PAGES).await;
                drop(room);
            });
        }
    }

    /// One page changes, and is purged by one node.
    pub(crate) async fn change(&self, ledger: &Ledger, by: usize, page: usize) {
        let version = ledger.change(page);
        self.purges.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let purger = self.caches[by].purger();
        let purged = purger.tag(format!("item:{page}")).await;
        let took = millis(began.elapsed());
        self.slowest.fetch_max(took, Ordering::SeqCst);
        match purged {
            Ok(purged) => ledger.visible(
                page,
                version,
                Why::Everywhere {
                    by,
                    how: purged.everywhere,
                },
            ),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Pending, "{error}");
                self.pending.fetch_add(1, Ordering::SeqCst);
                ledger.owe(page, version);
                ledger.visible_at(by, page, version, Why::Pending);
            }
        }
    }
}

impl Bench {
    pub(crate) async fn start(form: &Form, row: &Row) -> Self {
        let topology = Topology::start(row.layout, row.args).await;
        let asked = 2;
        let ledger = Ledger::new(PAGES + COLD, asked);
        let origin = upstream::origin(&ledger).await;
        let upstream = Forwarder::start(origin.address).await;
        let url = format!("http://{}", upstream.addr());
        let patience = match row.upstream {
            Upstream::Lives => Duration::from_secs(20),
            Upstream::Fails => form.millis(4_000, 3_000),
        };
        let mut nodes = Vec::new();
        let inside = if row.nodes == Nodes::Two { 2 } else { 1 };
        for _ in 0..inside {
            let way = Forwarder::start(topology.target()).await;
            let redis = topology.url(&way);
            nodes.push(Node::start(form, &redis, way, &url, patience).await);
        }
        let process = (inside < asked).then(|| {
            let redis = topology.url(&nodes[0].way);
            Process::start(&redis, &url)
        });
        let mut addresses: Vec<_> = nodes.iter().map(|node| node.address).collect();
        addresses.extend(process.as_ref().map(|process| process.address));
        let asking = Asking {
            nodes: addresses,
            pages: PAGES,
            rate: form.rate,
            clients: form.clients,
            keep: true,
        };
        let load = Load::start(&ledger, &asking);
        let changes = Arc::new(Changes {
            caches: nodes.iter().map(|node| node.cache.clone()).collect(),
            only: AtomicUsize::new(usize::MAX),
            purges: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            slowest: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(PURGES)),
        });
        let changing = Arc::clone(&changes).run(Arc::clone(&ledger), form.changes);
        Self {
            name: row.name,
            form: form.clone(),
            topology,
            ledger,
            nodes,
            process,
            upstream,
            origin,
            load,
            changes,
            changing: tokio::spawn(changing),
            notes: Vec::new(),
        }
    }

    /// Lets a fault last, by the form.
    pub(crate) async fn lasts(&self, short_ms: u64, full_ms: u64) {
        sleep(self.form.millis(short_ms, full_ms)).await;
    }

    /// Waits until enough answers are hits. A page that has just changed is none.
    pub(crate) async fn warm(&self) {
        let seen = &self.load.seen;
        // On a machine that is busy with other things leases end, and that is not what the short form is about.
        let enough = if self.form.is_short() { 0.3 } else { 0.7 };
        eventually(async || match seen.hits_of_late() {
            hits if hits >= enough => Ok(()),
            hits => Err(format!(
                "{}: enough answers are hits: {hits} are, {:#?}, {:#?}",
                self.name,
                seen.how_of_late(),
                self.nodes
                    .iter()
                    .map(|node| node.cache.health())
                    .collect::<Vec<_>>()
            )),
        })
        .await;
    }

    /// Waits until no purge is pending, and then for one of each node to be everywhere: so are all before.
    pub(crate) async fn settle(&self) -> Duration {
        let began = Instant::now();
        until("no purge waits", async || {
            self.nodes
                .iter()
                .all(|node| node.cache.health().waiting == 0)
        })
        .await;
        let took = began.elapsed();
        for node in &self.nodes {
            until("a purge is everywhere", async || {
                node.cache.purger().tag("item:none").await.is_ok()
            })
            .await;
        }
        self.ledger.settle();
        took
    }

    /// Reads so many pages by both rules at every node; how many answers that were.
    async fn read_all(&self, pages: usize) -> u64 {
        let mut read = 0;
        let addresses = self.nodes.iter().map(|node| node.address);
        let addresses = addresses.chain(self.process.as_ref().map(|process| process.address));
        for (number, address) in addresses.enumerate() {
            let mut connection = Connection::to(address);
            for page in 0..pages {
                for rule in ["near", "strict"] {
                    let question = self.ledger.ask(number, page);
                    let answer = connection.get(rule, page).await;
                    self.load.seen.note(&self.ledger, question, answer);
                    read += 1;
                }
            }
        }
        read
    }

    async fn stop(self) -> Vec<Sample> {
        self.changing.abort();
        let samples = self.load.stop().await;
        drop(self.nodes);
        samples
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The moments of a row.
struct Moments {
    begun: Instant,
    gone: Instant,
    back: Instant,
    end: Instant,
    /// After `back`, until no purge waited.
    purges_back: Duration,
    /// Answers that were read once more at the end.
    read: u64,
}

/// One row, from its beginning to what it measured.
async fn run(form: &Form, row: &Row) -> Measured {
    let mut bench = Bench::start(form, row).await;
    bench.warm().await;
    let begun = Instant::now();
    sleep(form.before).await;
    let gone = Instant::now();
    (row.fault)(&mut bench).await;
    let back = Instant::now();
    let purges_back = bench.settle().await;
    if row.upstream == Upstream::Lives || !form.is_short() {
        bench.warm().await;
    }
    sleep(form.after).await;
    let end = Instant::now();
    let pages = match row.upstream {
        Upstream::Lives => PAGES,
        Upstream::Fails => PAGES + COLD,
    };
    let read = bench.read_all(pages).await;
    let moments = Moments {
        begun,
        gone,
        back,
        end,
        purges_back,
        read,
    };
    measure(row, bench, &moments).await
}

async fn measure(row: &Row, mut bench: Bench, moments: &Moments) -> Measured {
    let Moments {
        begun,
        gone,
        back,
        end,
        ..
    } = *moments;
    let (seen, changes) = (Arc::clone(&bench.load.seen), Arc::clone(&bench.changes));
    let (notes, rate) = (std::mem::take(&mut bench.notes), bench.form.rate);
    let all = bench.stop().await;
    let before = Times::of(&all, begun, gone);
    let second = (gone + Duration::from_secs(1)).min(back);
    // It was asked for before the upstream was well again, and ended after it was not.
    let failed_upstream = all.iter().filter(|one| {
        let meanwhile = one.began + one.took >= gone && one.sent < back;
        one.end == End::Failed && row.upstream == Upstream::Fails && meanwhile
    });
    let errors_by_upstream = failed_upstream.count() as u64;
    for what in seen.told.lock().iter() {
        if row.upstream == Upstream::Lives || !what.starts_with("no answer") {
            println!("{}: {what}", row.name);
        }
    }
    let count = |of: &AtomicU64| of.load(Ordering::SeqCst);
    Measured {
        row: row.name.into(),
        layout: row.layout.name().into(),
        what: row.what.into(),
        rate,
        requests: count(&seen.requests),
        wrong: count(&seen.wrong),
        stale: count(&seen.stale),
        excused: all.iter().filter(|one| one.end == End::Excused).count() as u64,
        longest_excused_ms: count(&seen.longest_excused),
        errors: count(&seen.failed) - errors_by_upstream,
        errors_by_upstream,
        purges: count(&changes.purges),
        purges_pending: count(&changes.pending),
        pages_read_again: moments.read,
        fault_ms: millis(back - gone),
        first_second: Times::of(&all, gone, second),
        during: Times::of(&all, second, back),
        after: Times::of(&all, back, end),
        hits_back_ms: hits_back(&all, before.hits, back, end).map(millis),
        slowest_purge_ms: count(&changes.slowest),
        purges_back_ms: millis(moments.purges_back),
        curve: Curve::of(&all, begun, gone, end),
        before,
        notes,
    }
}

/// Runs the rows that are wanted: several at a time where no times are measured.
pub(crate) async fn run_all(rows: &[Row]) {
    let form = Form::given();
    let wanted = std::env::var("TAGCACHE_ROWS").ok();
    let wanted = wanted.filter(|rows| !rows.is_empty());
    let wanted: Option<Vec<&str>> = wanted.as_deref().map(|rows| rows.split(',').collect());
    let rows = rows.iter().filter(|row| {
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.contains(&row.name))
    });
    let at_a_time = if form.is_short() { 4 } else { 1 };
    let form = &form;
    let runs = rows.map(|row| async move { run(form, row).boxed_local().await });
    let runs = futures_util::stream::iter(runs);
    let runs = futures_util::StreamExt::buffer_unordered(runs, at_a_time);
    let results: Vec<Measured> = futures_util::StreamExt::collect(runs).await;
    for measured in &results {
        println!("{}", measured.line());
        if let Some(directory) = &form.results {
            measured.write(directory);
        }
    }
    for measured in &results {
        let row = &measured.row;
        assert_eq!(
            (measured.wrong, measured.stale, measured.errors),
            (0, 0, 0),
            "wrong, stale, errors: {row}"
        );
        assert!(measured.purges > 0 && measured.requests > 0, "{row}");
    }
}
