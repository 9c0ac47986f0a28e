//! [`PushSubscription`]: where and for whom a browser wants to be told.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use p256::PublicKey;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::outgoing::client::OutgoingClient;
use crate::outgoing::endpoint::Endpoint;
use crate::outgoing::push::encryption::{BrowserKeys, uncompressed};

/// Far more than a browser writes.
const LARGEST: usize = 4_096;
/// As browsers write it, and as others do.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Where and for whom a browser wants to be told: what a page has from `pushManager.subscribe()`. Made by
/// [`PushSender::subscription`](super::PushSender::subscription), which checks it.
///
/// Who has it can send to that browser, so `Debug` shows only the push service.
#[derive(Clone)]
pub struct PushSubscription {
    pub(super) endpoint: Endpoint,
    pub(super) keys: BrowserKeys,
    /// As the browser wrote it.
    url: String,
    expires: Option<Timestamp>,
}

impl PushSubscription {
    /// Reads what `JSON.stringify(subscription)` writes.
    pub(super) fn parse(text: &str, client: &OutgoingClient) -> Result<Self, Error> {
        let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("the subscription {why}"));
        if text.len() > LARGEST {
            return Err(invalid("is longer than 4 KiB"));
        }
        let json: Value = serde_json::from_str(text).map_err(|_| invalid("is no JSON"))?;
        let url = json["endpoint"]
            .as_str()
            .ok_or_else(|| invalid("has no `endpoint`"))?;
        let endpoint = client.endpoint(url);
        let endpoint = endpoint.map_err(|why| invalid(&format!("has an `endpoint` that {why}")))?;
        let decode = |name: &str| BASE64.decode(json["keys"][name].as_str()?).ok();
        let point = decode("p256dh").filter(|point| point.len() == 65);
        let p256dh = point.and_then(|point| PublicKey::from_sec1_bytes(&point).ok());
        let p256dh = p256dh.ok_or_else(|| invalid("has no key of P-256 as `p256dh`"))?;
        let auth = decode("auth").and_then(|auth| auth.try_into().ok());
        let auth = auth.ok_or_else(|| invalid("has no 16 bytes as `auth`"))?;
        let expires = match &json["expirationTime"] {
            Value::Null => None,
            time => {
                let millis = time.as_f64().filter(|millis| *millis >= 0.0);
                let millis = millis.ok_or_else(|| invalid("has no time as `expirationTime`"))?;
                Some(Timestamp::from_millis(millis as u64))
            }
        };
        Ok(Self {
            endpoint,
            keys: BrowserKeys { p256dh, auth },
            url: url.to_owned(),
            expires,
        })
    }

    /// The URL that messages are posted to, which tells subscriptions apart.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.url
    }

    /// Whether `secret` is its own. Digests are compared in constant time.
    pub(super) fn has_secret(&self, secret: &[u8]) -> bool {
        blake3::hash(secret) == blake3::hash(&self.keys.auth)
    }

    /// When it ends; most do not say.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// As a browser writes it, to be kept and read again.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = json!({
            "endpoint": self.url,
            "expirationTime": self.expires.map(Timestamp::as_millis),
            "keys": {
                "auth": URL_SAFE_NO_PAD.encode(self.keys.auth),
                "p256dh": URL_SAFE_NO_PAD.encode(uncompressed(&self.keys.p256dh)),
            },
        });
        json.to_string()
    }
}

impl fmt::Debug for PushSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushSubscription({}/…)", self.endpoint.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outgoing::OutgoingSettings;

    const P256DH: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn client() -> OutgoingClient {
        OutgoingClient::new(&OutgoingSettings::default().allow_plain(true)).unwrap()
    }

    fn parse(json: &Value) -> Result<PushSubscription, Error> {
        PushSubscription::parse(&json.to_string(), &client())
    }

    fn subscription(change: impl FnOnce(&mut Value)) -> Value {
        let mut json = json!({
            "endpoint": "https://push.example/send/secret",
            "expirationTime": null,
            "keys": { "p256dh": P256DH, "auth": AUTH },
        });
        change(&mut json);
        json
    }

    #[test]
    fn what_a_browser_writes_is_read_and_written_again() {
        let read = parse(&subscription(|_| {})).unwrap();
        assert_eq!(read.endpoint(), "https://push.example/send/secret");
        assert_eq!(read.expires(), None);
        assert_eq!(
            serde_json::from_str::<Value>(&read.to_json()).unwrap(),
            subscription(|_| {})
        );
        assert_eq!(
            format!("{read:?}"),
            "PushSubscription(https://push.example/…)"
        );
        let padded = parse(&subscription(|json| {
            json["keys"] = json!({ "p256dh": format!("{P256DH}="), "auth": format!("{AUTH}==") });
            json["expirationTime"] = json!(1_700_000_000_000.5);
            json["contentEncodings"] = json!(["aes128gcm"]);
        }));
        let padded = padded.unwrap();
        assert_eq!(padded.keys.auth, read.keys.auth);
        assert_eq!(
            padded.expires(),
            Some(Timestamp::from_millis(1_700_000_000_000))
        );
    }

    #[test]
    fn what_is_no_subscription_is_refused() {
        let client = client();
        let off_the_curve = {
            let mut point = BASE64.decode(P256DH).unwrap();
            point[64] ^= 1;
            URL_SAFE_NO_PAD.encode(point)
        };
        let compressed = URL_SAFE_NO_PAD.encode(&BASE64.decode(P256DH).unwrap()[..33]);
        let hybrid = {
            let mut point = BASE64.decode(P256DH).unwrap();
            point[0] = 6;
            URL_SAFE_NO_PAD.encode(point)
        };
        let with = |pointer: &str, value: Value| {
            subscription(|json| *json.pointer_mut(pointer).unwrap() = value)
        };
        for (json, says) in [
            (json!([]), "endpoint"),
            (json!("x"), "endpoint"),
            (with("/endpoint", json!(1)), "endpoint"),
            (
                with("/endpoint", json!("https://10.0.0.1/x")),
                "an address that is private",
            ),
            (
                with("/endpoint", json!("https://u@push.example/x")),
                "a user",
            ),
            (with("/endpoint", json!("ftp://push.example/x")), "scheme"),
            (with("/keys", json!(null)), "p256dh"),
            (with("/keys/p256dh", json!("")), "p256dh"),
            (with("/keys/p256dh", json!(off_the_curve)), "p256dh"),
            (with("/keys/p256dh", json!(compressed)), "p256dh"),
            (with("/keys/p256dh", json!(hybrid)), "p256dh"),
            (
                with("/keys/p256dh", json!(P256DH.replace('_', "/"))),
                "p256dh",
            ),
            (with("/keys/auth", json!(&AUTH[2..])), "auth"),
            (with("/keys/auth", json!(format!("{AUTH}AA"))), "auth"),
            (with("/expirationTime", json!("soon")), "expirationTime"),
            (with("/expirationTime", json!(-1)), "expirationTime"),
            (with("/endpoint", json!("x".repeat(LARGEST))), "4 KiB"),
        ] {
            let error = PushSubscription::parse(&json.to_string(), &client).unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }
}
