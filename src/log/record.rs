//! One record of the purge log, and its fields.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::log::{OVERHEAD, Relayed};
use crate::tag::{PurgeKind, Target};
use crate::update::{Update, read_updates, write_updates};

/// One record of the purge log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PurgeRecord {
    pub(crate) kind: PurgeKind,
    pub(crate) targets: Vec<Target>,
    /// For so long after it is applied, responses with these targets are served but not stored
    /// (PROTOCOL 32).
    pub(crate) settle: Duration,
    /// Somebody waits until each node has applied it: they say so in the roll (PROTOCOL 36).
    pub(crate) asks: bool,
    /// What people are told of, now or later (PROTOCOL 38).
    pub(crate) updates: Option<Arc<RecordUpdates>>,
    /// Which logs it comes from, and up to where another log is in this one (PROTOCOL 39b).
    pub(crate) relayed: Option<Arc<Relayed>>,
    /// When it was written, for trimming by age.
    pub(crate) at: Timestamp,
}

/// Updates that a record owes, or announces.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct RecordUpdates {
    pub(crate) stage: AnnouncementStage,
    pub(crate) updates: Vec<Arc<Update>>,
}

/// How far announcing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AnnouncementStage {
    /// They are announced by a later record, once this purge is everywhere and has settled. Where it settles, that record
    /// purges its targets again.
    Owed,
    /// They are announced here, as the record with this ordinal owes.
    Announced(u64),
}

impl RecordUpdates {
    fn bytes(&self) -> u64 {
        let updates = self.updates.iter().map(|update| update.bytes() as u64);
        OVERHEAD + updates.sum::<u64>()
    }
}

/// The version of the fields that this crate writes. A reader that meets another purges everything.
const VERSION: &[u8] = b"1";

impl PurgeRecord {
    pub(crate) const fn open(at: Timestamp) -> Self {
        Self {
            kind: PurgeKind::Open,
            targets: Vec::new(),
            settle: Duration::ZERO,
            asks: false,
            updates: None,
            relayed: None,
            at,
        }
    }

    /// A purge of everything: what a record that cannot be understood is taken for.
    pub(crate) fn everything(at: Timestamp) -> Self {
        Self {
            kind: PurgeKind::Hard,
            targets: vec![Target::All],
            settle: Duration::ZERO,
            asks: false,
            updates: None,
            relayed: None,
            at,
        }
    }

    /// The updates that it owes or announces, if it does.
    pub(crate) fn owed(&self) -> Option<&[Arc<Update>]> {
        self.updates.as_ref().map(|told| &*told.updates)
    }

    /// What it takes in a log, about.
    pub(crate) fn bytes(&self) -> u64 {
        let targets = self.targets.iter().map(Target::bytes);
        let updates = self.updates.as_ref().map_or(0, |updates| updates.bytes());
        OVERHEAD + targets.sum::<u64>() + updates
    }

