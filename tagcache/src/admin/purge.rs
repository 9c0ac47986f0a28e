//! `POST /purge`: from a body to purges.

use std::time::Duration;

use http::StatusCode;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::admin::answer::{self, Answer};
use tower_tagcache::{Cache, Durability, Error, ErrorKind, Purged, Reach, Target};

/// The body. See the [module docs](crate::admin).
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    #[serde(alias = "tags")]
    tag: Texts,
    family: Texts,
    url: Texts,
    rule: Texts,
    glob: Texts,
    all: bool,
    soft: bool,
    settle: Option<String>,
    dry_run: bool,
    force: bool,
    in_log: bool,
}

/// One text or several.
#[derive(Debug, Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a text or a list of texts is expected";
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self(vec![text])),
            Value::Array(values) => {
                let text = |value| match value {
                    Value::String(text) => Ok(text),
                    other => Err(D::Error::custom(format!("{other} where {EXPECTED}"))),
                };
                values
                    .into_iter()
                    .map(text)
                    .collect::<Result<_, _>>()
                    .map(Self)
            }
            other => Err(D::Error::custom(format!("{other} where {EXPECTED}"))),
        }
    }
}

/// What is to be purged, and how.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) targets: Vec<Target>,
    soft: bool,
    settle: Duration,
    pub(super) dry_run: bool,
    /// A rule that is not there is purged as well.
    force: bool,
    /// Other nodes are not waited for.
    in_log: bool,
}

impl Plan {
    /// A hard purge of `targets`.
    pub(super) fn hard(targets: Vec<Target>) -> Self {
        Self {
            targets,
            ..Self::default()
        }
    }

    /// What `body` asks for.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let targets = body.targets().map_err(|error| error.to_string())?;
        if targets.is_empty() {
            return Err("nothing to purge: name a tag, family, url, rule or glob, or all".into());
        }
        let settle = body.settle.as_deref().map(humantime::parse_duration);
        let settle = settle
            .transpose()
            .map_err(|error| format!("settle: {error}"))?;
        Ok(Self {
            targets,
            soft: body.soft,
            settle: settle.unwrap_or_default(),
            dry_run: body.dry_run,
            force: body.force,
            in_log: body.in_log,
        })
    }

    /// The rule that there is not, in words, if one is named.
    pub(super) fn unknown_rule(&self, cache: &Cache) -> Option<String> {
        let mut reaches = self.targets.iter().map(|target| cache.reach(target));
        let unknown = reaches
            .find(Reach::is_unknown_rule)
            .filter(|_| !self.force)?;
        let doubt = unknown.doubt.unwrap_or_default();
        Some(format!(
            "{doubt}; nothing was purged (`\"force\": true` purges it nevertheless: another node may have it)"
        ))
    }

    /// Does it, and tells what came of it.
    pub(super) async fn carry_out(self, cache: &Cache) -> Answer {
        let named: Vec<String> = self.targets.iter().map(Target::to_string).collect();
        let reaches: Vec<Value> = self
            .targets
            .iter()
            .map(|target| reach(cache, target))
            .collect();
        let (status, mut told) = match self.dry_run {
            true => (StatusCode::OK, json!({ "status": "dry-run" })),
            false => {
                let purger = cache.purger().settle(self.settle);
                let purger = if self.soft { purger.soft() } else { purger };
                let purger = if self.in_log { purger.in_log() } else { purger };
                told_of(purger.targets(self.targets).await)
            }
        };
        told["targets"] = json!(named);
        told["reach"] = json!(reaches);
        told["soft"] = json!(self.soft);
        answer::json(status, &told)
    }
}

fn reach(cache: &Cache, target: &Target) -> Value {
    let reach = cache.reach(target);
    json!({
        "kind": target.kind(),
        "name": target.name(),
        "rules": reach.rules,
        "doubt": reach.doubt,
    })
}

impl Body {
    fn targets(&self) -> Result<Vec<Target>, Error> {
        let tags = self.tag.0.iter().map(Target::tag);
        tags.chain(self.family.0.iter().map(Target::family))
            .chain(self.url.0.iter().map(Target::url))
            .chain(self.rule.0.iter().map(Target::rule))
            .chain(self.glob.0.iter().map(Target::glob))
            .chain(self.all.then_some(Ok(Target::All)))
            .collect()
    }
}

/// How the purge came to be on every node; null if only the log was waited for.
pub(crate) fn everywhere(purged: &Purged) -> Value {
    purged.everywhere.map_or(Value::Null, |everywhere| {
        json!({
            "acknowledged": everywhere.acknowledged,
            "waited_out": everywhere.waited_out,
            "by_time": everywhere.by_time,
        })
    })
}

fn told_of(purged: Result<Purged, Error>) -> (StatusCode, Value) {
    match purged {
        Ok(purged) => {
            let replicas = match purged.durability {
                Durability::Replicated(replicas) => replicas,
                _ => 0,
            };
            let durability = if replicas > 0 {
                "replicated"
            } else {
                "acknowledged"
            };
            let told = json!({
                "status": "purged",
                "position": purged.position.to_string(),
                "durability": durability,
                "replicas": replicas,
                "everywhere": everywhere(&purged),
            });
            (StatusCode::OK, told)
        }
        Err(error) => {
            let (status, word) = match error.kind() {
                ErrorKind::Pending => (StatusCode::ACCEPTED, "pending"),
                ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "refused"),
                _ => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
            };
            (
                status,
                json!({ "status": word, "reason": format!("{error:#}") }),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Vec<String>, String> {
        Plan::read(body.as_bytes()).map(|plan| plan.targets.iter().map(Target::to_string).collect())
    }

    #[test]
    fn a_body_names_its_targets_in_any_number() {
        for (body, expected) in [
            (r#"{"tag":"a"}"#, &["t:a"][..]),
            (r#"{"tag":["a","b"],"url":"/x?y"}"#, &["t:a", "t:b", "p:/x"]),
            (r#"{"tags":["a","b"]}"#, &["t:a", "t:b"]),
            (r#"{"url":"https://example.com/x"}"#, &["p:/x"]),
            (r#"{"rule":"r","family":"f"}"#, &["f:f", "r:r"]),
            (r#"{"glob":"/a/**","all":true}"#, &["g:/a/**", "*"]),
        ] {
            assert_eq!(read(body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_may_be_a_mistake_is_refused_with_its_reason() {
        for (body, reason) in [
            ("", "EOF"),
            ("[]", "nothing to purge"),
            ("{}", "nothing to purge"),
            (r#"{"tag":[]}"#, "nothing to purge"),
            (r#"{"labels":["a"]}"#, "unknown field `labels`"),
            (r#"{"tag":"a","tags":["b"]}"#, "duplicate field"),
            (r#"{"tag":""}"#, "is empty"),
            (
                r#"{"tag":7}"#,
                "7 where a text or a list of texts is expected",
            ),
            (r#"{"tag":["a",{}]}"#, "{} where a text"),
            (r#"{"glob":"x"}"#, "no path matches"),
            (r#"{"all":"yes"}"#, "expected a boolean"),
            (r#"{"all":true,"settle":"soon"}"#, "settle"),
        ] {
            let refused = read(body).unwrap_err();
            assert!(refused.contains(reason), "{body}: {refused}");
        }
    }
}
