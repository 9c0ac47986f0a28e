//! The inner service of a test: answers with the data that it has, and can be held after it has read
//! them or in the middle of the body.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::oneshot;
use tower::Service;

use crate::ends;

/// How an origin answers a request from its data.
type Answering = dyn Fn(&Parts, &str) -> Response<Bytes> + Send + Sync;

/// An inner service whose data a test changes. Clones share the data.
#[derive(Clone)]
pub struct Origin(Arc<Shared>);

struct Shared {
    data: Mutex<String>,
    calls: AtomicUsize,
    /// What the next calls are held by, in order.
    gates: Mutex<Vec<Gate>>,
    answering: Box<Answering>,
    /// The fields of each request.
    requests: Mutex<Vec<HeaderMap>>,
}

struct Gate {
    whom: fn(&Parts) -> bool,
    in_body: bool,
    arrived: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A call of the origin that has read the data and not answered yet.
pub struct Held {
    arrived: Option<oneshot::Receiver<()>>,
    release: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the call has read the data.
    pub async fn arrived(&mut self) {
        if let Some(arrived) = self.arrived.take() {
            let read = ends("the origin is called", arrived).await;
            read.expect("a call takes the gate");
        }
    }

    /// Lets it answer with what it has read.
    pub fn release(self) {
        self.release.send(()).expect("the call is still held");
    }
}

impl Origin {
    /// An origin that answers 200 with its data, which are `v1`.
    pub fn new() -> Self {
        Self::answering(|_, data| Response::new(Bytes::copy_from_slice(data.as_bytes())))
    }

    pub fn answering(
        answering: impl Fn(&Parts, &str) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            data: Mutex::new("v1".into()),
            calls: AtomicUsize::new(0),
            gates: Mutex::default(),
            answering: Box::new(answering),
            requests: Mutex::default(),
        }))
    }

    /// Changes the data.
    pub fn set(&self, data: &str) {
        *self.0.data.lock().unwrap() = data.into();
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// The fields of the last request that reached it.
    pub fn last_request(&self) -> HeaderMap {
        let requests = self.0.requests.lock().unwrap();
        requests.last().expect("it was called").clone()
    }

    /// Holds the next call after it has read the data.
    pub fn hold(&self) -> Held {
        self.gate(|_| true, false)
    }

    /// The same for the next call that `whom` is true of.
    pub fn hold_if(&self, whom: fn(&Parts) -> bool) -> Held {
        self.gate(whom, false)
    }

    /// Holds the body of the next call; status and fields are answered at once.
    pub fn hold_body(&self) -> Held {
        self.gate(|_| true, true)
    }

    fn gate(&self, whom: fn(&Parts) -> bool, in_body: bool) -> Held {
        let (arrived, has_arrived) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.0.gates.lock().unwrap().push(Gate {
            whom,
            in_body,
            arrived,
            released,
        });
        Held {
            arrived: Some(has_arrived),
            release,
        }
    }

    fn gate_for(&self, request: &Parts) -> Option<Gate> {
        let mut gates = self.0.gates.lock().unwrap();
        let place = gates.iter().position(|gate| (gate.whom)(request))?;
        Some(gates.remove(place))
    }

    async fn answer(self, request: Parts) -> Response<OriginBody> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let headers = request.headers.clone();
        self.0.requests.lock().unwrap().push(headers);
        let gate = self.gate_for(&request);
        let data = self.0.data.lock().unwrap().clone();
        let response = (self.0.answering)(&request, &data);
        match gate {
            None => response.map(|body| Full::new(body).boxed_unsync()),
            Some(gate) if gate.in_body => response.map(|body| held_body(gate, body)),
            Some(gate) => {
                gate.wait().await;
                response.map(|body| Full::new(body).boxed_unsync())
            }
        }
    }
}

impl Gate {
    async fn wait(self) {
        let _ = self.arrived.send(());
        // A test that has ended releases it as well.
        let _ = self.released.await;
    }
}

pub type OriginBody = UnsyncBoxBody<Bytes, Infallible>;

fn held_body(gate: Gate, body: Bytes) -> OriginBody {
    let frame = async move {
        gate.wait().await;
        Ok(Frame::data(body))
    };
    StreamBody::new(stream::once(frame)).boxed_unsync()
}

impl<B> Service<Request<B>> for Origin {
    type Response = Response<OriginBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<OriginBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let origin = self.clone();
        let (parts, _) = request.into_parts();
        Box::pin(async move { Ok(origin.answer(parts).await) })
    }
}
