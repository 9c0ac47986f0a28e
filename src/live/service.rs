//! [`LiveService`]: from a request to a stream of updates.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use serde_json::json;
use tower_service::Service;

use crate::clock::Clock;
use crate::error::ConfigError;
use crate::live::access::Admission;
use crate::live::body::LiveBody;
use crate::live::feed::Feed;
use crate::live::filter::Filter;
use crate::live::hub::{Hub, LiveStats};
use crate::live::problem;
use crate::live::request::{ListenQuery, ListenTarget};
use crate::live::settings::LiveSettings;
use crate::live::socket::{self, Subscription};
use crate::live::tickets::{ALL, TicketKey};
use crate::log::Views;
use crate::update::UpdateCursor;
use crate::web::{Preflight, Problem, path_of};

/// The methods of streams, and of tickets.
const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";
/// How long a ticket is good if nobody says.
const TICKET: Duration = Duration::from_secs(3_600);
/// The longest that one can be asked for.
const LONGEST_TICKET: Duration = Duration::from_secs(86_400);

/// The service that tells clients of updates. Made by [`Cache::live`](crate::Cache::live); a cheap clone. See the
/// [module docs](crate::live).
#[derive(Debug, Clone)]
pub struct LiveService {
    hub: Arc<Hub>,
}

impl LiveService {
    pub(crate) fn new(
        views: Arc<Views>,
        clock: Arc<dyn Clock>,
        settings: &LiveSettings,
    ) -> Result<Self, ConfigError> {
        let hub = Arc::new(Hub::new(views, clock, settings)?);
        Ok(Self { hub })
    }

    /// Whether a request for `path` is for this service, also where it is refused: what is meant for it may have a
    /// ticket or the token, which are for nobody behind. For who puts it in front of another one.
    #[must_use]
    pub fn takes(&self, path: &str) -> bool {
        let below = path.strip_prefix(&*self.hub.path);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }

