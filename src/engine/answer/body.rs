//! The response body that the layer returns.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::coalesce::FlightReader;
use crate::engine::lookup::chunks::{ChunkReader, stored_size};
use crate::error::BoxError;
use crate::semantics::{self, PerConnection};

/// A response body: stored bytes, the inner service's own body untouched, or a body that is being
/// stored while it is read. See the [module docs](crate::middleware).
#[pin_project]
pub struct CacheBody<B> {
    #[pin]
    kind: Kind<B>,
}

#[pin_project(project = KindProj)]
enum Kind<B> {
    Stored {
        bytes: Bytes,
        /// Rare, and large where they stand.
        trailers: Option<Box<HeaderMap>>,
    },
    /// Of an answer that has none, whatever its fields say.
    Absent,
    Forwarded {
        #[pin]
        body: B,
        /// What of its trailers is of the inner service's connection; rare, and large where it stands.
        connection: Option<Box<PerConnection>>,
    },
    Shared(#[pin] FlightReader),
    /// Large where it stands.
    Chunks(Box<ChunkReader>),
}

impl<B> CacheBody<B> {
    pub(crate) fn empty() -> Self {
        Self::stored(Bytes::new(), None)
    }

    /// The body of an answer to `HEAD`, and of a 304. It has no length of its own that a server could take for
    /// that of what is not sent (RFC 9110 §8.6).
    pub(crate) const fn absent() -> Self {
        Self { kind: Kind::Absent }
    }

    pub(crate) fn stored(bytes: Bytes, trailers: Option<&HeaderMap>) -> Self {
        let trailers = trailers.map(|trailers| Box::new(trailers.clone()));
        Self {
            kind: Kind::Stored { bytes, trailers },
        }
    }

    /// A response of the inner service, with its own body.
    pub(crate) fn forward(response: Response<B>) -> Response<Self> {
        let connection = PerConnection::named(response.headers()).map(Box::new);
        response.map(|body| Self {
            kind: Kind::Forwarded { body, connection },
        })
    }

    pub(crate) fn chunks(reader: ChunkReader) -> Self {
        Self {
            kind: Kind::Chunks(Box::new(reader)),
        }
    }

    pub(crate) const fn shared(reader: FlightReader) -> Self {
        Self {
            kind: Kind::Shared(reader),
        }
    }
}

impl<B> Body for CacheBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProj::Stored { bytes, trailers } => {
                let frame = if bytes.is_empty() {
                    trailers.take().map(|trailers| Frame::trailers(*trailers))
                } else {
                    Some(Frame::data(std::mem::take(bytes)))
                };
                Poll::Ready(frame.map(Ok))
            }
            KindProj::Absent => Poll::Ready(None),
            KindProj::Forwarded { body, connection } => {
                poll_forwarded(body, connection.as_deref(), cx)
            }
            KindProj::Shared(reader) => reader.poll_frame(cx),
            KindProj::Chunks(reader) => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stored { bytes, trailers } => bytes.is_empty() && trailers.is_none(),
            Kind::Absent => true,
            Kind::Forwarded { body, .. } => body.is_end_stream(),
            Kind::Shared(reader) => reader.is_end_stream(),
            Kind::Chunks(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stored { bytes, trailers } => stored_size(bytes.len(), trailers.is_some()),
            Kind::Absent => SizeHint::default(),
            Kind::Forwarded { body, .. } => body.size_hint(),
            Kind::Shared(reader) => reader.size_hint(),
            Kind::Chunks(reader) => reader.size_hint(),
        }
    }
}

/// The next frame of the inner service's own body. Trailers that are none are not passed on: a
/// `Connection` among them, say, is an error in HTTP/2 (SAFETY 70).
fn poll_forwarded<B>(
    mut body: Pin<&mut B>,
    connection: Option<&PerConnection>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    loop {
        let frame = match std::task::ready!(body.as_mut().poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
        };
        let trailers = match frame.into_trailers() {
            Ok(trailers) => semantics::trailer_fields(trailers, connection),
            Err(frame) => return Poll::Ready(Some(Ok(frame))),
        };
        if let Some(trailers) = trailers {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
    }
}

impl<B: Default> Default for CacheBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Stored { .. } => "Stored",
            Kind::Absent => "Absent",
            Kind::Forwarded { .. } => "Forwarded",
            Kind::Shared(_) => "Shared",
            Kind::Chunks(_) => "Chunks",
        };
        f.debug_tuple("CacheBody").field(&kind).finish()
    }
}
