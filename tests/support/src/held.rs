//! Calls of an origin that a test holds.

use std::sync::Arc;

use futures_util::stream;
use http::Response;
use http::request::Parts;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::origin::OriginResult;
use crate::{Body, ends};

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

/// What the next calls are held by, in order.
#[derive(Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<Vec<Gate>>>);

impl Gates {
    pub(crate) fn add(&self, whom: fn(&Parts) -> bool, in_body: bool) -> Held {
        let (arrived, has_arrived) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.0.lock().push(Gate {
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

    /// Takes the first that is for this request.
    pub(crate) fn of(&self, request: &Parts) -> Option<Gate> {
        let mut gates = self.0.lock();
        let place = gates.iter().position(|gate| (gate.whom)(request))?;
        Some(gates.remove(place))
    }
}

pub(crate) struct Gate {
    whom: fn(&Parts) -> bool,
    in_body: bool,
    arrived: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl Gate {
    /// Returns what was read once the test lets it.
    pub(crate) async fn hold(self, response: Response<Body>) -> OriginResult {
        if self.in_body {
            return Ok(response.map(|body| self.hold_body(body)));
        }
        self.wait().await;
        Ok(response)
    }

    fn hold_body(self, body: Body) -> Body {
        let frame = async move {
            self.wait().await;
            Ok(Frame::data(body.collect().await?.to_bytes()))
        };
        StreamBody::new(stream::once(frame)).boxed_unsync()
    }

    async fn wait(self) {
        let _ = self.arrived.send(());
        // A test that has ended releases it as well.
        let _ = self.released.await;
    }
}
