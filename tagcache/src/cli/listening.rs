//! What `check` and `explain` tell of live updates.

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};
use tower_tagcache::live::{LiveService, LiveSettings};

/// Where they are, who may listen, whose pages, and how they are called.
pub(super) fn live_text(settings: &LiveSettings) -> String {
    let LiveSettings { path, event, .. } = settings;
    let pages = match &*settings.origins {
        [] => "pages of the same host".to_owned(),
        [all] if all == "*" => "pages of all sites".to_owned(),
        origins => format!("pages of the same host and of {}", origins.join(", ")),
    };
    let listeners = listeners(settings);
    format!(
        "live: updates at {path}, for {listeners}, and for {pages}; an event is called `{event}`"
    )
}

pub(super) fn live_json(settings: &LiveSettings) -> Value {
    json!({
        "path": settings.path,
        "listeners": listeners(settings),
        "origins": settings.origins,
        "event": settings.event,
        "subjects": settings.subjects,
    })
}

fn listeners(settings: &LiveSettings) -> &'static str {
    let shown = (settings.token.is_some(), settings.ticket_key.is_some());
    match (settings.open, shown) {
        (Some(true), _) => "everybody who connects",
        (_, (true, true)) => "who has the token or a ticket",
        (_, (true, false)) => "who has the token",
        (_, (false, _)) => "who has a ticket",
    }
}

/// What a client is told that asks `live` by `request`.
pub(super) fn explain_live(live: &LiveService, request: &Parts, as_json: bool) -> String {
    let told = live.explain(request.uri.path(), request.uri.query());
    let note = match request.method {
        Method::GET => None,
        _ => Some("GET listens, and POST asks for a ticket; other methods are refused"),
    };
    if as_json {
        let (updates, refused) = (told.as_ref().ok(), told.as_ref().err());
        let live = json!({ "updates": updates, "refused": refused, "note": note });
        return format!("{:#}", json!({ "cached": false, "live": live }));
    }
    let mut text = match told {
        Ok(updates) => format!("live       {updates}"),
        Err(why) => format!("live       refused: {why}"),
    };
    if let Some(note) = note {
        text.push_str("\nnote       ");
        text.push_str(note);
    }
    text
}
