//! [`Told`]: a message that was told in this process, shared by all who receive it.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;

use super::{ResyncReason, UpdateMessage};
use crate::update::{Update, UpdateCursor};

/// A message that was told in this process.
#[derive(Debug)]
pub(crate) struct Told {
    /// `None` to those who are only to look whether they go on.
    pub(crate) message: Option<UpdateMessage>,
    /// Up to where whoever has it has been told everything; `None` where the log was never reached.
    pub(crate) through: Option<UpdateCursor>,
    frame: OnceLock<ClientFrame>,
}

/// A message as it is sent to clients.
#[derive(Debug, Clone)]
pub(crate) struct ClientFrame {
    /// The name that it goes by.
    pub(crate) event: Box<str>,
    /// As server-sent event.
    pub(crate) sse: Bytes,
    /// Its JSON alone.
    pub(crate) json: Bytes,
}

impl Told {
    pub(super) fn new(message: UpdateMessage) -> Self {
        let through = match &message {
            UpdateMessage::Update(announcement) => Some(announcement.id.into()),
            UpdateMessage::Resync(resync) => match &resync.reason {
                ResyncReason::Announced(announcement) => Some(announcement.id.into()),
                _ => resync.position.map(UpdateCursor::from),
            },
        };
        Self {
            message: Some(message),
            through,
            frame: OnceLock::new(),
        }
    }

    /// Nothing, for those who are to look whether they go on.
    pub(super) const fn nothing() -> Self {
        Self {
            message: None,
            through: None,
            frame: OnceLock::new(),
        }
    }

    /// Whether it is for somebody who wants the updates that `wants` says: a resync is for all.
    pub(crate) fn concerns(&self, wants: impl Fn(&Update) -> bool) -> bool {
        match &self.message {
            Some(UpdateMessage::Update(announcement)) => wants(&announcement.update),
            Some(UpdateMessage::Resync(_)) => true,
            None => false,
        }
    }

    /// The message as `write` writes it under the name `event`: made once for all who send it under that name.
    pub(crate) fn frame(
        &self,
        event: &str,
        write: impl Fn() -> ClientFrame,
    ) -> Cow<'_, ClientFrame> {
        let frame = self.frame.get_or_init(&write);
        match *frame.event == *event {
            true => Cow::Borrowed(frame),
            // Another name than that of who was first.
            false => Cow::Owned(write()),
        }
    }
}
