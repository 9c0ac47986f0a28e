//! Redis Cluster: which node has what, and a connection to each.
//!
//! Two uses, which differ in what a wrong answer costs:
//!
//! - **Entries** lie over all slots. They are asked for where the last known map says, and a node that knows better says so
//!   (`MOVED`, `ASK`): that costs a round trip, never truth, since the purge log judges each entry.
//! - **The purge log** and each event stream lie in one slot. Their own connections are made to the primary that most primaries
//!   [name](Cluster::primary), as a single one may have been left behind by the others; there `MOVED` ends the trust
//!   (PROTOCOL 8).
//!
//! The client's own cluster connection is not used: it stops all requests while it asks for a new map, for as long as a dead
//! node takes to be given up, and takes neither our certificates nor our limits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::redis::{Pipeline, RedisResult, Value};
use arc_swap::ArcSwap;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::log::Trouble;
use crate::redis::address::HostPort;
use crate::redis::fault::{self, Fault};
use crate::redis::votes::Votes;

mod dial;
mod lane;
mod redirect;
mod refresh;
mod slots;

pub(super) use self::dial::Dial;
use self::lane::Lane;
use self::redirect::{Redirect, redirect};
use self::slots::SlotMap;
pub(super) use self::slots::{Slot, hash_tag};

/// So often one request is sent on to the node that is said to have its key.
const REDIRECTS: usize = 4;
/// How long one node may take to say who has what.
const PATIENCE: Duration = Duration::from_millis(300);
/// So many nodes are asked at a time; of more, some by chance.
const ASKED: usize = 15;

/// What a connection to a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Reads,
    /// Its own, so that a lookup does not wait behind a large body on its way.
    Writes,
}

/// The nodes of one Redis Cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Those that the URL names.
    seeds: Vec<HostPort>,
    map: ArcSwap<SlotMap>,
    nodes: Mutex<HashMap<HostPort, Node>>,
    /// When the map was last asked for. Held by whoever asks.
    asked: tokio::sync::Mutex<Option<Instant>>,
    /// A task asks for it.
    refreshing: AtomicBool,
}

