//! What the queries of several faces have in common.

use std::borrow::Cow;

use http::request::Parts;

use super::problem::Problem;

/// The parts of a list with commas. An empty one stays, to be refused.
pub(crate) fn list<'a>(value: &str) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
    let parts: Vec<_> = value
        .split(',')
        .map(|part| Cow::Owned(part.trim().to_owned()))
        .collect();
    parts.into_iter()
}

/// Keeps the value of a parameter that may be given once.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Problem::bad_request(format!("`{name}` is given twice"))),
    }
}

/// The path that the client asked for, of which a nested router takes the beginning away.
#[cfg(feature = "axum")]
pub(crate) fn path_of(parts: &Parts) -> &str {
    let original = parts.extensions.get::<axum::extract::OriginalUri>();
    original.map_or(&parts.uri, |uri| &uri.0).path()
}

#[cfg(not(feature = "axum"))]
pub(crate) fn path_of(parts: &Parts) -> &str {
    parts.uri.path()
}
