//! A Redis server of the simulation: what `src/redis` needs of Redis 7.0, over simulated connections.
//!
//! It is held to the behaviour of a real one by the contract suites and by random commands that both are given (`real.rs`).

pub(super) mod commands;
pub(super) mod db;
mod replication;
pub(super) mod resp;
mod script;
pub(super) mod sentinel;
pub(super) mod state;
pub(super) mod stream;
mod stream_commands;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use self::commands::Outcome;
use self::db::Db;
use self::resp::{Answer, Command, Parser};
use self::state::{Role, State};
use super::network::{Host, Network, Stream};
use crate::sync::Process;

pub(super) const PORT: u16 = 6379;
/// What blocks is late by up to so much.
const LATE_MS: u64 = 100;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) state: Arc<Mutex<State>>,
    network: Network,
    /// The present start of it, if it runs.
    process: Arc<Mutex<Option<Process>>>,
    /// Told of each change, of roles too.
    changed: Arc<Notify>,
    /// Told when a replica says how far it is.
    acknowledged: Arc<Notify>,
}

impl Server {
    pub(super) fn new(network: &Network, state: State) -> Self {
        Self {
            host: state.host,
            state: Arc::new(Mutex::new(state)),
            network: network.clone(),
            process: Arc::default(),
            changed: Arc::default(),
            acknowledged: Arc::default(),
        }
    }

    pub(super) fn start(&self) {
        let (network, from) = (self.network.clone(), self.host);
        let process = Process::new(Box::new(move |_: &str, port| {
            // Replicas are told the number of their master's machine.
            let (network, to) = (network.clone(), usize::from(port));
            Box::pin(async move {
                let stream = network.connect(from, to, PORT).await?;
                Ok(Box::new(stream) as Box<dyn crate::sync::Socket>)
            })
        }));
        let listener = self.network.listen(self.host, PORT);
        let this = self.clone();
        self.spawn_on(&process, async move {
            loop {
                let stream = listener.accept().await;
                let conversation = this.clone().converse(stream);
                tokio::spawn(crate::sync::owned(conversation));
            }
        });
        let this = self.clone();
        self.spawn_on(&process, async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                this.state.lock().cron();
            }
        });
        let this = self.clone();
        self.spawn_on(&process, async move { this.replicate().await });
        *self.process.lock() = Some(process);
    }

    fn spawn_on(&self, process: &Process, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(process.own(task));
    }

    pub(super) fn is_up(&self) -> bool {
        self.process.lock().is_some()
    }

    pub(super) fn process(&self) -> Option<Process> {
        self.process.lock().clone()
    }

    /// The process dies: its connections are closed.
    pub(super) fn kill(&self) {
        if let Some(process) = self.process.lock().take() {
            self.network.deaf(self.host);
            process.kill();
        }
    }

    /// The machine dies: nobody is told.
    pub(super) fn power_off(&self) {
        self.network.power_off(self.host);
        self.kill();
    }

    /// It starts anew, with these data.
    pub(super) fn restart(&self, db: Db) {
        self.network.power_on(self.host);
        self.state.lock().restart(db);
        self.start();
    }

    /// Changes something about it from outside.
    pub(super) fn meddle<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let done = what(&mut self.state.lock());
        self.changed.notify_waiters();
        done
    }

    pub(super) fn is_master(&self) -> bool {
        self.state.lock().role == Role::Master
    }

    /// Executes a command at once, as somebody at its console would.
    pub(super) fn run(&self, command: &[&str]) -> Answer {
        let command: Command = command
            .iter()
            .map(|part| part.as_bytes().to_vec())
            .collect();
        let outcome = self.meddle(|state| state.execute(&command));
        match outcome {
            Outcome::Answer(answer) => answer,
            _ => Answer::error("ERR it would block"),
        }
    }

    async fn converse(self, mut stream: Stream) {
        let (mut parser, mut out, mut buffer) = (Parser::default(), Vec::new(), vec![0; 4_096]);
        // Up to where the client has written.
        let mut written = 0;
        loop {
            while let Some(command) = parser.next() {
                if command.first().is_some_and(|name| name == b"PSYNC") {
                    return self.feed(stream, &command, parser).await;
                }
                let (outcome, turns) = {
                    let mut state = self.state.lock();
                    let before = state.offset;
                    let outcome = state.execute(&command);
                    if state.offset != before {
                        written = state.offset;
                        self.changed.notify_waiters();
                    }
                    (outcome, state.turns)
                };
                let answer = match outcome {
                    Outcome::Answer(answer) => answer,
                    blocks => {
                        if stream.write_all(&out).await.is_err() {
                            return;
                        }
                        out.clear();
                        self.block(blocks, turns, written).await
                    }
                };
                answer.write(&mut out);
            }
            if !out.is_empty() && stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(some) => parser.take(&buffer[..some]),
            }
        }
    }

    /// Waits for what a command waits for; a change of role ends that.
    async fn block(&self, what: Outcome, turns: u64, written: u64) -> Answer {
        let late = Duration::from_millis(self.state.lock().random.u64(..LATE_MS));
        match what {
            Outcome::Answer(answer) => answer,
            Outcome::Read {
                key,
                after,
                most,
                wait,
            } => {
                let until = Instant::now() + wait + late;
                loop {
                    let changed = self.changed.notified();
                    {
                        let state = self.state.lock();
                        if state.turns != turns {
                            return Answer::error(
                                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                            );
                        }
                        let records = state.db.stream(&key);
                        if let Some(found) =
                            records.and_then(|records| commands::read(records, &key, after, most))
                        {
                            return found;
                        }
                    }
                    if timeout_at(until, changed).await.is_err() {
                        return Answer::NoList;
                    }
                }
            }
            Outcome::Replicas { number, wait } => {
                let until = Instant::now() + wait + late;
                loop {
                    let acknowledged = self.acknowledged.notified();
                    let have = {
                        let state = self.state.lock();
                        if state.turns != turns {
                            return Answer::error(
                                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
                            );
                        }
                        let has = state
                            .replicas
                            .iter()
                            .filter(|one| one.is_online && one.acknowledged >= written);
                        has.count()
                    };
                    if have >= number || timeout_at(until, acknowledged).await.is_err() {
                        return Answer::Number(i64::try_from(have).unwrap_or(0));
                    }
                }
            }
        }
    }
}
