//! May a shared cache store this response (RFC 9111 §3)?

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, EXPIRES, HeaderMap, IF_MATCH, IF_UNMODIFIED_SINCE,
    RANGE, SET_COOKIE,
};
use http::{Method, StatusCode};

use super::cache_control::{RequestDirectives, ResponseDirectives};
use super::freshness::heuristically_cacheable;
use super::syntax::{decimal, lines, split_members, trim_ows};
use super::vary::Vary;
use crate::outcome::NotStored;

/// What to do with a response that sets a cookie (P5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum StoreSetCookie {
    /// Do not store the response.
    #[default]
    Refuse,
    /// Store it without the cookie.
    Strip,
    /// Store it with the cookie, as RFC 9111 has it.
    Keep,
}

/// What the operator permits or demands beyond the RFC. The default is P5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Caution {
    pub(crate) set_cookie: StoreSetCookie,
    /// Store what answers a request with `Authorization` though the response does not allow it.
    pub(crate) authorization: bool,
    /// The operator gives a lifetime for this status, which stands for the explicit freshness that §3
    /// asks of one that is not heuristically cacheable. Which statuses a lifetime means is for the
    /// rule to say (SAFETY 13).
    pub(crate) lifetime: bool,
}

/// Whether the response may be stored, for its head alone: length and end of the body come later.
///
/// `request` is the request as the inner service got it (conditions stripped from it cannot have
/// shaped the response). Pass default `wishes` where a client's directives are not heard.
///
/// # Errors
///
/// The first reason against it, in the order of RFC 9111 §3.
pub(crate) fn may_store(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    directives: &ResponseDirectives,
    wishes: &RequestDirectives,
    caution: Caution,
) -> Result<(), NotStored> {
    // RFC 9111 §3 would let POST be stored for a later GET, and a HEAD update one; neither holds a
    // GET's body, so neither fills one (SAFETY 22, 23).
    if method != Method::GET {
        return Err(NotStored::Method);
    }
    check_status(request, status)?;
    check_directives(status, directives, wishes)?;
    if request.contains_key(AUTHORIZATION)
        && !caution.authorization
        && !allows_authorized(directives)
    {
        return Err(NotStored::Authorization);
    }
    if !has_basis(status, response, directives, caution) {
        return Err(NotStored::Status);
    }
    check_fields(response, directives, caution)
}

/// Not 1xx (RFC 9110 §15.2).
pub(crate) fn is_final_status(status: StatusCode) -> bool {
    status.as_u16() >= 200
}

/// Statuses whose meaning for caches this crate knows and follows (RFC 9111 §5.2.2.3): the final
/// ones of RFC 9110 §15 but 206 and 304, which are never stored.
pub(crate) const fn understood(status: StatusCode) -> bool {
    matches!(
        status.as_u16(),
        200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505
    )
}

/// RFC 9111 §3.5: the response lets a shared cache answer others with what was asked for with
/// `Authorization`. A malformed `s-maxage` is no permission.
pub(crate) const fn allows_authorized(directives: &ResponseDirectives) -> bool {
    directives.must_revalidate
        || directives.public
        || directives.s_maxage.is_some() && !directives.malformed
}

fn check_status(request: &HeaderMap, status: StatusCode) -> Result<(), NotStored> {
    if !is_final_status(status) {
        return Err(NotStored::Status);
    }
    let conditional =
        || request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE);
    match status {
        StatusCode::PARTIAL_CONTENT => Err(NotStored::Partial),
        StatusCode::NOT_MODIFIED => Err(NotStored::NotModified),
        // Answers to the range or the condition of one client, not to the URI: stored, they would
        // reach those who asked for neither.
        StatusCode::RANGE_NOT_SATISFIABLE if request.contains_key(RANGE) => Err(NotStored::Partial),
        StatusCode::PRECONDITION_FAILED if conditional() => Err(NotStored::NotModified),
        _ => Ok(()),
    }
}

fn check_directives(
    status: StatusCode,
    directives: &ResponseDirectives,
    wishes: &RequestDirectives,
) -> Result<(), NotStored> {
    if directives.must_understand && !understood(status) {
        return Err(NotStored::Status);
    }
    // RFC 9111 §5.2.2.3: `no-store` beside `must-understand` is for those who do not understand.
    if directives.no_store && !directives.must_understand {
        return Err(NotStored::NoStore);
    }
    // A qualified `private` only keeps its fields out.
    if directives.private.is_whole() {
        return Err(NotStored::Private);
    }
    if directives.unreadable {
        return Err(NotStored::Malformed);
    }
    if wishes.no_store {
        return Err(NotStored::RequestNoStore);
    }
    Ok(())
}

/// The last condition of RFC 9111 §3: something says for how long.
fn has_basis(
    status: StatusCode,
    response: &HeaderMap,
    directives: &ResponseDirectives,
    caution: Caution,
) -> bool {
    directives.public
        || directives.max_age.is_some()
        || directives.s_maxage.is_some()
        || response.contains_key(EXPIRES) && !directives.targeted
        || heuristically_cacheable(status)
        || caution.lifetime
}

fn check_fields(
    response: &HeaderMap,
    directives: &ResponseDirectives,
    caution: Caution,
) -> Result<(), NotStored> {
    if caution.set_cookie == StoreSetCookie::Refuse
        && response.contains_key(SET_COOKIE)
        && !directives.withholds(&SET_COOKIE)
    {
        return Err(NotStored::SetCookie);
    }
    if Vary::parse(response) == Vary::Any {
        return Err(NotStored::VaryAny);
    }
    if is_endless(response) {
        return Err(NotStored::Endless);
    }
    content_length(response).map(drop)
}

/// Media types whose bodies end when somebody hangs up.
fn is_endless(response: &HeaderMap) -> bool {
    const TYPES: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];
    lines(response, &CONTENT_TYPE).any(|value| {
        let media_type = value.split(|byte| matches!(byte, b';' | b',')).next();
        let media_type = trim_ows(media_type.unwrap_or_default());
        TYPES
            .iter()
            .any(|endless| endless.eq_ignore_ascii_case(media_type))
    })
}

/// The declared length. Equal repetitions, on one line or several, are one (RFC 9110 §8.6).
///
/// # Errors
///
/// [`NotStored::Malformed`] if it is no number or there are two.
pub(crate) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, NotStored> {
    let mut length = None;
    for line in lines(headers, &CONTENT_LENGTH) {
        let mut found_any = false;
        for member in split_members(line) {
            found_any = true;
            let found = decimal(member).filter(|length| *length < u64::MAX);
            let found = found.ok_or(NotStored::Malformed)?;
            if length.replace(found).is_some_and(|other| other != found) {
                return Err(NotStored::Malformed);
            }
        }
        if !found_any {
            return Err(NotStored::Malformed);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
