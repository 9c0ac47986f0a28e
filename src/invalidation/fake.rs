//! A place for purges that remembers them, and refuses them when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind};
use crate::invalidation::intake::{Applier, PurgeSink};
use crate::log::{Doubt, Durability, PurgeKind, PurgeToAnnounce, Purged};
use crate::observe::{Notice, SharedObserver};
use crate::position::Position;
use crate::tag::Target;
use crate::update::Update;

#[derive(Debug, Default)]
pub(super) struct FakeSink {
    purges: Mutex<Vec<(PurgeKind, Vec<String>, Duration)>>,
    refusing: AtomicBool,
    /// How often a purge was asked for, refused ones included.
    asked: Mutex<usize>,
    notices: Arc<Mutex<Vec<String>>>,
    /// What was announced, as `type subject identity`.
    announced: Mutex<Vec<String>>,
    /// How many were told that their purges are in the log.
    logged: AtomicUsize,
    /// Whether announcements wait.
    holding: AtomicBool,
    /// The targets that are in doubt.
    doubts: Arc<Mutex<Vec<String>>>,
}

impl FakeSink {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn applier(self: &Arc<Self>) -> Applier {
        let notices = Arc::clone(&self.notices);
        let observer = move |notice: &Notice<'_>| notices.lock().push(format!("{notice:?}"));
        Applier::new(Arc::<Self>::clone(self), SharedObserver::new(observer))
    }

    pub(super) fn refuse(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::SeqCst);
    }

    /// Whether nothing that is purged is announced.
    pub(super) fn hold_announcements(&self, holding: bool) {
        self.holding.store(holding, Ordering::SeqCst);
    }

    /// How many purges that are to be announced are in the log.
    pub(super) fn logged(&self) -> usize {
        self.logged.load(Ordering::SeqCst)
    }

    pub(super) fn announced(&self) -> Vec<String> {
        self.announced.lock().clone()
    }

    pub(super) fn doubts(&self) -> Vec<String> {
        self.doubts.lock().clone()
    }

    pub(super) fn asked(&self) -> usize {
        *self.asked.lock()
    }

    pub(super) fn purges(&self) -> Vec<(PurgeKind, Vec<String>, Duration)> {
        self.purges.lock().clone()
    }

    /// All targets that were purged, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        self.purges()
            .into_iter()
            .flat_map(|(_, targets, _)| targets)
            .collect()
    }

    pub(super) fn has(&self, target: &str) -> bool {
        self.targets().iter().any(|purged| purged == target)
    }

    /// How many purges name `target`.
    pub(super) fn count(&self, target: &str) -> usize {
        self.targets()
            .iter()
            .filter(|purged| *purged == target)
            .count()
    }

    /// How many notices contain `text`.
    pub(super) fn told(&self, text: &str) -> usize {
        self.notices
            .lock()
            .iter()
            .filter(|notice| notice.contains(text))
            .count()
    }
}

impl FakeSink {
    /// How many were announced.
    async fn announce(&self, updates: &[Arc<Update>]) -> u64 {
        while self.holding.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut announced = self.announced.lock();
        announced.extend(updates.iter().map(|update| {
            let (kind, subject) = (update.kind(), update.subject());
            format!("{kind} {subject} {}", update.identity())
        }));
        announced.len() as u64
    }
}

impl PurgeSink for FakeSink {
    fn purge(
        &self,
        kind: PurgeKind,
        targets: Vec<Target>,
        settle: Duration,
    ) -> BoxFuture<'_, Result<Purged, Error>> {
        Box::pin(async move {
            *self.asked.lock() += 1;
            if self.refusing.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Pending, "the log is away"));
            }
            let mut purges = self.purges.lock();
            purges.push((
                kind,
                targets.iter().map(ToString::to_string).collect(),
                settle,
            ));
            let ordinal = u64::try_from(purges.len()).unwrap();
            Ok(Purged {
                everywhere: None,
                announced: None,
                position: Position::new(1, ordinal),
                durability: Durability::Acknowledged,
            })
        })
    }

    fn purge_until_acknowledged(
        &self,
        purges: Vec<(PurgeKind, Vec<Target>)>,
        settle: Duration,
    ) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            for (kind, targets) in purges {
                while self.purge(kind, targets.clone(), settle).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        })
    }

    fn purge_and_announce(&self, purge: PurgeToAnnounce) -> BoxFuture<'_, Result<Purged, Error>> {
        Box::pin(async move {
            let mut last = Ok(None);
            for (kind, targets) in purge.purges {
                let purged = self.purge(kind, targets, purge.settle).await.map(Some);
                last = last.and(purged);
            }
            let announced = match &last {
                Ok(_) => self.announce(&purge.updates).await,
                Err(_) => 0,
            };
            let nothing = Purged {
                everywhere: None,
                announced: None,
                position: Position::new(1, 0),
                durability: Durability::Acknowledged,
            };
            let mut purged = last?.unwrap_or(nothing);
            purged.announced = Some(Position::new(1, 1_000 + announced));
            Ok(purged)
        })
    }

    fn purge_until_announced<'a>(
        &'a self,
        purges: Vec<PurgeToAnnounce>,
        logged: Box<dyn FnOnce() + Send + 'a>,
        turn: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for purge in &purges {
                self.purge_until_acknowledged(purge.purges.clone(), purge.settle)
                    .await;
            }
            logged();
            self.logged.fetch_add(purges.len(), Ordering::SeqCst);
            turn.await;
            for purge in purges {
                self.announce(&purge.updates).await;
            }
        })
    }

    fn doubt(&self, _: PurgeKind, targets: Vec<Target>) -> Doubt {
        let doubts = Arc::clone(&self.doubts);
        let named: Vec<String> = targets.iter().map(ToString::to_string).collect();
        doubts.lock().extend(named.iter().cloned());
        Doubt::new(Box::new(move || {
            doubts.lock().retain(|target| !named.contains(target))
        }))
    }
}
