//! Events in: from a stream entry to purges in the log.
//!
//! # The life of an event
//!
//! A publisher (rindexer, Debezium, the program itself) adds an entry to a Redis stream. One
//! consumer of the stream's group takes it, [decodes](event) it, [maps](mapping) its events to
//! targets, purges them, and acknowledges the entry once the purges are acknowledged and, where
//! people are told of it, announced:
//!
//! ```
//! use tower_tagcache::{Cache, Fields, On, Stream, Tag, Target};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_tagcache::BoxError> {
//! let sales = Stream::rindexer("auction_sales").on(On::event("AuctionSale")
//!     .purge("auction:{transaction_information.address}")
//!     .purge("auctions"));
//! let (cache, _companion) = Cache::builder().stream(sales).build()?;
//!
//! let payload = r#"{"event_name": "AuctionSale", "network": "ethereum", "event_data": [
//!     {"transaction_information": {"address": "0xa16e02e87b7454126e5e10d957a927a7f5b5d2be"}}]}"#;
//! let entry: Fields = vec![("payload".into(), payload.into())];
//! let outcome = cache.events().apply("auction_sales", "1-0", entry).await?;
//! assert_eq!((outcome.applied, outcome.targets.len()), (1, 2));
//! assert!(outcome.targets.contains(&Target::Tag(Tag::new("auctions")?)));
//! # Ok(()) }
//! ```
//!
//! Without a stream, [`EventIntake`] takes the same entries from a webhook or the program, as here.
//!
//! # What is promised (P6)
//!
//! - **No published event is lost.** An entry stays pending until its purges are in the log. Should
//!   its consumer die, another claims it; a restarted one first takes what it left.
//! - **None does harm twice.** Purges are repeated where there is doubt, which costs misses only.
//! - **What is not understood is put aside**, in `{namespace}:quarantine:{stream}`, with the reason, and
//!   never blocks what comes after it.
//! - **Doubt purges the scope.** Everything that the stream's mappings can touch is purged when an entry
//!   is not understood, lacks a value that a mapping needs, announces a reorg, is a control message
//!   that is not known, or when entries [may be missing](gap): the group or the stream is gone,
//!   entries were trimmed or deleted unread, the stream went back, or no consumer heard from Redis
//!   for longer than publishers wait for it (a minute).
//!
//! Events of one stream are taken in its order, but several consumers work on it at once, and
//! publishers keep no order either: no purge depends on it. Announcements of one consumer keep the
//! stream's order.
//!
//! # What people are told
//!
//! An [`On`] with an [`Announce`] also tells people of its events, once their purges are everywhere: see
//! [`Cache::updates`](crate::Cache::updates).
//!
//! # What an event that does not fit does
//!
//! An event that no mapping names is ignored and counted: other consumers of the stream may want
//! it. An event that a mapping *does* name but that lacks the value a template, a network guard or
//! a condition needs is a contradiction between configuration and publisher (the requirement's own
//! consumer expected `amount_paid`, which never comes, and purged nothing, silently). Which
//! responses it meant cannot be known, so its entry is put aside and the scope is purged: pages are
//! slower and right until somebody reads the log line. The same holds for a value that only stands for
//! one: a placeholder of the publisher, or a text that was cut off.

mod announce;
mod condition;
#[cfg(feature = "redis")]
mod consumer;
mod event;
mod expansion;
#[cfg(test)]
mod fake;
mod format;
#[cfg(feature = "redis")]
mod gap;
mod intake;
mod mapping;
mod node;
mod on;
mod path;
mod placeholder;
mod purger;
#[cfg(feature = "redis")]
mod quarantine;
mod settings;
mod source_paths;
mod status;
mod step;
mod stream;
mod tally;
mod update_template;
#[cfg(feature = "config")]
mod written;

pub use self::announce::Announce;
#[cfg(feature = "redis")]
pub(crate) use self::consumer::{Consumer, Settings, consume, unique_name};
pub use self::event::Fields;
pub use self::format::{Format, Payload};
pub(crate) use self::intake::Applier;
pub use self::intake::{EventIntake, EventOutcome};
pub(crate) use self::mapping::Mapping;
pub use self::on::On;
pub use self::purger::Purger;
pub use self::settings::StreamSettings;
pub(crate) use self::status::StatusBoard;
pub use self::status::StreamHealth;
pub use self::stream::Stream;
pub(crate) use self::stream::{EventStream, compile, longest_settle};
