//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use pin_project::pin_project;
use tower_service::Service;

use crate::middleware::CacheBody;
use crate::outcome::ForwardReason;
use crate::semantics::{Passed, append_passed};

/// The answer to come. See the [module docs](crate::middleware).
#[pin_project]
pub struct ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
{
    #[pin]
    kind: Kind<S, A, B>,
    /// What is told of an answer that the cache has no part in.
    passed: Option<Passed>,
    /// Why the inner service is asked, where that is known before anything is looked up.
    reason: ForwardReason,
}

#[pin_project(project = KindProj)]
#[allow(
    clippy::large_enum_variant,
    reason = "a box would cost each forward an allocation"
)]
enum Kind<S, A, B>
where
    S: Service<Request<A>>,
{
    /// No rule matched: straight to the inner service, once it is ready. Mostly it is at once; where it is
    /// not, an allocation is little, and the future is smaller without the request.
    Waiting(Box<(S, Option<Request<A>>)>),
    Forwarded(#[pin] S::Future),
    /// It will not be ready; taken when the future completes.
    Failed(Option<S::Error>),
    /// The answer was at hand; taken when the future completes.
    Ready(Option<Response<CacheBody<B>>>),
    Engine(BoxFuture<'static, Result<Response<CacheBody<B>>, S::Error>>),
}

impl<S, A, B> ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
{
    /// Calls `inner` with `request` as soon as it is ready: here if it is, so that the request need not
    /// be moved to the future.
    pub(crate) fn forward(mut inner: S, request: Request<A>) -> Self {
        // What wakes nobody is replaced when the future is polled.
        let mut nobody = Context::from_waker(Waker::noop());
        let kind = match inner.poll_ready(&mut nobody) {
            Poll::Ready(Ok(())) => Kind::Forwarded(inner.call(request)),
            Poll::Ready(Err(error)) => Kind::Failed(Some(error)),
            Poll::Pending => Kind::Waiting(Box::new((inner, Some(request)))),
        };
        Self {
            kind,
            passed: None,
            reason: ForwardReason::Bypass,
        }
    }

    pub(crate) const fn ready(response: Response<CacheBody<B>>) -> Self {
        Self {
            kind: Kind::Ready(Some(response)),
            passed: None,
            reason: ForwardReason::Miss,
        }
    }

    pub(crate) fn engine(
        serve: impl Future<Output = Result<Response<CacheBody<B>>, S::Error>> + Send + 'static,
    ) -> Self {
        Self {
            kind: Kind::Engine(Box::pin(serve)),
            passed: None,
            reason: ForwardReason::Miss,
        }
    }

    pub(crate) const fn because(mut self, reason: ForwardReason) -> Self {
        self.reason = reason;
        self
    }

    /// Why the request is forwarded, where it is. What an error of the inner service is told with: no response says it.
    #[must_use]
    pub const fn reason(&self) -> ForwardReason {
        self.reason
    }

    pub(crate) fn telling(mut self, passed: Option<Passed>) -> Self {
        self.passed = passed;
        self
    }
}

impl<S, A, B> Future for ResponseFuture<S, A, B>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Output = Result<Response<CacheBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut kind, passed) = (this.kind, *this.passed);
        let told = |mut response: Response<CacheBody<B>>| {
            if let Some(passed) = passed {
                append_passed(&mut response, passed);
            }
            response
        };
        loop {
            return match kind.as_mut().project() {
                KindProj::Waiting(waiting) => {
                    let (inner, request) = &mut **waiting;
                    ready!(inner.poll_ready(cx))?;
                    let request = request.take().expect("not polled after it was ready");
                    let call = inner.call(request);
                    kind.set(Kind::Forwarded(call));
                    continue;
                }
                KindProj::Forwarded(call) => {
                    let response = ready!(call.poll(cx))?;
                    Poll::Ready(Ok(told(CacheBody::forward(response))))
                }
                KindProj::Failed(error) => {
                    Poll::Ready(Err(error.take().expect("not polled after it was ready")))
                }
                KindProj::Ready(response) => {
                    let response = response.take();
                    Poll::Ready(Ok(response.expect("not polled after it was ready")))
                }
                KindProj::Engine(serve) => serve.as_mut().poll(cx).map_ok(told),
            };
        }
    }
}

impl<S, A, B> fmt::Debug for ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
