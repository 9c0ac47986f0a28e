use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier;

use super::*;

const KEY: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const PUBLIC: &str =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const SUBJECT: &str = "mailto:ops@example.org";
// `openssl ecparam -name prime256v1 -genkey`, and that key by `openssl pkcs8 -topk8 -nocrypt`.
const SEC1: &str = "-----BEGIN EC PARAMETERS-----\n\
BggqhkjOPQMBBw==\n\
-----END EC PARAMETERS-----\n\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEINrGzrdBDWxvfoHVLKJU6eZiBPSptukppHO2SDjH3P8boAoGCCqGSM49\n\
AwEHoUQDQgAERJNndma7OfOahcpHm0ZqFoELgpv5onoy2kaQE+Nrz2wHmfY4wv+B\n\
jJDLfSbos0DO3qCQpsqUFWqrBWtHoCpbDg==\n\
-----END EC PRIVATE KEY-----\n";
const PKCS8: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2sbOt0ENbG9+gdUs\n\
olTp5mIE9Km26Smkc7ZIOMfc/xuhRANCAAREk2d2Zrs585qFykebRmoWgQuCm/mi\n\
ejLaRpAT42vPbAeZ9jjC/4GMkMt9JuizQM7eoJCmypQVaqsFa0egKlsO\n\
-----END PRIVATE KEY-----\n";

fn key(text: &str) -> Result<VapidKey, ConfigError> {
    VapidKey::new(&PushSettings::new(SUBJECT).key(text))
}

#[test]
fn a_key_is_read_as_its_makers_write_it() {
    assert_eq!(key(KEY).unwrap().public(), PUBLIC);
    assert_eq!(key(&format!(" {KEY}=\n")).unwrap().public(), PUBLIC);
    let (sec1, pkcs8) = (key(SEC1).unwrap(), key(PKCS8).unwrap());
    assert_eq!(sec1.public(), pkcs8.public());
    let file = std::env::temp_dir().join(format!("tagcache-vapid-{}", std::process::id()));
    std::fs::write(&file, PKCS8).unwrap();
    let by_file = VapidKey::new(&PushSettings::new(SUBJECT).key_file(&file));
    std::fs::remove_file(file).unwrap();
    assert_eq!(by_file.unwrap().public(), pkcs8.public());
}

#[test]
fn a_token_is_for_one_service_and_signed() {
    let key = key(KEY).unwrap();
    let value = key.authorization(
        "https://push.example",
        Timestamp::from_millis(1_700_000_000_000),
    );
    let token = value.strip_prefix("vapid t=").unwrap();
    let (token, public) = token.split_once(", k=").unwrap();
    assert_eq!(public, PUBLIC);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let verifying = VerifyingKey::from_sec1_bytes(&BASE64.decode(public).unwrap()).unwrap();
    let signature = Signature::from_slice(&BASE64.decode(signature).unwrap()).unwrap();
    verifying.verify(signed.as_bytes(), &signature).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&BASE64.decode(part).unwrap()).unwrap()
    };
    assert_eq!(json(header), json!({ "alg": "ES256", "typ": "JWT" }));
    let claims = json(claims);
    let expected = json!({ "aud": "https://push.example", "exp": 1_700_043_200, "sub": SUBJECT });
    assert_eq!(claims, expected);
}

#[test]
fn settings_that_cannot_be_used_are_refused_without_the_key() {
    let truncated = &KEY[4..];
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let order = URL_SAFE_NO_PAD.encode([0xff; 32]);
    let certificate = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    for text in ["", "x", truncated, &zero, &order, PUBLIC, certificate] {
        let error = key(text).unwrap_err().to_string();
        assert!(
            error.starts_with("key: is no private key") && error.ends_with("\"***\""),
            "{error}"
        );
    }
    for subject in [
        "",
        "ops@example.org",
        "mailto:",
        "mailto:@",
        "https://",
        "http://a.example",
        "mailto:a@b c",
    ] {
        let error = VapidKey::new(&PushSettings::new(subject).key(KEY)).unwrap_err();
        assert!(error.to_string().starts_with("subject: "), "{error}");
    }
    let error = VapidKey::new(&PushSettings::new(SUBJECT)).unwrap_err();
    assert!(
        error.to_string().starts_with("key: there is none"),
        "{error}"
    );
    let shown = format!(
        "{:?} {:?}",
        key(KEY).unwrap(),
        PushSettings::new(SUBJECT).key(KEY)
    );
    assert!(!shown.contains(KEY), "{shown}");
}
