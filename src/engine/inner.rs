//! [`InnerService`]: the bounds of what the cache wraps, written once.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::engine::CacheBody;
use crate::error::BoxError;

/// A service that the cache can forward a request with the body `A` to: implemented for each
/// [`Service`] that has these bounds, and for nothing else.
pub(crate) trait InnerService<A>:
    Service<
        Request<A>,
        Response = Response<<Self as InnerService<A>>::ResBody>,
        Error: Send,
        Future: Send,
    > + Send
    + 'static
{
    type ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, A, B> InnerService<A> for S
where
    S: Service<Request<A>, Response = Response<B>, Error: Send, Future: Send> + Send + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type ResBody = B;
}

/// What forwarding a request to `S` gives.
pub(crate) type ServiceResult<S, A> =
    Result<Response<CacheBody<<S as InnerService<A>>::ResBody>>, <S as Service<Request<A>>>::Error>;
