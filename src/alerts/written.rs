//! How a file writes [`Decimals`], which have more than one form there.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::alerts::decimals::{Decimals, MAX_DECIMALS, TokenDecimals};
use crate::written::{Written, read};

impl Written for Decimals {
    type Table = TokenDecimals;
    const EXPECTED: &'static str =
        "a number of decimals from 0 to 77, or { by = \"token\", of = { \"0x...\" = 6 } }";

    fn from_text(_: &str) -> Result<Self, String> {
        Err(Self::EXPECTED.to_owned())
    }

    fn from_number(number: u64) -> Option<Self> {
        let decimals = u8::try_from(number).ok()?;
        (decimals <= MAX_DECIMALS).then_some(Self::Fixed(decimals))
    }

    fn from_table(table: TokenDecimals) -> Option<Self> {
        Some(Self::ByToken(table))
    }
}

impl<'de> Deserialize<'de> for Decimals {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from)
    }
}

impl Serialize for Decimals {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(decimals) => decimals.serialize(to),
            Self::ByToken(tokens) => tokens.serialize(to),
        }
    }
}

impl JsonSchema for Decimals {
    fn schema_name() -> Cow<'static, str> {
        "Decimals".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tokens = generator.subschema_for::<TokenDecimals>();
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": MAX_DECIMALS },
            tokens
        ] })
    }
}

#[cfg(test)]
mod tests {
    use crate::alerts::{AlertRule, TokenDecimals};

    #[test]
    fn a_rule_is_read_from_a_file_and_written_to_one() {
        let text = r#"
            name = "big-sales"
            types = ["sale"]
            when = ["amount >= 1000.5", "fee < 0x10"]
            decimals = { amount = 18, fee = { by = "token", of = { "0xA0b8" = 6 }, default = 8 } }
            webhooks = ["ops"]
            push = true
            limit = { alerts = 10, per = "1m" }
            message = "Sale of {amount}"
        "#;
        let rule: AlertRule = toml::from_str(text).unwrap();
        let minute = std::time::Duration::from_secs(60);
        let expected = AlertRule::new("big-sales")
            .types(["sale"])
            .when("amount >= 1000.5")
            .when("fee < 0x10")
            .decimals("amount", 18)
            .decimals("fee", TokenDecimals::by("token").of("0xA0b8", 6).default(8))
            .webhooks(["ops"])
            .push()
            .limit(10, minute)
            .message("Sale of {amount}");
        assert_eq!(rule, expected);
        for rule in [rule, AlertRule::new("a")] {
            let written = toml::to_string(&rule).unwrap();
            assert_eq!(
                toml::from_str::<AlertRule>(&written).unwrap(),
                rule,
                "{written}"
            );
        }
    }

    #[test]
    fn what_no_file_may_say_is_refused() {
        for (text, expected) in [
            ("", "missing field `name`"),
            ("name = 'a'\nwebhook = 'b'", "unknown field `webhook`"),
            ("name = 'a'\ndecimals = { b = 78 }", "from 0 to 77"),
            ("name = 'a'\ndecimals = { b = -1 }", "from 0 to 77"),
            ("name = 'a'\ndecimals = { b = 'six' }", "from 0 to 77"),
            (
                "name = 'a'\ndecimals = { b = { of = {} } }",
                "missing field `by`",
            ),
            (
                "name = 'a'\ndecimals = { b = { by = 'c', off = {} } }",
                "unknown field `off`",
            ),
            ("name = 'a'\nlimit = { alerts = 1 }", "missing field `per`"),
            (
                "name = 'a'\nlimit = { alerts = 1, per = '1m', burst = 2 }",
                "unknown field `burst`",
            ),
        ] {
            let error = toml::from_str::<AlertRule>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_schema_says_what_decimals_are() {
        let schema = schemars::schema_for!(AlertRule).to_value();
        let any_of = &schema["$defs"]["Decimals"]["anyOf"];
        assert_eq!(any_of[0]["maximum"], 77);
        assert_eq!(any_of[1]["$ref"], "#/$defs/TokenDecimals");
    }
}
