//! A Tower [`Layer`](tower_layer::Layer) that caches whole HTTP responses, tags each with what it
//! depends on, and purges by tag the moment an event says that the data changed: on every node, and
//! without leaving a stale answer behind.
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_tagcache::{BoxError, Cache, Rule};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let (cache, companion) = Cache::builder()
//!     .rule(Rule::new("auction", "/auctions/{id}").ttl(Duration::from_secs(10)).tag("auction:{id}"))
//!     .build()?;
//! tokio::spawn(companion.run(std::future::pending()));
//!
//! # use std::sync::atomic::{AtomicU32, Ordering};
//! # static SALES: AtomicU32 = AtomicU32::new(0);
//! # let auctions = tower::service_fn(|_: Request<Full<bytes::Bytes>>| async {
//! #     let sales = SALES.fetch_add(1, Ordering::SeqCst) + 1;
//! #     Ok::<_, std::convert::Infallible>(Response::new(Full::from(format!("{sales} sales"))))
//! # });
//! let service = ServiceBuilder::new().layer(cache.layer()).service(auctions);
//! # let request = || Request::get("/auctions/7").body(Full::default());
//! # let ask = async || -> Result<String, BoxError> {
//! #     let response = service.clone().oneshot(request()?).await?;
//! #     Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?)
//! # };
//! assert_eq!(ask().await?, "1 sales"); // forwarded, and stored
//! assert_eq!(ask().await?, "1 sales"); // a hit
//! cache.purger().tag("auction:7").await?;
//! assert_eq!(ask().await?, "2 sales"); // forwarded again
//! # Ok(()) }
//! ```
//!
//! # Where things are
//!
//! - what is cached, and how: [`Rule`], [`Query`], [`Cookies`], [`ClientPolicy`]
//! - where it is kept, and by which bounds: [`CacheBuilder`]
//! - the layer, in detail: [`middleware`]
//! - events that purge: [`Stream`], [`On`], [`Format`]; that people are told of: [`Announce`]; by hand: [`Purger`], [`EventIntake`]
//! - the task that the caller spawns: [`Companion`]
//! - several regions, each with a Redis of its own: `RelayBuilder`, [`CacheBuilder::max_cut`]
//! - what people are told: [`Cache::updates`], [`Update`]; browsers and programs: `live` (feature `live`)
//! - requests to others: `outgoing` (feature `alerts`)
//! - what happened: [`Outcome`] (also in `Cache-Status`), [`Notice`], [`Metrics`]
//!
//! # In the source
//!
//! In groups, of which each imports only those before it: words (`alias` to `written`), decisions (`semantics`,
//! `rules`, `validity`, `entry`, `alerts`), places (`store`, `log`, `coalesce`, `activity`; `embedded` and `redis` implement
//! them), the procedure (`engine`), faces (`middleware`, `invalidation`, `live`, `feed`, `outgoing`, `relay`, `metrics`), and assembly (`builder`,
//! `config`).
//!
//! `a/b` is `src/a/b.rs` or `src/a/b/mod.rs`.
//!
//! - A request: `middleware/service` (`CacheService::call`) → its key: `rules/set` (`Match::request`) and
//!   `rules/keying` (`Keying::key`) → a hit at hand: `engine/lookup/near`; otherwise `engine/lookup` → is it purged,
//!   is it fresh: `engine/lookup/fitness` → `engine/answer`.
//! - A miss: `engine/forward` lets one request lead → `engine/fill` (`Fill::run`): `fill/judgement`, by
//!   `rules/policy`; `fill/body` streams to all who wait; `fill/land` (`admit`) → `engine/lookup/put` → the store:
//!   `embedded/store`, or `redis/store` (above 64 KiB `redis/store/chunks`).
//! - An event: `invalidation/consumer` reads it from Redis, `invalidation/intake` takes it by hand →
//!   `invalidation/stream/entry` (`EventStream::read`): decoded by `invalidation/format/decode`, made targets by
//!   `invalidation/mapping` → a purge; what people are told of it: `invalidation/update_template`.
//! - A purge: `invalidation/purger` → `log/purges` → the log: `embedded/log`, or `redis/log/append`. On every node
//!   `log/follower` reads it into `log/view`, where it counts at once.
//! - What people are told: `log/purges/announcing` announces a purge that is everywhere; each node's `log/view/applying` hands that to
//!   `log/updates`, which keeps them too (`updates/history`). A client of `live/service` has a `live/feed`, whose messages
//!   `live/body` (server-sent events) or `live/socket` sends.
//!
//! `PROTOCOL n` and `SAFETY n` are rules in `docs/`; `weakened(…)` takes one away and is `false` outside of unit
//! tests. `docs/STYLE.md` has the whole map. The program `tagcache`, a reverse proxy, is a crate of its own, in
//! `tagcache/`.
//!
//! # Features
//!
//! - `activity`: the activity feed and counters, [`Cache::activity`], also over HTTP, [`feed`]; and rules that say which
//!   updates raise an alert, [`AlertRule`].
//! - `alerts`: alerts as signed webhooks, to where requests may go, see [`outgoing`]; with it `activity`.
//! - `axum` (default): layers of nested routers go by the whole URI, which axum 0.8 keeps, see
//!   [`middleware`](middleware#nested-routers).
//! - `config`: [`Cache`] from a TOML file and the environment, see [`config`]; with it `alerts` and `tls`.
//! - `live`: updates to browsers and programs, as server-sent events and by WebSocket.
//! - `push`: Web Push to browsers; with it `alerts`.
//! - `redis` (default): responses, purge log and event streams on Redis.
//! - `tls`: Redis by TLS; with it `redis`.
//! - `test-util`: `ManualClock` and `CacheBuilder::claim_events_after`, for tests.
//! - `zstd`: `CacheBuilder::compress_at_rest`, which saves memory in Redis; with it `redis`.

