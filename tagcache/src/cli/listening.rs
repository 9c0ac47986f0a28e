//! What `check` and `explain` tell of live updates, and of what clients may ask.

use http::Method;
use http::request::Parts;
use serde_json::{Value, json};
use tower_tagcache::config::Secret;
use tower_tagcache::feed::{ActivityService, ActivityServiceSettings};
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::outgoing::push::PushServiceSettings;

/// Where they are, who may listen, whose pages, and how they are called.
pub(super) fn live_text(settings: &LiveSettings) -> String {
    let LiveSettings { path, event, .. } = settings;
    let pages = pages(&settings.origins);
    let listeners = listeners(settings);
    format!(
        "live: updates at {path}, for {listeners}, and for {pages}; an event is called `{event}`"
    )
}

fn pages(origins: &[String]) -> String {
    match origins {
        [] => "pages of the same host".to_owned(),
        [all] if all == "*" => "pages of all sites".to_owned(),
        origins => format!("pages of the same host and of {}", origins.join(", ")),
    }
}

/// Who may ask, where nobody has a ticket.
const fn askers(open: Option<bool>, token: &Option<Secret>) -> &'static str {
    match (open, token) {
        (Some(true), _) | (_, None) => "everybody who connects",
        _ => "who has the token",
    }
}

/// Where what happened is told, and to whom.
pub(super) fn feed_text(settings: &ActivityServiceSettings) -> String {
    let ActivityServiceSettings { below, .. } = settings;
    let below = below.trim_end_matches('/');
    let askers = askers(settings.open, &settings.token);
    let pages = pages(&settings.origins);
    format!(
        "feed: what happened at {below}/activity and {below}/analytics, for {askers}, and for {pages}"
    )
}

pub(super) fn feed_json(settings: &ActivityServiceSettings) -> Value {
    json!({
        "below": settings.below,
        "askers": askers(settings.open, &settings.token),
        "origins": settings.origins,
        "subjects": settings.subjects,
    })
}

/// Where browsers subscribe, and whose.
pub(super) fn push_text(settings: &PushServiceSettings) -> String {
    let below = settings.below.trim_end_matches('/');
    let askers = askers(settings.open, &settings.token);
    let pages = pages(&settings.origins);
    format!("push: browsers subscribe at {below}/push/subscriptions, of {askers}, and from {pages}")
}

pub(super) fn push_json(settings: &PushServiceSettings) -> Value {
    json!({
        "below": settings.below,
        "askers": askers(settings.open, &settings.token),
        "origins": settings.origins,
    })
}

/// What a client is told that asks `feed` by `request`.
pub(super) fn explain_feed(feed: &ActivityService, request: &Parts, as_json: bool) -> String {
    let told = feed.explain(request.uri.path(), request.uri.query());
    let note = match request.method {
        Method::GET | Method::HEAD => None,
        _ => Some("GET and HEAD are answered; other methods are refused"),
    };
    if as_json {
        let (told, refused) = (told.as_ref().ok(), told.as_ref().err());
        let feed = json!({ "told": told, "refused": refused, "note": note });
        return format!("{:#}", json!({ "cached": false, "feed": feed }));
    }
    let text = match told {
        Ok(told) => format!("feed       {told}"),
        Err(why) => format!("feed       refused: {why}"),
    };
    match note {
        Some(note) => format!("{text}\nnote       {note}"),
        None => text,
    }
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
