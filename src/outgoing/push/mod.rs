//! Web Push: a message for one browser, which shows it even if no page is open (RFC 8030), encrypted so that only that
//! browser can read it (RFC 8291), by a sender that the push service knows (VAPID, RFC 8292).
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use tower_tagcache::BoxError;
//! use tower_tagcache::outgoing::push::{PushMessage, PushOutcome, PushSender, PushSettings, Urgency};
//! use tower_tagcache::outgoing::{OutgoingClient, OutgoingSettings};
//!
//! # async fn example(from_the_page: &str) -> Result<(), BoxError> {
//! let client = OutgoingClient::new(&OutgoingSettings::default())?;
//! let settings = PushSettings::new("mailto:ops@example.org").key_file("/etc/tagcache/vapid.pem");
//! let sender = PushSender::new(client, &settings)?;
//! // What a page calls `applicationServerKey`:
//! println!("{}", sender.public_key());
//! // `JSON.stringify(subscription)` of a page:
//! let subscription = sender.subscription(from_the_page)?;
//! let message = PushMessage::new(r#"{"title":"You were outbid"}"#)?
//!     .ttl(Duration::from_secs(3_600))
//!     .urgency(Urgency::High)
//!     .topic("auction:1");
//! if sender.send(&subscription, &message).await? == PushOutcome::Gone {
//!     // Forget the subscription.
//! }
//! # Ok(()) }
//! ```
//!
//! # Alerts
//!
//! [`CacheBuilder::push`](crate::CacheBuilder::push) sends the alerts of rules that [push](crate::AlertRule::push) to all browsers
//! that subscribed by [`PushService`]:
//!
//! | request | answer |
//! |---|---|
//! | `GET /push/key` | `{"key":"B…"}`: the `applicationServerKey` |
//! | `POST /push/subscriptions`, with the token | 201, or 200 if it was there. The body: `{"subscription": …, "rules": ["big-sales"]}`; without `rules` all that push |
//! | `DELETE /push/subscriptions` | 204. The body: the subscription, whose `auth` is what it takes |
//!
//! Anything else is 400, 401, 404 or 503 with a reason in `application/problem+json`. At most 10,000 browsers are kept; one is
//! forgotten when its push service answers 404 or 410. The message is the alert as a webhook gets it, without `data` if it would be
//! too long; a browser that cannot be told after two tries is not told of that alert. A page:
//!
//! ```js
//! const {key} = await (await fetch('/push/key')).json()
//! const worker = await navigator.serviceWorker.register('/worker.js')
//! const subscription = await worker.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: key})
//! await fetch('/api/subscribe', {method: 'POST', body: JSON.stringify(subscription)})   // your server adds the token
//! // worker.js:
//! self.addEventListener('push', (event) => {
//!   const alert = event.data.json()
//!   event.waitUntil(self.registration.showNotification(alert.rule, {body: alert.message, tag: alert.id}))
//! })
//! ```
//!
//! # Keys
//!
//! `openssl ecparam -name prime256v1 -genkey -noout -out vapid.pem` makes a key. Browsers tie a subscription to it: with
//! another one, all of them are to be made anew.
//!
//! A subscription is input: it names the URL that is posted to. It goes where all [outgoing](super) requests may, and to the push
//! services of [`PushSettings::hosts`] only.

mod encryption;
mod message;
mod sender;
mod service;
mod subscribers;
mod subscription;
mod vapid;

pub use self::message::{PushMessage, Urgency};
pub use self::sender::{PushOutcome, PushSender};
pub use self::service::{PushService, PushServiceSettings};
pub(crate) use self::subscribers::Subscribers;
pub use self::subscription::PushSubscription;
pub use self::vapid::PushSettings;
