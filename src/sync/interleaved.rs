//! Locks and atomics whose every operation is a choice of the scheduler's.
//!
//! Outside of a run of `shuttle` they are what they wrap. Reorderings that only weak memory has are
//! not tried: `shuttle` knows none.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use parking_lot::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
use shuttle::scheduler::RandomScheduler;
use shuttle::sync::atomic::AtomicBool;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::weaken::{ProtocolRule, weaken};

/// Schedules that each test tries unless `TAGCACHE_SCHEDULES` says otherwise.
const SCHEDULES: usize = 2_000;
/// Steps after which threads are taken to wait for each other without end.
const STEPS: usize = 100_000;
/// The futures of the engine are large where they are not optimised.
const STACK: usize = 1 << 20;

/// Whether the current thread is one of a run.
fn in_a_run() -> bool {
    !std::thread::panicking() && shuttle::current::try_get_current_task().is_some()
}

/// Another thread of the run may go on here.
pub(crate) fn point() {
    if in_a_run() {
        // Not a yield, which wakes the future that is being polled and so hides that nobody else did.
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

/// Tries `lock` until it is had: a thread of a run must not stop all others.
fn have<T>(mut lock: impl FnMut() -> Option<T>, wait: impl FnOnce() -> T) -> T {
    point();
    while in_a_run() {
        if let Some(had) = lock() {
            return had;
        }
        point();
    }
    wait()
}

/// Runs `test` under many schedules, and says how many; then, for each of `needed`, without that
/// rule: one of the schedules must show its absence.
pub(crate) fn check(test: fn(), needed: &[ProtocolRule]) {
    let schedules = std::env::var("TAGCACHE_SCHEDULES").ok();
    let schedules = schedules.and_then(|number| number.parse().ok());
    let schedules = schedules.unwrap_or(SCHEDULES);
    run(test, schedules);
    println!("{schedules} schedules hold");
    for rule in needed {
        weaken(Some(*rule));
        let failed = catch_unwind(AssertUnwindSafe(|| run(test, SCHEDULES))).is_err();
        weaken(None);
        assert!(failed, "no schedule shows the absence of {rule:?}");
        println!("without {rule:?}: a schedule fails");
    }
}

fn run(test: fn(), schedules: usize) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config.failure_persistence = FailurePersistence::None;
    // A fixed seed: each run tries equal schedules.
    let scheduler = RandomScheduler::new_from_seed(0x7a67_6361, schedules);
    Runner::new(scheduler, config).run(test);
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        have(|| self.0.try_lock(), || self.0.lock())
    }
}

#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(parking_lot::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        have(|| self.0.try_read(), || self.0.read())
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        have(|| self.0.try_write(), || self.0.write())
    }
}

macro_rules! atomic {
    ($name:ident of $value:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(std::sync::atomic::$name);

        #[allow(dead_code, reason = "not each is used of each")]
        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                point();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                point();
                self.0.store(value, order);
            }

            pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_max(value, order)
            }

            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_add(value, order)
            }
        }
    };
}

atomic!(AtomicU64 of u64);
atomic!(AtomicUsize of usize);
