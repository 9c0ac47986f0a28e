//! The origin: answers with when its answer began and what it read, when the history lets it.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tower_service::Service;

use super::check::Reference;

/// A call that has read its data and has not answered yet.
#[derive(Debug)]
struct Call {
    release: oneshot::Sender<Ending>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    Answer,
    Fail,
}

/// Shared by the services of all nodes and the history.
#[derive(Debug, Default)]
pub(super) struct Origin {
    calls: Mutex<Vec<Call>>,
}

impl Origin {
    pub(super) fn waiting(&self) -> usize {
        self.calls.lock().len()
    }

    pub(super) fn release(&self, which: usize, ending: Ending) {
        let call = self.calls.lock().remove(which);
        let _ = call.release.send(ending);
    }
}

/// The inner service of every node.
#[derive(Debug, Clone)]
pub(super) struct OriginService {
    pub(super) origin: Arc<Origin>,
    pub(super) reference: Arc<Mutex<Reference>>,
}

impl Service<Request<Full<Bytes>>> for OriginService {
    type Response = Response<Full<Bytes>>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let key = request.uri().path().to_owned();
        // The data are read now; whatever changes later is not in the answer.
        let (began, version) = self.reference.lock().generation(&key);
        let etag = format!("\"v{version}\"");
        let unchanged = request
            .headers()
            .get(IF_NONE_MATCH)
            .is_some_and(|tag| tag == etag.as_str());
        let (release, released) = oneshot::channel();
        self.origin.calls.lock().push(Call { release });
        let reference = Arc::clone(&self.reference);
        Box::pin(async move {
            if !matches!(released.await, Ok(Ending::Answer)) {
                return Err(std::io::Error::other("the origin failed"));
            }
            let mut response = Response::new(Full::from(format!("{began} {version}")));
            if unchanged {
                // A 304 says that the data read at `began` are those of the stored response.
                reference.lock().confirm(&key, version, began);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                *response.body_mut() = Full::default();
            }
            response
                .headers_mut()
                .insert(ETAG, etag.parse().expect("an etag of digits"));
            Ok(response)
        })
    }
}
