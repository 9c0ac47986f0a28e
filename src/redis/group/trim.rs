//! Dropping what every group of a stream has read and acknowledged.

use ::redis::{cmd, pipe};

use crate::error::Error;
use crate::redis::group::reply::{self, GroupPlace};
use crate::redis::group::wait::is_bell;
use crate::redis::group::{EntryId, Group};

/// A group that keeps entries from being dropped, and how many it has not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slowest {
    pub(crate) group: String,
    pub(crate) unread: u64,
}

impl Group {
    /// Drops all that stands before what some group has not acknowledged. The last entry that a group
    /// was given stays: what is trimmed then never looks like a loss, whatever the server counts.
    /// Returns which group of another program has most unread.
    ///
    /// A group that is made meanwhile, further back, may find less than it hoped for.
    pub(crate) async fn trim(&self) -> Result<Option<Slowest>, Error> {
        let mut command = cmd("XINFO");
        command.arg("GROUPS").arg(&*self.stream);
        let groups = self.wire.query(&command).await?;
        let Some(groups) = self.wire.unless_gone("look at all groups", groups)? else {
            return Ok(None);
        };
        let places = self.wire.understand(reply::places(groups))?;
        let Some(keep) = self.first_to_keep(&places).await? else {
            return Ok(None);
        };
        let mut command = cmd("XTRIM");
        command
            .arg(&*self.stream)
            .arg("MINID")
            .arg(keep.to_string());
        self.wire.run(&command, "trim the stream").await?;
        let others = places.iter().filter(|place| place.name != *self.group);
        let others = others.filter(|place| !is_bell(place, &places));
        let slowest = others.max_by_key(|place| place.unread);
        Ok(slowest.map(|place| Slowest {
            group: place.name.clone(),
            unread: place.unread.unwrap_or(0),
        }))
    }

    /// `None` if our group is gone, which the next look says.
    async fn first_to_keep(&self, places: &[GroupPlace]) -> Result<Option<EntryId>, Error> {
        if !places.iter().any(|place| place.name == *self.group) {
            return Ok(None);
        }
        // Nobody reads in the name of a bell.
        let readers = places.iter().filter(|place| !is_bell(place, places));
        let waiting: Vec<&GroupPlace> = readers.clone().filter(|place| place.pending > 0).collect();
        let mut keep = readers.map(|place| place.delivered).min();
        if waiting.is_empty() {
            return Ok(keep);
        }
        let mut oldest = pipe();
        for place in &waiting {
            oldest.cmd("XPENDING").arg(&*self.stream).arg(&place.name);
        }
        oldest.ignore_errors();
        let budget = self.wire.budget();
        let summaries = self
            .wire
            .query_all(&oldest, "look for what is pending", budget)
            .await?;
        for summary in summaries {
            // A group that is gone holds nothing.
            let summary = self.wire.unless_gone("look for what is pending", summary)?;
            let Some(summary) = summary else { continue };
            let oldest = self.wire.understand(reply::oldest_pending(summary))?;
            keep = keep.min(oldest.or(keep));
        }
        Ok(keep)
    }
}
