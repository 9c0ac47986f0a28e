//! Bodies that tests hold in their hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tagcache_test_support::{Body, Failure, append, settle};
use tower_tagcache::BoxError;

/// A body that comes frame by frame, as it is fed.
pub(crate) fn fed() -> (Feed, Body) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (Feed(sender), StreamBody::new(frames).boxed_unsync())
}

/// Feeds a body; dropped, it ends it.
#[derive(Debug, Clone)]
pub(crate) struct Feed(tokio::sync::mpsc::UnboundedSender<Result<Frame<Bytes>, Failure>>);

impl Feed {
    pub(crate) fn data(&self, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(bytes.into()))).is_ok()
    }

    pub(crate) fn trailers(&self, fields: &[(&str, &str)]) {
        let mut trailers = HeaderMap::new();
        append(&mut trailers, fields);
        let _ = self.0.send(Ok(Frame::trailers(trailers)));
    }

    pub(crate) fn fail(&self, error: &'static str) {
        let _ = self.0.send(Err(Failure(error)));
    }

    /// Whether the reader is gone.
    pub(crate) fn is_unread(&self) -> bool {
        self.0.is_closed()
    }
}

/// The next piece of data of a body.
pub(crate) async fn next_data<B>(body: &mut B) -> Option<Result<Bytes, BoxError>>
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let frame = body.frame().await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Whether nothing has come yet, though every task had its turn.
pub(crate) async fn is_silent<B>(body: &mut B) -> bool
where
    B: http_body::Body<Data = Bytes, Error = BoxError> + Unpin,
{
    settle().await;
    body.frame().now_or_never().is_none() && !body.is_end_stream()
}

/// Bytes that count themselves as long as anybody holds them.
#[derive(Debug)]
pub(crate) struct Counted {
    bytes: &'static [u8],
    count: Arc<AtomicUsize>,
}

impl Counted {
    pub(crate) fn of(bytes: &'static [u8], count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(bytes.len(), Ordering::SeqCst);
        Self {
            bytes,
            count: Arc::clone(count),
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}
