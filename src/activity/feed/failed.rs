//! [`FailedDelivery`]: an alert that could not be delivered.

use serde_json::{Value, json};

use crate::activity::store::FailedAlert;
use crate::clock::Timestamp;

/// An alert that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedDelivery {
    /// The alert's id, which goes with each try as idempotency key.
    pub id: String,
    /// The rule, and the receiver: `big-sales/webhook/ops`.
    pub queue: String,
    /// Why.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
    /// The alert, a JSON object.
    pub json: Box<str>,
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

impl From<FailedAlert> for FailedDelivery {
    fn from(failed: FailedAlert) -> Self {
        Self {
            id: format!("{:032x}", failed.id),
            queue: failed.queue.into(),
            reason: failed.reason.into(),
            at: failed.at,
            json: failed.json.into(),
        }
    }
}
