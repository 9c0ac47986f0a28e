//! Asking for the state of a group, also where the server does not tell it.

use std::sync::atomic::Ordering;

use ::redis::{Cmd, Pipeline, RedisResult, Value, cmd, pipe};

use crate::error::{Error, ErrorKind};
use crate::redis::group::{Group, GroupState, reply};

impl Group {
    /// Asks for the state, and runs `command` in the same transaction.
    pub(super) async fn with_state<const N: usize>(
        &self,
        operation: &str,
        command: Option<Cmd>,
    ) -> Result<[RedisResult<Value>; N], Error> {
        let mut connection = self.wire.commands().await?;
        let mut pipe = pipe();
        pipe.atomic().ignore_errors();
        self.ask_state(&mut pipe);
        if let Some(command) = command {
            pipe.add_command(command);
        }
        match pipe.query_async(&mut *connection).await {
            Ok(replies) => self.wire.replies(replies),
            Err(error) => {
                let error = self.wire.error(operation, error);
                self.perhaps_go_blind(&error).await;
                Err(error)
            }
        }
    }

    /// The state, or `None` if the stream or the group is missing.
    pub(super) fn state(
        &self,
        stream: RedisResult<Value>,
        groups: RedisResult<Value>,
    ) -> Result<Option<GroupState>, Error> {
        let stream = self.wire.unless_gone("look at the stream", stream)?;
        let groups = self.wire.unless_gone("look at the group", groups)?;
        let (Some(stream), Some(groups)) = (stream, groups) else {
            return Ok(None);
        };
        if self.is_blind() {
            return self.wire.understand(reply::last(stream)).map(Some);
        }
        self.wire
            .understand(reply::state(&stream, &groups, &self.group))
    }

    pub(super) fn is_blind(&self) -> bool {
        self.blind.load(Ordering::Relaxed)
    }

    fn ask_state(&self, pipe: &mut Pipeline) {
        if self.is_blind() {
            // The last entry, to wait behind it. A missing group shows when it is read.
            pipe.cmd("XREVRANGE").arg(&*self.stream).arg("+").arg("-");
            pipe.arg("COUNT").arg(1);
            pipe.cmd("XLEN").arg(&*self.stream);
        } else {
            pipe.cmd("XINFO").arg("STREAM").arg(&*self.stream);
            pipe.cmd("XINFO").arg("GROUPS").arg(&*self.stream);
        }
    }

    /// If `XINFO` is denied, as managed servers may do, reads on without it: events are consumed as
    /// before, but nobody sees whether some were trimmed unread.
    async fn perhaps_go_blind(&self, error: &Error) {
        if !matches!(error.kind(), ErrorKind::Denied | ErrorKind::Protocol) || self.is_blind() {
            return;
        }
        let mut probe = cmd("XINFO");
        probe.arg("GROUPS").arg(&*self.stream);
        let answer = self.wire.run(&mut probe, "look at the group").await;
        if answer.is_err_and(|error| error.kind() == ErrorKind::Denied) {
            self.blind.store(true, Ordering::Relaxed);
            let stream = &*self.stream;
            tracing::warn!(
                stream,
                "XINFO is denied: events trimmed unread will not be noticed"
            );
        }
    }
}
