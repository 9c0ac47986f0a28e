//! The time that each HTTP/2 stream has to take its answer.
//!
//! A connection is alive as long as one of its streams takes anything, so that a client could hold a hundred
//! answers by reading one (SAFETY 74). So the task of each stream looks how it goes: while its answer is there
//! and the client opens no window for it, its time runs; when that is over the stream is reset.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// What the answer of the stream that is polled said last in this poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWord {
    Nothing,
    /// There is more of it, or all of it.
    More,
    /// More of it is waited for, be it from upstream.
    Wait,
}

thread_local! {
    static SAID: Cell<LastWord> = const { Cell::new(LastWord::Nothing) };
}

/// The answer that is polled on this thread is `there`, or is waited for.
pub(super) fn note(there: bool) {
    SAID.set(if there {
        LastWord::More
    } else {
        LastWord::Wait
    });
}

/// How long a stream may stand still where a connection may for `client_write`. Longer by what the connection's
/// timer may be late: where nothing at all is taken the connection ends, and not its streams only.
pub(super) fn patience(client_write: Duration) -> Duration {
    client_write + client_write.min(Duration::from_secs(6))
}

/// Runs the streams of HTTP/2 connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    /// How long a client may take nothing of an answer.
    pub(super) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(TimedStream {
            stream,
            patience: self.patience,
            takes: false,
            timer: None,
        });
    }
}

#[pin_project]
struct TimedStream<F> {
    #[pin]
    stream: F,
    patience: Duration,
    /// It is the client's turn, to take what is there.
    takes: bool,
    /// Runs while it is; made when it is for the first time, which most streams do not live to see.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future<Output = ()>> Future for TimedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let own = self.project();
        SAID.set(LastWord::Nothing);
        if own.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SAID.get() {
            LastWord::Nothing => {}
            LastWord::Wait => *own.takes = false,
            LastWord::More => {
                *own.takes = true;
                let end = Instant::now() + *own.patience;
                match own.timer {
                    Some(timer) => timer.as_mut().reset(end),
                    None => *own.timer = Some(Box::pin(sleep_until(end))),
                }
            }
        }
        if let Some(timer) = own.timer.as_mut().filter(|_| *own.takes) {
            ready!(timer.as_mut().poll(cx));
            tracing::debug!("a client does not take an answer: its stream is reset");
            // What is dropped unfinished is reset.
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// A stream that says what it is told to, and holds `alive`.
    fn stream(alive: mpsc::Sender<()>) -> mpsc::UnboundedSender<bool> {
        let (say, mut told) = mpsc::unbounded_channel();
        let streams = Streams {
            patience: Duration::from_secs(60),
        };
        streams.execute(async move {
            let _alive = alive;
            while let Some(there) = told.recv().await {
                note(there);
            }
        });
        say
    }

    async fn after(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn safety_74_a_stream_whose_answer_is_not_taken_ends_whatever_others_do() {
        let (alive, mut ended) = mpsc::channel(1);
        let stalled = stream(alive);
        let (busy_alive, _busy_ended) = mpsc::channel(1);
        let busy = stream(busy_alive);
        stalled.send(true).expect("it is alive");
        for _ in 0..2 {
            after(20).await;
            busy.send(true).expect("it is alive");
        }
        assert!(!stalled.is_closed());
        after(21).await;
        assert!(stalled.is_closed() && ended.recv().await.is_none());
        assert!(!busy.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_upstream_or_takes_something_goes_on() {
        let (alive, _ended) = mpsc::channel(1);
        let say = stream(alive);
        after(600).await;
        say.send(true).expect("nothing was there yet");
        after(50).await;
        say.send(true).expect("in time");
        after(50).await;
        say.send(false).expect("in time");
        after(600).await;
        assert!(!say.is_closed(), "upstream is waited for");
        say.send(true).expect("it is alive");
        after(61).await;
        assert!(say.is_closed());
    }
}
