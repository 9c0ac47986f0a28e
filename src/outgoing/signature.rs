//! The signature of a webhook: who has the secret sent it, and when.

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Timestamp;

/// More than a change of secrets needs; a forged field cannot make a receiver compute for long.
const MOST_SIGNATURES: usize = 16;

/// Signs webhooks, and checks that they are signed.
#[derive(Clone)]
pub(super) struct WebhookKey(Hmac<Sha256>);

/// Why a webhook is not believed, see [`verify_webhook`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The field is not as it is sent.
    Malformed,
    /// It was signed too long ago, or is from the future.
    WrongTime,
    /// Somebody without the secret signed it, or it was changed on the way.
    Mismatch,
}

/// Whether `field`, the value of `Tagcache-Signature`, says that `body` was sent by who knows `secret`, at most `tolerance`
/// before or after `now`: five minutes, say. `body` is what came, byte for byte. For receivers; those of another
/// language compute the HMAC-SHA256 of `<t>.<body>` and compare it with each `v1`, in constant time.
///
/// ```
/// use std::time::Duration;
/// use tower_tagcache::Timestamp;
/// use tower_tagcache::outgoing::{SignatureError, verify_webhook};
///
/// let secret = "a secret of thirty-two bytes or more";
/// let field = "t=1795392000,v1=295fed76d41fb05ff9d79d8e943db791081c0f4ea76a5c05da13fb79ea6b6f6d";
/// let (now, tolerance) = (Timestamp::from_millis(1_795_392_030_000), Duration::from_secs(300));
/// verify_webhook(secret, field, br#"{"id":"7-12.0"}"#, now, tolerance)?;
/// let changed = verify_webhook(secret, field, br#"{"id":"7-12.1"}"#, now, tolerance);
/// assert_eq!(changed, Err(SignatureError::Mismatch));
/// # Ok::<(), SignatureError>(())
/// ```
///
/// # Errors
/// It does not say so.
pub fn verify_webhook(
    secret: &str,
    field: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let (seconds, signatures) = parse(field).ok_or(SignatureError::Malformed)?;
    let at = Timestamp::from_millis(seconds.saturating_mul(1_000));
    if now.since(at).max(at.since(now)) > tolerance {
        return Err(SignatureError::WrongTime);
    }
    let mac = WebhookKey::new(secret).mac(seconds, body);
    let is_own = |signature: &[u8; 32]| mac.clone().verify_slice(signature).is_ok();
    match signatures.iter().any(is_own) {
        true => Ok(()),
        false => Err(SignatureError::Mismatch),
    }
}

/// The time and the signatures of a field. What it has beside them is for receivers that know it.
fn parse(field: &str) -> Option<(u64, Vec<[u8; 32]>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in field.split(',') {
        match part.trim().split_once('=')? {
            ("t", digits) if time.is_none() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                time = Some(digits.parse().ok()?);
            }
            ("t", _) => return None,
            ("v1", hex) if signatures.len() < MOST_SIGNATURES => {
                // As long as one of blake3, which reads it.
                signatures.push(*blake3::Hash::from_hex(hex).ok()?.as_bytes());
            }
            ("v1", _) => return None,
            _ => {}
        }
    }
    Some((time?, signatures)).filter(|(_, signatures)| !signatures.is_empty())
}

/// The field that `keys` sign `body` with: a signature of each.
pub(super) fn sign(keys: &[WebhookKey], body: &[u8], now: Timestamp) -> String {
    let seconds = now.as_millis() / 1_000;
    let mut field = format!("t={seconds}");
    for key in keys {
        let mac = key.mac(seconds, body).finalize();
        field.push_str(",v1=");
        field.extend(mac.into_bytes().iter().map(|byte| format!("{byte:02x}")));
    }
    field
}

impl WebhookKey {
    pub(super) fn new(secret: &str) -> Self {
        Self(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length"))
    }

    fn mac(&self, seconds: u64, body: &[u8]) -> Hmac<Sha256> {
        let mac = self.0.clone().chain_update(seconds.to_string());
        mac.chain_update(b".").chain_update(body)
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the signature is malformed",
            Self::WrongTime => "the signature is too old, or of the future",
            Self::Mismatch => "the signature is not by this secret and of this body",
        })
    }
}

impl std::error::Error for SignatureError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";
    const BODY: &[u8] = br#"{"a":1}"#;
    const TOLERANCE: Duration = Duration::from_secs(300);
    // Made by `hmac.new(secret, b"1700000000." + body, "sha256")` of Python.
    const FIELD: &str =
        "t=1700000000,v1=f05f2539e3ae1c49aec5f8cfdad75ef6b06480b133973ffbb7ec9e18827af177";

    fn now(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn check(field: &str, body: &[u8], seconds: u64) -> Result<(), SignatureError> {
        verify_webhook(SECRET, field, body, now(seconds), TOLERANCE)
    }

    #[test]
    fn a_signature_is_as_another_language_makes_it() {
        let own = sign(&[WebhookKey::new(SECRET)], BODY, now(1_700_000_000));
        assert_eq!(own, FIELD);
        check(FIELD, BODY, 1_700_000_000).unwrap();
    }

    #[test]
    fn a_signature_of_either_secret_is_believed_while_they_change() {
        let keys = [OTHER, SECRET].map(WebhookKey::new);
        let field = sign(&keys, BODY, now(1_700_000_000));
        assert_eq!(field.matches("v1=").count(), 2);
        for secret in [SECRET, OTHER] {
            verify_webhook(secret, &field, BODY, now(1_700_000_000), TOLERANCE).unwrap();
        }
        let third = "ffffffffffffffffffffffffffffffff";
        let refused = verify_webhook(third, &field, BODY, now(1_700_000_000), TOLERANCE);
        assert_eq!(refused, Err(SignatureError::Mismatch));
    }

    #[test]
    fn what_is_changed_or_old_or_malformed_is_not_believed() {
        let mismatch = Err(SignatureError::Mismatch);
        assert_eq!(check(FIELD, br#"{"a":2}"#, 1_700_000_000), mismatch);
        let other_time = FIELD.replace("1700000000", "1700000001");
        assert_eq!(check(&other_time, BODY, 1_700_000_000), mismatch);
        assert_eq!(check(FIELD, BODY, 1_700_000_300), Ok(()));
        assert_eq!(check(FIELD, BODY, 1_699_999_700), Ok(()));
        for seconds in [1_700_000_301, 1_699_999_699, 0] {
            assert_eq!(check(FIELD, BODY, seconds), Err(SignatureError::WrongTime));
        }
        assert_eq!(check(&format!("{FIELD},v2=x"), BODY, 1_700_000_000), Ok(()));
        let (time, signature) = FIELD.split_once(',').unwrap();
        for field in [
            "",
            time,
            signature,
            &format!("{time},{time},{signature}"),
            &format!("t=,{signature}"),
            &format!("t=-1,{signature}"),
            &format!("t=99999999999999999999999,{signature}"),
            &format!("{time},v1="),
            &format!("{time},{signature}00"),
            &format!("{time},v1=zz"),
            &format!("{FIELD},"),
            &format!("{time}{}", format!(",{signature}").repeat(17)),
        ] {
            let refused = check(field, BODY, 1_700_000_000);
            assert_eq!(refused, Err(SignatureError::Malformed), "{field}");
        }
    }
}
