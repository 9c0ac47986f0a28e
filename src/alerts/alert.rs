//! An alert as it is sent: its id, and what it is as JSON.

use serde_json::{Map, Value, json};

use crate::update::{Update, fingerprint_of};

/// What tells an alert from others: the rule, and the event that the update is about. Updates of one event with several
/// subjects raise one alert of a rule.
pub(crate) fn alert_id(rule: &str, identity: &str) -> u128 {
    fingerprint_of(&[rule, identity])
}

/// An alert for webhooks and the live channel. `suppressed` are those of the rule that were not sent since the last one.
pub(crate) fn alert_json(
    rule: &str,
    update: &Update,
    message: Option<&str>,
    alert_id_hex: &str,
    raised_at_ms: u64,
    suppressed: u64,
) -> Value {
    let data: Map<String, Value> = update
        .fields()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut alert = json!({
        "id": alert_id_hex,
        "rule": rule,
        "type": update.kind(),
        "subject": update.subject(),
        "identity": update.identity(),
        "data": data,
        "raised_at": raised_at_ms,
        "suppressed": suppressed,
    });
    if let Some(message) = message {
        alert["message"] = message.into();
    }
    alert
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_known_by_its_rule_and_event() {
        let id = alert_id("big-sales", "1/0x5f/3");
        assert_eq!(id, alert_id("big-sales", "1/0x5f/3"));
        assert_ne!(id, alert_id("big-sale", "s1/0x5f/3"));
        assert_ne!(id, alert_id("big-sales", "1/0x5f/4"));
    }

    #[test]
    fn an_alert_is_written_with_its_keys() {
        let sale = Update::new("sale", "auction:1").unwrap();
        let sale = sale.with_identity("1/2").unwrap();
        let sale = sale.with_field("amount", "15").unwrap();
        let written = alert_json("big", &sale, Some("Sale of 15"), "00ff", 7, 2);
        let mut expected = json!({
            "id": "00ff", "rule": "big", "type": "sale", "subject": "auction:1", "identity": "1/2",
            "data": { "amount": "15" }, "message": "Sale of 15", "raised_at": 7, "suppressed": 2,
        });
        assert_eq!(written, expected);
        let written = alert_json("big", &sale, None, "00ff", 7, 2);
        expected.as_object_mut().unwrap().remove("message");
        assert_eq!(written, expected);
    }
}
