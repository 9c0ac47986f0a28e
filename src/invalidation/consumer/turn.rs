//! Announcements of one consumer follow each other in the order in which it took the entries.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Hands out turns, one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: u64,
    open: Arc<OpenTurns>,
}

/// Those that are not over. Shared by all of them.
#[derive(Debug, Default)]
struct OpenTurns {
    numbers: Mutex<BTreeSet<u64>>,
    /// Told when one is over.
    ended: Notify,
}

/// It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    number: u64,
    open: Arc<OpenTurns>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.open.numbers.lock().remove(&self.number);
        self.open.ended.notify_waiters();
    }
}

impl Turns {
    /// The next turn, and what resolves when all before it are over, however they ended.
    pub(super) fn next(&mut self) -> (Turn, impl Future<Output = ()> + use<>) {
        let number = self.next;
        self.next += 1;
        self.open.numbers.lock().insert(number);
        let open = Arc::clone(&self.open);
        let comes = async move {
            loop {
                // Before the look, so that one that ends in between is not missed.
                let ended = open.ended.notified();
                if open
                    .numbers
                    .lock()
                    .first()
                    .is_none_or(|first| *first >= number)
                {
                    return;
                }
                ended.await;
            }
        };
        let open = Arc::clone(&self.open);
        (Turn { number, open }, comes)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_turn_comes_when_all_before_it_are_over() {
        let mut turns = Turns::default();
        let (first, first_comes) = turns.next();
        let (second, second_comes) = turns.next();
        let (_third, third_comes) = turns.next();
        let (mut second_comes, mut third_comes) = (Box::pin(second_comes), Box::pin(third_comes));
        assert!(first_comes.now_or_never().is_some());
        assert!(second_comes.as_mut().now_or_never().is_none());
        // As one whose task ended early: it never waited.
        drop(second);
        assert!(third_comes.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third_comes.as_mut().now_or_never().is_some());
    }
}
