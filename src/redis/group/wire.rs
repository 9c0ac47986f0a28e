//! The connections of one consumer, and what an answer means.

use std::time::Duration;

use ::redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use parking_lot::Mutex;

use crate::error::{Error, ErrorKind};
use crate::redis::conn::Server;
use crate::redis::connection::Connection;

/// The connections to the server of one stream.
#[derive(Debug)]
pub(super) struct Wire {
    server: Server,
    /// For messages.
    stream: Box<str>,
    // Connections are made when first used and dropped by `disconnect`. The locks are held only to
    // clone or replace a handle.
    commands: Slot,
    waiting: Slot,
}

impl Wire {
    pub(super) fn new(server: Server, stream: &str) -> Self {
        Self {
            server,
            stream: stream.into(),
            commands: Slot::default(),
            waiting: Slot::default(),
        }
    }

    /// The connection for commands that may block for as long as they like.
    pub(super) async fn waiting(&self) -> Result<Connection, Error> {
        self.waiting.connection(&self.server).await
    }

    /// Drops the connections; the next command makes new ones.
    pub(super) fn disconnect(&self) {
        self.commands.clear();
        self.waiting.clear();
    }

    pub(super) async fn rest(&self, wait: Duration) {
        self.server.pulse().rest(wait).await;
    }

    pub(super) fn silent(&self) -> Error {
        let message = format!("no answer from {} while waiting", self.server);
        Error::new(ErrorKind::Timeout, message)
    }

    /// How long an answer to a command may take that names no other time.
    pub(super) fn budget(&self) -> Duration {
        self.server.budgets().purge
    }

    pub(super) async fn query(&self, command: &Cmd) -> Result<RedisResult<Value>, Error> {
        self.query_within(command, self.budget()).await
    }

    /// The answer to `command`, which may take as long as `patience`.
    ///
    /// # Errors
    /// None in time: what comes later belongs to nobody, so the caller disconnects.
    pub(super) async fn query_within(
        &self,
        command: &Cmd,
        patience: Duration,
    ) -> Result<RedisResult<Value>, Error> {
        let connection = self.commands.connection(&self.server).await?;
        let to = &mut connection.to.clone();
        let answer = self.heard(&connection, patience, command.query_async(to));
        answer.await?.ok_or_else(|| self.late(patience))
    }

    /// Sends several commands at once: an answer to each.
    pub(super) async fn query_all(
        &self,
        pipe: &Pipeline,
        operation: &str,
        patience: Duration,
    ) -> Result<Vec<RedisResult<Value>>, Error> {
        let connection = self.commands.connection(&self.server).await?;
        let to = &mut connection.to.clone();
        let answers = self.heard(&connection, patience, pipe.query_async(to));
        let answers = answers.await?.ok_or_else(|| self.late(patience))?;
        answers.map_err(|error| self.error(operation, error))
    }

    /// The `answer` that comes by `connection`; nothing if none comes within `patience`.
    ///
    /// # Errors
    /// The Sentinels name another master meanwhile: whatever the old one still says is of no use.
    pub(super) async fn heard<T>(
        &self,
        connection: &Connection,
        patience: Duration,
        answer: impl Future<Output = T>,
    ) -> Result<Option<T>, Error> {
        tokio::select! {
            answer = tokio::time::timeout(patience, answer) => Ok(answer.ok()),
            () = self.server.switch(connection) => {
                let message = format!("stream `{}`: another server is the master now", self.stream);
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }

    fn late(&self, patience: Duration) -> Error {
        let message = format!(
            "stream `{}`: {} did not answer within {patience:?}",
            self.stream, self.server
        );
        Error::new(ErrorKind::Timeout, message)
    }

    pub(super) async fn run(&self, command: &Cmd, operation: &str) -> Result<Value, Error> {
        let reply = self.query(command).await?;
        reply.map_err(|error| self.error(operation, error))
    }

    /// The reply, or `None` if the stream or the group does not exist.
    pub(super) fn unless_gone(
        &self,
        operation: &str,
        reply: RedisResult<Value>,
    ) -> Result<Option<Value>, Error> {
        match reply {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(self.error(operation, error)),
        }
    }

    pub(super) fn parts<T, const N: usize>(&self, parts: Vec<T>) -> Result<[T; N], Error> {
        parts.try_into().map_err(|_| self.nonsense())
    }

    pub(super) fn understand<T>(&self, parsed: Option<T>) -> Result<T, Error> {
        parsed.ok_or_else(|| self.nonsense())
    }

    fn nonsense(&self) -> Error {
        let message = format!(
            "{} answered a stream command in an unknown form",
            self.server
        );
        Error::new(ErrorKind::Protocol, message)
    }

    pub(super) fn error(&self, operation: &str, error: RedisError) -> Error {
        let operation = format!("stream `{}`: {operation}", self.stream);
        self.server.error(&operation, error)
    }
}

/// One connection, made when it is needed.
#[derive(Debug, Default)]
struct Slot {
    connection: Mutex<Option<Connection>>,
    /// Held by who makes one: commands that are sent at once share it.
    making: tokio::sync::Mutex<()>,
}

impl Slot {
    async fn connection(&self, server: &Server) -> Result<Connection, Error> {
        let usable = |known: &Connection| !server.has_left(known) && !known.is_of_age();
        let known = self.connection.lock().clone();
        if let Some(known) = known.filter(usable) {
            return Ok(known);
        }
        let _making = self.making.lock().await;
        let known = self.connection.lock().clone();
        let made = match known.filter(|known| !server.has_left(known)) {
            Some(known) if !known.is_of_age() => return Ok(known),
            Some(known) => match server.connect_beside().await {
                Ok(Some(younger)) => younger,
                // As many are open as may be: first this one has to go.
                Ok(None) => {
                    self.clear();
                    drop(known);
                    server.connect().await?
                }
                Err(_) => {
                    known.stays();
                    return Ok(known);
                }
            },
            None => {
                self.clear();
                server.connect().await?
            }
        };
        Ok(self.connection.lock().insert(made).clone())
    }

    fn clear(&self) {
        *self.connection.lock() = None;
    }
}

pub(super) fn is_gone(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
        || error
            .detail()
            .is_some_and(|detail| detail.starts_with("no such key"))
}
