//! Who is told of what, and what is still owed: the end of an announcement's way (PROTOCOL 38).
//!
//! Each node's follower tells of an update when it has applied the record that announces it, in the order of the log. A node
//! that joins the log, or missed a part of it, says so: it never stays silent.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use self::history::History;
#[cfg(feature = "live")]
pub(crate) use self::history::HistoryPage;
#[cfg(feature = "live")]
pub(crate) use self::told::ClientFrame;
pub(crate) use self::told::Told;
use crate::clock::Timestamp;
use crate::defaults::{UPDATES_KNOWN, UPDATES_WAITING};
use crate::log::{AnnouncementStage, NumberedRecord, PurgeRecord, RecordUpdates};
use crate::position::{Epoch, Position};
use crate::sync::Mutex;
use crate::update::{Update, UpdateId};
use crate::weaken::{ProtocolRule, weakened};

mod history;
mod told;

/// The most records that are remembered to owe an announcement, and the most bytes of them: as many as the log keeps.
const MAX_OWED: usize = 10_000;
const MAX_OWED_BYTES: u64 = 32 * 1024 * 1024;
/// How soon it is tried again to announce what is owed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The most that are announced in one go.
const MAX_AT_ONCE: usize = 64;

/// An update that was announced: no node answers with the data from before it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announcement {
    /// Where it stands in the log. A client that sends `id.position` back (`Cache-After`) never gets what was purged before
    /// it, not even from a node that was cut off.
    pub id: UpdateId,
    /// When it was announced, by the clock of the node that did.
    pub at: Timestamp,
    /// What people are told.
    pub update: Arc<Update>,
}

/// What a receiver of updates gets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateMessage {
    /// Something changed.
    Update(Announcement),
    /// Something may have changed that nobody can name: look at everything again.
    Resync(Resync),
}

/// Something may have changed that nobody can name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resync {
    /// The position it belongs to: the end of the log that was joined, where reading went on, the record whose announcement
    /// was given up, or the announcement. `None` for [`Lagged`](ResyncReason::Lagged).
    pub position: Option<Position>,
    /// Why.
    pub reason: ResyncReason,
}

/// Why somebody has to look at everything again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResyncReason {
    /// This process joined the log, or a new one: what was announced in the meantime was not told here.
    Joined,
    /// Records were not read in time, or so many announcements are owed that some were forgotten.
    Gap,
    /// This receiver was too slow: so many messages were dropped.
    Lagged(u64),
    /// A resync was announced: events may be missing, or a reorg undid some. The field `reason` says which.
    Announced(Announcement),
}

/// Receives updates: made by [`Cache::updates`](crate::Cache::updates). At most 1,024 messages wait for it.
#[derive(Debug)]
pub struct Updates {
    receiver: broadcast::Receiver<Arc<Told>>,
}

