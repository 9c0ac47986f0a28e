//! What a relay between regions writes into the records of the log that it appends to (PROTOCOL 39b).

use std::sync::Arc;

use crate::position::{Epoch, Position, decimal};

/// The most epochs of a path that are kept, the latest ones: as many regions as nobody has.
const LONGEST_PATH: usize = 64;

/// Where a record comes from, and what it says of the log that a relay follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Relayed {
    /// The epochs of the logs that it was in before, that in which it began first. An epoch is unique, so it says
    /// which log that was.
    pub(crate) path: Vec<Epoch>,
    pub(crate) claim: Option<RelayClaim>,
}

/// Everything that the log of another region held up to a position is in this one, in front of the record that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayClaim {
    /// What that region is called.
    pub(crate) region: Box<str>,
    /// Up to where, in that region's log.
    pub(crate) position: Position,
    /// The relay began here: this record purges everything, as nobody knows what was missed.
    pub(crate) joins: bool,
    /// That position was the end of the other log when it was asked for, after the record at this position of this log was
    /// acknowledged (PROTOCOL 39f).
    pub(crate) base: Option<Position>,
}

impl Relayed {
    /// The path alone: a claim counts only where it stands. `None` if there is none.
    pub(crate) fn path_only(&self) -> Option<Arc<Self>> {
        let path = self.path.clone();
        (!path.is_empty()).then(|| Arc::new(Self { path, claim: None }))
    }

    /// The path with `epoch` behind it.
    pub(crate) fn extended(path: &[Epoch], epoch: Epoch) -> Vec<Epoch> {
        let mut longer = path.to_vec();
        longer.push(epoch);
        let excess = longer.len().saturating_sub(LONGEST_PATH);
        longer.drain(..excess);
        longer
    }

    pub(super) fn to_fields(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut fields = Vec::new();
        if !self.path.is_empty() {
            let path: Vec<String> = self
                .path
                .iter()
                .map(|epoch| epoch.get().to_string())
                .collect();
            fields.push(("path", path.join(" ").into_bytes()));
        }
        if let Some(claim) = &self.claim {
            fields.push(("relay", claim.write().into_bytes()));
        }
        fields
    }

    /// Takes in the field `name`, if it is one of these. One that cannot be read says nothing: it purges nothing, and proves
    /// nothing.
    pub(super) fn read(&mut self, name: &[u8], text: &str) {
        match name {
            b"path" => {
                let epochs = text.split(' ').map(|epoch| decimal(epoch).map(Epoch::new));
                self.path = epochs.collect::<Result<_, _>>().unwrap_or_default();
            }
            b"relay" => self.claim = RelayClaim::read(text),
            _ => {}
        }
    }

    /// This, if it says anything.
    pub(super) fn some(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }
}

impl RelayClaim {
    fn write(&self) -> String {
        let Self {
            region,
            position,
            joins,
            base,
        } = self;
        let how = match joins {
            true => "joins",
            false => "follows",
        };
        match base {
            Some(base) => format!("{region} {position} {how} {base}"),
            None => format!("{region} {position} {how}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let region = words.next()?.into();
        let position = words.next()?.parse().ok()?;
        let joins = match words.next()? {
            "joins" => true,
            "follows" => false,
            _ => return None,
        };
        let base = match words.next() {
            Some(base) => Some(base.parse().ok()?),
            None => None,
        };
        Some(Self {
            region,
            position,
            joins,
            base,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Relayed {
        let mut relayed = Relayed::default();
        for (name, text) in fields {
            relayed.read(name.as_bytes(), text);
        }
        relayed
    }

    #[test]
    fn what_a_relay_writes_is_read_back() {
        for (joins, base) in [(true, None), (false, Some(Position::new(9, 4)))] {
            let claim = RelayClaim {
                region: "us".into(),
                position: Position::new(7, 3),
                joins,
                base,
            };
            let written = Relayed {
                path: vec![Epoch::new(7), Epoch::new(u64::MAX)],
                claim: Some(claim),
            };
            let fields = written.to_fields();
            let texts: Vec<(&str, &str)> = fields
                .iter()
                .map(|(name, value)| (*name, std::str::from_utf8(value).unwrap()))
                .collect();
            assert_eq!(read(&texts), written);
        }
        assert_eq!(Relayed::default().to_fields(), []);
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        for text in [
            "",
            "us",
            "us 7",
            "us 7-3",
            "us 7-3 perhaps",
            "us 7-3 joins x",
        ] {
            assert_eq!(read(&[("relay", text)]).claim, None, "{text:?}");
        }
        for text in ["", "x", "1  2", "-1"] {
            assert_eq!(read(&[("path", text)]).path, [], "{text:?}");
        }
    }

    #[test]
    fn a_path_is_bounded_and_keeps_its_end() {
        let path: Vec<Epoch> = (0..64).map(Epoch::new).collect();
        let longer = Relayed::extended(&path, Epoch::new(64));
        assert_eq!(longer.len(), 64);
        assert_eq!((longer[0].get(), longer[63].get()), (1, 64));
    }
}
