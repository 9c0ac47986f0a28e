//! From the records of the purge log to what a store is told. Pure.

use std::sync::Arc;

use super::entry::{EntryMaker, FeedEntry};
use super::queue::AlertQueue;
use super::store::{ActivityChange, AlertToRaise, ReorgNotice, Sighting};
use crate::alerts::{AlertRules, Raised, alert_id, alert_json};
use crate::clock::Timestamp;
use crate::log::{AnnouncementStage, NumberedRecord};
use crate::position::decimal;
use crate::update::{EventSource, Update, UpdateId};

/// What is made of announcements.
#[derive(Debug)]
pub(crate) struct ChangeMaker {
    pub(crate) entries: EntryMaker,
    pub(crate) alerts: AlertRules,
}

impl ChangeMaker {
    /// What `record` announces, to a store that is told `now`; it raises alerts if it `may`.
    pub(crate) fn changes(
        &self,
        NumberedRecord { position, record }: &NumberedRecord,
        now: Timestamp,
        may_alert: bool,
    ) -> Vec<ActivityChange> {
        let announced = record.updates.iter().filter(|updates| {
            // Others are still owed.
            matches!(updates.stage, AnnouncementStage::Announced(_))
        });
        let updates = announced.flat_map(|updates| &updates.updates);
        let change_of = |(index, update): (u32, &Arc<Update>)| {
            // An alert is no activity, and raises no other.
            if update.is_alert() {
                return None;
            }
            let place = UpdateId::new(*position, index);
            let alerts = match may_alert {
                true => self.alerts_of(update, record.at),
                false => Vec::new(),
            };
            let entry = || self.entries.entry(update, record.at, place);
            change(update, entry, alerts, now)
        };
        (0..).zip(updates).filter_map(change_of).collect()
    }

    fn alerts_of(&self, update: &Update, at: Timestamp) -> Vec<AlertToRaise> {
        let raised = self.alerts.raised_by(update).into_iter();
        let alert = raised.map(|Raised { rule, message }| {
            let id = alert_id(rule.name(), update.identity());
            let (hex, message) = (format!("{id:032x}"), message.as_deref());
            let at = at.as_millis();
            // How many were held back before it is known to the store.
            let json = alert_json(rule.name(), update, message, &hex, at, 0);
            AlertToRaise {
                id,
                rule: rule.name().into(),
                queues: AlertQueue::of(rule)
                    .map(|queue| queue.to_string().into())
                    .collect(),
                json: json.to_string(),
                limit: rule.limit().map(|limit| (limit.alerts, limit.per.0)),
            }
        });
        alert.collect()
    }
}

/// What `update` changes in a store that is told `now`.
fn change(
    update: &Update,
    entry: impl FnOnce() -> FeedEntry,
    alerts: Vec<AlertToRaise>,
    now: Timestamp,
) -> Option<ActivityChange> {
    if update.is_resync() {
        return reorg(update, now).map(ActivityChange::Reorg);
    }
    let source = update.source();
    Some(ActivityChange::Event(Box::new(Sighting {
        entry: entry(),
        stream: source.map_or("", |source| &source.stream).into(),
        place: source.and_then(place_in_stream),
        at: now,
        alerts,
    })))
}

/// Where its entry stands in its stream, if that has an id as Redis gives them.
fn place_in_stream(source: &EventSource) -> Option<(u64, u64)> {
    let (millis, number) = source.entry.split_once('-')?;
    decimal(millis).ok().zip(decimal(number).ok())
}

/// The reorg that `update` tells of, if it is that and says from which block on.
fn reorg(update: &Update, at: Timestamp) -> Option<ReorgNotice> {
    let source = update.source()?;
    Some(ReorgNotice {
        stream: source.stream.clone(),
        place: place_in_stream(source),
        at,
        network: source.network.clone(),
        fork_block: super::cursor::bounded_block(source.fork_block?),
        content: content(update),
    })
}

/// A number for what a notice says, which its copies say too.
fn content(update: &Update) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in update.fields() {
        for part in [name, value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::AlertRule;
    use crate::log::{PurgeRecord, RecordUpdates};
    use crate::position::Position;

    #[test]
    fn an_alert_is_no_activity_and_raises_no_other() {
        let rule = AlertRule::new("big").when("amount >= 1");
        let maker = ChangeMaker {
            entries: EntryMaker {
                sums: Vec::new(),
                hours: 24,
            },
            alerts: AlertRules::compile(vec![rule], &[]).unwrap(),
        };
        let sale = Update::new("sale", "auction:1").unwrap();
        let sale = sale.with_field("amount", "5").unwrap();
        let alert = Update::alert("other", "id").unwrap();
        let mut record = PurgeRecord::open(Timestamp::default());
        record.updates = Some(Arc::new(RecordUpdates {
            stage: AnnouncementStage::Announced(1),
            updates: vec![Arc::new(sale), Arc::new(alert)],
        }));
        let position = Position::new(1, 2);
        let record = NumberedRecord { position, record };
        let changes = maker.changes(&record, Timestamp::default(), true);
        assert_eq!(changes.len(), 1);
        assert!(changes[0].may_alert());
        assert!(maker.alerts.problems().is_empty(), "nobody looked into it");
    }
}
