//! From an alert to the update by which clients of live updates are told of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::courier::Undelivered;
use super::queue::AlertQueue;
use super::store::WaitingAlert;
use crate::error::Error;
use crate::log::{PurgeToAnnounce, Purges};
use crate::update::Update;

/// What an alert says of itself, which its event cannot.
const OWN: [&str; 8] = [
    "rule",
    "alert",
    "message",
    "type",
    "subject",
    "identity",
    "raised_at",
    "suppressed",
];

/// The longest message, in bytes: with all else that an alert says, it fits into an update.
const LONGEST_MESSAGE: usize = 4_096;

fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let mut ends = (0..LONGEST_MESSAGE - 2).rev();
        let end = ends.find(|end| message.is_char_boundary(*end));
        message.truncate(end.unwrap_or_default());
        message.push('…');
    }
    message
}

/// Announces `alert` to clients of live updates, on every node.
pub(crate) async fn announce(
    purges: &Purges,
    queue: &AlertQueue,
    alert: &WaitingAlert,
) -> Result<(), Undelivered> {
    let never = |error: Error| Undelivered::Never(error.to_string());
    let update = update(queue, alert).map_err(never)?;
    let announcing = PurgeToAnnounce {
        purges: Vec::new(),
        settle: std::time::Duration::ZERO,
        updates: vec![Arc::new(update)],
    };
    let announced = purges.purge_and_announce(announcing).await;
    let later = |error: Error| Undelivered::Later(error.to_string(), None);
    announced.map(drop).map_err(later)
}

/// Of the type `alert`, about `alerts:` and the rule, with what the alert says, and the fields of its event as far as there
/// is room.
fn update(queue: &AlertQueue, alert: &WaitingAlert) -> Result<Update, Error> {
    let id = format!("{:032x}", alert.id);
    let mut update = Update::alert(&queue.rule, &id)?;
    let json: Map<String, Value> = serde_json::from_str(&alert.json).unwrap_or_default();
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    for name in OWN {
        let value = match name {
            "alert" => Some(id.clone()),
            "suppressed" => Some(alert.suppressed.to_string()),
            "message" => json.get(name).and_then(text).map(shortened),
            _ => json.get(name).and_then(text),
        };
        if let Some(value) = value {
            update = update.with_field(name, value)?;
        }
    }
    let fields = json.get("data").and_then(Value::as_object);
    for (name, value) in fields.into_iter().flatten() {
        if let Some(value) = text(value).filter(|_| !OWN.contains(&&**name)) {
            update = update
                .clone()
                .with_field(name.as_str(), value)
                .unwrap_or(update);
        }
    }
    Ok(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(shortened("Sold".to_owned()), "Sold");
        let cut = shortened("é".repeat(4_000));
        assert!(
            cut.len() <= LONGEST_MESSAGE && cut.ends_with("é…"),
            "{}",
            cut.len()
        );
    }

    use crate::clock::Timestamp;

    #[test]
    fn clients_are_told_what_the_alert_and_its_event_say() {
        let json = r#"{"id":"x","rule":"big","type":"sale","subject":"auction:1","identity":"1/2","raised_at":7,
            "data":{"amount":"15","rule":"theirs"},"message":"Sold","suppressed":0}"#;
        let alert = WaitingAlert {
            id: 10,
            json: json.to_owned(),
            suppressed: 2,
            attempts: 0,
            next: Timestamp::default(),
        };
        let update = update(&"big/live".parse().unwrap(), &alert).unwrap();
        assert_eq!((update.kind(), update.subject()), ("alert", "alerts:big"));
        assert!(update.is_alert());
        let fields: Vec<_> = update.fields().collect();
        let id = "0000000000000000000000000000000a";
        let expected = [
            ("alert", id),
            ("amount", "15"),
            ("identity", "1/2"),
            ("message", "Sold"),
            ("raised_at", "7"),
            ("rule", "big"),
            ("subject", "auction:1"),
            ("suppressed", "2"),
            ("type", "sale"),
        ];
        assert_eq!(fields, expected);
    }
}
