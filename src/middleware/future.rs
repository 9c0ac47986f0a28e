//! [`ResponseFuture`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use pin_project::pin_project;
use tower::util::Oneshot;
use tower_service::Service;

use crate::middleware::CacheBody;

/// The answer to come. See the [module docs](crate::middleware).
#[pin_project]
pub struct ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
{
    #[pin]
    kind: Kind<S, A, B>,
}

#[pin_project(project = KindProj)]
enum Kind<S, A, B>
where
    S: Service<Request<A>>,
{
    /// No rule matched: straight to the inner service.
    Forward(#[pin] Oneshot<S, Request<A>>),
    /// The answer was at hand; taken when the future completes.
    Ready(Option<Response<CacheBody<B>>>),
    Engine(BoxFuture<'static, Result<Response<CacheBody<B>>, S::Error>>),
}

impl<S, A, B> ResponseFuture<S, A, B>
where
    S: Service<Request<A>>,
{
    pub(crate) const fn forward(call: Oneshot<S, Request<A>>) -> Self {
        Self {
            kind: Kind::Forward(call),
        }
    }

    pub(crate) const fn ready(response: Response<CacheBody<B>>) -> Self {
        Self {
            kind: Kind::Ready(Some(response)),
        }
    }

    pub(crate) fn engine(
        serve: impl Future<Output = Result<Response<CacheBody<B>>, S::Error>> + Send + 'static,
    ) -> Self {
        Self {
            kind: Kind::Engine(Box::pin(serve)),
        }
    }
}

impl<S, A, B> Future for ResponseFuture<S, A, B>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    type Output = Result<Response<CacheBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Forward(call) => {
                let response = ready!(call.poll(cx))?;
                Poll::Ready(Ok(response.map(CacheBody::forwarded)))
            }
            KindProj::Ready(response) => {
                let response = response.take();
                Poll::Ready(Ok(response.expect("not polled after it was ready")))
            }
            KindProj::Engine(serve) => serve.as_mut().poll(cx),
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
