//! [`Reload`]: the rules of a file that changes, brought into a running cache.

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio::time::{MissedTickBehavior, interval};

use super::{Config, ConfigFileError, Loaded, RuleSettings};
use crate::{Cache, Warning};

/// How often the file is looked at. A look is one question to the file system; two that are alike and differ from what was read mean that the
/// file is read: within a second of a change.
const EVERY: Duration = Duration::from_millis(400);

type Env = Box<dyn Fn(&str) -> Option<String> + Send>;
type Check = Box<dyn Fn(&Loaded) -> Result<(), ConfigFileError> + Send>;

/// Watches a configuration file and replaces the rules of a cache when it changes.
///
/// Rules, and what `ttl = "default"` and the like mean, count at once; all else needs a restart, and
/// is named when it has changed. A file that cannot be used changes nothing: the old rules go on, and
/// what is wrong is told once, and again whenever it is asked for. Where a file was replaced and not written in place, no
/// half-written one is ever seen.
pub struct Reload {
    cache: Cache,
    env: Env,
    check: Check,
    loaded: Loaded,
    /// Read by whoever shows what is in effect.
    rules: Arc<Mutex<Vec<RuleSettings>>>,
    /// As the file was when it was read last.
    read: Stamp,
    /// As it was at the last look; it is read when two looks are alike.
    seen: Stamp,
    /// What was last wrong with it.
    wrong: Option<ConfigFileError>,
}

/// Tells two states of a file apart without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// What a look at the file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reloaded {
    /// It says what it said before.
    Unchanged,
    /// The rules were replaced.
    Replaced {
        /// What works but is probably not meant.
        warnings: Vec<Warning>,
        /// Sections that have changed and count after a restart only.
        restart: Vec<&'static str>,
    },
    /// It cannot be used; the old rules go on.
    Refused(ConfigFileError),
}

impl Reload {
    /// Watches the file that `loaded` was read from, for `cache`, which was built from it. `env` is as
    /// for [`Config::load`]. Without a file there is nothing to see.
    pub fn new(
        loaded: Loaded,
        cache: Cache,
        env: impl Fn(&str) -> Option<String> + Send + 'static,
    ) -> Self {
        let read = loaded.path().and_then(stamp);
        Self {
            cache,
            env: Box::new(env),
            check: Box::new(|loaded| loaded.build().map(drop)),
            rules: Arc::new(Mutex::new(loaded.config.rules.clone())),
            loaded,
            read,
            seen: read,
            wrong: None,
        }
    }

    /// Refuses a file that `check` refuses, which should be what a start refuses: the next one would fail.
    /// Default: what the cache refuses.
    #[must_use]
    pub fn checked(
        mut self,
        check: impl Fn(&Loaded) -> Result<(), ConfigFileError> + Send + 'static,
    ) -> Self {
        self.check = Box::new(check);
        self
    }

    /// What tells the rules that are in effect, from now on.
    pub fn rules_in_effect(&self) -> impl Fn() -> Vec<RuleSettings> + Send + Sync + 'static {
        let rules = Arc::clone(&self.rules);
        move || rules.lock().clone()
    }

    /// Looks at the file every 400 ms, and at once whenever `asked` has something (SIGHUP), until
    /// `shutdown`. What happened is in the log: after a signal in any case.
    pub async fn run(self, mut asked: Receiver<()>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut this = self;
        loop {
            let forced = tokio::select! {
                () = shutdown.as_mut() => return,
                _ = ticks.tick() => false,
                Some(()) = asked.recv() => true,
            };
            // A file system may be slow.
            let looked = tokio::task::spawn_blocking(move || {
                let outcome = if forced { this.now() } else { this.look() };
                (this, outcome)
            });
            let Ok((back, outcome)) = looked.await else {
                return;
            };
            this = back;
            if forced || outcome != Reloaded::Unchanged {
                this.tell(outcome, forced);
            }
        }
    }

    /// Reads the file if it has changed, and has not since the last look.
    pub fn look(&mut self) -> Reloaded {
        let now = self.loaded.path().and_then(stamp);
        if now == self.read {
            return Reloaded::Unchanged;
        }
        if now != self.seen {
            self.seen = now;
            return Reloaded::Unchanged;
        }
        self.now()
    }

    /// Reads the file now.
    pub fn now(&mut self) -> Reloaded {
        let Some(path) = self.loaded.path() else {
            return Reloaded::Unchanged;
        };
        self.read = stamp(path);
        self.seen = self.read;
        self.replace().unwrap_or_else(Reloaded::Refused)
    }

    /// Brings what the file says into the cache, if it is something else than before.
    fn replace(&mut self) -> Result<Reloaded, ConfigFileError> {
        let loaded = Config::load(self.loaded.path(), &*self.env)?;
        if loaded.config == self.loaded.config && self.wrong.is_none() {
            self.loaded = loaded;
            return Ok(Reloaded::Unchanged);
        }
        // Everything is checked, also what counts after a restart only.
        (self.check)(&loaded)?;
        let replaced = self.cache.replace_rules(loaded.config.rules());
        let warnings = replaced.map_err(|error| loaded.refused(&error))?;
        let restart = changed(&self.loaded.config, &loaded.config);
        self.rules.lock().clone_from(&loaded.config.rules);
        self.loaded = loaded;
        self.wrong = None;
        Ok(Reloaded::Replaced { warnings, restart })
    }

    fn tell(&mut self, outcome: Reloaded, asked: bool) {
        match outcome {
            Reloaded::Unchanged => tracing::info!("the configuration has not changed"),
            // Building the cache has logged the warnings.
            Reloaded::Replaced { restart, .. } => {
                tracing::info!(rules = self.loaded.config.rules.len(), "rules replaced");
                for section in restart {
                    tracing::warn!("[{section}] has changed, which counts after a restart");
                }
            }
            Reloaded::Refused(error) => {
                if asked || self.wrong.as_ref() != Some(&error) {
                    tracing::error!("{error}; the old rules stay");
                }
                self.wrong = Some(error);
            }
        }
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reload");
        debug.field("path", &self.loaded.path());
        debug.finish_non_exhaustive()
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The sections that differ and are not rules.
fn changed(old: &Config, new: &Config) -> Vec<&'static str> {
    // The three named lifetimes are in the rules.
    let cache = |config: &Config| super::CacheSection {
        default_ttl: None,
        long_ttl: None,
        short_ttl: None,
        ..config.cache.clone()
    };
    let differing = [
        ("mode", old.mode() != new.mode()),
        ("redis", old.redis != new.redis),
        ("cache", cache(old) != cache(new)),
        ("streams", old.streams != new.streams),
        ("activity", old.activity != new.activity),
        ("alerts", old.alerts != new.alerts),
        ("webhooks", old.webhooks != new.webhooks),
        ("outgoing", old.outgoing != new.outgoing),
        ("push", old.push != new.push),
        ("proxy", old.proxy != new.proxy),
        ("live", old.live != new.live),
        ("feed", old.feed != new.feed),
        ("push_service", old.push_service != new.push_service),
        ("admin", old.admin != new.admin),
        ("log", old.log != new.log),
    ];
    let differing = differing.into_iter().filter(|(_, differs)| *differs);
    differing.map(|(name, _)| name).collect()
}
