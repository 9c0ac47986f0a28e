//! Histories about the roll that chance hardly finds, step by step as `docs/PROTOCOL.md` tells them: with the rule none
//! serves what was purged, without it each does.

use std::time::Duration;

use tokio::time::sleep;

use super::check::Kind;
use super::node::{LEASE, Lookups, SETTLE, Side};
use super::origin::Ending;
use super::world::{PATHS, SILENT, World};
use crate::clock::Clock;
use crate::weaken::{ProtocolRule, weaken};

/// Who purges, and a node beside that.
const PURGER: usize = 0;
const OTHER: usize = 2;

impl World {
    /// All that can go on does, and who waits for the roll looks at it.
    async fn go_on(&mut self) -> Result<(), String> {
        for _ in 0..8 {
            sleep(Duration::from_millis(5)).await;
            self.judge_ended()?;
        }
        Ok(())
    }

    /// The data of `path` change, and it is purged by `PURGER` until that is everywhere.
    fn change(&mut self, path: &'static str) {
        self.reference.lock().write(path, None);
        let purger = self.nodes[PURGER].cache.purger();
        self.purge_by(&purger, Kind::Hard, path);
    }

    async fn read(&mut self, nodes: &[usize]) -> Result<(), String> {
        for node in nodes {
            self.follow(*node);
        }
        self.go_on().await
    }

    /// > tip read: 0 · purge @1, roll empty, returns · registration executed · lease begins · v1 near hit.
    async fn a_tip_read_before_the_registration(&mut self) -> Result<(), String> {
        self.fall_off(SILENT).await?;
        self.hold_tips(SILENT);
        self.beat(SILENT);
        self.go_on().await?;
        self.change(PATHS[0]);
        self.go_on().await?;
        self.read(&[PURGER, OTHER]).await?;
        self.hold_tips(SILENT);
        self.go_on().await?;
        self.request(SILENT, PATHS[0]);
        self.go_on().await
    }

    /// > roll read: empty · node registers, lease · purge @1 appended, returns · v1 near hit.
    async fn a_roll_read_before_the_append(&mut self) -> Result<(), String> {
        self.fall_off(SILENT).await?;
        self.nodes[PURGER].flip(|faults| &faults.call_held);
        self.change(PATHS[1]);
        self.go_on().await?;
        self.read(&[SILENT]).await?;
        self.beat(SILENT);
        self.go_on().await?;
        self.change(PATHS[0]);
        self.go_on().await?;
        self.nodes[PURGER].flip(|faults| &faults.call_held);
        self.read(&[PURGER, OTHER]).await?;
        self.request(SILENT, PATHS[0]);
        self.go_on().await
    }

    /// > W waits for the mark · node registers, lease · roll evicted · purge appended · W's wait ends, same epoch, writes the
    /// > mark · roll empty, purge returns · v1 near hit.
    async fn a_mark_after_the_roll_was_lost(&mut self) -> Result<(), String> {
        self.side.roll.lose();
        self.beat(PURGER);
        self.go_on().await?;
        self.clock.advance(LEASE / 4);
        self.beat(SILENT);
        self.go_on().await?;
        self.side.roll.lose();
        self.clock.advance(LEASE * 9 / 10);
        self.change(PATHS[0]);
        self.go_on().await?;
        self.beat(PURGER);
        self.go_on().await?;
        self.read(&[PURGER]).await?;
        self.request(SILENT, PATHS[0]);
        self.go_on().await
    }

    /// > reply delayed by a lease, entry removed · lease counted from the reply · purge returns · v1 near hit.
    async fn a_lease_counted_from_the_reply(&mut self) -> Result<(), String> {
        self.hold_tips(SILENT);
        self.beat(SILENT);
        self.go_on().await?;
        self.change(PATHS[0]);
        self.go_on().await?;
        self.read(&[PURGER, OTHER]).await?;
        self.clock.advance(LEASE * 6 / 5);
        self.go_on().await?;
        self.hold_tips(SILENT);
        self.go_on().await?;
        self.request(SILENT, PATHS[0]);
        self.go_on().await
    }

