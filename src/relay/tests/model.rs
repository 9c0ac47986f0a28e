//! The model test of relays: random histories of two regions with a relay each way, or three in a ring, whose logs are
//! lost, trimmed and split, whose relays die at any step, are cut off, pause and run twice, while data change, are purged, and
//! are read from a database that lags.
//!
//! After each step:
//! - a node that has applied a claim serves nothing from before a purge that the claim covers (PROTOCOL 39a to 39e);
//! - where `max_cut` is set, no node serves what was purged in the other region longer ago than that (39f, 39g).
//!
//! At the end relays are given the time to relay all: then no node serves what was purged anywhere, and no record goes round
//! for ever (39c).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::region::{FarLog, Region, tag};
use crate::clock::{Clock, ManualClock};
use crate::error::Error;
use crate::log::{Log, PurgeRecord, Purges, Regions, Views};
use crate::observe::SharedObserver;
use crate::position::Position;
use crate::relay::pump::RelayParts;
use crate::relay::{Pump, RelayBoard};
use crate::tag::Target;
use crate::validity::Bounds;

mod checks;
mod histories;

const KEYS: usize = 3;
const STEPS: usize = 250;
pub(super) const SETTLE: Duration = Duration::from_secs(4);
const MAX_CUT: Duration = Duration::from_secs(20);
const BEAT: Duration = Duration::from_secs(2);

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Two, each relayed to the other.
    Pair,
    /// Three, each relayed to the next.
    Ring,
    /// Two, one relayed to the other, whose nodes stop hitting when they do not hear it.
    Watched,
}

/// A purge that was acknowledged.
#[derive(Debug)]
struct Purge {
    region: usize,
    key: usize,
    version: u64,
    position: Position,
    at: Duration,
}

type Turning = Pin<Box<dyn Future<Output = (Pump, Result<(), Error>)>>>;

struct Running {
    from: usize,
    to: usize,
    near: FarLog,
    far: FarLog,
    turning: Turning,
}

struct World {
    rng: Rng,
    shape: Shape,
    clock: ManualClock,
    regions: Vec<Region>,
    relays: Vec<Running>,
    /// Versions that were committed, per key, and those that will be visible from a time on.
    visible: [u64; KEYS],
    coming: Vec<(usize, u64, Duration)>,
    newest: [u64; KEYS],
    purges: Vec<Purge>,
    steps: Vec<String>,
}

fn name(region: usize) -> Box<str> {
    format!("r{region}").into()
}

fn pump(from: usize, near: &FarLog, far: &FarLog, clock: &ManualClock) -> Pump {
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let views = Views::new(
        Bounds::default(),
        Duration::from_secs(1),
        Arc::clone(&shared),
    );
    let budget = Duration::from_secs(1);
    let to = Purges::new(
        Arc::new(far.clone()),
        Arc::new(views),
        Arc::clone(&shared),
        SharedObserver::new(()),
        budget,
        budget,
    );
    let (owes, _) = mpsc::channel(1);
    let parts = RelayParts {
        region: name(from),
        from: Arc::new(near.clone()),
        to: Arc::new(to),
        board: Arc::new(RelayBoard::new("", Arc::clone(&shared))),
        clock: shared,
        beat: BEAT,
        // As the nodes of the region know it.
        settle: SETTLE,
    };
    Pump::new(parts, owes)
}

fn turning(mut pump: Pump) -> Turning {
    Box::pin(async move {
        let turned = pump.turn().await;
        (pump, turned)
    })
}

impl Running {
    fn start(from: usize, to: usize, regions: &[Region], clock: &ManualClock) -> Self {
        let log = |region: usize| FarLog {
            log: Arc::clone(&regions[region].log),
            old: Arc::default(),
            cut: Arc::new(Mutex::new(false)),
        };
        let (near, far) = (log(from), log(to));
        let turning = turning(pump(from, &near, &far, clock));
        Self {
            from,
            to,
            near,
            far,
            turning,
        }
    }

    /// Goes on by one poll.
    fn poll(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready((pump, _)) = self.turning.as_mut().poll(&mut context) {
            self.turning = turning(pump);
        }
    }
}

