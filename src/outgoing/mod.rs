//! Requests to others: alerts as signed webhooks, and as pushes to browsers (`push`, of the feature of that name). Whom they
//! go to is often input, so each goes only where [`OutgoingSettings`] let it.
//!
//! # Example
//!
//! ```no_run
//! use tower_tagcache::BoxError;
//! use tower_tagcache::outgoing::{OutgoingClient, OutgoingSettings, WebhookSettings};
//!
//! # async fn example() -> Result<(), BoxError> {
//! let client = OutgoingClient::new(&OutgoingSettings::default())?;
//! let settings = WebhookSettings::new("ops", "https://hooks.example.org/tagcache")
//!     .secret("a secret of thirty-two bytes or more");
//! let webhook = client.webhook(&settings)?;
//! client.post_webhook(&webhook, "7-12.0/ops", "outbid", r#"{"subject":"auction:1"}"#).await?;
//! # Ok(()) }
//! ```
//!
//! # Where requests go
//!
//! To URLs that begin with `https://`, without a user, a password or a fragment, whose host is one of
//! [`hosts`](OutgoingSettings::hosts) if these are set. And only to public addresses: none that is private,
//! shared, of this machine, link-local, multicast, for documentation or benchmarks, reserved, or one of IPv6 that
//! stands for such a one of IPv4; other ones are named in [`networks`](OutgoingSettings::networks).
//!
//! An address in a URL is checked when it is configured, however it is spelt. A name is looked up once for each request, its
//! addresses are checked, and the connection goes to one that passed: who owns the name cannot change it in between. If
//! some pass and some do not, those that do are used. A redirect is not followed, it is a failure, and
//! environment variables such as `HTTPS_PROXY` are not read.
//!
//! A request has a connection of its own (HTTP/1.1), whose certificate must be for the URL's host, by an authority of the
//! operating system (or of `SSL_CERT_FILE`) or of [`root_certificates`](OutgoingSettings::root_certificates). At most four
//! addresses are tried; an answer's head may have 16 KiB, and of its body 64 KiB are read, for a second, and dropped.
//!
//! # What a receiver gets
//!
//! ```text
//! POST /tagcache HTTP/1.1
//! Content-Type: application/json
//! User-Agent: tagcache/0.1.0
//! Idempotency-Key: 7-12.0/ops
//! Tagcache-Alert: outbid
//! Tagcache-Signature: t=1795392000,v1=5f0c…
//! ```
//!
//! - `Idempotency-Key`: one alert, however often it is sent. The body has it as `id`, which is signed: go by that, and keep it for
//!   a week, as an alert that failed can be sent again.
//! - `Tagcache-Alert`: the rule; what is not ASCII, and `%`, as in a URL (`%C3%BC`).
//! - `Tagcache-Signature`: when it was sent, in seconds since 1970, and the HMAC-SHA256 of `<t>.<body>` in hexadecimal, a `v1`
//!   for each secret. See [`verify_webhook`].
//!
//! Answer with any 2xx at once, and work afterwards. 408, 425, 429, 5xx and no answer are [`Retry`](DeliveryFailure::Retry),
//! with the `Retry-After` of the answer, an hour at most; 410 is [`Permanent`](DeliveryFailure::Permanent), and all else
//! [`Refused`](DeliveryFailure::Refused). Who sends
//! again, and how often, is up to the caller.

mod answer;
mod client;
mod connect;
mod endpoint;
mod failure;
mod networks;
#[cfg(test)]
mod receiver;
mod resolver;
mod settings;
mod signature;
mod tls;
mod webhook;

#[cfg(feature = "push")]
pub mod push;

pub use self::client::OutgoingClient;
pub use self::failure::DeliveryFailure;
pub use self::settings::OutgoingSettings;
pub use self::signature::{SignatureError, verify_webhook};
pub use self::webhook::{Webhook, WebhookSettings};
