//! `/activity`, `/analytics` and `/alerts/…`: what happened, how much of it, and alerts that did not arrive. The commands ask
//! the same of Redis itself.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::answer::{self, Answer};
use tower_tagcache::{ActivityFeed, ActivityQuery, AnalyticsQuery, Cache, Error, ErrorKind};

/// Where nothing is kept.
pub(crate) const NOTHING_KEPT: &str =
    "no activity is kept: the configuration has neither [activity] nor [[alerts]]";
/// The most failed alerts that are told, which are all that are kept.
const MAX_FAILED: usize = 1_000;
/// Those that are told to who does not say.
const FAILED: usize = 20;

/// What is told of what is kept of activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Activity,
    Analytics,
    /// Alerts that were given up.
    FailedAlerts,
}

/// The alerts that are sent again.
#[derive(Debug)]
pub(crate) enum Again {
    Alert(String),
    All,
}

impl Page {
    /// Where the listener has it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Activity => "/activity",
            Self::Analytics => "/analytics",
            Self::FailedAlerts => "/alerts/failed",
        }
    }

    /// What `feed` has of what `query` asks for.
    pub(crate) async fn read(self, query: &str, feed: &ActivityFeed) -> Result<Value, Error> {
        match self {
            Self::Activity => {
                let query = ActivityQuery::parse(query)?;
                Ok(value(&feed.read(&query).await?.to_json()))
            }
            Self::Analytics => {
                let query = AnalyticsQuery::parse(query, feed.hours())?;
                Ok(value(&feed.analytics_json(&query).await?))
            }
            Self::FailedAlerts => {
                let failed = feed.failed_alerts(limit(query)?).await?;
                let failed = failed.iter().map(|failed| value(&failed.to_json()));
                Ok(json!({ "failed": failed.collect::<Vec<_>>() }))
            }
        }
    }

    /// Answers `query`.
    pub(super) async fn answer(self, query: &str, cache: &Cache) -> Answer {
        let Some(feed) = cache.activity() else {
            return answer::error(StatusCode::NOT_FOUND, NOTHING_KEPT);
        };
        match self.read(query, feed).await {
            Ok(told) => answer::json(StatusCode::OK, &told),
            Err(error) => failed(&error),
        }
    }
}

/// How many failed alerts `query` asks for.
fn limit(query: &str) -> Result<usize, Error> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    let mut limit = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != "limit" || limit.is_some() {
            let why = "is not known, or given twice; there is `limit`";
            return Err(invalid(format!("parameter {name:?} {why}")));
        }
        let number = value.parse().ok();
        let number = number.filter(|number| (1..=MAX_FAILED).contains(number));
        let why = || format!("`limit` is {value:?}: not a whole number from 1 to {MAX_FAILED}");
        limit = Some(number.ok_or_else(|| invalid(why()))?);
    }
    Ok(limit.unwrap_or(FAILED))
}

/// The body of `POST /alerts/resend`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Body {
    id: Option<String>,
    all: bool,
}

impl Again {
    /// What `body` asks for.
    ///
    /// # Errors
    /// Why it cannot be understood.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let body: Body = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        match body {
            Body {
                id: Some(id),
                all: false,
            } => Ok(Self::Alert(id)),
            Body {
                id: None,
                all: true,
            } => Ok(Self::All),
            _ => Err("no alert to send again: name its id, or all".to_owned()),
        }
    }

    /// Does it, and tells how many go again. `None`: no alert that failed has this id.
    pub(crate) async fn send(&self, feed: &ActivityFeed) -> Result<Option<Value>, Error> {
        let sent = match self {
            Self::Alert(id) => feed.send_again(Some(id)).await?,
            Self::All => feed.send_again(None).await?,
        };
        let is_unknown = sent == 0 && matches!(self, Self::Alert(_));
        Ok((!is_unknown).then(|| json!({ "status": "waiting", "alerts": sent })))
    }

    /// Where none that failed has its id.
    pub(crate) fn unknown(&self) -> String {
        match self {
            Self::Alert(id) => format!("no alert that failed has the id {id:?}"),
            Self::All => "no alert has failed".to_owned(),
        }
    }

    /// Does it, and answers.
    pub(super) async fn answer(&self, cache: &Cache) -> Answer {
        let Some(feed) = cache.activity() else {
            return answer::error(StatusCode::NOT_FOUND, NOTHING_KEPT);
        };
        match self.send(feed).await {
            Ok(Some(told)) => answer::json(StatusCode::OK, &told),
            Ok(None) => answer::error(StatusCode::UNPROCESSABLE_ENTITY, &self.unknown()),
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &Error) -> Answer {
    let status = match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    answer::error(status, &format!("{error:#}"))
}

/// What the library wrote.
fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_names_the_alerts_to_send_again_or_is_refused() {
        let again = |body: &str| Again::read(body.as_bytes());
        assert!(matches!(again(r#"{"id":"a"}"#), Ok(Again::Alert(id)) if id == "a"));
        assert!(matches!(again(r#"{"all":true}"#), Ok(Again::All)));
        for (body, reason) in [
            ("", "EOF"),
            ("{}", "no alert to send again"),
            (r#"{"all":false}"#, "no alert to send again"),
            (r#"{"id":"a","all":true}"#, "no alert to send again"),
            (r#"{"ids":["a"]}"#, "unknown field `ids`"),
            (r#"{"id":7}"#, "expected a string"),
        ] {
            let refused = again(body).unwrap_err();
            assert!(refused.contains(reason), "{body}: {refused}");
        }
    }

    #[test]
    fn failed_alerts_are_asked_for_up_to_a_number() {
        for (query, expected) in [("", 20), ("limit=1", 1), ("limit=1000", 1_000)] {
            assert_eq!(limit(query).unwrap(), expected, "{query}");
        }
        for query in ["limit=0", "limit=1001", "limit=", "limit=1&limit=1", "id=1"] {
            assert_eq!(
                limit(query).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{query}"
            );
        }
    }
}
