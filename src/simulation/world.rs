//! A history: nodes, a server or two, clients, purgers, and what goes wrong between them, all chosen by the seed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::network::{Host, Network, SERVERS};
use super::node::{LONGEST_LEASE, MachineClock, Mood, Node, Origin, PAGES, Surroundings};
use super::server::Server;
use super::server::sentinel::Sentinel;
use super::server::state::{Role, State};
use super::witness::{Start, Tally, Witness};
use crate::error::ErrorKind;
use crate::update::Update;

pub(super) const SENTINEL: Host = 200;
/// How long after all was mended everything that waits has ended: Λ, with replicas, and some round trips.
const PATIENCE: Duration = Duration::from_secs(45);
/// The longest that a node takes to answer from the cache again.
const BACK_WITHIN: Duration = Duration::from_secs(20);

/// What came of a history.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) violation: Option<String>,
    pub(super) trace: Vec<String>,
    pub(super) hash: u64,
    pub(super) tally: Tally,
    pub(super) is_excused: bool,
    pub(super) virtual_time: Duration,
}

pub(super) struct World {
    pub(super) random: fastrand::Rng,
    begun: Instant,
    pub(super) network: Network,
    pub(super) servers: Vec<Server>,
    pub(super) sentinel: Option<Sentinel>,
    pub(super) nodes: Vec<Node>,
    leases: Vec<Duration>,
    pub(super) around: Surroundings,
    pub(super) witness: Arc<Mutex<Witness>>,
    under_way: JoinSet<()>,
    /// Faults that end by themselves.
    pub(super) to_end: Vec<(Instant, super::mending::Mending)>,
}

impl World {
    pub(super) fn new(seed: u64, traces: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let begun = Instant::now();
        let network = Network::new(random.u64(..));
        let witness = Arc::new(Mutex::new(Witness::new(traces)));
        let has_replica = random.u32(..3) == 0;
        let roles = [
            Role::Master,
            Role::ReplicaOf(SERVERS),
            Role::ReplicaOf(SERVERS),
        ];
        let demands = usize::from(has_replica);
        let servers: Vec<_> = roles
            .into_iter()
            .take(1 + 2 * demands)
            .enumerate()
            .map(|(number, role)| {
                let state = State::new(SERVERS + number, role, demands, random.u64(..), begun);
                Server::new(&network, state)
            })
            .collect();
        servers.iter().for_each(Server::start);
        let sentinel = has_replica.then(|| Sentinel::start(&network, SENTINEL, SERVERS));
        let url = match has_replica {
            true => format!("redis+sentinel://server-{SENTINEL}:26379/main"),
            false => format!("redis://server-{SERVERS}:6379"),
        };
        let around = Surroundings {
            network: network.clone(),
            origin: Origin {
                witness: Arc::clone(&witness),
                mood: Arc::new(Mutex::new(Mood::default())),
                random: Arc::new(Mutex::new(random.fork())),
            },
            url,
        };
        let number = random.usize(2..=4);
        let leases: Vec<_> = (0..number)
            .map(|_| LONGEST_LEASE * random.u32(3..=10) / 10)
            .collect();
        let nodes = leases.iter().enumerate().map(|(number, lease)| {
            let clock = Arc::new(MachineClock::new(begun, random.i64(-30_000..=30_000)));
            Node::start((number, 0), &clock, *lease, &around)
        });
        let nodes = nodes.collect();
        Self {
            random,
            begun,
            network,
            servers,
            sentinel,
            nodes,
            leases,
            around,
            witness,
            under_way: JoinSet::new(),
            to_end: Vec::new(),
        }
    }

    pub(super) fn note(&self, what: std::fmt::Arguments<'_>) {
        self.witness
            .lock()
            .note(self.begun.elapsed().as_micros(), what);
    }

    /// Runs the history.
    pub(super) async fn run(mut self) -> Ended {
        self.pause(0, 1_500).await;
        let faults = self.random.u64(10..17);
        while self.witness.lock().faults() < faults && !self.is_over() {
            for _ in 0..self.random.u32(4..14) {
                self.step();
                let longest = if self.random.u32(..6) == 0 { 600 } else { 30 };
                self.pause(0, longest).await;
            }
            self.fault();
        }
        self.mend_all();
        self.end().await;
        self.ended()
    }

    fn ended(self) -> Ended {
        let witness = self.witness.lock();
        Ended {
            violation: witness.violation.clone(),
            trace: witness.trace().to_vec(),
            hash: witness.hash(),
            tally: witness.tally.clone(),
            is_excused: witness.is_excused,
            virtual_time: self.begun.elapsed(),
        }
    }

    fn is_over(&self) -> bool {
        let limit_reached = self
            .servers
            .iter()
            .any(|server| server.state.lock().limit_reached);
        let mut witness = self.witness.lock();
        if limit_reached && witness.violation.is_none() {
            witness.is_excused = true;
        }
        witness.violation.is_some() || witness.is_excused
    }

    async fn pause(&mut self, least: u64, longest: u64) {
        let until = Instant::now()
            + Duration::from_micros(self.random.u64(least * 1_000..=longest * 1_000));
        while let Some(next) = self.next_mending().filter(|next| *next <= until) {
            tokio::time::sleep_until(next).await;
            self.mend_due();
        }
        tokio::time::sleep_until(until).await;
        while self.under_way.try_join_next().is_some() {}
    }

