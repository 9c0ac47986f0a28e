//! The admin listener: health, metrics, the configuration, purges over HTTP, what happened, and alerts that did not arrive.
//!
//! It is apart from the listener that clients use, and on the loopback interface unless settings say
//! otherwise. Who may ask what is in `access.rs`; it is the answer to SAFETY 21.
//!
//! | request | answers | without a token |
//! |---|---|---|
//! | `GET /healthz` | 200: the process runs | everybody |
//! | `GET /readyz` | 200 or 503, and why, as JSON | everybody |
//! | `GET /metrics` | counts, as JSON or for Prometheus (see below) | everybody |
//! | `GET /config` | the configuration in effect, defaults included, secrets masked | loopback |
//! | `GET /activity`, `/analytics` | what happened, and how much of it, as JSON (see below) | loopback |
//! | `GET /alerts/failed` | alerts that could not be delivered, and why, as JSON | loopback |
//! | `POST /alerts/resend` | how many of them go again (see below) | loopback, if settings allow purging from there |
//! | `POST /purge` | where the purge is in the log (see below) | loopback, if settings allow it |
//! | `POST /test/invalidate-cache` | purges everything; in mock and dev mode only | loopback |
//!
//! The token is sent as `Authorization: Bearer …`. Where one is set, all but the first three need it from
//! everybody.
//!
//! # Metrics
//!
//! `/metrics` is in the format of Prometheus for whoever asks for text, as Prometheus does, and JSON
//! for others, so that `curl http://…/metrics | jq .cache_hit_rate` works. `/metrics.txt` and
//! `/metrics.json` are always what they say. [`Telemetry`] lists the names.
//!
//! # Readiness
//!
//! A service whose Redis is away still answers, so it is ready, and degraded. It is not ready while
//! it drains, or for a reason of the program's own. With all upstreams down it is ready, and degraded: what is
//! stored is still served; [`AdminSettings::ready_without_upstream`] is the choice.
//!
//! # Purging
//!
//! ```json
//! { "tag": ["auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be", "auctions"] }
//! { "url": "/auctions", "soft": true }
//! { "glob": "/auctions/**", "dry_run": true }
//! ```
//!
//! `tag`, `family`, `url`, `rule` and `glob` take one text or a list; `"all": true` is everything. They
//! may stand together. `settle` (`"2s"`) and `soft` are those of [`Purger`](tower_tagcache::Purger).
//! The answer is 200 once no node answers with it any more, with `position`, `durability` and `everywhere`: how many
//! nodes `acknowledged`, how many were `waited_out` as they have stopped, and whether it was `by_time`; with
//! `"in_log": true` as soon as it is in the log, and `everywhere` is null; 202 while
//! the purge is in force in this process only and waits for Redis, with the cause as `reason`; 400 if
//! nothing was purged because the call is malformed; 422 if it names a rule that there is not, unless it
//! says `"force": true`. `targets` has what is purged as it is written to the log; `reach` says for each
//! target in its one form the `rules` whose responses it can take, and in `doubt` what speaks against that
//! it does what was meant: a tag that no rule gives, a path that no route matches. A dry run tells all
//! this and purges nothing. How many responses that are, nobody counts: a purge does not look for them.
//!
//! # What happened
//!
//! `GET /activity` and `GET /analytics` answer what [`tower_tagcache::feed`] has, by the same parameters, of all subjects.
//! `GET /alerts/failed` answers `failed`, newest first and at most `limit`, each with its `id`, the
//! `queue` it stood in, the `reason`, the time (`at`) and the `alert` itself. `POST /alerts/resend` puts them back at the end of
//! their queues and answers how many (`alerts`):
//!
//! ```json
//! { "id": "6b0d8f0c2f1a4f0e9d3c5b7a81e2f4d6" }
//! { "all": true }
//! ```
//!
//! The answer is 400 to what cannot be understood, 404 if nothing is kept (neither `[activity]` nor `[[alerts]]`), 422 if no
//! alert that failed has this id, and 503 if Redis does not answer.
//!
//! # Bounds
//!
//! Connections, the size of a body, and the time of each connection are bounded by [`AdminSettings`].

mod access;
mod answer;
mod door;
mod gauges;
mod happened;
mod hooks;
mod metrics;
mod purge;
mod ready;
mod routes;
mod server;
mod settings;
mod telemetry;
mod token;

pub use self::door::PublicDoor;
pub(crate) use self::happened::{Again, NOTHING_KEPT, Page};
pub use self::hooks::AdminHooks;
pub(crate) use self::purge::everywhere;
pub use self::server::{Admin, BoundAdmin};
pub use self::settings::{AdminSettings, PublicPurge};
pub use self::telemetry::Telemetry;
pub use self::token::AdminToken;
