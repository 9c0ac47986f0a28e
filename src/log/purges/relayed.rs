//! Announcing what a relay has brought (PROTOCOL 39d).

use super::Purges;
use crate::log::PurgeRecord;
use crate::position::Position;

impl Purges {
    /// Waits until `record`, which is in the log at `position`, is everywhere and has settled. `false`: the log is another
    /// one by now.
    pub(crate) async fn is_due(&self, record: &PurgeRecord, position: Position) -> bool {
        let records = std::slice::from_ref(record);
        let Some(everywhere) = self.everywhere(records, position).await else {
            return false;
        };
        self.let_settle(record.settle, everywhere).await;
        true
    }

    /// Announces what `record` at `position` owes, however long the log does not take it. `None`: it is another one by now.
    ///
    /// # Cancel safety
    /// Any node announces it, later.
    pub(crate) async fn announce_owed(
        &self,
        record: &PurgeRecord,
        position: Position,
    ) -> Option<Position> {
        let records = std::slice::from_ref(record);
        self.announce_until_done(records, &[position]).await
    }
}
