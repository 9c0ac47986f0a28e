//! [`OutgoingClient`]: one request at a time, to where the rules let it go.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::outgoing::answer::EndpointAnswer;
use crate::outgoing::connect::{Connector, EndpointStream};
use crate::outgoing::endpoint::{Endpoint, EndpointRules};
use crate::outgoing::failure::{DeliveryFailure, RequestFailure};
use crate::outgoing::resolver::{Resolver, SystemResolver};
use crate::outgoing::settings::OutgoingSettings;
use crate::outgoing::tls;
use crate::outgoing::webhook::{Webhook, WebhookSettings};
use crate::place::Setting;

/// An answer's status line and fields.
const LARGEST_HEAD: usize = 16 * 1024;
/// Of an answer, by number.
const MOST_FIELDS: usize = 64;
/// What is read of an answer's body before the connection is closed.
const LARGEST_BODY: usize = 64 * 1024;
/// How long that is read: the status has said everything.
const BODY_TIME: Duration = Duration::from_secs(1);

/// Sends webhooks and pushes, each by a connection of its own, to where [`OutgoingSettings`] let it. A cheap clone. See the
/// [module docs](super).
#[derive(Clone)]
pub struct OutgoingClient {
    rules: Arc<EndpointRules>,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    clock: Arc<dyn Clock>,
    connect_timeout: Duration,
    timeout: Duration,
}

impl OutgoingClient {
    /// A client with these settings. Reads the operating system's certificates.
    ///
    /// # Errors
    /// A setting cannot be used, or there is no trusted root certificate.
    pub fn new(settings: &OutgoingSettings) -> Result<Self, ConfigError> {
        for (key, time) in [
            ("connect_timeout", settings.connect_timeout),
            ("timeout", settings.timeout),
        ] {
            if time.0.is_zero() {
                let setting = Setting::of("outgoing", key);
                return Err(ConfigError::new(setting, "not above zero", "0s"));
            }
        }
        Ok(Self {
            rules: Arc::new(EndpointRules::new(settings)?),
            resolver: Arc::new(SystemResolver),
            tls: tls::connector(settings)?,
            clock: Arc::new(SystemClock::new()),
            connect_timeout: settings.connect_timeout.0,
            timeout: settings.timeout.0,
        })
    }

    /// Signs and waits by `clock`. Default: the operating system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    #[cfg(test)]
    pub(super) fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The webhook of these settings.
    ///
    /// # Errors
    /// A setting cannot be used: the URL goes where no request may go, a secret is missing or short, a file cannot be read.
    pub fn webhook(&self, settings: &WebhookSettings) -> Result<Webhook, ConfigError> {
        Webhook::new(settings, &self.rules)
    }

    /// Tells `webhook` of an alert of the rule `rule`: `body` is JSON. What is sent again has the same `alert_id`, by which
    /// the receiver knows it.
    ///
    /// # Errors
    /// It was not delivered: not now, or never.
    ///
    /// # Cancel safety
    /// Dropped, it closes its connection; what was sent may have been received.
    pub async fn post_webhook(
        &self,
        webhook: &Webhook,
        alert_id: &str,
        rule: &str,
        body: impl Into<Bytes>,
    ) -> Result<(), DeliveryFailure> {
        let body = body.into();
        let fields = webhook.fields(alert_id, rule, &body, self.clock.now())?;
        let answer = self.post(&webhook.endpoint, fields, body, webhook.timeout);
        let answer = answer.await?;
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(DeliveryFailure::of(&answer)),
        }
    }

    #[cfg(feature = "push")]
    pub(super) fn now(&self) -> crate::clock::Timestamp {
        self.clock.now()
    }

    /// Where `url` says a request goes, or why it may not.
    #[cfg(feature = "push")]
    pub(super) fn endpoint(&self, url: &str) -> Result<Endpoint, String> {
        self.rules.endpoint(url)
    }

    /// Sends one request, within `within` if that is shorter than the settings' time.
    pub(super) async fn post(
        &self,
        endpoint: &Endpoint,
        fields: HeaderMap,
        body: Bytes,
        within: Option<Duration>,
    ) -> Result<EndpointAnswer, RequestFailure> {
        let within = within.unwrap_or(self.timeout).min(self.timeout);
        let deadline = Instant::now() + within;
        let request = request(endpoint, fields, body)?;
        let connector = Connector {
            rules: &self.rules,
            resolver: &*self.resolver,
            tls: &self.tls,
            within: self.connect_timeout.min(within),
        };
        let stream = connector.connect(endpoint).await?;
        let response = exchange(stream, request, deadline).await?;
        Ok(EndpointAnswer::of(&response, self.clock.now()))
    }
}

fn request(
    endpoint: &Endpoint,
    fields: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, RequestFailure> {
    let refused = |error: http::Error| RequestFailure::Refused(format!("is no request: {error}"));
    let request = Request::builder().method(Method::POST);
    let request = request.uri(endpoint.target()).body(Full::new(body));
    let mut request = request.map_err(refused)?;
    *request.headers_mut() = fields;
    let host = HeaderValue::try_from(endpoint.authority());
    let own = [
        (HOST, host.map_err(|error| refused(error.into()))?),
        (CONNECTION, HeaderValue::from_static("close")),
        (
            USER_AGENT,
            HeaderValue::from_static(concat!("tagcache/", env!("CARGO_PKG_VERSION"))),
        ),
    ];
    request.headers_mut().extend(own);
    Ok(request)
}

/// The head of the answer to `request`. Its body is read up to a bound and dropped, so that an endpoint which writes a few
/// words does not see its connection reset.
async fn exchange(
    stream: Box<dyn EndpointStream>,
    request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Response<()>, RequestFailure> {
    let failed = |error: hyper::Error| {
        let cause = std::error::Error::source(&error);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        RequestFailure::Failed(format!("was not answered: {error}{cause}"))
    };
    let mut http = http1::Builder::new();
    http.max_buf_size(LARGEST_HEAD).max_headers(MOST_FIELDS);
    let answered = async {
        let (mut sender, connection) =
            http.handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let answer = async {
            let response = timeout_at(deadline, sender.send_request(request)).await;
            let late = |_| RequestFailure::Failed("was not answered in time".to_owned());
            let (head, body) = response.map_err(late)?.map_err(failed)?.into_parts();
            let _ = timeout_at(deadline.min(Instant::now() + BODY_TIME), read(body)).await;
            Ok(Response::from_parts(head, ()))
        };
        let mut answer = pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // It has handed over what it got, or why there is nothing.
            _ = connection => answer.await,
        }
    };
    answered.await
}

async fn read(mut body: impl Body<Data = Bytes> + Unpin) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read >= LARGEST_BODY {
            break;
        }
    }
}

impl fmt::Debug for OutgoingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingClient")
            .field("rules", &self.rules)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
