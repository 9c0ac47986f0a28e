//! Calls of the inner service that nobody waits for any more, in case others want their places.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::sync::Mutex;

/// One entry for each fill that goes on although all who wanted its response have gone.
#[derive(Debug, Default)]
pub(crate) struct Orphans(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// The oldest first.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A fill that nobody waits for. Dropped when it ends, or somebody does again.
#[derive(Debug)]
pub(crate) struct Orphan<'a> {
    among: &'a Orphans,
    id: u64,
    asked: oneshot::Receiver<()>,
}

impl Orphans {
    pub(crate) fn add(&self) -> Orphan<'_> {
        let (ask, asked) = oneshot::channel();
        let mut state = self.0.lock();
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, ask);
        drop(state);
        let among = self;
        Orphan { among, id, asked }
    }

    /// Asks the oldest to end. Whether there was one.
    pub(crate) fn end_oldest(&self) -> bool {
        loop {
            let oldest = self.0.lock().waiting.pop_first();
            let Some((_, ask)) = oldest else {
                return false;
            };
            // One that ends at this moment is none.
            if ask.send(()).is_ok() {
                return true;
            }
        }
    }
}

impl Orphan<'_> {
    /// Waits until its place is wanted.
    pub(crate) async fn is_to_end(&mut self) {
        // An error means that it was asked before.
        let _ = (&mut self.asked).await;
    }
}

impl Drop for Orphan<'_> {
    fn drop(&mut self) {
        self.among.0.lock().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn safety_72_the_oldest_is_asked_first_and_each_once() {
        let orphans = Orphans::default();
        assert!(!orphans.end_oldest());
        let (mut first, gone, mut last) = (orphans.add(), orphans.add(), orphans.add());
        assert!(orphans.end_oldest());
        first.is_to_end().await;
        drop((first, gone));
        assert!(orphans.end_oldest() && !orphans.end_oldest());
        last.is_to_end().await;
    }
}
