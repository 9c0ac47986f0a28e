//! [`EndpointAnswer`]: what is read of an answer.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Response, StatusCode};

use crate::clock::Timestamp;

/// The longest that an endpoint is waited for because it asks for it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// What is read of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EndpointAnswer {
    pub(super) status: StatusCode,
    /// An hour at most.
    pub(super) retry_after: Option<Duration>,
}

impl EndpointAnswer {
    pub(super) fn of<B>(response: &Response<B>, now: Timestamp) -> Self {
        Self {
            status: response.status(),
            retry_after: retry_after(response.headers(), now),
        }
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(fields: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = fields.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let wait = match is_number {
        // Too many digits are too long a time.
        true => Duration::from_secs(value.parse().unwrap_or(u64::MAX)),
        false => Timestamp::from(httpdate::parse_http_date(value).ok()?).since(now),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp::from_millis(784_111_777_000);
        for (value, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("3601", Some(3_600)),
            ("99999999999999999999999", Some(3_600)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("Fri, 01 Jan 2100 00:00:00 GMT", Some(3_600)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            let response = Response::builder().header(RETRY_AFTER, value).body(());
            let answer = EndpointAnswer::of(&response.unwrap(), now);
            assert_eq!(
                answer.retry_after.map(|wait| wait.as_secs()),
                expected,
                "{value:?}"
            );
        }
    }
}
