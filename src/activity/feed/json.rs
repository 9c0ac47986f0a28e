//! Counters, and alerts that could not be delivered, as JSON.

use serde_json::{Map, Value, json};

use super::{AnalyticsRow, FailedDelivery};

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

impl FailedDelivery {
    /// As a JSON object: `id`, `queue`, `reason`, `at` (in seconds since 1970) and `alert`, which is what was to be sent.
    #[must_use]
    pub fn to_json(&self) -> String {
        let alert: Option<Value> = serde_json::from_str(&self.json).ok();
        let failed = json!({
            "id": self.id,
            "queue": self.queue,
            "reason": self.reason,
            "at": self.at.as_millis() / 1_000,
            "alert": alert,
        });
        failed.to_string()
    }
}
