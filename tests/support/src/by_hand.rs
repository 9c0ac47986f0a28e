//! An origin that answers when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::origin::OriginResult;
use crate::{Body, Failure, Origin, body as whole, settle};

/// The calls of an inner service, in order.
pub struct Calls(mpsc::UnboundedReceiver<Call>);

/// One call, which waits for its answer.
pub struct Call {
    pub request: Parts,
    answer: oneshot::Sender<OriginResult>,
}

impl Origin {
    /// An origin, and the calls that it gets.
    pub fn by_hand() -> (Self, Calls) {
        let (calls, received) = mpsc::unbounded_channel();
        let origin = Self::with(move |asked, _| {
            let (answer, answered) = oneshot::channel();
            let request = asked.parts;
            let sent = calls.send(Call { request, answer });
            async move {
                sent.map_err(|_| Failure("the test is over"))?;
                let answer = answered.await;
                answer.unwrap_or(Err(Failure("the test gave no answer")))
            }
        });
        (origin, Calls(received))
    }
}

impl Calls {
    /// Waits for the next call.
    pub async fn next(&mut self) -> Call {
        self.0.recv().await.expect("the service lives")
    }

    /// Waits until all who can call have called; these are their calls.
    pub async fn all(&mut self) -> Vec<Call> {
        let mut all = Vec::new();
        loop {
            settle().await;
            let before = all.len();
            while let Ok(call) = self.0.try_recv() {
                all.push(call);
            }
            if all.len() == before {
                return all;
            }
        }
    }

    /// Whether nobody calls, once all tasks of this thread have run.
    pub async fn are_over(&mut self) -> bool {
        settle().await;
        self.0.try_recv().is_err()
    }
}

impl Call {
    /// Answers with a whole response.
    pub fn answer(self, body: &'static str) {
        self.respond(Response::new(whole(body)));
    }

    pub fn respond(self, response: Response<Body>) {
        // Nobody may be waiting.
        let _ = self.answer.send(Ok(response));
    }

    pub fn fail(self, error: &'static str) {
        let _ = self.answer.send(Err(Failure(error)));
    }

    /// Answers with a head; the body follows by hand.
    pub fn stream(self) -> Stream {
        self.stream_as(Response::new(()))
    }

    pub fn stream_as(self, head: Response<()>) -> Stream {
        let (frames, received) = mpsc::unbounded_channel();
        let unread = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&unread);
        let received = UnboundedReceiverStream::new(received).map(move |frame| {
            counted.fetch_sub(1, Ordering::SeqCst);
            frame
        });
        self.respond(head.map(|()| StreamBody::new(received).boxed_unsync()));
        Stream { frames, unread }
    }

    /// Waits until nobody waits for the answer any more.
    pub async fn given_up(&mut self) {
        self.answer.closed().await;
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// A body that the test writes; it ends when this is dropped.
pub struct Stream {
    frames: mpsc::UnboundedSender<Result<Frame<Bytes>, Failure>>,
    unread: Arc<AtomicUsize>,
}

impl Stream {
    /// Writes a chunk. Whether anybody holds the body still is not asked.
    pub fn send(&self, chunk: impl Into<Bytes>) {
        self.unread.fetch_add(1, Ordering::SeqCst);
        let _ = self.frames.send(Ok(Frame::data(chunk.into())));
    }

    /// Breaks the body off.
    pub fn break_off(self, error: &'static str) {
        self.unread.fetch_add(1, Ordering::SeqCst);
        let _ = self.frames.send(Err(Failure(error)));
    }

    /// How many chunks nobody has taken.
    pub fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    /// Whether the inner service's body was dropped.
    pub fn is_dropped(&self) -> bool {
        self.frames.is_closed()
    }
}
