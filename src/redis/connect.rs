//! Making a verified connection, within the connect budget and not at the expense of a first try that hangs.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::error::{Error, ErrorKind};
use crate::redis::connection::Connection;
use crate::redis::live::Live;
use crate::redis::verify::Verifier;

/// A connection that takes so long gets company: what its first bytes went to may never answer (SAFETY 89).
const COMPANY: Duration = Duration::from_millis(400);

/// A connection, made and verified within the connect budget; `again` is one that is tried first.
pub(crate) async fn connect(verifier: &Verifier, again: Option<Live>) -> Result<Live, Error> {
    let made = timeout(verifier.server.budgets().connect, async {
        if let Some(live) = again {
            match timeout(COMPANY, verify(verifier, live.conn, live.made)).await {
                Ok(Ok(live)) => return Ok(live),
                _ => verifier.trust.lose(live.generation),
            }
        }
        // Whoever is not answered until the server is back, or for long, is not waited for.
        let others = async {
            loop {
                wait_for_company(verifier).await;
                loop {
                    match timeout(COMPANY, connect_once(verifier)).await {
                        Ok(Ok(live)) => return live,
                        Ok(Err(_)) => break,
                        Err(_) => {}
                    }
                }
            }
        };
        tokio::select! {
            biased;
            made = connect_once(verifier) => made,
            live = others => Ok(live),
        }
    });
    let made = made.await.unwrap_or_else(|_| Err(late(verifier)));
    // Where heartbeats are sent, they tell.
    if !verifier.server.pulse().is_kept() {
        match &made {
            Ok(_) => verifier.server.usable(),
            Err(error) => verifier.server.failed(error),
        }
    }
    made
}

/// A verified connection beside one that is in use; `None` if as many are open as may be.
pub(super) async fn beside(verifier: &Verifier) -> Result<Option<Live>, Error> {
    let Some(conn) = verifier.server.connect_beside().await? else {
        return Ok(None);
    };
    let verified = verify(verifier, conn, verifier.clock.monotonic());
    match timeout(verifier.server.budgets().connect, verified).await {
        Ok(verified) => verified.map(Some),
        Err(_) => Err(late(verifier)),
    }
}

async fn connect_once(verifier: &Verifier) -> Result<Live, Error> {
    let conn = verifier.server.connect().await?;
    verify(verifier, conn, verifier.clock.monotonic()).await
}

fn late(verifier: &Verifier) -> Error {
    let message = format!(
        "redis at {}: no verified connection in time",
        verifier.server
    );
    Error::new(ErrorKind::Timeout, message)
}

/// Only where heartbeats are sent: they would have to wait for a first try that hangs, and all with them.
async fn wait_for_company(verifier: &Verifier) {
    let pulse = verifier.server.pulse();
    if !pulse.is_kept() {
        return pending().await;
    }
    tokio::select! {
        biased;
        () = sleep(COMPANY) => {}
        () = pulse.revived() => {}
    }
}

async fn verify(verifier: &Verifier, mut conn: Connection, made: Duration) -> Result<Live, Error> {
    // Taken before the look: trust lost meanwhile is lost for this connection as well.
    let generation = verifier.trust.generation();
    let verified = verifier.verify(&mut conn.to).await?;
    Ok(Live {
        conn,
        verified: Arc::new(verified),
        generation,
        made,
        unanswered: Arc::default(),
    })
}