    /// > node is refused by the roll · lease begins all the same · purge finds it not, returns · v1 near hit.
    async fn a_lease_without_a_registration(&mut self) -> Result<(), String> {
        self.fall_off(SILENT).await?;
        self.nodes[SILENT].flip(|faults| &faults.refuses_roll);
        self.beat(SILENT);
        self.go_on().await?;
        self.change(PATHS[0]);
        self.go_on().await?;
        self.read(&[PURGER, OTHER]).await?;
        self.request(SILENT, PATHS[0]);
        self.go_on().await
    }
}

/// About announcements.
impl World {
    /// So many steps of a tenth of the settling time pass, and these nodes have heartbeats.
    async fn settle(&mut self, tenths: u32, nodes: &[usize]) -> Result<(), String> {
        for _ in 0..tenths {
            self.clock.advance(SETTLE / 10);
            let now = self.clock.monotonic();
            self.reference.lock().catch_up(now);
            for node in nodes {
                self.beat(*node);
            }
            // So long who lets it settle sleeps at most.
            sleep(Duration::from_millis(300)).await;
            self.judge_ended()?;
        }
        Ok(())
    }

    /// > replica promoted, epoch 2 · fill there reads v1 · data change · purge @1-1 taken by the old master · purger dies ·
    /// > another finds the new master, announces in epoch 2 what is overdue · told client: v1 hit.
    async fn an_announcement_in_another_epoch(&mut self) -> Result<(), String> {
        let mut old = Side::of(self.side.log.fork(), &self.clock);
        old.roll = self.side.roll.fork();
        self.nodes[PURGER].go_to(old, false);
        self.side.log.lose();
        for _ in 0..12 {
            self.settle(1, &[OTHER]).await?;
        }
        self.request(OTHER, PATHS[0]);
        self.go_on().await?;
        self.release(Ending::Answer);
        self.go_on().await?;
        self.reference.lock().write(PATHS[0], None);
        self.purge_and_announce(PURGER, PATHS[0], Duration::ZERO);
        self.read(&[PURGER]).await?;
        self.someone_dies();
        self.settle(12, &[OTHER]).await?;
        let new = self.side.clone();
        self.nodes[PURGER].go_to(new, false);
        self.announce_overdue(PURGER);
        self.read(&[OTHER]).await?;
        self.read(&[OTHER]).await?;
        self.request(OTHER, PATHS[0]);
        self.go_on().await?;
        self.release(Ending::Answer);
        self.go_on().await
    }
}

fn history(rule: ProtocolRule) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O can always be built");
    runtime.block_on(async {
        let lookups = match rule {
            ProtocolRule::AnnounceEpoch => Lookups::Told,
            _ => Lookups::Rolled,
        };
        let mut world = World::new(1, lookups);
        world.told.is_patient = true;
        world.get_copies().await?;
        match rule {
            ProtocolRule::RollFirst => world.a_tip_read_before_the_registration().await?,
            ProtocolRule::RollFresh => world.a_roll_read_before_the_append().await?,
            ProtocolRule::RollToken => world.a_mark_after_the_roll_was_lost().await?,
            ProtocolRule::LeaseSend => world.a_lease_counted_from_the_reply().await?,
            ProtocolRule::RollOk => world.a_lease_without_a_registration().await?,
            ProtocolRule::AnnounceEpoch => world.an_announcement_in_another_epoch().await?,
            _ => unreachable!("there is no history about {rule:?}"),
        }
        world.finish().await
    })
}

#[test]
fn each_rule_is_needed_by_its_history() {
    for rule in [
        ProtocolRule::RollFirst,
        ProtocolRule::RollFresh,
        ProtocolRule::RollToken,
        ProtocolRule::LeaseSend,
        ProtocolRule::RollOk,
        ProtocolRule::AnnounceEpoch,
    ] {
        assert_eq!(history(rule), Ok(()), "{rule:?}");
        weaken(Some(rule));
        let without = history(rule);
        weaken(None);
        let caught = without.is_err_and(|violation| violation.contains("despite"));
        assert!(caught, "nobody notices the absence of {rule:?}");
    }
}
