//! An inner service that answers when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::util::BoxCloneService;
use tower::{BoxError, ServiceExt, service_fn};

pub(crate) type Reply = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Origin = BoxCloneService<Request<Empty<Bytes>>, Response<Reply>, BoxError>;
type Answer = oneshot::Sender<Result<Response<Reply>, BoxError>>;

/// The calls of an inner service, in order.
pub(crate) struct Calls(mpsc::UnboundedReceiver<Call>);

/// One call, which waits for its answer.
pub(crate) struct Call {
    pub(crate) request: Request<Empty<Bytes>>,
    answer: Answer,
}

/// The inner service, and the calls that it gets.
pub(crate) fn origin() -> (Origin, Calls) {
    let (calls, received) = mpsc::unbounded_channel();
    let service = service_fn(move |request| {
        let (answer, answered) = oneshot::channel();
        let sent = calls.send(Call { request, answer });
        async move {
            sent.map_err(|_| "the test is over")?;
            answered
                .await
                .unwrap_or_else(|_| Err("the test gave no answer".into()))
        }
    });
    (service.boxed_clone(), Calls(received))
}

impl Calls {
    /// Waits for the next call.
    pub(crate) async fn next(&mut self) -> Call {
        self.0.recv().await.expect("the service lives")
    }

    /// Waits until all who can call have called; these are their calls.
    pub(crate) async fn all(&mut self) -> Vec<Call> {
        let mut all = Vec::new();
        loop {
            crate::settle().await;
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
    pub(crate) async fn are_over(&mut self) -> bool {
        crate::settle().await;
        self.0.try_recv().is_err()
    }
}

impl Call {
    /// Answers with a whole response.
    pub(crate) fn answer(self, body: &'static str) {
        self.respond(Response::new(whole(body)));
    }

    pub(crate) fn respond(self, response: Response<Reply>) {
        // Nobody may be waiting.
        let _ = self.answer.send(Ok(response));
    }

    pub(crate) fn fail(self, error: &'static str) {
        let _ = self.answer.send(Err(error.into()));
    }

    /// Answers with a head; the body follows by hand.
    pub(crate) fn stream(self) -> Stream {
        self.stream_as(Response::new(()))
    }

    pub(crate) fn stream_as(self, head: Response<()>) -> Stream {
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
    pub(crate) async fn given_up(&mut self) {
        self.answer.closed().await;
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// A body that the test writes; it ends when this is dropped.
pub(crate) struct Stream {
    frames: mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>,
    unread: Arc<AtomicUsize>,
}

impl Stream {
    /// Writes a chunk. Whether anybody holds the body still is not asked.
    pub(crate) fn send(&self, chunk: impl Into<Bytes>) {
        self.unread.fetch_add(1, Ordering::SeqCst);
        let _ = self.frames.send(Ok(Frame::data(chunk.into())));
    }

    /// Breaks the body off.
    pub(crate) fn break_off(self, error: &'static str) {
        self.unread.fetch_add(1, Ordering::SeqCst);
        let _ = self.frames.send(Err(error.into()));
    }

    /// How many chunks nobody has taken.
    pub(crate) fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    /// Whether the inner service's body was dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.frames.is_closed()
    }
}

pub(crate) fn whole(body: &'static str) -> Reply {
    Full::from(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}
