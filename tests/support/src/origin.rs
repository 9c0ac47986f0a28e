//! The inner service of a test: it remembers what it was asked, answers as the test has it, and can be held
//! after it has read its data or in the middle of the body.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::Service;

use crate::held::Gates;
use crate::{Body, Failure, Held, body};

/// What an origin gives for a request.
pub type OriginResult = Result<Response<Body>, Failure>;

type Answering = dyn Fn(Asked, Body) -> BoxFuture<'static, OriginResult> + Send + Sync;

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// 1 for the first.
    pub number: usize,
    pub parts: Parts,
}

impl Asked {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }
}

/// An inner service. Clones share what they know.
#[derive(Clone)]
pub struct Origin {
    answering: Arc<Answering>,
    data: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    gates: Gates,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

impl Origin {
    /// Answers 200 with its data, which are `v1`.
    pub fn new() -> Self {
        Self::of_data(|_, data| Response::new(Bytes::copy_from_slice(data.as_bytes())))
    }

    /// Answers from its data, which are `v1` and which the test changes.
    pub fn of_data(
        answering: impl Fn(&Parts, &str) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        let data = Arc::new(Mutex::new("v1".to_owned()));
        let read = Arc::clone(&data);
        let answering = Arc::new(answering);
        let origin = Self::with(move |asked, _| {
            let (data, answering) = (Arc::clone(&read), Arc::clone(&answering));
            async move {
                let data = data.lock().clone();
                Ok(answering(&asked.parts, &data).map(body))
            }
        });
        Self { data, ..origin }
    }

    /// Answers at once.
    pub fn answering(answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::with(move |asked, _| ready(Ok(answer(&asked))))
    }

    /// Answers in its own time, or not at all; may read the request's body.
    pub fn with<F>(answering: impl Fn(Asked, Body) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = OriginResult> + Send + 'static,
    {
        Self {
            answering: Arc::new(move |asked, body| answering(asked, body).boxed()),
            data: Arc::default(),
            asked: Arc::default(),
            gates: Gates::default(),
        }
    }

    /// Answers `n` with the `n`th of `answers`, and all after them with the last.
    pub fn script<const N: usize>(answers: [fn() -> Response<Body>; N]) -> Self {
        Self::answering(move |asked| answers[(asked.number - 1).min(N - 1)]())
    }

    /// An origin that answers as this one does, asked for the first time.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self {
            asked: Arc::default(),
            ..self.clone()
        }
    }

    /// Changes the data.
    pub fn set(&self, data: &str) {
        *self.data.lock() = data.into();
    }

    /// How often it was called.
    pub fn calls(&self) -> usize {
        self.asked.lock().len()
    }

    pub fn calls_to(&self, path: &str) -> usize {
        let asked = self.asked.lock();
        let there = asked.iter().filter(|asked| asked.parts.uri.path() == path);
        there.count()
    }

    pub fn calls_by(&self, method: &str) -> usize {
        let asked = self.asked.lock();
        let so = asked.iter().filter(|asked| asked.parts.method == method);
        so.count()
    }

    /// The last request that it got.
    pub fn last(&self) -> Asked {
        self.asked.lock().last().expect("it was called").clone()
    }

    /// Holds the next call after it has read the data.
    pub fn hold(&self) -> Held {
        self.gates.add(|_| true, false)
    }

    /// Holds the next call that `whom` is true of, after it has read the data.
    pub fn hold_if(&self, whom: fn(&Parts) -> bool) -> Held {
        self.gates.add(whom, false)
    }

    /// Holds the body of the next call; status and fields are answered at once.
    pub fn hold_body(&self) -> Held {
        self.gates.add(|_| true, true)
    }
}

impl<B> Service<Request<B>> for Origin
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Failure>,
{
    type Response = Response<Body>;
    type Error = Failure;
    type Future = BoxFuture<'static, OriginResult>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let mut all = self.asked.lock();
        let number = all.len() + 1;
        let asked = Asked { number, parts };
        all.push(asked.clone());
        drop(all);
        let gate = self.gates.of(&asked.parts);
        let answer = (self.answering)(asked, body.map_err(Into::into).boxed_unsync());
        match gate {
            None => answer,
            Some(gate) => async move { gate.hold(answer.await?).await }.boxed(),
        }
    }
}
