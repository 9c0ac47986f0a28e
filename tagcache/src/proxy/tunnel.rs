//! What follows a switch of protocols: bytes, both ways, until either side ends or nothing moves.

use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::time::{sleep, timeout};

use crate::proxy::drain::Stage;
use crate::proxy::stream::{Ears, WatchedStream};

/// How long both sides may take to hand over their connections: the client's waits for the head of the
/// response to be written.
const HANDOVER: Duration = Duration::from_secs(30);

/// Runs a tunnel until either side ends, nothing was heard from either for `idle` to twice `idle`, or
/// the proxy is at its end.
pub(super) async fn run(client: OnUpgrade, upstream: OnUpgrade, idle: Duration, mut stage: Stage) {
    let both = async { tokio::try_join!(client, upstream) };
    let Ok(Ok((client, upstream))) = timeout(HANDOVER, both).await else {
        return;
    };
    let heard = Ears::default();
    let watched = |io| TokioIo::new(WatchedStream::new(io, Bytes::new(), heard.clone(), ()));
    let (mut client, mut upstream) = (watched(client), watched(upstream));
    tokio::select! {
        // An error is the end of the tunnel, whoever caused it.
        _ = copy_bidirectional(&mut client, &mut upstream) => {}
        () = silence(&heard, idle) => {}
        () = stage.cut_off() => {}
    }
}

async fn silence(heard: &Ears, idle: Duration) {
    let mut before = None;
    while before != Some(heard.count()) {
        before = Some(heard.count());
        sleep(idle).await;
    }
}
