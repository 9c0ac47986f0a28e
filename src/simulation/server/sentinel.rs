//! A Sentinel of the simulation: says who the master is, and tells those who listen when that changes.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::resp::{Answer, Command, Parser};
use crate::simulation::network::{Host, Network, Stream};
use crate::sync::{Process, owned};

pub(in crate::simulation) const PORT: u16 = 26379;

/// Cheap to clone.
#[derive(Clone)]
pub(in crate::simulation) struct Sentinel {
    master: Arc<Mutex<Host>>,
    switched: Arc<Notify>,
}

impl Sentinel {
    pub(in crate::simulation) fn start(network: &Network, host: Host, master: Host) -> Self {
        let this = Self {
            master: Arc::new(Mutex::new(master)),
            switched: Arc::default(),
        };
        let (listener, serving) = (network.listen(host, PORT), this.clone());
        let process = Process::new(Box::new(|_: &str, _| {
            Box::pin(async { Err(std::io::ErrorKind::Unsupported.into()) })
        }));
        tokio::spawn(process.own(async move {
            loop {
                let stream = listener.accept().await;
                tokio::spawn(owned(serving.clone().converse(stream)));
            }
        }));
        this
    }

    pub(in crate::simulation) fn master(&self) -> Host {
        *self.master.lock()
    }

    pub(in crate::simulation) fn switch(&self, master: Host) {
        *self.master.lock() = master;
        self.switched.notify_waiters();
    }

    async fn converse(self, mut stream: Stream) {
        let (mut parser, mut buffer, mut listens) = (Parser::default(), vec![0; 512], false);
        loop {
            let switched = self.switched.notified();
            let mut out = Vec::new();
            while let Some(command) = parser.next() {
                listens |= command
                    .first()
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"SUBSCRIBE"));
                self.answer(&command).write(&mut out);
            }
            if !out.is_empty() && stream.write_all(&out).await.is_err() {
                return;
            }
            tokio::select! {
                biased;
                read = stream.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return,
                    Ok(some) => parser.take(&buffer[..some]),
                },
                () = switched, if listens => {
                    let push = Answer::Push(["message", "+switch-master", "main"].map(Answer::text).into());
                    let mut out = Vec::new();
                    push.write(&mut out);
                    if stream.write_all(&out).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn answer(&self, command: &Command) -> Answer {
        let name = command
            .first()
            .map(|name| name.to_ascii_uppercase())
            .unwrap_or_default();
        match name.as_slice() {
            b"HELLO" => Answer::Map(vec![
                (Answer::text("server"), Answer::text("redis")),
                (Answer::text("version"), Answer::text("7.0.15")),
                (Answer::text("proto"), Answer::Number(3)),
                (Answer::text("mode"), Answer::text("sentinel")),
            ]),
            b"SUBSCRIBE" => Answer::Push(vec![
                Answer::text("subscribe"),
                Answer::Text(command[1].clone()),
                Answer::Number(1),
            ]),
            b"SENTINEL" => {
                let master = *self.master.lock();
                Answer::List(vec![
                    Answer::text(format!("server-{master}")),
                    Answer::text("6379"),
                ])
            }
            _ => Answer::OK,
        }
    }
}
