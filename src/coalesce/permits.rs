//! How many of a rule's forwards may be under way at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sync::Mutex;
use tokio::sync::Semaphore;

/// The forwards of the rules that limit them, by the rule's name. Rules whose forwards have all ended
/// are forgotten when another one comes.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    by_rule: Mutex<HashMap<Arc<str>, Limited>>,
}

#[derive(Debug)]
struct Limited {
    limit: usize,
    permits: Arc<Semaphore>,
}

impl Permits {
    /// The permits of `rule`, of which there are `limit`. A limit that was changed counts for forwards
    /// that begin from now on.
    pub(crate) fn of(&self, rule: &Arc<str>, limit: usize) -> Arc<Semaphore> {
        let mut by_rule = self.by_rule.lock();
        if let Some(limited) = by_rule.get(rule).filter(|limited| limited.limit == limit) {
            return Arc::clone(&limited.permits);
        }
        by_rule.retain(|_, limited| Arc::strong_count(&limited.permits) > 1);
        let permits = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        let limited = Limited {
            limit,
            permits: Arc::clone(&permits),
        };
        by_rule.insert(Arc::clone(rule), limited);
        permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_one_set_of_permits_until_its_limit_changes() {
        let permits = Permits::default();
        let rule: Arc<str> = "r".into();
        let first = permits.of(&rule, 2);
        assert!(Arc::ptr_eq(&first, &permits.of(&rule, 2)));
        assert_eq!(permits.of(&rule, 3).available_permits(), 3);
        assert_eq!(first.available_permits(), 2);
    }

    #[test]
    fn rules_without_forwards_are_forgotten() {
        let permits = Permits::default();
        let busy = permits.of(&"busy".into(), 1);
        for number in 0..100 {
            permits.of(&number.to_string().into(), 1);
        }
        assert_eq!(permits.by_rule.lock().len(), 2, "the busy one and the last");
        assert!(Arc::ptr_eq(&busy, &permits.of(&"busy".into(), 1)));
    }
}
