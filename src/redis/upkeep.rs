//! [`Upkeep`]: what changes with time at a server that stays: credentials, and the age of connections.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::observe::{Notice, SharedObserver};
use crate::redis::account::PART;
use crate::redis::conn::Server;
use crate::redis::link::Link;

/// How often the age of connections is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Lets connections authenticate again when the credentials change, or before they end; and puts others in their place
/// before the server ends them for their age.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(super) server: Server,
    pub(super) links: Vec<Link>,
    pub(super) observer: SharedObserver,
}

impl Upkeep {
    pub(crate) async fn run(self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.ages() => {}
            () = self.credentials() => {}
        }
    }

    /// The follower and the event streams look after their own, which block.
    async fn ages(&self) {
        loop {
            join_all(self.links.iter().map(Link::look_after)).await;
            sleep(LOOK_EVERY).await;
        }
    }

    async fn credentials(&self) {
        let account = self.server.account();
        if !account.can_change() {
            return std::future::pending().await;
        }
        loop {
            account.keep_up(self.server.user_of_url()).await;
            match account.news() {
                None => {}
                Some(Ok(())) => {
                    tracing::info!(server = %self.server, "the credentials of redis are in order again");
                    self.observer.notify(&Notice::PartRestored { part: PART });
                }
                Some(Err(error)) => {
                    tracing::warn!(server = %self.server, %error, "the credentials of redis cannot be renewed");
                    let error = &error;
                    self.observer
                        .notify(&Notice::PartFailed { part: PART, error });
                }
            }
            sleep_until(account.next_look()).await;
        }
    }
}
