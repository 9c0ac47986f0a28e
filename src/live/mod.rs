//! Live updates: what [`Cache::updates`](crate::Cache::updates) tells, for browsers and programs, as server-sent events
//! (WHATWG HTML §9.2) and by WebSocket (RFC 6455).
//!
//! Whoever is told of a change and asks any node at once gets the new data: an update is told when its purge is
//! *everywhere* (P7).
//!
//! # Example
//!
//! ```
//! use tower_tagcache::{Announce, BoxError, Cache, Update, live::LiveSettings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! let (cache, companion) = Cache::builder().build()?;
//! tokio::spawn(companion.run(std::future::pending()));
//!
//! let live = cache.live(&LiveSettings::open())?;
//! # #[cfg(feature = "axum")]
//! let router: axum::Router = axum::Router::new().merge(live.router());
//! // What a client of `/events` and of `/events/auction/0xa16e…` is told:
//! let sale = Update::new("sale", "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be")?
//!     .with_field("amount", "1500000000000000000000")?;
//! cache.purger().announcing(sale).tag("auctions").await?;
//! // Before the server shuts down: it would otherwise wait for clients that never leave.
//! live.close();
//! # Ok(()) }
//! ```
//!
//! Without axum, [`LiveService`] is a tower service: [`takes`](LiveService::takes) says which paths are its own. Give it the
//! request with hyper's upgrade in its extensions, and the client's address as [`ClientAddress`].
//!
//! # What clients ask for
//!
//! | request | answer |
//! |---|---|
//! | `GET /events` | all updates, or those that pass the query |
//! | `GET /events/auction/0x…` | those of the subject `auction:0x…`; any `/kind/id` that [`subjects`](LiveSettings::subjects) takes |
//! | `GET /events/alerts`, `/events/alerts/big-sales` | alerts of all rules, or of one; others are told of alerts only if they ask for `type=alert` |
//! | all of these, with `Upgrade: websocket` | as messages of a WebSocket |
//! | `POST /events/ticket?subject=…&seconds=…` | a ticket, for a caller that sends the token |
//!
//! | parameter | passes |
//! |---|---|
//! | `subject=auction:0x…,auction:0x…` | updates of one of these, at most 200: a watch list |
//! | `type=sale,kick` | updates of one of these types |
//! | `network=ethereum` | updates whose field `network` is one of these |
//! | `min_amount=1000000000000000000` | updates whose field `amount` is a whole number of at least that, of any size, in decimal or `0x` hexadecimal; `min_` with any field |
//! | `last_event_id=7-12.0` | what came after that id, for clients that cannot send `Last-Event-ID` |
//! | `ticket=…` | see [who may listen](#who-may-listen) |
//!
//! Lists may also be given by repeating the parameter. Anything not understood is refused with 400; every refusal gives its
//! reason in `application/problem+json` (RFC 9457). A browser's `EventSource` does not come back by itself after any answer
//! other than 200: make a new one, or fetch a new ticket.
//!
//! # What clients get
//!
//! ```text
//! event: auction_update
//! id: 7-12.0
//! data: {"data":{"amount":"1500"},"id":"7-12.0","identity":"1/0x5f/0x91/3","subject":"auction:0xa1…","time":1795392000000,"type":"sale"}
//! ```
//!
//! An alert has the event `alert`, the type `alert` and the subject `alerts:<rule>`; its `data` say `rule`, `message`, the `type`,
//! `subject` and `identity` of what raised it, its fields, and how many of the rule were `suppressed` before it.
//!
//! `id` is the position of the announcement in the purge log and the update's place in it, `time` when it was announced,
//! in milliseconds since 1970, `data` the fields of the event that the mapping names, as text. Three other events may come:
//!
//! - `resync`, with a `reason`: something changed that cannot be named, or what was missed is not kept. Load again what is
//!   shown. It goes to everybody, whatever their filter.
//! - `end`, with a `reason`: the stream ends. `too slow`, or the server is shutting down: connect again, nothing is lost.
//!   `the ticket has expired`: fetch a new one.
//! - `position`, with an `id` and without data: all up to there was told. It comes first, and every 15 s from a stream that is
//!   silent otherwise: a client that hears nothing for three times as long has lost its connection. Without an `id` it says
//!   only that it is alive: this process does not know yet, or the client resumes and what it missed follows.
//!
//! A client that comes back with its last id resumes there, at any node, also one that began since: 8,192 updates are kept in
//! each process, and read from the purge log when it starts (an embedded store forgets). As `position` has an id, a client of a
//! rare subject can resume too.
//!
//! # WebSocket
//!
//! The messages are the JSON of the events above. One connection has up to 64 subscriptions, each with a filter:
//!
//! ```json
//! {"op": "subscribe", "name": "mine", "subjects": ["auction:0x…"], "types": ["sale"], "networks": ["ethereum"],
//!  "min": {"amount": "1000"}, "last_event_id": "7-12.0"}
//! {"op": "unsubscribe", "name": "mine"}
//! ```
//!
//! Everything but `op` may be missing. The answer has an `op` too: `subscribed`, `unsubscribed`, or `error` with a `detail`. A
//! URL with a subject, a filter or `last_event_id` subscribes by itself, under the name `""`; one without
//! them, to nothing yet. The `op` `position` says up to
//! where everything was told. An update comes once, however many subscriptions want it; but one that resumes is told all that it
//! missed, also what another was told. After a reconnect give each `subscribe` the id from before it, and leave out ids that
//! are known; the ids from then on count once all are `subscribed`.
//!
//! The connection is closed with 1001 when the server shuts down, 1002 for a breach of the protocol, 1003 for binary
//! messages, 1007 for text that is not UTF-8, 1008 for an unknown message, an expired ticket or three unanswered pings, 1009
//! for a message above 32 KiB, and 1013 for a client that is too slow; the reason is in words.
//!
//! # Who may listen
//!
//! Everybody if [`open`](LiveSettings::open); otherwise clients that send `Authorization: Bearer` with the
//! [token](LiveSettings::guarded), or have a ticket in the URL (`EventSource` and `WebSocket` in browsers cannot send
//! headers). A ticket is signed, bound to subjects, and expires, which ends its stream: a browser that connects again by the
//! same URL is refused, and its page fetches a new one. See [`TicketKey`].
//!
//! Pages of other hosts need their origin in [`origins`](LiveSettings::origins), and so do pages of this host behind a proxy
//! that changes `Host`. The scheme of a page of this host is not looked at. At most 10,000 clients are connected, and 100 of
//! one address (of IPv6, one /64); beyond that, clients are answered 503 and 429 with `Retry-After`. Behind a reverse proxy name
//! it in [`trusted_proxies`](LiveSettings::trusted_proxies), or all clients look like it.
//!
//! # Cost
//!
//! An update is written once, whatever the number of clients, and one task follows the log. A client that does not read
//! holds up nobody, and nothing is kept for it: if it reads again when more than 1,024 messages have come, it is told `end`
//! with the reason `too slow`, and has its place until then. To end the connection of one that never reads is up to the
//! server below: `tagcache proxy` does so after `client_write`; give another one a write timeout, and its shutdown a
//! deadline. A WebSocket is closed here after 10 s.

mod access;
mod body;
mod ending;
mod feed;
mod filter;
mod hub;
mod masked;
mod problem;
mod request;
mod service;
mod settings;
mod slots;
mod socket;
mod tickets;

pub use self::body::LiveBody;
pub use self::hub::LiveStats;
pub use self::masked::mask_tickets;
pub use self::service::LiveService;
pub use self::settings::LiveSettings;
pub use self::slots::ClientAddress;
pub use self::tickets::TicketKey;
