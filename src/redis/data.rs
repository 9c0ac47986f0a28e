//! Where entries, chunks and claims are: beside the purge log, or over the nodes of a Cluster.

use std::time::Duration;

use ::redis::{Cmd, Pipeline, Value};
use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::error::Error;
use crate::redis::cluster::{Slot, Use};
use crate::redis::conn::Server;
use crate::redis::fault;
use crate::redis::link::Link;
use crate::redis::reply;

/// Where they are, and the connections for one use of them. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Data {
    /// On the server of the purge log, by a connection that is verified as its are.
    Beside(Link),
    /// Each on the node that has its slot.
    Spread(Server, Use),
}

/// A command, and the one key that it is about.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) key: String,
    pub(super) command: Cmd,
}

impl Data {
    /// Those of `server`, whose purge log `link` leads to.
    pub(super) fn of(server: &Server, link: &Link, to: Use) -> Self {
        match server.cluster() {
            Some(_) => Self::Spread(server.clone(), to),
            None => Self::Beside(link.clone()),
        }
    }

    /// Sends `pipe`, whose commands are all about `key`, in one write; an answer to each, which may be an error of the server.
    ///
    /// # Errors
    /// There is no connection, or no answer by `deadline`.
    pub(super) async fn ask(
        &self,
        deadline: Instant,
        key: &str,
        pipe: &Pipeline,
    ) -> Result<Vec<Value>, Error> {
        match self {
            Self::Beside(link) => {
                let live = link.verified(deadline).await?;
                link.ask(&live, deadline, pipe).await
            }
            Self::Spread(server, to) => {
                let cluster = server.cluster().expect("made for a Cluster");
                cluster
                    .ask(server, *to, Slot::of(key), deadline, pipe)
                    .await
            }
        }
    }

    /// Sends all `commands` at once; an answer to each, which may be an error of the server.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), for any of them.
    pub(super) async fn ask_each(
        &self,
        deadline: Instant,
        commands: Vec<Keyed>,
    ) -> Result<Vec<Value>, Error> {
        if let Self::Beside(_) = self {
            let mut pipe = Pipeline::with_capacity(commands.len());
            for one in commands {
                pipe.add_command(one.command);
            }
            return self.ask(deadline, "", &pipe).await;
        }
        let asked = commands.into_iter().map(|one| async move {
            let mut pipe = ::redis::pipe();
            pipe.add_command(one.command);
            let answer = self.ask(deadline, &one.key, &pipe).await?.pop();
            answer.ok_or_else(|| reply::malformed("answer"))
        });
        try_join_all(asked).await
    }

    /// Sends one command; its answer, within `budget`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); or that the server refuses the command.
    pub(super) async fn run(
        &self,
        doing: &str,
        budget: Duration,
        one: Keyed,
    ) -> Result<Value, Error> {
        match self {
            Self::Beside(link) => link.run(doing, budget, one.command).await,
            Self::Spread(server, _) => {
                let deadline = Instant::now() + budget;
                let answer = self.ask_each(deadline, vec![one]).await?.pop();
                let answer = answer.ok_or_else(|| reply::malformed(doing))?;
                match fault::error_in(&answer) {
                    Some(error) => Err(server.error(doing, error)),
                    None => Ok(answer),
                }
            }
        }
    }
}
