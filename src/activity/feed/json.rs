//! Counters, as JSON.

use serde_json::{Map, Value, json};

use super::AnalyticsRow;

impl AnalyticsRow {
    /// As [`ActivityFeed::analytics_json`](super::ActivityFeed::analytics_json) has it.
    pub(super) fn json(&self) -> Value {
        let mut row = Map::new();
        row.insert("type".into(), self.kind.as_str().into());
        if let Some(hour) = self.hour {
            row.insert("hour".into(), (hour.as_millis() / 1_000).into());
        }
        if let Some(subject) = &self.subject {
            row.insert("subject".into(), subject.as_str().into());
        }
        row.insert("count".into(), self.count.into());
        row.insert("sums".into(), json!(self.sums));
        row.into()
    }
}