    fn step(&mut self) {
        let node = self.random.usize(..self.nodes.len());
        let page = PAGES[self.random.usize(..PAGES.len())];
        match self.random.u32(..20) {
            0..10 => self.ask(node, page),
            10..14 => (0..self.nodes.len()).for_each(|node| self.ask(node, page)),
            14..16 => self.purge(node, Some(page), Way::Everywhere),
            16 => self.purge(node, Some(page), Way::InLog),
            17 => self.purge(node, Some(page), Way::Soft),
            18 => self.purge(node, Some(page), Way::Told),
            _ => match self.random.u32(..3) {
                0 => self.purge(node, None, Way::Everywhere),
                _ => self.purge(node, Some(page), Way::Told),
            },
        }
    }

    fn ask(&mut self, node: usize, page: &'static str) {
        let is_strict = self.random.bool();
        let after = match self.random.u32(..5) {
            0 => self.witness.lock().told_position(self.random.usize(..2)),
            _ => None,
        };
        self.ask_for(node, page, is_strict, after);
    }

    fn ask_for(
        &mut self,
        node: usize,
        page: &'static str,
        is_strict: bool,
        after: Option<crate::position::Position>,
    ) {
        let asked = self.nodes[node].ask(page, is_strict, after, &self.witness);
        let (witness, begun) = (Arc::clone(&self.witness), self.begun);
        self.under_way.spawn(async move {
            if let Some((question, seen)) = asked.await {
                let mut witness = witness.lock();
                let time = begun.elapsed().as_micros();
                witness.note(time, format_args!("{question:?} -> {seen:?}"));
                witness.check(&question, seen);
            }
        });
    }

    fn purge(&mut self, node: usize, page: Option<&'static str>, way: Way) {
        let node = &self.nodes[node];
        let Some(purger) = node.purger() else { return };
        let (witness, begun, by) = (Arc::clone(&self.witness), self.begun, node.start);
        let which = {
            let mut witness = witness.lock();
            if let Some(page) = page {
                witness.write(page);
            }
            let which = witness.purge_called(page, way == Way::Soft, by);
            witness.note(
                begun.elapsed().as_micros(),
                format_args!("{by:?} purges {page:?} {way:?} as {which}"),
            );
            which
        };
        let purger = match way {
            Way::Everywhere => purger,
            Way::InLog => purger.in_log(),
            Way::Soft => purger.soft(),
            Way::Told => {
                let update = Update::new("change", "page").expect("an update of the simulation");
                purger.announcing(update.with_identity(which.to_string()).expect("a number"))
            }
        };
        let how = self.random.u32(..3);
        let (done, ended) = oneshot::channel::<()>();
        tokio::spawn(node.process.own(async move {
            let purged = match (page, how) {
                (None, _) => purger.all().await,
                (Some(page), 0) => purger.glob(format!("/*/{page}")).await,
                (Some(page), _) => purger.tag(format!("page:{page}")).await,
            };
            let mut witness = witness.lock();
            witness.note(
                begun.elapsed().as_micros(),
                format_args!("purge {which}: {purged:?}"),
            );
            match purged {
                Ok(purged) => {
                    let (everywhere, announced) =
                        (purged.everywhere.is_some(), purged.announced.is_some());
                    witness.purge_returned(which, purged.position, everywhere, announced);
                }
                Err(error) if error.kind() == ErrorKind::Pending => witness.purge_waits(which),
                Err(error) => witness.violate(format!("purge {which} failed: {error}")),
            }
            drop(witness);
            drop(done);
        }));
        // It ends with its process as well.
        self.under_way.spawn(async move {
            let _ = ended.await;
        });
    }

    /// Another start of a node, in place of one that died.
    pub(super) fn restart(&mut self, node: usize) {
        let (number, before) = self.nodes[node].start;
        let clock = Arc::clone(&self.nodes[node].clock);
        self.nodes[node].kill();
        self.network.power_on(number);
        self.nodes[node] = Node::start(
            (number, before + 1),
            &clock,
            self.leases[number],
            &self.around,
        );
    }

    /// Everything that waits ends, all is told, and the cache answers again.
    async fn end(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.is_over() {
            while self.under_way.try_join_next().is_some() {}
            let owes = self.nodes.iter().any(Node::owes);
            if !owes && self.under_way.is_empty() {
                break;
            }
            if Instant::now() > until {
                let left = self.under_way.len();
                self.witness.lock().violate(format!(
                    "{left} requests and purges do not end; owing: {owes}"
                ));
                return;
            }
            sleep(Duration::from_millis(250)).await;
        }
        if self.is_over() {
            return;
        }
        // What waited is in the log, and what is in the log is everywhere by time alone.
        sleep(Duration::from_secs(if self.sentinel.is_some() {
            15
        } else {
            3
        }))
        .await;
        let alive: Vec<Start> = self.nodes.iter().map(|node| node.start).collect();
        {
            let mut witness = self.witness.lock();
            witness.is_split = false;
            witness.aware = None;
            witness.waited_out(&alive);
            witness.check_told(&alive);
        }
        self.hits_come_back().await;
    }

    async fn hits_come_back(&mut self) {
        let begun = Instant::now();
        for node in 0..self.nodes.len() {
            for (page, is_strict) in [("a", true), ("b", false)] {
                loop {
                    let asked = self.nodes[node].ask(page, is_strict, None, &self.witness);
                    let answer = timeout(Duration::from_secs(5), asked).await;
                    let Ok(Some((question, seen))) = answer else {
                        return self
                            .witness
                            .lock()
                            .violate(format!("node {node} does not answer, and nothing is wrong"));
                    };
                    self.witness.lock().check(&question, seen);
                    if seen.is_hit {
                        break;
                    }
                    if begun.elapsed() > BACK_WITHIN {
                        return self
                            .witness
                            .lock()
                            .violate(format!("node {node} has no hit, and nothing is wrong"));
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// What a purge is waited for, and how hard it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Everywhere,
    InLog,
    Soft,
    Told,
}