#[derive(Debug, Clone)]
struct Node {
    reads: Arc<Lane>,
    writes: Arc<Lane>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<HostPort>) -> Self {
        Self {
            seeds,
            map: ArcSwap::default(),
            nodes: Mutex::default(),
            asked: tokio::sync::Mutex::default(),
            refreshing: AtomicBool::new(false),
        }
    }

    /// Sends `pipe`, whose commands are all about keys of `slot`, to the node that has it; an answer to each.
    ///
    /// # Errors
    /// The node cannot be asked, or does not answer by `deadline`; or nobody has the slot.
    pub(super) async fn ask(
        &self,
        server: &impl Dial,
        to: Use,
        slot: Slot,
        deadline: Instant,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        let mut at = self.owner(server, slot, deadline).await?;
        let (mut asking, mut again) = (false, true);
        for _ in 0..REDIRECTS {
            let answer = self.ask_at(server, to, &at, deadline, pipe, asking).await;
            let answer = match answer {
                // An idle connection notices only now that it is over.
                Err(error) if error.kind() == ErrorKind::Unavailable && again => {
                    again = false;
                    continue;
                }
                Err(error) => {
                    self.refresh_behind(server);
                    return Err(error);
                }
                Ok(answer) => answer,
            };
            match redirect(&answer, &at) {
                None => return self.unless_down(server, &at, answer),
                Some(Redirect::Moved(to)) => {
                    self.map.rcu(|map| map.with(slot, &to));
                    self.refresh_behind(server);
                    (at, asking) = (to, false);
                }
                Some(Redirect::Ask(to)) => (at, asking) = (to, true),
            }
        }
        let message = format!("redis at {server}: slot {slot} is passed from node to node");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// The primary of the slot of `key`: the one that more than half of all primaries name now.
    ///
    /// # Errors
    /// They do not name one.
    pub(super) async fn primary(&self, server: &impl Dial, key: &str) -> RedisResult<HostPort> {
        if self.map.load().primaries().is_empty() {
            self.refresh(server).await?;
        }
        match self.vote(server, key).await {
            Ok(primary) => Ok(primary),
            // All may have other addresses by now.
            Err(_) => {
                self.refresh(server).await?;
                self.vote(server, key).await
            }
        }
    }

    /// Asks the primaries for `key`: whoever has it answers, and the others say who does.
    async fn vote(&self, server: &impl Dial, key: &str) -> RedisResult<HostPort> {
        let primaries = self.some_primaries();
        let deadline = Instant::now() + PATIENCE;
        let mut question = ::redis::pipe();
        // The question that the log is asked anyway; for any type of key it says who has it.
        let ask = question.cmd("XREVRANGE").arg(key).arg("+").arg("-");
        ask.arg("COUNT").arg(1);
        let question = &question;
        let asked = primaries.iter().map(|at| async move {
            let reads = Use::Reads;
            let answer = self.ask_at(server, reads, at, deadline, question, false);
            (at, answer.await)
        });
        let mut votes = Votes::of(primaries.len());
        let mut asked: FuturesUnordered<_> = asked.collect();
        while let Some((at, answer)) = asked.next().await {
            let named = answer.and_then(|answer| match redirect(&answer, at) {
                Some(Redirect::Moved(to)) => Ok(to),
                // What is on its way to another is still this one's.
                Some(Redirect::Ask(_)) => Ok(at.clone()),
                None => self.unless_down(server, at, answer).map(|_| at.clone()),
            });
            match named {
                Ok(named) => {
                    if let Some(primary) = votes.name(named) {
                        return Ok(primary);
                    }
                }
                Err(error) => votes.abstain(error.to_string()),
            }
        }
        let slot = Slot::of(key);
        let what = format!("Cluster: no more than half of its primaries say who has slot {slot}");
        Err(votes.undecided(&what))
    }

    /// All primaries that are known; of many, some by chance.
    fn some_primaries(&self) -> Vec<HostPort> {
        let mut primaries = self.map.load().primaries().to_vec();
        fastrand::shuffle(&mut primaries);
        primaries.truncate(ASKED);
        primaries
    }

    async fn ask_at(
        &self,
        server: &impl Dial,
        to: Use,
        at: &HostPort,
        deadline: Instant,
        pipe: &Pipeline,
        asking: bool,
    ) -> Result<Vec<Value>, Error> {
        let node = self.node(at);
        let lane = match to {
            Use::Reads => &node.reads,
            Use::Writes => &node.writes,
        };
        if !asking {
            return lane.ask(server, deadline, pipe).await;
        }
        let mut asked = ::redis::pipe();
        for command in pipe.cmd_iter() {
            asked.cmd("ASKING");
            asked.add_command(command.clone());
        }
        let answer = lane.ask(server, deadline, &asked).await?;
        Ok(answer.into_iter().skip(1).step_by(2).collect())
    }

    fn node(&self, at: &HostPort) -> Node {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.get(at) {
            return node.clone();
        }
        let node = Node {
            reads: Arc::new(Lane::new(at.clone())),
            writes: Arc::new(Lane::new(at.clone())),
        };
        nodes.insert(at.clone(), node.clone());
        node
    }

    /// Where `slot` is, as far as is known.
    async fn owner(
        &self,
        server: &impl Dial,
        slot: Slot,
        deadline: Instant,
    ) -> Result<HostPort, Error> {
        if let Some(owner) = self.map.load().owner(slot) {
            return Ok(owner.clone());
        }
        let refreshed = tokio::time::timeout_at(deadline, self.refresh(server)).await;
        if let Ok(Err(error)) = refreshed {
            return Err(server.error("look for its nodes", error));
        }
        let owner = self.map.load().owner(slot).cloned();
        owner.ok_or_else(|| {
            let message = format!("redis at {server}: no node is known to have slot {slot}");
            Error::new(ErrorKind::Unavailable, message)
        })
    }

    /// The nodes that cannot be used.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let nodes = self.nodes.lock();
        let lanes = nodes.values().flat_map(|node| [&node.reads, &node.writes]);
        lanes.filter_map(|lane| lane.trouble()).collect()
    }

    /// `answer`, unless it says that the node `at` cannot be used now.
    fn unless_down(
        &self,
        server: &impl Dial,
        at: &HostPort,
        answer: Vec<Value>,
    ) -> Result<Vec<Value>, Error> {
        let mut errors = answer.iter().filter_map(fault::error_in);
        match errors.find(|error| Fault::of(error).loses_trust) {
            Some(error) => {
                self.refresh_behind(server);
                Err(server.error(&format!("node {at}"), error))
            }
            None => Ok(answer),
        }
    }
}
