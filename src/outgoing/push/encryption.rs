//! Encryption for one browser: RFC 8291, by the coding `aes128gcm` (RFC 8188) with a single record.

use hkdf::Hkdf;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::Sha256;

/// The size of a record: a push service need not take more (RFC 8291 §4).
const RECORD: u32 = 4_096;
/// The salt, the record's size, the length of the key, the key.
const HEADER: usize = 16 + 4 + 1 + KEY;
/// The mark of the last record, and the tag.
const OVERHEAD: usize = 1 + 16;
/// The most that fits.
pub(super) const LARGEST_PAYLOAD: usize = RECORD as usize - HEADER - OVERHEAD;
/// A point of P-256, uncompressed.
const KEY: usize = 65;

/// Whom a message is for.
#[derive(Clone)]
pub(super) struct BrowserKeys {
    /// A point of the curve, not compressed.
    pub(super) p256dh: PublicKey,
    pub(super) auth: [u8; 16],
}

/// `payload`, of at most [`LARGEST_PAYLOAD`] bytes, for the one that has `keys`. None if there are no random numbers.
pub(super) fn encrypt(payload: &[u8], keys: &BrowserKeys) -> Option<Vec<u8>> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).ok()?;
    let own = SecretKey::try_generate().ok()?;
    Some(encrypt_by(payload, keys, &own, salt))
}

/// With a key that is used this once.
fn encrypt_by(payload: &[u8], keys: &BrowserKeys, own: &SecretKey, salt: [u8; 16]) -> Vec<u8> {
    let own_public = uncompressed(&own.public_key());
    let (key, nonce) = content_key(keys, own, &own_public, salt);
    let mut record = payload.to_vec();
    // The last record ends so (RFC 8188 §2). Without padding: a payload's length is no secret worth its bytes.
    record.push(2);
    let key = UnboundKey::new(&AES_128_GCM, &key).expect("a key of 16 bytes");
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut record,
        )
        .expect("a record is far from the bound of AES-GCM");
    let mut body = Vec::with_capacity(HEADER + record.len());
    body.extend(salt);
    body.extend(RECORD.to_be_bytes());
    body.push(KEY as u8);
    body.extend(own_public);
    body.extend(record);
    body
}

/// What the content is encrypted with (RFC 8291 §3.4).
fn content_key(
    keys: &BrowserKeys,
    own: &SecretKey,
    own_public: &[u8],
    salt: [u8; 16],
) -> ([u8; 16], [u8; 12]) {
    const SHORT: &str = "a few bytes, of the 8,160 that HKDF has";
    let shared = own.diffie_hellman(&keys.p256dh);
    let info = [b"WebPush: info\0", &*uncompressed(&keys.p256dh), own_public].concat();
    let (mut input, mut key, mut nonce) = ([0; 32], [0; 16], [0; 12]);
    let combined = shared.extract::<Sha256>(Some(&keys.auth));
    combined.expand(&info, &mut input).expect(SHORT);
    let content = Hkdf::<Sha256>::new(Some(&salt), &input);
    content
        .expand(b"Content-Encoding: aes128gcm\0", &mut key)
        .expect(SHORT);
    content
        .expand(b"Content-Encoding: nonce\0", &mut nonce)
        .expect(SHORT);
    (key, nonce)
}

/// `key` as it is sent.
pub(super) fn uncompressed(key: &PublicKey) -> Vec<u8> {
    key.to_sec1_point(false).as_bytes().to_vec()
}

/// What a browser reads of `body`.
#[cfg(test)]
pub(super) fn decrypt(body: &[u8], private: &SecretKey, auth: [u8; 16]) -> Option<Vec<u8>> {
    // Its side has its own steps, from the shared secret on (RFC 8291 §3.4).
    let (salt, rest) = body.split_at_checked(16)?;
    let (header, rest) = rest.split_at_checked(5)?;
    assert_eq!(
        header,
        [0, 0, 16, 0, 65],
        "the record's size, the key's length"
    );
    let (sender, sealed) = rest.split_at_checked(KEY)?;
    let shared = private.diffie_hellman(&PublicKey::from_sec1_bytes(sender).ok()?);
    let expand = |salt: &[u8], secret: &[u8], info: &[u8], length: usize| {
        let mac = |key: &[u8], text: &[u8]| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
            ring::hmac::sign(&key, text).as_ref().to_vec()
        };
        let mut out = mac(&mac(salt, secret), &[info, &[1]].concat());
        out.truncate(length);
        out
    };
    let info = [
        b"WebPush: info\0",
        &*uncompressed(&private.public_key()),
        sender,
    ]
    .concat();
    let input = expand(&auth, shared.raw_secret_bytes(), &info, 32);
    let key = expand(salt, &input, b"Content-Encoding: aes128gcm\0", 16);
    let nonce = expand(salt, &input, b"Content-Encoding: nonce\0", 12);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    let mut sealed = sealed.to_vec();
    let opened = key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?;
    let (mark, text) = opened.split_last()?;
    (*mark == 2).then(|| text.to_vec())
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
        bytes.try_into().unwrap()
    }

    fn private(text: &str) -> SecretKey {
        SecretKey::from_slice(&bytes::<32>(text)).unwrap()
    }

    #[test]
    fn the_example_of_rfc_8291_is_encrypted_as_there() {
        // Appendix A.
        let p256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
        let keys = BrowserKeys {
            p256dh: PublicKey::from_sec1_bytes(&bytes::<65>(p256dh)).unwrap(),
            auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let own = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");
        let text = b"When I grow up, I want to be a watermelon";
        let body = encrypt_by(text, &keys, &own, salt);
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWA\
                        mS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxs\
                        j_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(&body), expected);
        let browser = private("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94");
        assert_eq!(decrypt(&body, &browser, keys.auth).unwrap(), text);
    }

    #[test]
    fn a_browser_reads_what_is_for_it_and_nobody_else_does() {
        let browser = SecretKey::generate();
        let keys = BrowserKeys {
            p256dh: browser.public_key(),
            auth: [7; 16],
        };
        for length in [0, 1, 100, LARGEST_PAYLOAD] {
            let text = vec![b'x'; length];
            let body = encrypt(&text, &keys).unwrap();
            assert_eq!(body.len(), HEADER + length + OVERHEAD);
            assert_eq!(decrypt(&body, &browser, [7; 16]).unwrap(), text);
            assert_eq!(decrypt(&body, &browser, [8; 16]), None);
            assert_eq!(decrypt(&body, &SecretKey::generate(), [7; 16]), None);
            assert_ne!(encrypt(&text, &keys).unwrap(), body, "keys are used once");
        }
        assert_eq!(LARGEST_PAYLOAD, 3_993);
    }
}
