//! [`PushMessage`]: what is sent, and how long it matters.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, ErrorKind};
use crate::outgoing::push::encryption::LARGEST_PAYLOAD;

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// What an alert says is old after that.
const DEFAULT_TTL: Duration = Duration::from_secs(3_600);
/// A topic has at most 32 characters (RFC 8030 §5.4): as many as these bytes have in base64.
const TOPIC_BYTES: usize = 24;

/// A message for browsers. See the [module docs](super).
#[derive(Debug, Clone)]
pub struct PushMessage {
    pub(super) payload: Bytes,
    ttl: Duration,
    urgency: Urgency,
    topic: Option<HeaderValue>,
}

/// How much a message is worth to the battery of who gets it (RFC 8030 §5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// On power and Wi-Fi.
    VeryLow,
    /// On power or Wi-Fi.
    Low,
    /// On neither, as in a chat.
    #[default]
    Normal,
    /// With little battery left, as a call.
    High,
}

impl PushMessage {
    /// The message `payload`, which the page's service worker reads.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it has more than 3,993 bytes, which is what a push service must take (RFC 8291 §4).
    pub fn new(payload: impl Into<Bytes>) -> Result<Self, Error> {
        let payload = payload.into();
        if payload.len() > LARGEST_PAYLOAD {
            let why = format!(
                "a push has at most {LARGEST_PAYLOAD} bytes, not {}",
                payload.len()
            );
            return Err(Error::new(ErrorKind::Invalid, why));
        }
        Ok(Self {
            payload,
            ttl: DEFAULT_TTL,
            urgency: Urgency::default(),
            topic: None,
        })
    }

    /// Sets how long the push service keeps it for a browser that is away; zero: not at all. Default: 1 h.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets its urgency. Default: [`Urgency::Normal`].
    #[must_use]
    pub const fn urgency(mut self, urgency: Urgency) -> Self {
        self.urgency = urgency;
        self
    }

    /// Sets what it is about: it replaces an earlier one about it that the push service still has. The service is told a
    /// digest of `topic`, which may be any text. Default: none, it replaces nothing.
    #[must_use]
    pub fn topic(mut self, topic: &str) -> Self {
        let digest = blake3::hash(topic.as_bytes());
        let text = URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..TOPIC_BYTES]);
        self.topic = HeaderValue::try_from(text).ok();
        self
    }

    /// What the push service is told of it.
    pub(super) fn fields(&self) -> HeaderMap {
        // RFC 8030 §5.2: 31 bits are what a service must understand.
        let seconds = self.ttl.as_secs().min(i32::MAX as u64);
        let mut fields = HeaderMap::new();
        fields.insert(TTL, seconds.into());
        fields.insert(URGENCY, HeaderValue::from_static(self.urgency.as_str()));
        fields.extend(self.topic.clone().map(|topic| (TOPIC, topic)));
        fields
    }
}

impl Urgency {
    /// As it is sent.
    const fn as_str(self) -> &'static str {
        match self {
            Self::VeryLow => "very-low",
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_and_how_much_it_matters() {
        let fields = PushMessage::new("x").unwrap().fields();
        assert_eq!(
            (&fields["ttl"], &fields["urgency"]),
            (&"3600".parse().unwrap(), &"normal".parse().unwrap())
        );
        assert_eq!(fields.get("topic"), None);
        let message = PushMessage::new("x")
            .unwrap()
            .ttl(Duration::MAX)
            .urgency(Urgency::VeryLow);
        let fields = message.topic("auction:ü").fields();
        assert_eq!(fields["ttl"], "2147483647");
        assert_eq!(fields["urgency"], "very-low");
        assert_eq!(fields["topic"].len(), 32);
    }

    #[test]
    fn a_payload_is_bounded() {
        PushMessage::new(vec![0; LARGEST_PAYLOAD]).unwrap();
        let error = PushMessage::new(vec![0; LARGEST_PAYLOAD + 1]).unwrap_err();
        assert_eq!(error.to_string(), "a push has at most 3993 bytes, not 3994");
    }
}
