//! The task that appends purges for those who have a client to answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::log::Purges;
use crate::sync::{OnDrop, owned};

impl Purges {
    /// Has what waits appended, one record after the other, unless a task does that already. It ends when
    /// nothing waits, or when the log does not take one: then the companion goes on.
    pub(super) fn append_in_a_task(self: &Arc<Self>) {
        if self.prompt.swap(true, Ordering::AcqRel) {
            return;
        }
        let (purges, at_work) = (Arc::clone(self), Arc::clone(self));
        // However it ends, another may begin.
        let working = OnDrop::new(move || at_work.prompt.store(false, Ordering::Release));
        tokio::spawn(owned(async move {
            let _working = working;
            loop {
                if let Err(error) = purges.append_waiting().await {
                    drop(purges.pending(error));
                    purges.prompt_failed.notify_waiters();
                    return;
                }
                purges.prompt.store(false, Ordering::Release);
                // What began to wait meanwhile took this task to be at work.
                if !purges.any_waiting() || purges.prompt.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }));
    }
}
