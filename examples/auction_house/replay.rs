//! Replays captured stream entries, again and again.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use serde_json::Value;
use tower_tagcache::BoxError;

use crate::auction::now;
use crate::indexer::Indexer;
use crate::screen::Screen;

const BUILT_IN: &str = include_str!("data/auction-events.json");
/// An entry as `XRANGE` prints it: its id, then names and values in turn.
type Entry = (String, Vec<String>);

/// A capture on its way back into the world, again and again.
#[derive(Debug)]
pub(crate) struct Replay {
    entries: Vec<Entry>,
    pause: Duration,
}

/// The time between two entries, from how many there are a second.
pub(crate) fn pause(rate: &str) -> Result<Duration, String> {
    let rate: f64 = rate.parse().map_err(|_| "not a number".to_owned())?;
    let pause = Duration::try_from_secs_f64(1.0 / rate).ok();
    let sensible = |pause: &Duration| !pause.is_zero();
    pause
        .filter(sensible)
        .ok_or_else(|| "not a number of entries a second".to_owned())
}

impl Replay {
    /// Reads the capture in the file `which`, or the one that is built in; or none.
    pub(crate) fn load(which: &str, pause: Duration) -> Result<Option<Self>, BoxError> {
        let text = match which {
            "none" => return Ok(None),
            "recorded" => BUILT_IN.to_owned(),
            path => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the events in {path}: {error}"))?,
        };
        let entries = serde_json::from_str(&text)
            .map_err(|error| format!("{which} is not the JSON of an XRANGE reply: {error}"))?;
        Ok(Some(Self { entries, pause }))
    }

    /// Replays until `ended`, and then to the end of the entry: what changed gets its event.
    pub(crate) async fn run(
        self,
        indexer: Indexer,
        screen: Screen,
        ended: impl Future<Output = ()>,
    ) {
        let mut ended = pin!(ended);
        let mut waits = false;
        for (number, (id, fields)) in self.entries.iter().cycle().enumerate() {
            // Runs out if nothing ends it.
            if tokio::time::timeout(self.pause, &mut ended).await.is_ok() {
                return;
            }
            let fields = again(fields, number / self.entries.len());
            let done = indexer.replay(id, &fields).await;
            match &done {
                Err(error) if !waits => screen.trouble(format_args!("the replay waits: {error}")),
                Ok(()) if waits => screen.chain("the replay goes on"),
                _ => {}
            }
            waits = done.is_err();
        }
    }
}

/// The fields of an entry in the replay's round `round`: as if its blocks were made now. In each further round the transactions'
/// hashes differ, or the events would be dropped as repeats.
fn again(fields: &[String], round: usize) -> Cow<'_, [String]> {
    let Some(mut payload) = fields
        .get(1)
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return fields.into();
    };
    let now = now();
    for event in payload["event_data"].as_array_mut().into_iter().flatten() {
        if let Some(time) = event.pointer_mut("/transaction_information/block_timestamp") {
            *time = format!("{now:#x}").into();
        }
        if let Some(time) = event.get_mut("timestamp") {
            *time = now.to_string().into();
        }
        if let Some(Value::String(hash)) = event
            .pointer_mut("/transaction_information/transaction_hash")
            .filter(|_| round > 0)
        {
            let kept = hash.len().saturating_sub(16);
            hash.truncate(kept);
            hash.push_str(&format!("{round:016x}"));
        }
    }
    let mut fields = fields.to_vec();
    fields[1] = payload.to_string();
    fields.into()
}
