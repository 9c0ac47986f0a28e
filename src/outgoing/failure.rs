//! Why something did not arrive: [`RequestFailure`] of a request, [`DeliveryFailure`] of what was to be delivered.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::outgoing::answer::EndpointAnswer;

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryFailure {
    /// It never will be: the endpoint says that it is gone (410), or it cannot be sent at all.
    Permanent(String),
    /// The endpoint refuses it, or the rules refuse where it goes. Trying again changes nothing, unless somebody mends that.
    Refused(String),
    /// It may be later.
    Retry {
        /// Why it was not delivered now.
        reason: String,
        /// How long the endpoint asks to wait (`Retry-After`), an hour at most.
        after: Option<Duration>,
    },
}

/// Why a request has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestFailure {
    /// It may not go there.
    Refused(String),
    /// It was not answered: no connection, or not in time.
    Failed(String),
}

impl DeliveryFailure {
    /// Why, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Permanent(reason) | Self::Refused(reason) | Self::Retry { reason, .. } => reason,
        }
    }

    /// What an answer means that is none of success.
    pub(super) fn of(answer: &EndpointAnswer) -> Self {
        let status = answer.status;
        let later = [
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_EARLY,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        let code = status.as_u16();
        if status.is_server_error() || later.contains(&status) {
            return Self::Retry {
                reason: format!("was answered {code}"),
                after: answer.retry_after,
            };
        }
        match status {
            StatusCode::GONE => Self::Permanent(format!("was answered {code}")),
            _ if status.is_redirection() => Self::Refused(format!(
                "was answered {code}, and redirects are not followed"
            )),
            _ => Self::Refused(format!("was answered {code}")),
        }
    }
}

impl fmt::Display for DeliveryFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for DeliveryFailure {}

impl From<RequestFailure> for DeliveryFailure {
    fn from(failure: RequestFailure) -> Self {
        match failure {
            RequestFailure::Refused(reason) => Self::Refused(reason),
            RequestFailure::Failed(reason) => Self::Retry {
                reason,
                after: None,
            },
        }
    }
}