    /// The record as field-value pairs of a stream entry, readable by people.
    pub(crate) fn to_fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let kind = match self.kind {
            PurgeKind::Open => "open",
            PurgeKind::Hard => "hard",
            PurgeKind::Soft => "soft",
        };
        let mut fields = vec![
            ("v", VERSION.to_vec()),
            ("kind", kind.into()),
            ("at", self.at.as_millis().to_string().into_bytes()),
        ];
        if !self.targets.is_empty() {
            fields.push(("targets", write_targets(&self.targets)));
        }
        if !self.settle.is_zero() {
            let settle = self.settle.as_millis().to_string();
            fields.push(("settle", settle.into_bytes()));
        }
        if self.asks {
            fields.push(("asks", b"1".to_vec()));
        }
        if let Some(told) = &self.updates {
            if let AnnouncementStage::Announced(of) = &told.stage {
                fields.push(("of", of.to_string().into_bytes()));
            }
            fields.push(("updates", write_updates(&told.updates).into_bytes()));
        }
        if let Some(relayed) = &self.relayed {
            fields.extend(relayed.to_fields());
        }
        fields
    }

    /// Whether both are hard and settle nothing, so that one record can stand for both.
    pub(super) fn joins(&self, other: &Self) -> bool {
        let plain = |record: &Self| {
            record.kind == PurgeKind::Hard && record.settle.is_zero() && record.updates.is_none()
        };
        plain(self) && plain(other)
    }

    /// Reads what [`to_fields`](Self::to_fields) wrote; unknown fields are skipped. Anything else (a
    /// newer version, an unknown kind or target) is a purge of everything.
    pub(crate) fn from_fields<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        Self::parse(fields).unwrap_or_else(|| Self {
            // It may have asked, and may have announced something. No record owes at ordinal 0.
            asks: true,
            updates: Some(Arc::new(RecordUpdates {
                stage: AnnouncementStage::Announced(0),
                updates: vec![Arc::new(Update::resync("a record that is not understood"))],
            })),
            ..Self::everything(Timestamp::default())
        })
    }

    fn parse<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Option<Self> {
        let mut record = Self::open(Timestamp::default());
        let (mut version, mut kind) = (None, None);
        let (mut stage, mut updates) = (AnnouncementStage::Owed, None);
        let mut relayed = Relayed::default();
        for (name, value) in fields {
            let text = std::str::from_utf8(value);
            match name {
                b"v" => version = Some(value),
                b"kind" => kind = Some(value),
                b"at" => record.at = Timestamp::from_millis(text.ok()?.parse().ok()?),
                b"settle" => record.settle = Duration::from_millis(text.ok()?.parse().ok()?),
                b"asks" => record.asks = value == b"1",
                b"targets" => record.targets = read_targets(text.ok()?)?,
                b"of" => stage = AnnouncementStage::Announced(text.ok()?.parse().ok()?),
                b"updates" => updates = Some(read_updates(value)?),
                _ => relayed.read(name, text.unwrap_or_default()),
            }
        }
        record.kind = match kind? {
            b"open" => PurgeKind::Open,
            b"hard" => PurgeKind::Hard,
            b"soft" => PurgeKind::Soft,
            _ => return None,
        };
        record.updates = updates.map(|updates| Arc::new(RecordUpdates { stage, updates }));
        record.relayed = relayed.some();
        (version? == VERSION).then_some(record)
    }
}

fn write_targets(targets: &[Target]) -> Vec<u8> {
    let texts: Vec<String> = targets.iter().map(ToString::to_string).collect();
    // Targets hold no control characters, so a newline separates them.
    texts.join("\n").into_bytes()
}

fn read_targets(text: &str) -> Option<Vec<Target>> {
    text.split('\n').map(Target::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::Tag;

    fn read(fields: &[(&'static str, Vec<u8>)]) -> PurgeRecord {
        PurgeRecord::from_fields(fields.iter().map(|(n, v)| (n.as_bytes(), v.as_slice())))
    }

    #[test]
    fn record_reads_back_what_it_wrote() {
        let record = PurgeRecord {
            kind: PurgeKind::Soft,
            targets: vec![
                Target::Tag(Tag::new("a:b").unwrap()),
                Target::Glob("/x/*".into()),
            ],
            settle: Duration::from_millis(1500),
            asks: true,
            updates: None,
            relayed: None,
            at: Timestamp::from_millis(7),
        };
        assert_eq!(read(&record.to_fields()), record);
        let sale = Update::new("sale", "auction:1").unwrap();
        for stage in [AnnouncementStage::Owed, AnnouncementStage::Announced(7)] {
            let updates = vec![Arc::new(sale.clone())];
            let updates = Some(Arc::new(RecordUpdates { stage, updates }));
            let telling = PurgeRecord {
                updates,
                ..record.clone()
            };
            assert_eq!(read(&telling.to_fields()), telling);
        }
    }

    #[test]
    fn what_is_not_understood_purges_everything() {
        let good = PurgeRecord::everything(Timestamp::from_millis(1)).to_fields();
        let change = |name: &'static str, value: &str| {
            let mut fields = good.clone();
            fields.retain(|(n, _)| *n != name);
            fields.push((name, value.into()));
            read(&fields)
        };
        for (name, value) in [
            ("v", "2"),
            ("kind", "gentle"),
            ("targets", "z:a"),
            ("settle", "soon"),
            ("updates", "[1]"),
            ("of", "x"),
        ] {
            let record = change(name, value);
            assert_eq!(record.targets, vec![Target::All], "{name}={value}");
            assert_eq!(record.kind, PurgeKind::Hard, "{name}={value}");
        }
        assert_eq!(read(&[]).targets, vec![Target::All]);
    }

    #[test]
    fn unknown_fields_of_the_same_version_are_skipped() {
        let mut fields = PurgeRecord::open(Timestamp::from_millis(3)).to_fields();
        fields.push(("described", b"x".to_vec()));
        assert_eq!(read(&fields), PurgeRecord::open(Timestamp::from_millis(3)));
    }
}
