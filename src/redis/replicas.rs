//! Whether the server has the replicas that it had: one that is lost makes the next failover one that forgets
//! purges, and a master that lost all of them may be cut off (PROTOCOL 22).

use std::time::{Duration, Instant};

use crate::log::Trouble;
use crate::redis::conn::Server;
use crate::redis::info::Identity;
use crate::telling::Telling;

/// Fewer replicas for so long are taken to be meant.
const MEANT: Duration = Duration::from_secs(60 * 60);
/// A replica that is away for a moment, as while it starts again, is not told.
const LASTING: Duration = Duration::from_secs(2);

/// What heartbeats have seen.
#[derive(Debug)]
pub(super) struct Replicas {
    connected: Option<u32>,
    /// The most that were in step.
    expected: u32,
    /// The master demands some and counts too few to take writes.
    too_few: bool,
    fewer_since: Option<Instant>,
    telling: Telling,
}

impl Default for Replicas {
    fn default() -> Self {
        Self {
            connected: None,
            expected: 0,
            too_few: false,
            fewer_since: None,
            telling: Telling::of_well(),
        }
    }
}

impl Replicas {
    /// Notes what `identity` says and tells what lasts. `Some` if the numbers have changed: those in step, and
    /// those expected.
    pub(super) fn note(&mut self, identity: &Identity, server: &Server) -> Option<(u32, u32)> {
        self.note_at(identity, server, Instant::now())
    }

    fn note_at(
        &mut self,
        identity: &Identity,
        server: &Server,
        now: Instant,
    ) -> Option<(u32, u32)> {
        let before = (self.connected, self.expected);
        let connected = identity.replicas;
        self.connected = Some(connected);
        self.too_few = identity.good_replicas == Some(0);
        self.expected = self.expected.max(connected);
        if connected >= self.expected && !self.too_few {
            self.fewer_since = None;
            if self.telling.well().is_some() {
                tracing::info!(%server, replicas = connected, "redis has its replicas again");
            }
        } else {
            let since = *self.fewer_since.get_or_insert(now);
            if !self.too_few && now >= since + MEANT {
                self.expected = connected;
                tracing::info!(%server, replicas = connected, "so many replicas are taken to be meant");
            } else if now >= since + LASTING
                && self
                    .telling
                    .failing(u64::from(connected) << 1 | u64::from(self.too_few))
                    .is_some()
            {
                tracing::warn!("{}", self.message(server));
            }
        }
        let after = (self.connected, self.expected);
        (after != before).then_some((connected, self.expected))
    }

    fn message(&self, server: &Server) -> String {
        let (connected, expected) = (self.connected.unwrap_or(0), self.expected);
        let lost = match (connected, self.too_few) {
            (_, true) => {
                "it may be cut off from the rest, and refuses writes until replicas are back: purges wait, and \
                 nothing is served from the cache"
            }
            (0, _) => {
                "it may be cut off from the rest, where another one may have been promoted: compare INFO \
                 replication there; purges that it takes may be lost"
            }
            _ => "see INFO replication; the next failover has fewer to choose from",
        };
        format!("redis at {server} has {connected} of {expected} replicas in step: {lost}")
    }

    /// What is wrong, if it lasts.
    pub(super) fn trouble(&self, server: &Server) -> Option<Trouble> {
        let since = self.fewer_since?.elapsed();
        (since >= LASTING).then(|| Trouble {
            part: "replicas",
            message: self.message(server),
            since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Budgets;

    fn identity(replicas: u32, good_replicas: Option<u32>) -> Identity {
        Identity {
            replicas,
            good_replicas,
            ..Identity::default()
        }
    }

    /// SAFETY 96.
    #[test]
    fn safety_96_a_replica_that_is_lost_is_a_trouble_until_it_is_back_or_meant() {
        let server = Server::new("redis://localhost", Budgets::default()).unwrap();
        let begun = Instant::now().checked_sub(2 * MEANT).unwrap();
        let mut replicas = Replicas::default();
        assert_eq!(
            replicas.note_at(&identity(2, None), &server, begun),
            Some((2, 2))
        );
        assert_eq!(replicas.note_at(&identity(2, None), &server, begun), None);
        assert_eq!(
            replicas.note_at(&identity(1, None), &server, begun),
            Some((1, 2))
        );
        let message = replicas.trouble(&server).unwrap().message;
        assert!(message.contains("1 of 2 replicas"), "{message}");
        replicas.note_at(&identity(2, None), &server, begun);
        assert!(replicas.trouble(&server).is_none());
        replicas.note_at(&identity(0, None), &server, begun);
        let message = replicas.trouble(&server).unwrap().message;
        assert!(message.contains("may be cut off"), "{message}");
        let meant = replicas.note_at(&identity(0, None), &server, begun + MEANT);
        assert_eq!(meant, Some((0, 0)));
        replicas.note_at(&identity(0, None), &server, begun + MEANT);
        assert!(replicas.trouble(&server).is_none());
    }

    /// A process that starts on a master that is cut off has seen no replica.
    #[test]
    fn safety_96_a_master_that_demands_replicas_and_has_none_is_a_trouble() {
        let server = Server::new("redis://localhost", Budgets::default()).unwrap();
        let begun = Instant::now().checked_sub(2 * MEANT).unwrap();
        let mut replicas = Replicas::default();
        replicas.note_at(&identity(0, Some(0)), &server, begun);
        let message = replicas.trouble(&server).unwrap().message;
        assert!(message.contains("refuses writes"), "{message}");
        replicas.note_at(&identity(0, Some(0)), &server, begun + MEANT);
        assert!(replicas.trouble(&server).is_some(), "that is never meant");
    }
}