#![cfg_attr(
    not(all(feature = "live", feature = "redis")),
    allow(
        dead_code,
        reason = "what only a shared store needs (codec, digests, record fields), or only live updates (history, cursors)"
    )
)]

mod alias;
mod amount;
mod backoff;
#[cfg(any(feature = "alerts", feature = "tls"))]
mod certificates;
mod chance;
mod clock;
mod defaults;
mod error;
mod key;
mod observe;
mod outcome;
mod patience;
mod place;
mod position;
mod secret;
mod spelling;
mod sync;
mod tag;
mod telling;
mod update;
mod weaken;
#[cfg(any(feature = "activity", feature = "live"))]
mod web;
#[cfg(feature = "config")]
mod written;

#[cfg(feature = "activity")]
mod alerts;
mod entry;
mod rules;
mod semantics;
mod validity;

#[cfg(feature = "activity")]
mod activity;
mod coalesce;
mod embedded;
mod log;
#[cfg(feature = "redis")]
mod redis;
mod store;

mod engine;

#[cfg(feature = "activity")]
pub mod feed;
mod invalidation;
#[cfg(feature = "live")]
pub mod live;
mod metrics;
pub mod middleware;
#[cfg(feature = "alerts")]
pub mod outgoing;
#[cfg(feature = "redis")]
mod relay;

mod builder;

#[cfg(feature = "config")]
pub mod config;

#[cfg(feature = "test-util")]
#[doc(hidden)]
pub mod bench;
#[cfg(test)]
mod model;
#[cfg(feature = "redis")]
#[cfg(test)]
mod simulation;

#[cfg(feature = "activity")]
pub use self::activity::{
    ActivityCursor, ActivityEntry, ActivityFeed, ActivityPage, ActivityQuery, ActivitySettings,
    AnalyticsQuery, AnalyticsRow, FailedDelivery, ParseActivityCursorError,
};
#[cfg(feature = "activity")]
pub use self::alerts::{
    AlertExplanation, AlertLimit, AlertProblem, AlertRule, Decimals, TokenDecimals,
};
pub use self::amount::{Bytes, Period};
#[cfg(feature = "redis")]
pub use self::builder::RelayBuilder;
pub use self::builder::{Cache, CacheBuilder, Companion};
#[cfg(any(test, feature = "test-util"))]
pub use self::clock::ManualClock;
pub use self::clock::{Clock, SystemClock, Timestamp};
pub use self::engine::TellPosition;
pub use self::error::{BoxError, ConfigError, Error, ErrorKind, Warning};
pub use self::invalidation::{
    Announce, EventIntake, EventOutcome, Fields, Format, On, Payload, Purger, Stream, StreamHealth,
    StreamSettings,
};
pub use self::log::{
    Announcement, Durability, Everywhere, Health, Purged, Resync, ResyncReason, Trouble,
    UpdateMessage, Updates,
};
pub use self::metrics::Metrics;
pub use self::middleware::{CacheBody, CacheLayer, CacheService, ResponseFuture};
pub use self::observe::{Notice, Observer};
pub use self::outcome::{Detail, ForwardReason, NotStored, Outcome, Served, Storing};
pub use self::place::{ConfigPlace, ConfigSection, Setting};
pub use self::position::{Epoch, ParsePositionError, Position};
#[cfg(feature = "tls")]
pub use self::redis::RedisTls;
#[cfg(feature = "redis")]
pub use self::redis::{RedisCredentials, RedisLogin, doctor};
#[cfg(feature = "redis")]
pub use self::relay::{Relay, RelayStatus};
pub use self::rules::{
    Authorization, ClientPolicy, Consistency, Cookies, Explanation, Forward, Host, Profile, Query,
    Reach, Rule, RuleSettings, SetCookie, Statuses, TagHeader, Ttl,
};
pub use self::secret::Secret;
pub use self::semantics::may_trail;
pub use self::tag::{Tag, Target};
pub use self::telling::{Tell, Telling};
pub use self::update::{ParseUpdateIdError, Update, UpdateId};

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
