//! What clients say over a WebSocket, and what they are answered.

use bytes::Bytes;
use serde_json::{Value, json};

use super::Subscription;
use crate::live::filter::Filter;
use crate::live::hub::Hub;
use crate::position::Position;
use crate::spelling::shown;
use crate::update::UpdateCursor;
use crate::web::Problem;

/// The longest name of a subscription, in bytes.
const MAX_NAME: usize = 64;

/// What a client says.
#[derive(Debug)]
pub(super) enum ClientMessage {
    Subscribe {
        name: String,
        /// Or why it is none.
        wanted: Result<Subscription, Problem>,
    },
    Unsubscribe {
        name: String,
    },
}

impl ClientMessage {
    /// What `text` says, or why nothing.
    pub(super) fn parse(text: &str, hub: &Hub) -> Result<Self, &'static str> {
        let json: Value = serde_json::from_str(text).map_err(|_| "that is no JSON")?;
        let json = json.as_object().ok_or("that is no JSON object")?;
        let name = json.get("name").map_or(Some(""), Value::as_str);
        let name = name.filter(|name| name.len() <= MAX_NAME);
        let name = name
            .ok_or("`name` is no text of at most 64 bytes")?
            .to_owned();
        match json.get("op").and_then(Value::as_str) {
            Some("subscribe") => {
                let wanted = wanted(json, hub);
                Ok(Self::Subscribe { name, wanted })
            }
            Some("unsubscribe") => Ok(Self::Unsubscribe { name }),
            _ => Err("`op` is neither \"subscribe\" nor \"unsubscribe\""),
        }
    }
}

fn wanted(json: &serde_json::Map<String, Value>, hub: &Hub) -> Result<Subscription, Problem> {
    let mut filter = Filter::default();
    let mut cursor = None;
    for (key, value) in json {
        match &**key {
            "op" | "name" => {}
            "subjects" => texts(key, value)?
                .try_for_each(|subject| filter.add_subject(subject?, &hub.subjects))?,
            "types" => texts(key, value)?.try_for_each(|kind| filter.add_kind(kind?))?,
            "networks" => texts(key, value)?.try_for_each(|one| filter.add_network(one?))?,
            "min" => {
                let error = || {
                    let detail =
                        "`min` holds whole numbers written as text: {\"amount\": \"1000\"}";
                    Problem::bad_request(detail)
                };
                for (field, least) in value.as_object().ok_or_else(error)? {
                    // A number of JSON may have lost digits.
                    filter.add_least(field, least.as_str().ok_or_else(error)?)?;
                }
            }
            "last_event_id" => {
                let error = || Problem::bad_request("`last_event_id` is no id, such as 7-12.0");
                let text = value.as_str().ok_or_else(error)?;
                cursor = Some(text.parse().map_err(|_| error())?);
            }
            _ => {
                return Err(Problem::bad_request(format!(
                    "{:?} is not known; known are op, name, subjects, types, networks, min and last_event_id",
                    shown(key)
                )));
            }
        }
    }
    Ok(Subscription { filter, cursor })
}

fn texts<'a>(
    key: &'a str,
    list: &'a Value,
) -> Result<impl Iterator<Item = Result<&'a str, Problem>>, Problem> {
    let error = move || Problem::bad_request(format!("`{key}` is no list of texts"));
    let list = list.as_array().ok_or_else(error)?;
    Ok(list.iter().map(move |one| one.as_str().ok_or_else(error)))
}

pub(super) fn subscribed(name: &str, from: Option<UpdateCursor>) -> Bytes {
    let id = from.map(|from| from.to_string());
    bytes(json!({ "op": "subscribed", "name": name, "id": id }))
}

pub(super) fn unsubscribed(name: &str) -> Bytes {
    bytes(json!({ "op": "unsubscribed", "name": name }))
}

pub(super) fn refused(name: &str, detail: &str) -> Bytes {
    bytes(json!({ "op": "error", "name": name, "detail": detail }))
}

/// Up to where everything was told.
pub(super) fn position(position: Position) -> Bytes {
    bytes(json!({ "op": "position", "id": position.to_string() }))
}

fn bytes(json: Value) -> Bytes {
    json.to_string().into()
}
