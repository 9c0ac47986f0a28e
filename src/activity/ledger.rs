//! [`Ledger`]: entries, and by which streams they are undone, in memory. What the script does in Redis.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use self::counters::Counters;
use self::index::FeedIndex;
use self::notices::Notices;
use super::cursor::ActivityCursor;
use super::entry::FeedEntry;
use super::store::{
    ActivityBounds, ActivityChange, AlertToRaise, Counted, CountedKey, CountedOf, FeedQuery,
    MAX_STREAMS, ReorgNotice, Sighting, StoredActivity, StreamPlace,
};
use crate::weaken::{ProtocolRule, weakened};

mod counters;
mod index;
mod notices;

/// Entries, and by which streams they are undone.
#[derive(Debug)]
pub(crate) struct Ledger {
    bounds: ActivityBounds,
    entries: HashMap<u128, LedgerEntry>,
    /// In the order in which they came.
    order: VecDeque<u128>,
    feed: FeedIndex,
    subjects: HashMap<Box<str>, FeedIndex>,
    /// Those that a reorg may undo, by network and block.
    blocks: HashMap<Box<str>, BTreeSet<(u64, u128)>>,
    notices: Notices,
    counters: Counters,
    /// Alerts that were raised, and the order in which.
    raised: HashSet<u128>,
    raised_order: VecDeque<u128>,
    arrivals: u64,
}

#[derive(Debug)]
struct LedgerEntry {
    entry: FeedEntry,
    /// Where each stream delivered it last.
    streams: BTreeMap<Box<str>, StreamPlace>,
    is_undone: bool,
}

impl Ledger {
    pub(crate) fn new(bounds: ActivityBounds) -> Self {
        Self {
            counters: Counters::new(bounds.hours),
            bounds,
            entries: HashMap::new(),
            order: VecDeque::new(),
            feed: FeedIndex::default(),
            subjects: HashMap::new(),
            blocks: HashMap::new(),
            notices: Notices::default(),
            raised: HashSet::new(),
            raised_order: VecDeque::new(),
            arrivals: 0,
        }
    }

