//! Questions to a server, each with a time limit, and all together.

use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, Pipeline, RedisError, Value, from_redis_value};
use tokio::time::{Instant, timeout_at};

use crate::redis::connection::Connection;
use crate::redis::fault;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many questions without an answer, and no more are asked.
const SILENT: u32 = 2;

/// What is asked over one connection.
#[derive(Debug)]
pub(super) struct Questions {
    connection: Connection,
    until: Instant,
    silent: u32,
    /// How the connection ended, if it did.
    ended: Option<RedisError>,
}

/// What came of a question.
#[derive(Debug)]
pub(super) enum Heard<T> {
    Told(T),
    Refused(RedisError),
    /// None in time.
    Silence,
}

impl<T> Heard<T> {
    pub(super) fn told(self) -> Option<T> {
        match self {
            Self::Told(told) => Some(told),
            _ => None,
        }
    }

    /// The server knows the command and lets us send it: what it said against it was about something else.
    pub(super) fn is_answered(&self) -> Option<bool> {
        match self {
            Self::Told(_) => Some(true),
            Self::Refused(error) => Some(!is_denied(error)),
            Self::Silence => None,
        }
    }
}

/// It may not be sent, or is not known there.
pub(super) fn is_denied(error: &RedisError) -> bool {
    let unknown = error
        .detail()
        .is_some_and(|why| why.to_ascii_lowercase().starts_with("unknown "));
    matches!(error.code(), Some("NOPERM" | "NOAUTH")) || unknown
}

impl Questions {
    /// Asks over `connection`, and nothing more after `until`.
    pub(super) const fn over(connection: Connection, until: Instant) -> Self {
        Self {
            connection,
            until,
            silent: 0,
            ended: None,
        }
    }

    /// The server has left questions unanswered.
    pub(super) const fn went_silent(&self) -> bool {
        self.silent >= SILENT
    }

    /// How the connection ended, if it did.
    pub(super) const fn take_end(&mut self) -> Option<RedisError> {
        self.ended.take()
    }

    /// Asks with these words.
    pub(super) async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> Heard<T> {
        let mut pipe = ::redis::pipe();
        let mut command = Cmd::new();
        command.arg(words);
        pipe.add_command(command);
        match self.ask_all(&pipe).await.map(|mut all| all.pop()) {
            Some(Some(value)) => match fault::error_in(&value) {
                Some(error) => Heard::Refused(error),
                // What cannot be understood is not known.
                None => from_redis_value(value).map_or(Heard::Silence, Heard::Told),
            },
            _ => Heard::Silence,
        }
    }

    /// The answers to all of `pipe`, errors among them; nothing if they do not come.
    pub(super) async fn ask_all(&mut self, pipe: &Pipeline) -> Option<Vec<Value>> {
        let until = self.until.min(Instant::now() + PATIENCE);
        if self.went_silent() || until <= Instant::now() {
            self.silent = SILENT;
            return None;
        }
        let asked = self.connection.to.send_packed_commands(pipe, 0, pipe.len());
        match timeout_at(until, asked).await {
            Ok(Ok(answers)) => Some(answers),
            Ok(Err(error)) => {
                self.silent = SILENT;
                self.ended = Some(error);
                None
            }
            Err(_) => {
                self.silent += 1;
                None
            }
        }
    }
}
