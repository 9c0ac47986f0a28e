//! For those who follow what is told: from now on, or from where they were.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::Views;
use crate::log::updates::UpdateBoard;
use crate::log::{HistoryPage, Told};
use crate::position::Position;
use crate::update::UpdateCursor;
use crate::weaken::{ProtocolRule, weakened};

/// What is told from now on.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) receiver: broadcast::Receiver<Arc<Told>>,
    /// All that was announced up to here has been told before; `None` before the log was reached.
    pub(crate) position: Option<Position>,
}

/// Where somebody goes on who was told everything up to a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// At the message with this number of the history.
    History(u64),
    /// This process has not read as far yet, or nobody has.
    Ahead,
    /// The log was not reached yet.
    NotJoined,
    Lost(LossReason),
}

/// Why somebody cannot go on where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossReason {
    /// The log is another one since. Ids of other epochs are not compared.
    OtherEpoch,
    /// What came next is not kept any more.
    Forgotten,
}

/// What comes next in the history.
#[derive(Debug)]
pub(crate) enum NextTold {
    Page(HistoryPage),
    /// Nothing: the rest is still to be told.
    Live(Listening),
    /// What came next is not kept any more.
    Lost(Listening),
}

impl Views {
    /// Receives what is told from now on.
    pub(crate) fn listen(&self) -> Listening {
        self.listen_to(&self.updates.board.lock())
    }

    /// Records with updates move the view while the board is locked.
    fn listen_to(&self, board: &UpdateBoard) -> Listening {
        Listening {
            receiver: board.listen(),
            position: self.current().map(|view| view.position()),
        }
    }

    /// Up to where everything has been told, unless `receiver` has some of it still to take.
    pub(crate) fn told_up_to(&self, receiver: &broadcast::Receiver<Arc<Told>>) -> Option<Position> {
        let _board = self.updates.board.lock();
        let position = self.current().map(|view| view.position());
        position.filter(|_| receiver.is_empty())
    }

    /// Where somebody goes on who was told everything up to `cursor`.
    pub(crate) fn resume(&self, cursor: UpdateCursor) -> Resumption {
        let board = self.updates.board.lock();
        let Some(here) = self.current().map(|view| view.position()) else {
            return Resumption::NotJoined;
        };
        if cursor.position.epoch != here.epoch && !weakened(ProtocolRule::ResumeEpoch) {
            return Resumption::Lost(LossReason::OtherEpoch);
        }
        if cursor.position.ordinal > here.ordinal && !weakened(ProtocolRule::ResumeAhead) {
            return Resumption::Ahead;
        }
        match board.history.behind(cursor) {
            Some(number) => Resumption::History(number),
            None => Resumption::Lost(LossReason::Forgotten),
        }
    }

    /// What comes from the number `from` of the history on, at most `most`.
    pub(crate) fn next_told(&self, from: u64, most: usize) -> NextTold {
        let board = self.updates.board.lock();
        match board.history.page(from, most) {
            None => NextTold::Lost(self.listen_to(&board)),
            Some(page) if page.told.is_empty() => NextTold::Live(self.listen_to(&board)),
            Some(page) => NextTold::Page(page),
        }
    }
}
