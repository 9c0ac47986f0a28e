//! People in the far region are told when the far region's own copy of a purge is everywhere there (PROTOCOL 39d).

use futures_util::stream::{StreamExt, unfold};
use tokio::sync::mpsc;

use crate::log::{PurgeRecord, Purges};
use crate::position::Position;

/// How many are waited for at a time.
const AT_ONCE: usize = 1_024;

/// A record that was appended there and owes an announcement.
#[derive(Debug)]
pub(crate) struct Owed {
    pub(super) record: PurgeRecord,
    pub(super) position: Position,
}

/// Announces what `owed` brings, in its order, until nobody is left who owes anything.
pub(super) async fn announce_each(to: &Purges, owed: mpsc::Receiver<Owed>) {
    let owed = unfold(owed, async |mut owed| Some((owed.recv().await?, owed)));
    let due = owed.map(async |owed: Owed| {
        // Where the log became another, the relay purges everything there, and says so.
        let due = to.is_due(&owed.record, owed.position).await;
        due.then_some(owed)
    });
    let announced = due.buffered(AT_ONCE).for_each(async |due| {
        if let Some(Owed { record, position }) = due {
            to.announce_owed(&record, position).await;
        }
    });
    announced.await;
}
