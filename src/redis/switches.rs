//! Following who is the master while the companion runs: Sentinels, by their `+switch-master` and by what they answer each second;
//! a Cluster, by what its primaries answer. An old master that is cut off together with this process answers as ever, and would
//! be believed until its lease ends.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{AsyncConnectionConfig, PushInfo, RedisResult};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::redis::address::{HostPort, Sentinels};
use crate::redis::conn::Server;
use crate::redis::sentinel::{PATIENCE, SentinelLink, converse, named};
use crate::redis::verify::Verifier;
use crate::redis::votes::Votes;

/// How often they are asked, should nobody say that the master is another one.
const ASK_EVERY: Duration = Duration::from_secs(1);
const SWITCHED: &str = "+switch-master";

/// Ends the trust in all connections when another master is named.
#[derive(Debug)]
pub(crate) struct SwitchWatch {
    pub(super) server: Server,
    pub(super) verifier: Arc<Verifier>,
}

impl SwitchWatch {
    pub(crate) async fn run(self, stop: &CancellationToken) {
        let Some(mut source) = Source::of(&self.server) else {
            return;
        };
        let mut last = None;
        while !stop.is_cancelled() {
            // Taken before they are asked: whoever connects meanwhile asks them too.
            let generation = self.verifier.trust.generation();
            let now = source.ask(&self.server).await;
            if let Some(now) = now {
                if last.as_ref().is_some_and(|last| *last != now) {
                    tracing::warn!(server = %self.server, master = %now, "another master is named");
                    self.verifier.trust.lose(generation);
                    self.server.switched();
                }
                last = Some(now);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = source.switched() => {}
                () = sleep(ASK_EVERY) => {}
            }
        }
    }
}

/// Who says which server is the master.
enum Source<'a> {
    Sentinels(Listening<'a>),
    Cluster,
}

impl<'a> Source<'a> {
    fn of(server: &'a Server) -> Option<Self> {
        match server.sentinels() {
            Some(sentinels) => Some(Self::Sentinels(Listening::new(sentinels))),
            None => server.cluster().map(|_| Self::Cluster),
        }
    }

    /// The master that more than half of them name; nothing if they do not.
    async fn ask(&mut self, server: &Server) -> Option<HostPort> {
        match self {
            Self::Sentinels(listening) => listening.ask(server).await,
            Self::Cluster => {
                let cluster = server.cluster()?;
                cluster.primary(server, server.key()).await.ok()
            }
        }
    }

    /// Returns when one of them says so unasked.
    async fn switched(&self) {
        match self {
            Self::Sentinels(listening) => listening.switched.notified().await,
            Self::Cluster => std::future::pending().await,
        }
    }
}

/// Connections to all Sentinels, each made anew when it broke.
struct Listening<'a> {
    sentinels: &'a Sentinels,
    open: Vec<Option<SentinelLink>>,
    /// Told by any of them that says so.
    switched: Arc<Notify>,
}

impl<'a> Listening<'a> {
    fn new(sentinels: &'a Sentinels) -> Self {
        Self {
            sentinels,
            open: sentinels.hosts.iter().map(|_| None).collect(),
            switched: Arc::default(),
        }
    }

    async fn ask(&mut self, server: &Server) -> Option<HostPort> {
        let (sentinels, switched) = (self.sentinels, &self.switched);
        let asked = sentinels
            .hosts
            .iter()
            .zip(&mut self.open)
            .map(|(at, open)| async move {
                let asked = async {
                    let (sentinel, _) = match open {
                        Some(open) => open,
                        None => open.insert(listen(at, server, switched).await?),
                    };
                    named(sentinel, &sentinels.name).await
                };
                let said = timeout(PATIENCE, asked).await.ok().and_then(Result::ok);
                if said.is_none() {
                    *open = None;
                }
                said.flatten()
            });
        let said: Vec<_> = futures_util::future::join_all(asked).await;
        let mut votes = Votes::of(sentinels.hosts.len());
        let named = said.into_iter().flatten().map(|master| votes.name(master));
        named.fold(None, Option::or)
    }
}

async fn listen(
    at: &HostPort,
    server: &Server,
    switched: &Arc<Notify>,
) -> RedisResult<SentinelLink> {
    let switched = Arc::clone(switched);
    let config = AsyncConnectionConfig::new().set_push_sender(move |_: PushInfo| {
        switched.notify_one();
        Ok::<_, ()>(())
    });
    let mut link = converse(at, server.wiring(), config).await?;
    link.0.subscribe(SWITCHED).await?;
    Ok(link)
}