    /// Applies `change`; the alerts that it raises, and whether it brought an entry.
    pub(crate) fn apply<'c>(
        &mut self,
        change: &'c ActivityChange,
    ) -> (bool, Vec<&'c AlertToRaise>) {
        self.arrivals += 1;
        match change {
            ActivityChange::Event(sighting) => self.see(sighting),
            ActivityChange::Reorg(notice) => {
                self.reorg(notice);
                (false, Vec::new())
            }
        }
    }

    fn place(&self, place: Option<(u64, u64)>) -> StreamPlace {
        match place {
            Some((millis, number)) => StreamPlace::Id(millis, number),
            None => StreamPlace::Arrival(self.arrivals),
        }
    }

    fn see<'c>(&mut self, sighting: &'c Sighting) -> (bool, Vec<&'c AlertToRaise>) {
        let fingerprint = sighting.entry.cursor.fingerprint();
        let place = self.place(sighting.place);
        let is_known = self.entries.contains_key(&fingerprint);
        let is_new = !is_known || weakened(ProtocolRule::KeptOnce);
        if is_new {
            self.add(sighting.entry.clone());
        }
        let mut has_moved = false;
        if let Some(known) = self.entries.get_mut(&fingerprint) {
            let has_room = known.streams.len() < MAX_STREAMS;
            match known.streams.get_mut(&sighting.stream) {
                Some(last) => {
                    has_moved = place > *last;
                    *last = place.max(*last);
                }
                None if has_room => {
                    has_moved = true;
                    known.streams.insert(sighting.stream.clone(), place);
                }
                None => {}
            }
        }
        // Its notice may be forgotten: told again where it stood, it stays what it is.
        if has_moved {
            self.judge(fingerprint);
        }
        self.trim();
        let raised = match is_new {
            true => self.raise(&sighting.alerts),
            false => Vec::new(),
        };
        (is_new, raised)
    }

    fn add(&mut self, entry: FeedEntry) {
        let (cursor, fingerprint) = (entry.cursor, entry.cursor.fingerprint());
        self.order.push_back(fingerprint);
        self.feed.put(cursor, false);
        let of_subject = self.subjects.entry(entry.subject.clone()).or_default();
        of_subject.put(cursor, false);
        if let Some(block) = entry.block {
            let blocks = self.blocks.entry(entry.network.clone()).or_default();
            blocks.insert((block, fingerprint));
        }
        self.counters.add(&entry);
        let entry = LedgerEntry {
            entry,
            streams: BTreeMap::new(),
            is_undone: false,
        };
        self.entries.insert(fingerprint, entry);
    }

    /// Forgets the oldest, by the order in which they came.
    fn trim(&mut self) {
        while self.order.len() > self.bounds.entries
            && let Some(oldest) = self.order.pop_front()
            && let Some(LedgerEntry { entry, .. }) = self.entries.remove(&oldest)
        {
            self.feed.remove(entry.cursor);
            if let Some(of_subject) = self.subjects.get_mut(&entry.subject) {
                of_subject.remove(entry.cursor);
                if of_subject.is_empty() {
                    self.subjects.remove(&entry.subject);
                }
            }
            if let (Some(block), Some(blocks)) = (entry.block, self.blocks.get_mut(&entry.network))
            {
                blocks.remove(&(block, oldest));
                if blocks.is_empty() {
                    self.blocks.remove(&entry.network);
                }
            }
        }
    }

    fn reorg(&mut self, notice: &ReorgNotice) {
        let place = self.place(notice.place);
        if !self.notices.add(notice, place) {
            return;
        }
        let networks = self.blocks.iter().filter(|(network, _)| {
            let named = notice.network.as_ref();
            named.is_none_or(|named| named == *network)
        });
        let undone = networks.flat_map(|(_, blocks)| blocks.range((notice.fork_block, 0)..));
        let undone: Vec<u128> = undone.map(|(_, fingerprint)| *fingerprint).collect();
        for fingerprint in undone {
            self.judge(fingerprint);
        }
    }

    /// Looks again whether an entry is undone.
    fn judge(&mut self, fingerprint: u128) {
        let Some(known) = self.entries.get_mut(&fingerprint) else {
            return;
        };
        let Some(block) = known.entry.block else {
            return;
        };
        let network = &known.entry.network;
        let mut streams = known.streams.iter();
        let is_undone =
            streams.any(|(stream, place)| self.notices.undo(stream, *place, network, block));
        if known.is_undone == is_undone {
            return;
        }
        known.is_undone = is_undone;
        self.feed.put(known.entry.cursor, is_undone);
        if let Some(of_subject) = self.subjects.get_mut(&known.entry.subject) {
            of_subject.put(known.entry.cursor, is_undone);
        }
        match is_undone {
            true => self.counters.subtract(&known.entry),
            false => self.counters.add(&known.entry),
        }
    }

    /// Those of `alerts` that were not raised yet.
    fn raise<'c>(&mut self, alerts: &'c [AlertToRaise]) -> Vec<&'c AlertToRaise> {
        let mut new = Vec::new();
        for alert in alerts {
            if self.raised.insert(alert.id) {
                self.raised_order.push_back(alert.id);
                new.push(alert);
            }
            if self.raised_order.len() > self.bounds.entries
                && let Some(oldest) = self.raised_order.pop_front()
            {
                self.raised.remove(&oldest);
            }
        }
        new
    }

    /// Entries, newest first.
    pub(crate) fn read(&self, query: &FeedQuery) -> Vec<StoredActivity> {
        let nothing = FeedIndex::default();
        let (feed, most) = match &query.subject {
            None => (&self.feed, self.bounds.feed),
            Some(subject) => {
                let feed = self.subjects.get(subject).unwrap_or(&nothing);
                (feed, self.bounds.subject_feed)
            }
        };
        let known = |cursor| self.entries.get(&ActivityCursor::fingerprint(cursor));
        let is_behind =
            |cursor: &ActivityCursor| query.behind.is_none_or(|behind| *cursor < behind);
        let wanted = |known: &&LedgerEntry| {
            query.kinds.is_empty() || query.kinds.contains(&known.entry.kind)
        };
        let newest = feed.newest(most, query.undone).into_iter();
        let entries = newest.filter(is_behind).filter_map(known);
        let read = entries.filter(wanted).map(|known| StoredActivity {
            cursor: known.entry.cursor,
            is_undone: known.is_undone,
            json: known.entry.json.clone(),
        });
        read.take(query.limit).collect()
    }

    /// Counters of the hours from `from` up to `to`.
    pub(crate) fn counted(
        &self,
        of: &CountedOf,
        from: u64,
        to: u64,
    ) -> BTreeMap<CountedKey, Counted> {
        self.counters.read(of, from, to)
    }
}
