use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use p256::SecretKey;
use p256::elliptic_curve::Generate;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::outgoing::push::Urgency;
use crate::outgoing::push::encryption::{decrypt, uncompressed};
use crate::outgoing::push::subscription::BASE64;
use crate::outgoing::receiver::{Answers, Receiver};
use crate::outgoing::settings::OutgoingSettings;

const AUTH: [u8; 16] = [7; 16];

fn sender(clock: Arc<ManualClock>) -> PushSender {
    let settings = OutgoingSettings::default().allow_plain(true);
    let settings = settings.timeout(Duration::from_secs(20));
    let client = OutgoingClient::new(&settings.networks(["127.0.0.1"])).unwrap();
    let key = BASE64.encode(SecretKey::generate().to_bytes());
    let settings = PushSettings::new("mailto:ops@example.org").key(key);
    PushSender::new(client.with_clock(clock), &settings).unwrap()
}

fn written(endpoint: &str, browser: &SecretKey, expires: Value) -> String {
    let p256dh = BASE64.encode(uncompressed(&browser.public_key()));
    let keys = json!({ "p256dh": p256dh, "auth": BASE64.encode(AUTH) });
    json!({ "endpoint": endpoint, "expirationTime": expires, "keys": keys }).to_string()
}

/// What comes of a message that the push service answers so.
async fn sent(sender: &PushSender, answer: &str) -> Result<PushOutcome, DeliveryFailure> {
    let service = Receiver::plain(format!("HTTP/1.1 {answer}\r\n\r\n")).await;
    let json = written(&service.url(), &SecretKey::generate(), Value::Null);
    let subscription = sender.subscription(&json).unwrap();
    let message = PushMessage::new("{}").unwrap();
    sender.send(&subscription, &message).await
}

#[tokio::test]
async fn a_browser_gets_what_is_sent() {
    let service = Receiver::plain("HTTP/1.1 201 Created\r\n\r\n").await;
    let sender = sender(Arc::default());
    let browser = SecretKey::generate();
    let kept = sender.subscription(&written(&service.url(), &browser, Value::Null));
    let subscription = sender.subscription(&kept.unwrap().to_json()).unwrap();
    let text = "{\"title\":\"You were outbid\"}";
    let message = PushMessage::new(text).unwrap().urgency(Urgency::High);
    let outcome = sender
        .send(&subscription, &message.topic("auction:1"))
        .await;
    assert_eq!(outcome, Ok(PushOutcome::Sent));
    let body = service.body();
    assert_eq!(decrypt(&body, &browser, AUTH).unwrap(), text.as_bytes());
    let request = &service.received()[0];
    for line in [
        "content-encoding: aes128gcm".to_owned(),
        "ttl: 3600".to_owned(),
        "urgency: high".to_owned(),
        "topic: ".to_owned(),
        format!("content-length: {}", body.len()),
        format!("host: {}", service.at),
        "authorization: vapid t=".to_owned(),
        format!(", k={}\r\n", sender.public_key()),
    ] {
        assert!(request.contains(&line), "{line} is not in {request}");
    }
}

#[tokio::test]
async fn each_status_says_what_becomes_of_the_message() {
    let sender = sender(Arc::default());
    for status in ["200 OK", "201 Created", "202 Accepted"] {
        assert_eq!(
            sent(&sender, status).await,
            Ok(PushOutcome::Sent),
            "{status}"
        );
    }
    for status in ["404 Not Found", "410 Gone"] {
        assert_eq!(
            sent(&sender, status).await,
            Ok(PushOutcome::Gone),
            "{status}"
        );
    }
    for status in ["307 x", "400 x", "401 x", "403 x", "413 x"] {
        let failure = sent(&sender, status).await.unwrap_err();
        assert!(matches!(failure, DeliveryFailure::Refused(_)), "{status}");
    }
    for status in ["429 x", "500 x", "503 x"] {
        let failure = sent(&sender, &format!("{status}\r\nRetry-After: 7"))
            .await
            .unwrap_err();
        let wait = Some(Duration::from_secs(7));
        assert!(
            matches!(failure, DeliveryFailure::Retry { after, .. } if after == wait),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_subscription_that_has_ended_is_gone_unasked() {
    let service = Receiver::plain("HTTP/1.1 201 Created\r\n\r\n").await;
    let clock = Arc::new(ManualClock::default());
    let sender = sender(Arc::clone(&clock));
    let end = clock.now().plus(Duration::from_secs(1));
    let json = written(
        &service.url(),
        &SecretKey::generate(),
        json!(end.as_millis()),
    );
    let subscription = sender.subscription(&json).unwrap();
    let message = PushMessage::new("{}").unwrap();
    assert_eq!(
        sender.send(&subscription, &message).await,
        Ok(PushOutcome::Sent)
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        sender.send(&subscription, &message).await,
        Ok(PushOutcome::Gone)
    );
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
async fn a_push_service_whose_name_is_private_is_not_asked() {
    let service = Receiver::plain("HTTP/1.1 201 Created\r\n\r\n").await;
    let mut sender = sender(Arc::default());
    sender.client = sender.client.with_resolver(Answers::new([&["10.0.0.1"]]));
    let url = format!("http://push.example:{}/", service.at.port());
    let json = written(&url, &SecretKey::generate(), Value::Null);
    let subscription = sender.subscription(&json).unwrap();
    let message = PushMessage::new("{}").unwrap();
    let failure = sender.send(&subscription, &message).await.unwrap_err();
    assert_eq!(
        failure.reason(),
        "goes to 10.0.0.1, an address that is private"
    );
    assert_eq!(service.received().len(), 0);
}
