//! Announcements of one consumer follow each other in the order in which it took the entries.

use std::future::Future;

use tokio::sync::oneshot;

/// Hands out turns, one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

/// It is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "it is dropped")] oneshot::Sender<()>);

impl Turns {
    /// The next turn, and what resolves when those before it are over, however they ended.
    pub(super) fn next(&mut self) -> (Turn, impl Future<Output = ()> + use<>) {
        let (over, next) = oneshot::channel();
        let last = self.last.replace(next);
        let comes = async {
            if let Some(last) = last {
                // Dropped, as every turn is.
                let _ = last.await;
            }
        };
        (Turn(over), comes)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn each_turn_comes_when_the_one_before_is_over() {
        let mut turns = Turns::default();
        let (first, first_comes) = turns.next();
        let (second, second_comes) = turns.next();
        let (_third, third_comes) = turns.next();
        let (mut second_comes, mut third_comes) = (Box::pin(second_comes), Box::pin(third_comes));
        assert!(first_comes.now_or_never().is_some());
        assert!(second_comes.as_mut().now_or_never().is_none());
        drop(second);
        assert!(third_comes.as_mut().now_or_never().is_some());
        drop(first);
        assert!(second_comes.as_mut().now_or_never().is_some());
    }
}
