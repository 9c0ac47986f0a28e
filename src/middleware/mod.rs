//! The Tower face of the cache: wrap a service, and whole responses of the routes that have a rule are
//! answered without calling it.
//!
//! Reads that come far more often than their data changes need not reach the handler at all, and a
//! purge makes a stored response go away the moment that the data does change. Nothing inside the
//! layer has to know: it sees ordinary requests, fewer of them.
//!
//! # Example
//!
//! A rule, one `.layer(…)`, and the companion task, which keeps this process in step with the purge
//! log. Works for any service of [`http::Request`] and [`http::Response`]:
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use axum::{Router, body::Body, extract::Path, http::Request, routing::get};
//! use tower::ServiceExt;
//! use tower_tagcache::{Cache, Rule};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rule = Rule::new("auction", "/auctions/{address}")
//!     .ttl(Duration::from_secs(10))
//!     .tag("auction:{address}");
//! let (cache, companion) = Cache::builder().rule(rule).build()?;
//! # let shutdown = std::future::pending();
//! tokio::spawn(companion.run(shutdown));
//!
//! let app: Router = Router::new()
//!     .route("/auctions/{address}", get(|Path(address): Path<String>| async { address }))
//!     .layer(cache.layer());
//!
//! let ask = || Request::get("/auctions/7").body(Body::empty());
//! let first = app.clone().oneshot(ask()?).await?;
//! assert_eq!(first.headers()["cache-status"], "tagcache; fwd=uri-miss; stored");
//! # axum::body::to_bytes(first.into_body(), usize::MAX).await?;
//! let second = app.clone().oneshot(ask()?).await?;
//! assert!(second.headers()["cache-status"].as_bytes().starts_with(b"tagcache; hit"));
//!
//! cache.purger().tag("auction:7").await?;
//! let third = app.oneshot(ask()?).await?;
//! assert_eq!(third.headers()["cache-status"], "tagcache; fwd=stale; stored; detail=purged");
//! # Ok(()) }
//! ```
//!
//! # Configured example
//!
//! No framework is needed, and no body type is preferred:
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use http::{Request, Response, StatusCode};
//! use http_body_util::{BodyExt, Empty, Full};
//! use bytes::Bytes;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_tagcache::{Cache, ClientPolicy, Query, Rule};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let rule = Rule::new("search", "/search")
//!     .ttl(Duration::from_secs(30))
//!     .ttl_for(StatusCode::NOT_FOUND, Duration::from_secs(5))
//!     .stale_while_revalidate(Duration::from_secs(10))
//!     .query(Query::allow(["q", "page"]))
//!     .header("accept-language")
//!     .tags(["search", "search:{query.q:lower}"])
//!     .client(ClientPolicy::Pass)
//!     .body_limit(256 * 1024);
//! let (cache, _companion) = Cache::builder().rule(rule).build()?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(cache.layer())
//!     .concurrency_limit(100)
//!     .service(service_fn(|_: Request<Empty<Bytes>>| async {
//!         Ok::<_, Infallible>(Response::new(Full::from("found")))
//!     }));
//!
//! let ask = |uri: &str| Request::get(uri).body(Empty::new());
//! let first = service.clone().oneshot(ask("/search?q=Vase&utm_source=mail")?).await?;
//! assert_eq!(first.into_body().collect().await?.to_bytes(), "found");
//! let second = service.oneshot(ask("/search?q=Vase")?).await?;
//! assert!(second.headers()["cache-status"].as_bytes().starts_with(b"tagcache; hit"));
//! # Ok(()) }
//! ```
//!
//! # What is left alone
//!
//! A request that no rule matches, of a method other than `GET` or `HEAD`, or with `Upgrade`, a body,
//! or a cookie that the rule does not name, reaches the inner service as it came, extensions included,
//! and its response body comes back untouched. So do event streams and other responses that are not
//! stored: the first byte is passed on when it is there.
//!
//! A response that is being stored is read by the client at the same time. Status, fields, extensions,
//! bytes and trailers are those of the inner service, but for the fields that a cache adds: `Age`,
//! `Cache-Status`, and by the rule's [`ClientPolicy`](crate::ClientPolicy) `Cache-Control` and a
//! validator.
//!
//! # At least this new
//!
//! A client that was told of a change ([`UpdateId::position`](crate::UpdateId), [`Purged::position`](crate::Purged), or
//! what an event's [outcome](crate::EventOutcome) says) sends that position back in the request field `Cache-After`. It is then
//! answered by what is at least as new, on whichever node: a copy in this process answers only if this process has
//! heard of the purge, and what a soft purge named is not served stale. The field selects no response, so it is no
//! part of the key, and the inner service does not see it.
//!
//! It is the client's input. What is not exactly one position is ignored; a position that is not in the log is a miss,
//! up to a hundred times a second for each rule, and then ignored too. Where a client cannot send a field, a rule can
//! hear a parameter: [`Rule::after_parameter`](crate::Rule::after_parameter).
//!
//! # Backpressure
//!
//! [`CacheService`] is always ready. A hit neither waits for the inner service nor holds a permit of
//! it; each forward readies a clone of its own first. A `ConcurrencyLimit`, `Buffer` or `LoadShed`
//! therefore belongs *inside*, where it limits what the cache lets through; outside it would count hits.
//! What waits for the inner service is bounded by it, not by `poll_ready`.
//!
//! Up to the rule's body limit a slow client holds nobody up. A body that turns out larger is no longer
//! kept, and read at the pace of the slowest of those who share it; one that holds up others for
//! half a minute gets an error instead of the rest.
//!
//! # Clone
//!
//! [`Cache`](crate::Cache), [`CacheLayer`] and [`CacheService`] are cheap clones that share everything.
//! The inner service is cloned at most once for each request, not at all for one that is answered at
//! once, and never called without having been ready.
//!
//! # Cancel safety
//!
//! A call of the inner service that may be shared or stored runs in a task of its own, begun with
//! [`tokio::spawn`]. Dropping the [`ResponseFuture`] or the [`CacheBody`] neither stops it nor harms the
//! others who wait for it; when nobody does any more it goes on for a minute at the most. A call whose
//! response nobody else can get (its key was lately not storable, say) ends with the request, as does
//! one that bypasses the cache. If the inner service panics, so does the request that called it; the
//! others forward by themselves.
//!
//! Because of the task, what a handler finds in task-local storage is not what a layer outside of this
//! one put there; request extensions and the current [`tracing`] span are.
//!
//! # Deployment
//!
//! **Outside or inside.** Layers outside of the cache see every request, those inside only what it
//! forwards. Whatever decides *who may see* a response belongs outside; whatever changes *what it
//! says* belongs inside, or its input into the key. The key is made of the request's URI, `Host` and
//! the fields that the rule or a `Vary` names: what an outer layer puts into the request's extensions
//! (a user, a tenant) is not part of it, so a response that depends on that must be `private`, or the
//! rule must key by the field that it was made from. Compression fits outside (one stored response for
//! all encodings) and inside (one for each, by `Vary`).
//!
//! **`Router::layer`** wraps each route that was added before it, and the fallback. Routing has then
//! taken place: `Path`, `MatchedPath` and `ConnectInfo` are there for handlers as ever.
//! **`Router::route_layer`** leaves out the fallback, so that a 404 for an unknown path never meets the
//! cache. To answer hits without routing at all, wrap the router itself:
//! `cache.layer().layer(router)`.
//!
//! **One layer for each request.** A second layer of the same cache further in lets pass what the first
//! has forwarded. Layers of different caches can be nested; each adds its line to `Cache-Status`.
//!
//! ## Nested routers
//!
//! A layer of a router that is nested sees the path *without* the prefix: below `.nest("/v1", api)` and
//! below `.nest("/{tenant}", api)` a request for `/v1/users` or `/acme/users` is one for `/users`. Keys, purges
//! by URL, and what an unsafe request or a `Location` purges go by the whole URI all the same: with the
//! feature `axum` (on by default) the layer finds it where axum 0.8 keeps it. A rule may name either
//! path, `/{tenant}/users` or `/users`; the whole one is looked for first.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use axum::extract::Path;
//! use tower::ServiceExt;
//! use tower_tagcache::{Cache, Rule};
//!
//! # #[cfg(not(feature = "axum"))]
//! # fn main() {}
//! # #[cfg(feature = "axum")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let rule = Rule::new("users", "/users").ttl(Duration::from_secs(60));
//! let (cache, _companion) = Cache::builder().rule(rule).build()?;
//!
//! let api = Router::new()
//!     .route("/users", get(|Path(tenant): Path<String>| async { tenant }))
//!     .layer(cache.layer());
//! let app: Router = Router::new().nest("/{tenant}", api);
//!
//! for tenant in ["acme", "umbrella"] {
//!     let request = Request::get(format!("/{tenant}/users")).body(Body::empty())?;
//!     let body = app.clone().oneshot(request).await?.into_body();
//!     assert_eq!(axum::body::to_bytes(body, usize::MAX).await?, tenant);
//! }
//! # Ok(()) }
//! ```
//!
//! Where something else takes the prefix away (another framework, another version of axum, code of your own,
//! also in front of an axum router), say where it puts the whole URI:
//! [`CacheLayer::original_uri`](crate::CacheLayer::original_uri). **A layer that is told nothing takes what it
//! sees for what the client asked for**: behind code that strips `/{tenant}` and keeps it nowhere, all tenants are one.
//!
//! ## Several layers
//!
//! A program needs one layer: make it once, and clone it. Where a cache has several that nobody has
//! named, each keeps what it stores to itself, as the paths that they see may be of different places.
//! They are told apart by the line that makes them; what one line makes before the first request (a loop over
//! places) is apart as well, and what it makes later (a service for each connection) is one.
//!
//! What keeps them apart is drawn at random, so on Redis they share nothing with other processes either: a
//! warning says so. Below a nested router of axum the whole URI is known, and they need no more. Else give each a
//! name, which other processes share: `cache.layer().scope("v1")`, `cache.layer().scope("v2")`.

mod future;
mod layer;
mod layers;
mod place;
mod service;

pub use self::future::ResponseFuture;
pub use self::layer::CacheLayer;
pub(crate) use self::layers::Layers;
pub use self::service::CacheService;
pub use crate::engine::CacheBody;
