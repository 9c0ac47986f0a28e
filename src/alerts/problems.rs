//! [`AlertProblem`]: what rules of alerts could not judge.

use std::collections::BTreeMap;
use std::fmt;

use crate::alerts::field::{FieldTrouble, FieldTroubleKind};
use crate::sync::Mutex;

/// What a rule of alerts could not read of updates: it raised no alert of them, or one whose message has a `?` there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertProblem {
    /// The rule.
    pub rule: Box<str>,
    /// The field of the update.
    pub field: Box<str>,
    /// What is the matter with it: "is missing", ``is no whole number: "many"`` as it was the first time.
    pub what: String,
    /// How many times that was so.
    pub count: u64,
}

impl fmt::Display for AlertProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rule, field, what, ..
        } = self;
        write!(f, "alert `{rule}`: the field `{field}` {what}")
    }
}

/// Problems by rule, field and kind: as many as rules name fields, at the most, three times.
#[derive(Debug, Default)]
pub(super) struct ProblemBoard(Mutex<BTreeMap<ProblemKey, AlertProblem>>);

type ProblemKey = (Box<str>, Box<str>, FieldTroubleKind);

impl ProblemBoard {
    /// Counts it, and logs what is there for the first time.
    pub(super) fn note(&self, rule: &str, trouble: FieldTrouble) {
        let key = (rule.into(), trouble.field.clone(), trouble.kind);
        let mut problems = self.0.lock();
        if let Some(problem) = problems.get_mut(&key) {
            problem.count = problem.count.saturating_add(1);
            return;
        }
        let problem = AlertProblem {
            rule: rule.into(),
            what: trouble.to_string(),
            field: trouble.field,
            count: 1,
        };
        tracing::warn!("{problem}; further ones are counted, and not told");
        problems.insert(key, problem);
    }

    pub(super) fn list(&self) -> Vec<AlertProblem> {
        self.0.lock().values().cloned().collect()
    }
}
