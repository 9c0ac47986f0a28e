//! Purges that nobody gives up: for events.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{GRACE, late};
use crate::log::pending::Ticket;
use crate::log::purges::{Patience, Purges};
use crate::log::{Doubt, PurgeRecord};
use crate::position::Position;
use crate::tag::{PurgeKind, Target};

impl Purges {
    /// As [`purge`](Self::purge) of each of `purges`, and returns when they are acknowledged, however long that takes: what
    /// the log does not take now is appended by the companion.
    ///
    /// # Cancel safety
    /// As of [`purge`](Self::purge).
    pub(crate) async fn purge_until_acknowledged(
        &self,
        purges: Vec<(PurgeKind, Vec<Target>)>,
        settle: Duration,
    ) {
        let purges = purges.into_iter();
        let records = purges.map(|(kind, targets)| self.record(kind, targets, settle));
        let records: Vec<_> = records.collect();
        self.append_each_until_acknowledged(&records).await;
    }

    /// Appends `records` in this order and in one write; where each is. What the log does not take so is appended later, in
    /// any order.
    pub(super) async fn append_each_until_acknowledged(
        &self,
        records: &[PurgeRecord],
    ) -> Vec<Position> {
        match records {
            [] => return Vec::new(),
            [record] => return vec![self.append_until_acknowledged(record).await],
            _ => {}
        }
        let begin = |record| self.views.pending.begin(record);
        let tickets: Vec<Ticket<'_>> = records.iter().map(begin).collect();
        let appended = self.try_each(records, &tickets).await;
        // Those that are left wait in this order.
        let mut waiting = Vec::with_capacity(records.len());
        for (ticket, position) in tickets.into_iter().zip(appended) {
            match position {
                Some(position) => {
                    ticket.appended(position);
                    waiting.push(Ok(position));
                }
                None => waiting.push(Err(ticket.in_log())),
            }
        }
        let mut positions = Vec::with_capacity(records.len());
        for (record, appended) in records.iter().zip(waiting) {
            positions.push(match appended {
                Ok(position) => position,
                Err(in_log) => match in_log.await {
                    Ok(position) => position,
                    // It was forgotten: it is made again.
                    Err(_) => self.append_until_acknowledged(record).await,
                },
            });
        }
        positions
    }

    /// Appends `records` once; where each is that is acknowledged.
    async fn try_each(
        &self,
        records: &[PurgeRecord],
        tickets: &[Ticket<'_>],
    ) -> Vec<Option<Position>> {
        let joins = self.joins();
        let appending = self.log.append_each(records, None);
        let appended = match timeout(self.budget + GRACE, appending).await {
            Ok(Ok(Some(appended))) => appended,
            Ok(Ok(None)) => Vec::new(),
            Ok(Err(error)) => {
                drop(self.pending(error));
                Vec::new()
            }
            Err(elapsed) => {
                drop(self.pending(late(elapsed)));
                Vec::new()
            }
        };
        let mut positions = vec![None; records.len()];
        let results = records.iter().zip(tickets).zip(appended);
        for (((record, ticket), appended), position) in results.zip(&mut positions) {
            if !appended.durable {
                self.views.apply_own(appended.position, record);
                ticket.set_logged(Some(appended.position));
            } else if self.acknowledged(appended, record, joins) {
                *position = Some(appended.position);
            }
        }
        positions
    }

    pub(super) async fn append_until_acknowledged(&self, record: &PurgeRecord) -> Position {
        loop {
            let ticket = self.views.pending.begin(record);
            let in_log = ticket.in_log();
            match self
                .append(record, std::slice::from_ref(&ticket), Patience::None)
                .await
            {
                Ok(appended) => {
                    ticket.appended(appended.position);
                    return appended.position;
                }
                Err(error) => drop(self.pending(error)),
            }
            drop(ticket);
            // An error would mean that it was forgotten: it is made again.
            if let Ok(position) = in_log.await {
                return position;
            }
        }
    }

    /// Counts `targets` as purged at every moment, here, until the answer is dropped.
    pub(crate) fn doubt(&self, kind: PurgeKind, targets: Vec<Target>) -> Doubt {
        let record = self.record(kind, targets, Duration::ZERO);
        let number = self.views.pending.doubt(&record);
        let views = Arc::clone(&self.views);
        Doubt::new(Box::new(move || views.pending.trust(number)))
    }
}
