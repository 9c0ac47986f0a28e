use super::*;
use crate::outgoing::settings::OutgoingSettings;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn build(settings: &WebhookSettings) -> Result<Webhook, ConfigError> {
    Webhook::new(
        settings,
        &EndpointRules::new(&OutgoingSettings::default()).unwrap(),
    )
}

fn settings() -> WebhookSettings {
    WebhookSettings::new("ops", "https://hooks.example.org/T0/secret").secret(SECRET)
}

#[test]
fn a_webhook_that_cannot_work_is_refused_without_its_secrets() {
    let with_url = |url: &str| WebhookSettings::new("ops", url).secret(SECRET);
    let unsigned = WebhookSettings::new("ops", "https://hooks.example.org/");
    let mut lost = unsigned.clone();
    lost.secret_files = vec!["/no/such/file".into()];
    let many = (0..4).fold(settings(), |settings, _| settings.secret(SECRET));
    for (settings, says) in [
        (
            with_url("https://10.0.0.1/secret"),
            "webhook `ops`, url: goes to 10.0.0.1, an address that is private in \"***\"",
        ),
        (
            with_url("https://u:secret@a.example/"),
            "webhook `ops`, url: has a user",
        ),
        (unsigned, "webhook `ops`, secrets: there is none"),
        (
            settings().secret("too short a secret"),
            "webhook `ops`, secrets: is shorter than 32 bytes in \"***\"",
        ),
        (many, "webhook `ops`, secrets: more than 4"),
        (lost, "webhook `ops`, secret_files: cannot be read"),
        (
            settings().timeout(Duration::ZERO),
            "webhook `ops`, timeout: not above zero",
        ),
    ] {
        let error = build(&settings).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
        assert!(
            !error.contains("secret@") && !error.contains("/secret"),
            "{error}"
        );
    }
    let webhook = build(&settings()).unwrap();
    assert_eq!(
        (webhook.name(), &*webhook.origin()),
        ("ops", "https://hooks.example.org")
    );
    let shown = format!("{:?} {webhook:?}", settings());
    assert!(!shown.contains("T0") && !shown.contains("0123"), "{shown}");
}

#[test]
fn a_request_says_what_it_is_and_who_sent_it() {
    let webhook = build(&settings()).unwrap();
    let now = Timestamp::from_millis(1_700_000_000_000);
    let fields = webhook
        .fields("7-12.0/ops", "über 5 % 💰", br#"{"a":1}"#, now)
        .unwrap();
    assert_eq!(fields["content-type"], "application/json");
    assert_eq!(fields["idempotency-key"], "7-12.0/ops");
    assert_eq!(fields["tagcache-alert"], "%C3%BCber 5 %25 %F0%9F%92%B0");
    assert_eq!(
        fields["tagcache-signature"],
        sign(&[WebhookKey::new(SECRET)], br#"{"a":1}"#, now)
    );
    let refused = webhook.fields("a\r\nb: c", "rule", b"{}", now);
    assert!(matches!(refused, Err(DeliveryFailure::Permanent(_))));
    let harmless = webhook.fields("1", "a\r\nb: c", b"{}", now).unwrap();
    assert_eq!(harmless["tagcache-alert"], "a%0D%0Ab: c");
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let file = std::env::temp_dir().join(format!("tagcache-webhook-{}", std::process::id()));
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let mut in_file = WebhookSettings::new("ops", "https://hooks.example.org/");
    in_file.secret_files = vec![file.clone()];
    let built = build(&in_file);
    std::fs::remove_file(file).unwrap();
    let now = Timestamp::from_millis(0);
    let signed = |webhook: &Webhook| webhook.fields("1", "rule", b"{}", now).unwrap();
    assert_eq!(
        signed(&built.unwrap()),
        signed(&build(&settings()).unwrap())
    );
}

#[cfg(feature = "config")]
#[test]
fn a_webhook_is_read_and_shown_without_secrets() {
    let text = format!(
        "name = \"ops\"\nurl = \"https://hooks.example.org/T0\"\nsecrets = [\"{SECRET}\"]\ntimeout = \"2s\""
    );
    let read: WebhookSettings = toml::from_str(&text).unwrap();
    let url = "https://hooks.example.org/T0";
    let own = WebhookSettings::new("ops", url)
        .secret(SECRET)
        .timeout(Duration::from_secs(2));
    assert_eq!(read, own);
    let shown = toml::to_string(&read).unwrap();
    assert!(!shown.contains("T0") && !shown.contains("0123"), "{shown}");
    assert!(toml::from_str::<WebhookSettings>("name = \"ops\"").is_err());
    assert!(toml::from_str::<WebhookSettings>(&format!("{text}\ntypo = 1")).is_err());
}
