//! One request and one response over one connection.

use std::time::Duration;

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::proxy::request_body::{RequestBody, Upload, UploadFault};
use crate::proxy::upstream::connect::Sender;
use crate::proxy::upstream::failure::{FailureKind, UpstreamFailure};
use crate::proxy::upstream::pool::Lease;

/// What became of a request.
pub(super) enum NoAnswer {
    /// Nothing of it was sent: here it is again.
    Unsent(Box<Request<RequestBody>>, UpstreamFailure),
    /// The connection was closed before anything was answered on it. It may have been seen.
    Silent(UpstreamFailure),
    Failed(UpstreamFailure),
}

/// Sends the request and waits for the head of the response, at most `limit` after the last of the
/// request was taken.
pub(super) async fn send(
    lease: &mut Lease,
    request: Request<RequestBody>,
    upgrade: Option<&HeaderValue>,
    limit: Duration,
) -> Result<Response<Incoming>, NoAnswer> {
    let upload = request.body().upload();
    let scheme = lease.scheme();
    match &mut lease.sender {
        Sender::Http1(sender, ears) => {
            let before = ears.count();
            let answer = sender.try_send_request(for_http1(request, upgrade));
            let answer = within(answer, upload.as_ref(), limit).await?;
            answer.map_err(|mut error| {
                // The end of the connection is heard as well, once.
                let silent = ears.count() <= before + 1 && !error.error().is_parse();
                let unsent = error.take_message();
                unanswered(unsent, error.into_error(), upload.as_ref(), silent)
            })
        }
        Sender::Http2(sender, _) => {
            let answer = sender.try_send_request(for_http2(request, scheme));
            let answer = within(answer, upload.as_ref(), limit).await?;
            answer.map_err(|mut error| {
                let unsent = error.take_message();
                unanswered(unsent, error.into_error(), upload.as_ref(), false)
            })
        }
    }
}

/// The answer, unless upstream takes too long. While it takes the body it is not waited for.
async fn within<T>(
    answer: impl Future<Output = T>,
    upload: Option<&Upload>,
    limit: Duration,
) -> Result<T, NoAnswer> {
    let mut answer = std::pin::pin!(answer);
    let frames = || upload.map_or(0, Upload::frames);
    loop {
        let before = frames();
        match timeout(limit, answer.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if frames() != before => {}
            Err(_) => {
                let why = format!("no head of a response within {limit:?}");
                let failure = UpstreamFailure::because(FailureKind::HeadTimeout, why);
                return Err(NoAnswer::Failed(failure));
            }
        }
    }
}

fn unanswered(
    unsent: Option<Request<RequestBody>>,
    error: hyper::Error,
    upload: Option<&Upload>,
    silent: bool,
) -> NoAnswer {
    let kind = match upload.and_then(Upload::fault) {
        Some(UploadFault::Broken) => FailureKind::Upload,
        Some(UploadFault::TooSlow) => FailureKind::UploadTimeout,
        Some(UploadFault::TooManyFields) => FailureKind::UploadFields,
        None if error.is_parse() => FailureKind::Malformed,
        None => FailureKind::Closed,
    };
    let failure = UpstreamFailure::because(kind, error);
    match unsent {
        Some(request) => NoAnswer::Unsent(Box::new(request), failure),
        None if silent && kind == FailureKind::Closed => NoAnswer::Silent(failure),
        None => NoAnswer::Failed(failure),
    }
}

fn for_http1(
    mut request: Request<RequestBody>,
    upgrade: Option<&HeaderValue>,
) -> Request<RequestBody> {
    *request.version_mut() = Version::HTTP_11;
    let path = request.uri().path_and_query().cloned();
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
    // Without it the client library takes the body of a GET for none.
    let chunked = !request.body().is_end_stream() && request.body().size_hint().exact().is_none();
    let headers = request.headers_mut();
    if chunked {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(UPGRADE, protocol.clone());
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if headers.contains_key(TE) {
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    request
}

fn for_http2(mut request: Request<RequestBody>, scheme: Scheme) -> Request<RequestBody> {
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.remove(UPGRADE);
    // `:authority` says it (RFC 9113 §8.3.1).
    let host = headers.remove(HOST);
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.scheme = Some(scheme);
    if let Some(Ok(authority)) = host.map(|host| Authority::try_from(host.as_bytes())) {
        uri.authority = Some(authority);
    }
    if let Ok(uri) = Uri::from_parts(uri) {
        *request.uri_mut() = uri;
    }
    request
}