    /// A router with this service at its [path](LiveSettings::path), to be merged into another one.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        let path = &self.hub.path;
        axum::Router::new()
            .route_service(path, self.clone())
            .route_service(&format!("{path}/"), self.clone())
            .route_service(&format!("{path}/{{*below}}"), self.clone())
    }

    /// What signs tickets, if there is a [key](LiveSettings::ticket_key).
    #[must_use]
    pub fn tickets(&self) -> Option<&TicketKey> {
        self.hub.access.tickets.as_ref()
    }

    /// Ends all streams, each with a reason, and begins no more: for a server that ends, which would wait for them.
    pub fn close(&self) {
        self.hub.close();
    }

    /// How many listen, and what was done for them.
    #[must_use]
    pub fn stats(&self) -> LiveStats {
        self.hub.stats()
    }

    /// Says in words what a request for `path?query` would be told, or why it would be refused.
    ///
    /// # Errors
    /// The reason that a client would be told.
    pub fn explain(&self, path: &str, query: Option<&str>) -> Result<String, String> {
        let wanted = || {
            let target = ListenTarget::of(&self.hub.path, path).ok_or_else(problem::not_found)?;
            if target == ListenTarget::Ticket {
                return Ok("a ticket, for who sends the token".to_owned());
            }
            let query = ListenQuery::parse(query)?;
            query.says_only(false)?;
            let filter = query.filter(&target, &self.hub)?;
            Ok(filter.to_string())
        };
        wanted().map_err(|problem: Problem| problem.detail().to_owned())
    }

    /// Answers a request, or says why not.
    fn answer(&self, mut parts: Parts) -> Response<LiveBody> {
        let hub = &self.hub;
        let Some(target) = ListenTarget::of(&hub.path, path_of(&parts)) else {
            return refusal(problem::not_found());
        };
        let asker = match hub.access.origins.asker(&parts) {
            Ok(asker) => asker,
            Err(problem) => return refusal(problem),
        };
        let answered = match (&parts.method, target) {
            (&Method::OPTIONS, target) => Ok(preflight(&target)),
            (&Method::POST, ListenTarget::Ticket) => self.issue(&parts),
            (_, ListenTarget::Ticket) => Err(Problem::method(POST)),
            (&Method::GET | &Method::HEAD, target) => self.listen(&mut parts, &target),
            _ => Err(Problem::method(GET)),
        };
        let mut response = answered.unwrap_or_else(refusal);
        asker.admit(&mut response);
        response
    }

    fn listen(
        &self,
        parts: &mut Parts,
        target: &ListenTarget,
    ) -> Result<Response<LiveBody>, Problem> {
        let hub = &self.hub;
        let upgrade = socket::asked_for(parts)?;
        let Wish {
            filter,
            cursor,
            admission,
            is_named,
        } = self.admit(parts, target)?;
        if hub.is_closed() && upgrade.is_none() {
            // A browser connects again after the end of a stream, and never after another status (WHATWG HTML §9.2.3).
            return Ok(stream_of(LiveBody::farewell(hub)));
        }
        if hub.is_closed() {
            return Err(problem::closing());
        }
        let slot = hub.slots.take(parts)?;
        if parts.method == Method::HEAD {
            return Ok(stream_of(LiveBody::full("")));
        }
        if let Some(upgrade) = upgrade {
            let first = is_named.then_some(Subscription { filter, cursor });
            return Ok(socket::begin(
                upgrade,
                Arc::clone(hub),
                admission,
                first,
                slot,
            ));
        }
        let (feed, position) = Feed::new(Arc::clone(hub), cursor, admission.expires);
        let body = LiveBody::events(Arc::clone(hub), feed, position, filter, slot);
        Ok(stream_of(body))
    }

    /// What somebody wants, if they may have it.
    fn admit(&self, parts: &Parts, target: &ListenTarget) -> Result<Wish, Problem> {
        let hub = &self.hub;
        let query = ListenQuery::parse(parts.uri.query())?;
        query.says_only(false)?;
        let ticket = query.ticket.as_deref();
        let admission = hub.access.admit(&parts.headers, ticket, hub.clock.now())?;
        let mut filter = query.filter(target, hub)?;
        let cursor = query.cursor(&parts.headers)?;
        let is_named = cursor.is_some() || filter != Filter::default();
        if let Some(subjects) = &admission.subjects {
            filter.within(subjects)?;
        }
        Ok(Wish {
            filter,
            cursor,
            admission,
            is_named,
        })
    }

    /// A ticket, for who shows the token.
    fn issue(&self, parts: &Parts) -> Result<Response<LiveBody>, Problem> {
        let hub = &self.hub;
        let Some(tickets) = hub.access.issues() else {
            return Err(problem::not_found());
        };
        if !hub.access.guard.shows_token(&parts.headers)? {
            return Err(Problem::unauthorized("send the token to get a ticket"));
        }
        let query = ListenQuery::parse(parts.uri.query())?;
        query.says_only(true)?;
        let expires = hub.clock.now().plus(lifetime(query.seconds.as_deref())?);
        let ticket = tickets.issue(self.ticketed(&query)?, expires);
        let ticket = ticket.map_err(|error| Problem::bad_request(error.to_string()))?;
        let body = json!({ "ticket": ticket, "expires": expires.as_millis() / 1_000 });
        let mut response = Response::new(LiveBody::full(body.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// What a ticket is asked for.
    fn ticketed(&self, query: &ListenQuery<'_>) -> Result<Vec<String>, Problem> {
        if query.subjects.is_empty() {
            let detail =
                "name what the ticket is for: `subject=auction:0x…`, or `subject=*` for everything";
            return Err(Problem::bad_request(detail));
        }
        if query.subjects.iter().any(|subject| subject == ALL) {
            return Ok(vec![ALL.to_owned()]);
        }
        let subjects = query.subjects.iter();
        let parse = |subject| Ok(self.hub.subjects.parse(subject)?.as_str().to_owned());
        let subjects: Result<BTreeSet<_>, Problem> = subjects.map(|one| parse(one)).collect();
        Ok(subjects?.into_iter().collect())
    }
}

/// What somebody wants who may have it.
struct Wish {
    filter: Filter,
    cursor: Option<UpdateCursor>,
    admission: Admission,
    /// Whether it says more than that somebody wants to listen.
    is_named: bool,
}

/// How long a ticket is good.
fn lifetime(seconds: Option<&str>) -> Result<Duration, Problem> {
    let asked = seconds.map(|text| text.parse().map(Duration::from_secs));
    let lifetime = asked.unwrap_or(Ok(TICKET)).ok();
    let lifetime = lifetime.filter(|lifetime| !lifetime.is_zero() && *lifetime <= LONGEST_TICKET);
    lifetime.ok_or_else(|| Problem::bad_request("`seconds` is not between 1 and 86400"))
}

fn stream_of(body: LiveBody) -> Response<LiveBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // nginx would keep events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(problem: Problem) -> Response<LiveBody> {
    problem.response().map(LiveBody::full)
}

/// What a page of another host may send.
fn preflight(target: &ListenTarget) -> Response<LiveBody> {
    let methods = match target {
        ListenTarget::Ticket => POST,
        ListenTarget::All | ListenTarget::Subject(_) | ListenTarget::Alerts => GET,
    };
    let headers = "authorization, last-event-id, cache-control";
    Preflight { methods, headers }.response(LiveBody::full(""))
}

impl<B> Service<Request<B>> for LiveService {
    type Response = Response<LiveBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<LiveBody>, Infallible>>;

    /// Always ready: clients beyond the limits are answered 429 or 503.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Nothing is asked by a body.
        let (parts, _) = request.into_parts();
        ready(Ok(self.answer(parts)))
    }
}
