//! [`PushSender`]: sends messages to browsers.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use crate::error::{ConfigError, Error};
use crate::outgoing::client::OutgoingClient;
use crate::outgoing::failure::DeliveryFailure;
use crate::outgoing::push::encryption::encrypt;
use crate::outgoing::push::message::PushMessage;
use crate::outgoing::push::subscription::PushSubscription;
use crate::outgoing::push::vapid::{PushSettings, VapidKey};

/// Sends messages to browsers, by an [`OutgoingClient`]. A cheap clone. See the [module docs](super).
#[derive(Debug, Clone)]
pub struct PushSender {
    client: OutgoingClient,
    key: VapidKey,
}

/// What becomes of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// The push service has it.
    Sent,
    /// The subscription has ended: nobody will get anything by it again.
    Gone,
}

impl PushSender {
    /// Sends by `client`, as who `settings` say.
    ///
    /// # Errors
    /// There is no key, or it cannot be used, or the subject.
    pub fn new(client: OutgoingClient, settings: &PushSettings) -> Result<Self, ConfigError> {
        let key = VapidKey::new(settings)?;
        Ok(Self { client, key })
    }

    /// The public key that pages subscribe with (`applicationServerKey`), in base64url.
    #[must_use]
    pub fn public_key(&self) -> &str {
        self.key.public()
    }

    /// The subscription that a page wrote with `JSON.stringify`, or that was [kept](PushSubscription::to_json).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): it is none, or its endpoint is where no request may go.
    pub fn subscription(&self, json: &str) -> Result<PushSubscription, Error> {
        PushSubscription::parse(json, &self.client)
    }

    /// Sends `message` to the browser of `subscription`.
    ///
    /// # Errors
    /// It was not taken: not now, or never.
    ///
    /// # Cancel safety
    /// Dropped, it closes its connection; what was sent may have been taken.
    pub async fn send(
        &self,
        subscription: &PushSubscription,
        message: &PushMessage,
    ) -> Result<PushOutcome, DeliveryFailure> {
        let now = self.client.now();
        if subscription.expires().is_some_and(|end| end <= now) {
            return Ok(PushOutcome::Gone);
        }
        let endpoint = &subscription.endpoint;
        let body = encrypt(&message.payload, &subscription.keys);
        let body = body.ok_or_else(|| DeliveryFailure::Retry {
            reason: "there are no random numbers".to_owned(),
            after: None,
        })?;
        let authorization = self.key.authorization(&endpoint.origin(), now);
        let authorization = HeaderValue::try_from(authorization)
            .map_err(|_| DeliveryFailure::Permanent("the token is no field value".to_owned()))?;
        let mut fields = message.fields();
        fields.extend([
            (AUTHORIZATION, authorization),
            (CONTENT_ENCODING, HeaderValue::from_static("aes128gcm")),
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
        ]);
        let answer = self
            .client
            .post(endpoint, fields, body.into(), None)
            .await?;
        match answer.status {
            status if status.is_success() => Ok(PushOutcome::Sent),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(PushOutcome::Gone),
            _ => Err(DeliveryFailure::of(&answer)),
        }
    }
}

#[cfg(test)]
mod tests;
