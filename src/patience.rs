//! Waiting for an answer from elsewhere without blaming it for what this process is late with.
//!
//! Where thousands of tasks are ready to run, an answer that came in time lies in a socket until the task
//! that reads it has its turn, and the time-out of whoever waits for it is due before that: a busy process
//! would take a healthy server for one that hangs, and forward what it could have answered (SAFETY 91).

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Turns of the executor that a question and its answer may need in this process: to be written, to be read,
/// and to be handed on, some of them twice. In an idle process they take microseconds.
const TURNS: u32 = 8;
/// The longest that they may take together.
const LONGEST: Duration = Duration::from_secs(1);
/// Passes of the executor after which an answer that has come would have been read.
const PASSES: u32 = 16;
/// The longest that they may take together.
const LONGEST_PASSES: Duration = Duration::from_secs(3);

/// What `answer` brings by `deadline`, or soon after it if it is this process that is late. `None`: nothing.
pub(crate) async fn answered_by<T>(
    deadline: Instant,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    if let Ok(answer) = timeout_at(deadline, answer.as_mut()).await {
        return Some(answer);
    }
    for _ in 0..TURNS {
        tokio::select! {
            biased;
            answer = answer.as_mut() => return Some(answer),
            () = yield_now() => {}
        }
        if Instant::now() > deadline + LONGEST {
            break;
        }
    }
    at_hand(answer).await
}

/// What `answer` brings, for the few that decide for all: waited for with as much patience as this process, or
/// the machine, is late.
///
/// A task that a timer wakes, or that yields, runs before those that are ready already, so turns alone say
/// little of how long what came for another task lies in its queue.
pub(crate) async fn surely_answered_by<T>(
    deadline: Instant,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    if let Ok(answer) = timeout_at(deadline, answer.as_mut()).await {
        return Some(answer);
    }
    for _ in 0..PASSES {
        tokio::select! {
            biased;
            answer = answer.as_mut() => return Some(answer),
            () = pass() => {}
            () = sleep_until(deadline + LONGEST_PASSES) => break,
        }
    }
    at_hand(answer).await
}

/// What `answer` brings without any more waiting.
async fn at_hand<T>(answer: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    tokio::select! {
        biased;
        answer = answer => Some(answer),
        () = std::future::ready(()) => None,
    }
}

/// About how long what comes from elsewhere lies here before it is taken.
pub(crate) async fn lag() -> Duration {
    let began = Instant::now();
    // It is an answer from another thread that is waited for.
    let _ = tokio::time::timeout(LONGEST, pass()).await;
    began.elapsed()
}

/// As in other builds; in the simulation no other thread takes part, and no process is busy.
#[cfg(test)]
async fn pass() {
    match crate::sync::Process::current() {
        Some(_) => yield_now().await,
        None => pass_by_thread().await,
    }
}

#[cfg(not(test))]
async fn pass() {
    pass_by_thread().await;
}

/// Returns when what was ready at the call has about run. What another thread wakes stands behind it, on every
/// kind of runtime, and that thread waits for the machine as a server does.
async fn pass_by_thread() {
    // It fails where the runtime ends.
    let _ = spawn_blocking(|| ()).await;
    yield_now().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runtime with so many tasks that are ready all the time, each of which takes a while.
    async fn crowd(tasks: usize, each: Duration) {
        for _ in 0..tasks {
            tokio::spawn(async move {
                loop {
                    std::thread::sleep(each);
                    yield_now().await;
                }
            });
        }
    }

    #[tokio::test]
    async fn safety_91_an_answer_that_waits_for_its_turn_in_a_busy_process_is_not_late() {
        crowd(20, Duration::from_millis(2)).await;
        let (question, mut asked) =
            tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<_>>(1);
        // The task that reads what came: it answers as soon as it has its turn.
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                yield_now().await;
                let _ = answer.send("in time");
            }
        });
        for _ in 0..5 {
            let asking = async {
                let (answer, answered) = tokio::sync::oneshot::channel();
                question.send(answer).await.ok()?;
                answered.await.ok()
            };
            let deadline = Instant::now() + Duration::from_millis(1);
            assert_eq!(answered_by(deadline, asking).await, Some(Some("in time")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_is_given_up_at_the_deadline() {
        let begun = Instant::now();
        let deadline = begun + Duration::from_millis(25);
        let never = std::future::pending::<()>();
        assert_eq!(answered_by(deadline, never).await, None);
        assert_eq!(begun.elapsed(), Duration::from_millis(25));
    }
}
