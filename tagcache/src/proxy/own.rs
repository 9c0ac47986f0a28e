//! Answers that neither cache nor upstream has a part in.

use std::convert::Infallible;
use std::future::Future;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Response;
use http::header::{CONNECTION, HeaderName, HeaderValue};

use crate::proxy::client_body::{ClientBody, InHand};
use crate::proxy::refusal::{Refusal, plain};
use crate::proxy::upstream::UpstreamFailure;
use tower_tagcache::ForwardReason;
use tower_tagcache::live::LiveBody;

/// An answer that neither cache nor upstream has a part in.
pub(super) enum Own {
    Refusal(Refusal),
    /// Of the door, or of a service for clients.
    Whole(BoxFuture<'static, Response<Bytes>>),
    /// Large, and seldom.
    Live(Box<Response<LiveBody>>),
}

impl From<Refusal> for Own {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

pub(super) fn whole(
    answer: impl Future<Output = Result<Response<String>, Infallible>> + Send + 'static,
) -> BoxFuture<'static, Response<Bytes>> {
    Box::pin(async move {
        match answer.await {
            Ok(answer) => answer.map(Bytes::from),
        }
    })
}

pub(super) fn own_answer(response: Response<Bytes>, mut in_hand: InHand) -> Response<ClientBody> {
    in_hand.answered(&response);
    response.map(|text| ClientBody::plain(text, in_hand))
}

/// The answer where upstream gave none and nothing is stored that may stand in for one.
pub(super) fn unanswered(
    failure: &UpstreamFailure,
    reason: ForwardReason,
    http1: bool,
) -> Response<Bytes> {
    let kind = failure.kind;
    tracing::debug!(error = failure as &dyn std::error::Error, "no answer");
    let mut response = plain::<Bytes>(kind.status(), kind.text());
    let status = format!(
        "tagcache; fwd={}; detail={}",
        reason.as_str(),
        kind.as_str()
    );
    if let Ok(status) = HeaderValue::from_str(&status) {
        let name = HeaderName::from_static("cache-status");
        response.headers_mut().insert(name, status);
    }
    // What is left of the body is not worth reading.
    if kind.status().is_client_error() && http1 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