impl Updates {
    /// The next message; `None` when the cache and its companion are gone.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub async fn recv(&mut self) -> Option<UpdateMessage> {
        loop {
            match self.receiver.recv().await {
                Ok(told) => match &told.message {
                    Some(message) => return Some(message.clone()),
                    None => continue,
                },
                Err(RecvError::Lagged(missed)) => {
                    return Some(resync(None, ResyncReason::Lagged(missed)));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn resync(position: Option<Position>, reason: ResyncReason) -> UpdateMessage {
    UpdateMessage::Resync(Resync { position, reason })
}

/// What this process has told, and what it knows to be owed. Its lock is taken before the view's, by who applies records
/// with updates and by who joins an epoch; it keeps them in the order of the log.
#[derive(Debug)]
pub(crate) struct UpdateHub {
    pub(super) board: Mutex<UpdateBoard>,
}

/// Up to where this process knows the announcements of the log.
#[cfg(feature = "activity")]
type Announced = tokio::sync::watch::Sender<Option<Position>>;

/// An announcement that a record owes.
#[derive(Debug)]
struct Debt {
    record: PurgeRecord,
    /// Since when the record is known here, in the time by which purges wait.
    since: Duration,
    tried: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct UpdateBoard {
    sender: broadcast::Sender<Arc<Told>>,
    #[cfg(feature = "activity")]
    announced: Announced,
    pub(super) history: History,
    epoch: Option<Epoch>,
    owed: BTreeMap<u64, Debt>,
    owed_bytes: u64,
    /// Some were forgotten, which was told, and there are many still.
    forgets: bool,
    known: HashSet<u128>,
    known_in_order: VecDeque<u128>,
}

impl UpdateHub {
    pub(crate) fn new() -> Self {
        let (sender, _) = broadcast::channel(UPDATES_WAITING);
        let board = UpdateBoard {
            sender,
            #[cfg(feature = "activity")]
            announced: Announced::default(),
            history: History::default(),
            epoch: None,
            owed: BTreeMap::new(),
            owed_bytes: 0,
            forgets: false,
            known: HashSet::new(),
            known_in_order: VecDeque::new(),
        };
        Self {
            board: Mutex::new(board),
        }
    }

    pub(crate) fn subscribe(&self) -> Updates {
        let receiver = self.board.lock().listen();
        Updates { receiver }
    }

    /// Told when something is announced, or the log is joined.
    #[cfg(feature = "activity")]
    pub(crate) fn announced(&self) -> tokio::sync::watch::Receiver<Option<Position>> {
        self.board.lock().announced.subscribe()
    }

    /// Lets all receivers look whether they go on.
    #[cfg(feature = "live")]
    pub(crate) fn wake(&self) {
        let board = self.board.lock();
        let _ = board.sender.send(Arc::new(Told::nothing()));
    }

    /// The records of the present epoch whose announcement is overdue at `now`: `patience` says how long each may take.
    pub(crate) fn overdue(
        &self,
        now: Duration,
        patience: impl Fn(Duration) -> Duration,
    ) -> Vec<(Position, PurgeRecord)> {
        let mut board = self.board.lock();
        let Some(epoch) = board.epoch else {
            return Vec::new();
        };
        let is_due = |debt: &Debt| {
            now.saturating_sub(debt.since) >= patience(debt.record.settle)
                && debt.tried.is_none_or(|tried| now >= tried + AGAIN_AFTER)
        };
        let due = board.owed.iter_mut().filter(|(_, debt)| is_due(debt));
        let due = due.take(MAX_AT_ONCE).map(|(ordinal, debt)| {
            debt.tried = Some(now);
            let ordinal = *ordinal;
            (Position { epoch, ordinal }, debt.record.clone())
        });
        due.collect()
    }

    /// What the record at `position` owes is in the log.
    pub(crate) fn paid(&self, position: Position) {
        let mut board = self.board.lock();
        if board.epoch == Some(position.epoch) {
            board.remove(position.ordinal);
        }
    }
}

impl UpdateBoard {
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Told>> {
        self.sender.subscribe()
    }

    /// This process joins the epoch of `tip` at the end of `records`: what those announced is known, and not told.
    pub(super) fn join(&mut self, tip: Position, records: &[NumberedRecord], now: Duration) {
        self.epoch = Some(tip.epoch);
        self.owed.clear();
        (self.owed_bytes, self.forgets) = (0, false);
        let before = |first: &NumberedRecord| first.position.ordinal.saturating_sub(1);
        let reaches = Position {
            epoch: tip.epoch,
            ordinal: records.first().map_or(tip.ordinal, before),
        };
        self.history.begin(Some(reaches));
        for NumberedRecord { position, record } in records {
            if let Some(updates) = &record.updates {
                self.note_debt(position.ordinal, record, updates, now);
                if let AnnouncementStage::Announced(_) = updates.stage {
                    for told in self.take_in(*position, record, updates) {
                        self.history.add(told);
                    }
                }
            }
        }
        self.send(resync(Some(tip), ResyncReason::Joined));
        #[cfg(feature = "activity")]
        self.announced.send_replace(Some(tip));
    }

    /// What was announced up to `position` may not have been told.
    pub(super) fn lose(&mut self, position: Position) {
        // Of a view that was replaced meanwhile: who joined the new epoch was told so.
        if self.epoch != Some(position.epoch) {
            return;
        }
        self.history.begin(Some(position));
        self.send(resync(Some(position), ResyncReason::Gap));
    }

    fn send(&self, message: UpdateMessage) {
        // Nobody may listen.
        let _ = self.sender.send(Arc::new(Told::new(message)));
    }

    /// `record` is applied.
    pub(super) fn applied(&mut self, position: Position, record: &PurgeRecord, now: Duration) {
        let Some(updates) = &record.updates else {
            return;
        };
        if self.epoch != Some(position.epoch) {
            return;
        }
        self.note_debt(position.ordinal, record, updates, now);
        if let AnnouncementStage::Announced(_) = updates.stage {
            self.tell(position, record, updates);
            #[cfg(feature = "activity")]
            self.announced.send_replace(Some(position));
        }
    }

    fn note_debt(
        &mut self,
        ordinal: u64,
        record: &PurgeRecord,
        updates: &RecordUpdates,
        now: Duration,
    ) {
        match updates.stage {
            AnnouncementStage::Announced(of) => self.remove(of),
            AnnouncementStage::Owed => {
                let debt = Debt {
                    record: record.clone(),
                    since: now,
                    tried: None,
                };
                self.owed_bytes += debt.record.bytes();
                self.owed.insert(ordinal, debt);
            }
        }
        while self.owed.len() > MAX_OWED || self.owed_bytes > MAX_OWED_BYTES {
            let Some(oldest) = self.owed.keys().next().copied() else {
                return;
            };
            self.remove(oldest);
            if !std::mem::replace(&mut self.forgets, true)
                && let Some(epoch) = self.epoch
            {
                // What this record announces is still to be told.
                let ordinal = ordinal.saturating_sub(1);
                self.lose(Position { epoch, ordinal });
            }
        }
        let is_low = self.owed.len() < MAX_OWED / 2 && self.owed_bytes < MAX_OWED_BYTES / 2;
        self.forgets &= !is_low;
    }

    fn remove(&mut self, ordinal: u64) {
        if let Some(debt) = self.owed.remove(&ordinal) {
            self.owed_bytes = self.owed_bytes.saturating_sub(debt.record.bytes());
        }
    }

    fn tell(&mut self, position: Position, record: &PurgeRecord, updates: &RecordUpdates) {
        for told in self.take_in(position, record, updates) {
            self.history.add(Arc::clone(&told));
            let _ = self.sender.send(told);
        }
    }

    /// What `updates` announce that is not known yet.
    fn take_in(
        &mut self,
        position: Position,
        record: &PurgeRecord,
        updates: &RecordUpdates,
    ) -> Vec<Arc<Told>> {
        let mut new = Vec::new();
        for (index, update) in (0..).zip(&updates.updates) {
            if !self.is_new(update) {
                continue;
            }
            let announcement = Announcement {
                id: UpdateId::new(position, index),
                at: record.at,
                update: Arc::clone(update),
            };
            let message = match update.is_resync() {
                true => {
                    self.forget_all_but(update);
                    resync(Some(position), ResyncReason::Announced(announcement))
                }
                false => UpdateMessage::Update(announcement),
            };
            new.push(Arc::new(Told::new(message)));
        }
        new
    }

    /// What was told may have been undone, and may come again (a reorg that is itself undone), or other events may come by
    /// the same names (a stream that began anew).
    fn forget_all_but(&mut self, resync: &Update) {
        self.known.clear();
        self.known_in_order.clear();
        self.is_new(resync);
    }

    fn is_new(&mut self, update: &Update) -> bool {
        let fingerprint = update.fingerprint();
        if !self.known.insert(fingerprint) {
            return weakened(ProtocolRule::AnnounceOnce);
        }
        self.known_in_order.push_back(fingerprint);
        if self.known_in_order.len() > UPDATES_KNOWN
            && let Some(oldest) = self.known_in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
