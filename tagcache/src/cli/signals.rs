//! Signals of the operating system.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Resolves on SIGTERM or SIGINT.
#[derive(Debug)]
pub(super) struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

/// Something for each SIGHUP. Several that come before one is dealt with are one.
pub(super) fn hangups() -> io::Result<mpsc::Receiver<()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let (send, receive) = mpsc::channel(1);
    // Ends when the receiver is gone, at the next signal at the latest.
    tokio::spawn(async move {
        while hangups.recv().await.is_some() && !send.is_closed() {
            let _ = send.try_send(());
        }
    });
    Ok(receive)
}