impl World {
    fn new(seed: u64, shape: Shape) -> Self {
        let clock = ManualClock::default();
        let number = if shape == Shape::Ring { 3 } else { 2 };
        let watches = |region: usize| shape == Shape::Watched && region == 1;
        let regions: Vec<Region> = (0..number)
            .map(|region| {
                let watched = watches(region).then(|| Regions::new([name(0)], MAX_CUT));
                Region::new(&clock, watched)
            })
            .collect();
        let pairs: &[(usize, usize)] = match shape {
            Shape::Pair => &[(0, 1), (1, 0)],
            Shape::Ring => &[(0, 1), (1, 2), (2, 0)],
            Shape::Watched => &[(0, 1)],
        };
        let relays = pairs
            .iter()
            .map(|&(from, to)| Running::start(from, to, &regions, &clock));
        Self {
            relays: relays.collect(),
            rng: Rng::with_seed(seed),
            shape,
            clock,
            regions,
            visible: [0; KEYS],
            coming: Vec::new(),
            newest: [0; KEYS],
            purges: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    fn run(mut self) -> Result<(), String> {
        let ran = self.run_steps();
        ran.map_err(|violation| {
            let steps = self.steps.iter();
            let last: Vec<_> = steps.rev().take(60).rev().map(String::as_str).collect();
            format!("{violation} despite\n  {}", last.join("\n  "))
        })
    }

    fn run_steps(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step();
            self.check()?;
        }
        self.settle_down()
    }

    fn step(&mut self) {
        let region = self.rng.usize(..self.regions.len());
        let key = self.rng.usize(..KEYS);
        let relay = self.rng.usize(..self.relays.len());
        match self.rng.u32(..100) {
            0..25 => {
                for _ in 0..self.rng.u32(1..12) {
                    self.relays[relay].poll();
                }
            }
            25..37 => self.regions[region].read(),
            37..45 => self.regions[region].beat(),
            45..57 => {
                self.show();
                let version = self.visible[key];
                self.told(format!("fill of {key} in r{region} reads v{version}"));
                self.regions[region].fill(key, version);
            }
            57..66 => self.regions[region].land(),
            66..76 => self.change(region, key),
            76..85 => {
                let most = if self.shape == Shape::Watched {
                    8_000
                } else {
                    3_000
                };
                let by = self.rng.u64(..most);
                self.advance(Duration::from_millis(by));
            }
            85..88 => {
                self.told(format!("relay {relay} dies and is started again"));
                let Running { from, to, .. } = self.relays[relay];
                self.relays[relay] = Running::start(from, to, &self.regions, &self.clock);
            }
            88..90 if self.relays.len() < 6 => {
                let Running { from, to, .. } = self.relays[relay];
                self.told(format!("one more relay from r{from} to r{to}"));
                let more = Running::start(from, to, &self.regions, &self.clock);
                self.relays.push(more);
            }
            90..93 => self.cut_or_mend(relay),
            93..95 => {
                let left = self.rng.usize(1..4);
                self.told(format!("log of r{region} is trimmed to {left}"));
                self.regions[region].log().trim_to(left);
            }
            95..96 => {
                self.told(format!("log of r{region} is lost"));
                self.regions[region].log().lose();
            }
            96..98 => self.split(region),
            98..100 => self.heal(region),
            _ => {}
        }
    }

    fn cut_or_mend(&mut self, relay: usize) {
        let Running { near, far, .. } = &self.relays[relay];
        let cut = if self.rng.bool() { &near.cut } else { &far.cut };
        let is_cut = {
            let mut cut = cut.lock();
            *cut = !*cut;
            *cut
        };
        self.told(format!("relay {relay} is cut off: {is_cut}"));
    }

    /// A replica is promoted in `region`. Some relays to there are still connected to the old master.
    fn split(&mut self, region: usize) {
        self.told(format!("r{region} is split"));
        let old = self.regions[region].log();
        let promoted = old.fork();
        promoted.lose();
        *self.regions[region].log.lock() = promoted;
        for relay in self.relays.iter().filter(|relay| relay.to == region) {
            let mut known = relay.far.old.lock();
            known.get_or_insert_with(|| old.clone());
        }
    }

    fn heal(&mut self, region: usize) {
        for relay in self.relays.iter().filter(|relay| relay.to == region) {
            *relay.far.old.lock() = None;
        }
    }

    /// Data change, and are purged: sometimes before the database shows the change.
    fn change(&mut self, region: usize, key: usize) {
        self.newest[key] += 1;
        let version = self.newest[key];
        let lags = self.rng.u32(..3) == 0;
        let settle = if lags { SETTLE } else { Duration::ZERO };
        let lag = if lags { self.rng.u64(..4_000) } else { 0 };
        let shown = self.now() + Duration::from_millis(lag);
        self.coming.push((key, version, shown));
        self.show();
        let record = PurgeRecord {
            settle,
            targets: vec![Target::Tag(tag(key))],
            ..PurgeRecord::everything(self.clock.now())
        };
        let log = self.regions[region].log();
        let appended = futures_util::FutureExt::now_or_never(log.append(&record));
        let receipt = appended.expect("it does not wait").expect("it is here");
        let position = receipt.position;
        self.told(format!(
            "{key} becomes v{version}, visible in {lag} ms, purged in r{region} @{position}"
        ));
        self.purges.push(Purge {
            region,
            key,
            version,
            position,
            at: self.now(),
        });
    }

    fn show(&mut self) {
        let now = self.now();
        for (key, version, at) in &self.coming {
            if *at <= now {
                self.visible[*key] = self.visible[*key].max(*version);
            }
        }
        self.coming.retain(|(_, _, at)| *at > now);
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.told(format!("{by:?} pass"));
    }

    fn told(&mut self, what: String) {
        self.steps.push(what);
    }
}
