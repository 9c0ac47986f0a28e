//! Asking the nodes of a Cluster who has what.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::redis::RedisResult;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::dial::Dial;
use super::slots::SlotMap;
use super::{Cluster, PATIENCE, Use};
use crate::redis::address::HostPort;
use crate::redis::fault;

/// The map is asked for at most so often.
const REFRESH_EVERY: Duration = Duration::from_millis(200);

impl Cluster {
    /// Asks for the map in a task of its own, as whoever noticed that it may be another one does not wait for that.
    pub(super) fn refresh_behind(&self, server: &impl Dial) {
        if self.refreshing.swap(true, Ordering::Relaxed) {
            return;
        }
        let refresh = Refresh(server.clone());
        tokio::spawn(async move {
            if let Some(cluster) = refresh.0.cluster() {
                let _ = cluster.refresh(&refresh.0).await;
            }
        });
    }

    /// Asks some of the nodes who has what; takes the first map.
    pub(super) async fn refresh(&self, server: &impl Dial) -> RedisResult<()> {
        let before = Instant::now();
        let mut asked = self.asked.lock().await;
        // Somebody else did meanwhile, or just before.
        if asked.is_some_and(|asked| asked > before || asked.elapsed() < REFRESH_EVERY) {
            return Ok(());
        }
        // Also where it comes to nothing.
        *asked = Some(Instant::now());
        let nodes = self.some_primaries();
        let map = match self.ask_for_map(server, &nodes).await {
            Some(Ok(map)) => map,
            _ => match self.ask_for_map(server, &self.seeds).await {
                Some(answer) => answer?,
                None => return Ok(()),
            },
        };
        let known = |at: &HostPort| map.primaries().contains(at);
        self.nodes.lock().retain(|at, _| known(at));
        self.map.store(Arc::new(map));
        Ok(())
    }

    /// The first map that one of `nodes` gives; `None` if there are none.
    async fn ask_for_map(
        &self,
        server: &impl Dial,
        nodes: &[HostPort],
    ) -> Option<RedisResult<SlotMap>> {
        let deadline = Instant::now() + PATIENCE.max(server.budgets().connect / 4);
        let mut question = ::redis::pipe();
        question.cmd("CLUSTER").arg("SLOTS");
        let question = &question;
        let asked = nodes.iter().map(|at| async move {
            let answer = self.ask_at(server, Use::Reads, at, deadline, question, false);
            let answer = answer.await.map_err(|error| error.to_string())?;
            let first = answer.first();
            if let Some(error) = first.and_then(fault::error_in) {
                return Err(format!("{at}: {}", not_a_node(&error)));
            }
            let map = first.and_then(|answer| SlotMap::parse(answer, at));
            let map = map.filter(|map| !map.primaries().is_empty());
            map.ok_or_else(|| format!("{at}: it is a node of no Cluster that has slots yet"))
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        let mut trouble = Vec::new();
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(map) => return Some(Ok(map)),
                Err(why) => trouble.push(why),
            }
        }
        if trouble.is_empty() {
            return None;
        }
        let why = format!("Cluster: no node says who has what: {}", trouble.join("; "));
        Some(Err(std::io::Error::other(why).into()))
    }
}

/// The task that asks for the map; its end is noted also when the runtime ends it early.
struct Refresh<D: Dial>(D);

impl<D: Dial> Drop for Refresh<D> {
    fn drop(&mut self) {
        if let Some(cluster) = self.0.cluster() {
            cluster.refreshing.store(false, Ordering::Relaxed);
        }
    }
}

/// What a server says that does not tell who has what.
fn not_a_node(error: &::redis::RedisError) -> String {
    let detail = error.detail().unwrap_or_default();
    if detail.contains("cluster support disabled") || detail.starts_with("unknown command") {
        return "it is a single server, no node of a Cluster: write redis://host:port".to_owned();
    }
    error.to_string()
}
