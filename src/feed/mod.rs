//! The activity feed and its counters over HTTP: what [`Cache::activity`](crate::Cache::activity) reads, as JSON.
//!
//! A page shows what happened from here, and what happens from then on from [live updates](crate::Cache::updates).
//!
//! # Example
//!
//! ```
//! use tower::ServiceExt;
//! use tower_tagcache::feed::ActivityServiceSettings;
//! use tower_tagcache::{ActivitySettings, BoxError, Cache, Update};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let (cache, companion) = Cache::builder().activity(ActivitySettings::new()).build()?;
//! tokio::spawn(companion.run(std::future::pending()));
//!
//! let activity = cache.activity_service(&ActivityServiceSettings::open())?;
//! # #[cfg(feature = "axum")]
//! let router: axum::Router = axum::Router::new().merge(activity.router());
//! let sale = Update::new("sale", "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be")?
//!     .with_field("amount", "1500000000000000000000")?;
//! cache.purger().announcing(sale).tag("auctions").await?;
//!
//! // What `GET /activity?type=sale&limit=5` is answered, a moment later:
//! # loop {
//! let request = http::Request::get("/activity?type=sale&limit=5").body(())?;
//! let answer = activity.clone().oneshot(request).await?.into_body();
//! # if answer.starts_with(r#"{"entries":[],"#) { tokio::task::yield_now().await; continue }
//! assert!(answer.contains(r#""amount":"1500000000000000000000""#));
//! # break }
//! # Ok(()) }
//! ```
//!
//! Without axum, [`ActivityService`] is a tower service: [`takes`](ActivityService::takes) says which paths are its own.
//!
//! # What clients ask for
//!
//! `GET /activity` answers entries, newest first, and `GET /analytics` counters; either also `HEAD`.
//!
//! | parameter of `/activity` | answers |
//! |---|---|
//! | `limit=50` | at most so many entries, from 1 to 1,000; by default 20 |
//! | `cursor=…` | those behind this one, which are older: what `next` said, or the `id` of an entry |
//! | `reorged=true` | also those that a reorg undid; by default not these |
//! | `type=sale,kick` | those of one of these types, at most 20 |
//! | `auction=0x…` | those of the subject `auction:0x…`; so for each kind that [`subjects`](ActivityServiceSettings::subjects) names |
//! | `subject=auction:0x…` | those of this subject, of any kind |
//!
//! | parameter of `/analytics` | answers |
//! |---|---|
//! | `hours=24` | of the present hour and those before it, so many together, up to all that are [kept](crate::ActivitySettings::keep); by default 24, or all if fewer are kept |
//! | `by=hour,subject` | a row for each hour, each subject (the twenty that were active last, in 48 hours at most), or both; by default for each type only |
//! | `type`, `auction`, `subject` | as of `/activity` |
//!
//! The lists `type` and `by` may also be given by repeating the parameter. Addresses are written in any letter case, and there
//! is one subject at most. What is not understood is refused, not passed over.
//!
//! # What clients get
//!
//! ```text
//! {"entries": [{"id": "018f…", "type": "sale", "subject": "auction:0xa1…", "auction_address": "0xa1…", "amount": "1500",
//!               "price": "30", "timestamp": 1795392000, "tx_hash": "0x5f…", "network": "ethereum", "block": 19000000}],
//!  "next": "018f…"}
//! ```
//!
//! `amount`, `price` and `tx_hash` are null where nothing is known of them; fields of the update are text, since a JSON number
//! does not hold a `uint256`. An entry that a reorg undid has `"reorged": true`. `next` is null behind the last entry, and the
//! page that it leads to may be empty. Whoever follows it gets each entry once, and all of those that were there: what
//! happens in the meantime is newer, and what a feed no longer keeps (1,000 entries, and 100 of one subject) was the oldest. An
//! event that arrives late stands where it belongs by its time, which may be a page that was read already.
//!
//! ```text
//! {"from": 1795308000, "to": 1795392345, "rows": [
//!    {"type": "sale", "hour": 1795388400, "subject": "auction:0xa1…", "count": 3, "sums": {"amount": "4500"}}]}
//! ```
//!
//! Times are in seconds since 1970: `from` and `hour` when an hour begins, `to` the present. `hour` and `subject` are there where
//! `by` names them. What a reorg undid is not counted.
//!
//! Answers are not stored by caches (`Cache-Control: no-store`), this one included: they are read anew, and are up to date as soon
//! as [the companion](crate::Companion) of some node has taken in what was announced.
//!
//! # What clients are refused
//!
//! | status | why |
//! |---|---|
//! | 400 | a parameter is unknown, given twice, or has a value that is none |
//! | 401 | the token is missing or wrong |
//! | 403 | pages of that origin may not ask |
//! | 405 | another method than `GET`, `HEAD` and `OPTIONS` |
//! | 503 | Redis does not answer, or too many ask at once; `Retry-After` says when to come back |
//!
//! Each says why in `application/problem+json` (RFC 9457): which parameter, and what it may be.
//!
//! # Who may ask
//!
//! Everybody if [`open`](ActivityServiceSettings::open), otherwise whoever sends the [token](ActivityServiceSettings::guarded) as
//! `Authorization: Bearer`. Pages of other hosts need their origin in [`origins`](ActivityServiceSettings::origins).
//!
//! # Cost
//!
//! An answer is one command to Redis, and reads no more than 1,000 entries or the counters of a hundred subjects. At most 16 are
//! read at once in each process, so that they do not crowd out others on the connection; further ones wait for 2 s, and are then
//! refused. A read has two seconds too (`purge_timeout`), after which the answer is 503. There is no limit for each client: put
//! one in front of what is open to all, such as tower's `RateLimit` or that of the proxy.

mod service;
mod settings;

pub use self::service::ActivityService;
pub use self::settings::ActivityServiceSettings;
