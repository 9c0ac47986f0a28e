//! A replica follows its master: all of its data first, or what it missed, then each change.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};

use super::resp::{Command, Parser, write_command};
use super::state::{ACKNOWLEDGE_EVERY, Role, State};
use super::{PORT, Server};
use crate::simulation::network::{Host, Stream};

/// How long a master that says nothing is waited for.
const REPL_TIMEOUT: Duration = Duration::from_secs(60);

fn words<const N: usize>(parts: [String; N]) -> Command {
    parts.map(String::into_bytes).into()
}

fn word(command: &Command, at: usize) -> &str {
    command
        .get(at)
        .map_or("", |part| std::str::from_utf8(part).unwrap_or_default())
}

fn number(command: &Command, at: usize) -> u64 {
    word(command, at).parse().unwrap_or(0)
}

/// A replica that was taken in.
struct Replica {
    number: u64,
    /// Of the master's roles.
    turns: u64,
    /// Up to where it is told.
    sent: u64,
}

/// A whole copy on its way to a replica.
#[derive(Default)]
struct Copying {
    /// Changes that are still to come.
    owed: u64,
    here: Vec<Command>,
    /// What the replica is, once all are here.
    begin: Option<(String, u64)>,
}

impl Copying {
    fn take(&mut self, state: &mut State, command: Command) {
        match word(&command, 0) {
            "CONTINUE" => state.replid = word(&command, 1).to_owned(),
            "FULL" => {
                self.owed = number(&command, 3);
                self.begin = Some((word(&command, 1).to_owned(), number(&command, 2)));
            }
            _ if self.owed > 0 => {
                self.here.push(command);
                self.owed -= 1;
                if self.owed == 0 {
                    self.here
                        .drain(..)
                        .for_each(|change| state.db.apply(&change));
                    (state.replid, state.offset) = self.begin.take().unwrap_or_default();
                    state.backlog.clear();
                }
            }
            _ => state.make(command),
        }
    }
}

impl Server {
    /// The master's side of a connection to a replica.
    pub(super) async fn feed(self, stream: Stream, command: &Command, mut parser: Parser) {
        let mut out = Vec::new();
        let Some(Replica {
            number: number_of,
            turns,
            mut sent,
        }) = self.take_in(command, &mut out)
        else {
            return;
        };
        let (mut from, mut to) = split(stream);
        let hears = async {
            let mut buffer = vec![0; 512];
            loop {
                while let Some(command) = parser.next() {
                    self.state
                        .lock()
                        .acknowledged(number_of, number(&command, 1));
                    self.acknowledged.notify_waiters();
                }
                match from.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(some) => parser.take(&buffer[..some]),
                }
            }
        };
        let tells = async {
            loop {
                let changed = self.changed.notified();
                {
                    let state = self.state.lock();
                    if state.turns != turns {
                        return;
                    }
                    for (at, change) in &state.backlog {
                        if *at > sent {
                            write_command(change, &mut out);
                            sent = *at;
                        }
                    }
                }
                if !out.is_empty() && to.write_all(&out).await.is_err() {
                    return;
                }
                out.clear();
                changed.await;
            }
        };
        tokio::select! {
            biased;
            () = hears => {}
            () = tells => {}
        }
        self.state.lock().detach(number_of);
    }

    /// A replica asks to go on from where it is: writes what it is told first. Nothing if this is no master.
    fn take_in(&self, command: &Command, out: &mut Vec<u8>) -> Option<Replica> {
        let (replid, offset, host) = (word(command, 1), number(command, 2), number(command, 3));
        let mut state = self.state.lock();
        if state.role != Role::Master {
            return None;
        }
        let number = state.attach(usize::try_from(host).unwrap_or(0));
        let mut sent = offset;
        if state.can_continue(replid, offset) {
            write_command(&words(["CONTINUE".into(), state.replid.clone()]), out);
        } else {
            let changes = state.db.changes();
            let (offset, number) = (state.offset.to_string(), changes.len().to_string());
            let begin = ["FULL".into(), state.replid.clone(), offset, number];
            write_command(&words(begin), out);
            for change in &changes {
                write_command(change, out);
            }
            sent = state.offset;
        }
        Some(Replica {
            number,
            turns: state.turns,
            sent,
        })
    }

    /// Follows the master for as long as it has one.
    pub(super) async fn replicate(&self) {
        loop {
            let role = {
                let state = self.state.lock();
                (state.role, state.turns)
            };
            if let (Role::ReplicaOf(master), turns) = role {
                let followed = self.follow(master, turns);
                tokio::select! {
                    biased;
                    () = followed => {}
                    () = self.turned(turns) => {}
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn turned(&self, turns: u64) {
        loop {
            let changed = self.changed.notified();
            if self.state.lock().turns != turns {
                return;
            }
            changed.await;
        }
    }

    async fn follow(&self, master: Host, turns: u64) {
        let connecting = self.network.connect(self.host, master, PORT);
        let Ok(Ok(mut stream)) = timeout(Duration::from_secs(5), connecting).await else {
            return;
        };
        let (mut out, mut parser, mut buffer) = (Vec::new(), Parser::default(), vec![0; 4_096]);
        let asks = {
            let state = self.state.lock();
            [
                "PSYNC".into(),
                state.replid.clone(),
                state.offset.to_string(),
                self.host.to_string(),
            ]
        };
        write_command(&words(asks), &mut out);
        let (mut copying, mut silent) = (Copying::default(), Duration::ZERO);
        loop {
            if !out.is_empty() && stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
            match timeout(ACKNOWLEDGE_EVERY, stream.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(some)) => {
                    parser.take(&buffer[..some]);
                    silent = Duration::ZERO;
                }
                Err(_) => silent += ACKNOWLEDGE_EVERY,
            }
            if silent >= REPL_TIMEOUT {
                return;
            }
            while let Some(command) = parser.next() {
                let mut state = self.state.lock();
                if state.turns != turns {
                    return;
                }
                copying.take(&mut state, command);
            }
            if copying.begin.is_none() {
                let offset = self.state.lock().offset;
                write_command(&words(["ACK".into(), offset.to_string()]), &mut out);
            }
        }
    }
}
