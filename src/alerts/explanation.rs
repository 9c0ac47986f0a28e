//! [`AlertExplanation`]: a rule of alerts, in words.

use std::fmt;

/// A rule of alerts, in words; see [`Cache::explain_alerts`](crate::Cache::explain_alerts).
///
/// `{}` prints both: `big-sales: updates of the type sale, amount >= 1000.5 tokens (18 decimals), to the webhook ops`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertExplanation {
    /// The rule's name.
    pub rule: String,
    /// What raises an alert, who is told, and how often at most.
    pub text: String,
}

impl fmt::Display for AlertExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}
