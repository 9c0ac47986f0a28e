//! One client's connection as seen by its requests: from a request as it was parsed to the cache, and
//! from its answer to a response.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, EXPECT, HeaderName, HeaderValue, MAX_FORWARDS, TE,
    UPGRADE,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tower_service::Service;

use crate::proxy::access_log::AccessLog;
use crate::proxy::activity::Activity;
use crate::proxy::client_body::{ClientBody, InHand};
use crate::proxy::drain::Stage;
use crate::proxy::fields::{
    Removal, has_outer_space, is_claim, is_hop_by_hop, is_odd, join_cookies, remove_hop_by_hop,
    remove_odd, settle_length, understood,
};
use crate::proxy::forwarded::{Inbound, Peer, Upgrade};
use crate::proxy::lists;
use crate::proxy::own::{Own, own_answer, unanswered, whole};
use crate::proxy::refusal::Refusal;
use crate::proxy::request_body::RequestBody;
use crate::proxy::target::{self, LastHost};
use crate::proxy::trailers::{OddNames, Trailers};
use crate::proxy::upstream::Upstreams;
use crate::proxy::yielding::Yielding;
use crate::proxy::{Door, ProxySettings};
use tower_tagcache::feed::ActivityService;
use tower_tagcache::live::{ClientAddress, LiveService};
use tower_tagcache::outgoing::push::PushService;
use tower_tagcache::{CacheService, ResponseFuture, TellPosition};

/// What all connections share.
pub(super) struct Site {
    pub(super) settings: ProxySettings,
    pub(super) service: CacheService<Upstreams>,
    /// Who gives way where upstreams have no place left.
    pub(super) yielding: Arc<Yielding>,
    /// The host of HTTP/1.0 requests without one.
    pub(super) fallback: Authority,
    /// What is answered before the cache is asked.
    pub(super) door: Option<Box<dyn Door>>,
    /// Who answers with live updates, also before that.
    pub(super) live: Option<LiveService>,
    /// Who tells what happened, likewise.
    pub(super) feed: Option<ActivityService>,
    /// Where browsers subscribe to pushes, likewise.
    pub(super) push: Option<PushService>,
    pub(super) access_log: Option<AccessLog>,
}

/// One connection.
pub(super) struct Client {
    site: Arc<Site>,
    peer: Arc<Peer>,
    activity: Arc<Activity>,
    stage: Stage,
    /// Locked for the beginning of each request, which one connection has one after the other.
    state: Mutex<State>,
}

struct State {
    service: CacheService<Upstreams>,
    last: LastHost,
}

type Answer = ResponseFuture<Upstreams, RequestBody, crate::proxy::upstream::UpstreamBody>;

impl Client {
    pub(super) fn new(site: Arc<Site>, peer: Peer, activity: Arc<Activity>, stage: Stage) -> Self {
        let state = State {
            service: site.service.clone(),
            last: LastHost::default(),
        };
        Self {
            peer: Arc::new(peer),
            state: Mutex::new(state),
            site,
            activity,
            stage,
        }
    }

    /// Answers one request.
    pub(super) fn serve(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ClientBody>, Infallible>> + Send + use<> {
        let mut in_hand = InHand::new(&self.activity);
        if let Some(log) = &self.site.access_log {
            let (method, uri) = (request.method(), request.uri());
            in_hand.line = log.begin(self.peer.address(), method, uri, request.version());
        }
        let http1 = request.version() <= Version::HTTP_11;
        let begun = self.begin(request);
        async move {
            let (reason, answer) = match begun {
                Ok(answer) => (answer.reason(), answer.await),
                Err(Own::Refusal(refusal)) => {
                    return Ok(own_answer(refusal.response(http1), in_hand));
                }
                Err(Own::Whole(answer)) => return Ok(own_answer(answer.await, in_hand)),
                Err(Own::Live(answer)) => {
                    in_hand.answered(&answer);
                    return Ok(answer.map(|body| ClientBody::live(body, in_hand)));
                }
            };
            Ok(match answer {
                Ok(response) => {
                    in_hand.answered(&response);
                    response.map(|body| ClientBody::cache(body, in_hand))
                }
                Err(failure) => own_answer(unanswered(&failure, reason, http1), in_hand),
            })
        }
    }

    /// Makes of the request what the cache and upstream may see, and asks the cache.
    fn begin(&self, request: Request<Incoming>) -> Result<Answer, Own> {
        let (mut parts, mut body) = request.into_parts();
        let survey = Survey::of(&parts.headers);
        if parts.version == Version::HTTP_2 {
            self.check_http2(&parts.headers)?;
        }
        if survey.expect {
            settle_expectation(&mut parts, body.is_end_stream())?;
        }
        let mut state = self.state.lock();
        let scheme = self.peer.scheme(&parts.headers);
        target::settle(&mut parts, &scheme, &mut state.last, &self.site.fallback)?;
        // While the fields still are the client's, who may have named some to be removed.
        (parts, body) = self.answer_here(parts, body)?;
        if survey.authorization {
            self.recognise(&mut parts);
        }
        if survey.odd {
            remove_odd(
                &mut parts.headers,
                self.site.settings.underscores_in_headers,
            );
        }
        let (upgrade, named) = self.settle_fields(&mut parts, &survey)?;
        if survey.lists || parts.headers.len() > parts.headers.keys_len() {
            lists::fold(&mut parts.headers);
        }
        count_down(&mut parts)?;
        self.peer.introduce(&mut parts.headers, survey.claims);
        let inbound = Inbound {
            peer: Arc::clone(&self.peer),
            scheme,
            version: parts.version,
            upgrade,
        };
        let settings = &self.site.settings;
        let body = RequestBody::new(body, settings.timeouts.client_body, inbound, || Trailers {
            named,
            lines: settings.limits.head_fields,
            odd: match settings.underscores_in_headers {
                true => OddNames::Pass,
                false => OddNames::Drop,
            },
        });
        let body = body.told_to(&self.activity);
        Ok(state.service.call(Request::from_parts(parts, body)))
    }

    /// The answer to a request that is for this program itself; others are given back.
    fn answer_here(&self, parts: Parts, body: Incoming) -> Result<(Parts, Incoming), Own> {
        let (site, path) = (&self.site, parts.uri.path());
        if let Some(door) = site.door.as_ref().filter(|door| door.takes(&parts)) {
            return Err(Own::Whole(door.answer(self.peer.address(), parts)));
        }
        if let Some(live) = site.live.as_ref().filter(|live| live.takes(path)) {
            return Err(self.listen(live, parts));
        }
        if let Some(feed) = site.feed.as_ref().filter(|feed| feed.takes(path)) {
            let answer = feed.clone().call(Request::from_parts(parts, ()));
            return Err(Own::Whole(whole(answer)));
        }
        if let Some(push) = site.push.as_ref().filter(|push| push.takes(path)) {
            let answer = push.clone().call(Request::from_parts(parts, body));
            return Err(Own::Whole(whole(answer)));
        }
        Ok((parts, body))
    }

    /// The answer to a request for live updates. A WebSocket goes on in a task of that service's own.
    fn listen(&self, live: &LiveService, mut parts: Parts) -> Own {
        parts.extensions.insert(ClientAddress(self.peer.address()));
        let answer = live.clone().call(Request::from_parts(parts, ()));
        match answer.into_inner() {
            Ok(answer) => Own::Live(Box::new(answer)),
        }
    }

    /// Who shows the admin token is told more. It is for us alone, so that nobody behind learns it.
    fn recognise(&self, parts: &mut Parts) {
        let door = self.site.door.as_ref();
        if door.is_some_and(|door| door.knows(&parts.headers)) {
            parts.headers.remove(AUTHORIZATION);
            parts.extensions.insert(TellPosition);
        }
    }

    /// What the parser of HTTP/1.1 has seen to, and that of HTTP/2 has not.
    fn check_http2(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if headers.len() > self.site.settings.limits.head_fields {
            return Err(Refusal::Fields);
        }
        if has_outer_space(headers) {
            return Err(Refusal::Value);
        }
        Ok(())
    }

    fn settle_fields(
        &self,
        parts: &mut Parts,
        survey: &Survey,
    ) -> Result<(Option<Box<Upgrade>>, Vec<HeaderName>), Refusal> {
        if survey.length {
            settle_length(&mut parts.headers).map_err(|_| Refusal::Length)?;
        }
        if survey.cookie {
            join_cookies(&mut parts.headers);
        }
        if !survey.hop_by_hop {
            return Ok((None, Vec::new()));
        }
        let Removal {
            upgrade,
            trailers,
            named,
        } = settle_hops(&mut parts.headers)?;
        if trailers {
            let trailers = HeaderValue::from_static("trailers");
            parts.headers.insert(TE, trailers);
        }
        let client = parts.extensions.remove::<OnUpgrade>();
        let (Some(protocol), Some(client)) = (upgrade, client) else {
            return Ok((None, named));
        };
        // It tells the cache to stay out of it.
        parts.headers.insert(UPGRADE, protocol.clone());
        let upgrade = Upgrade {
            protocol,
            client,
            stage: self.stage.clone(),
        };
        Ok((Some(Box::new(upgrade)), named))
    }
}

/// What one look at all fields finds, so that most requests need no other.
#[derive(Debug, Default)]
struct Survey {
    length: bool,
    hop_by_hop: bool,
    claims: bool,
    cookie: bool,
    authorization: bool,
    expect: bool,
    /// A field that is folded where it is written in another way than most write it.
    lists: bool,
    /// A name that a server behind may take for another one.
    odd: bool,
}

impl Survey {
    fn of(headers: &HeaderMap) -> Self {
        let mut survey = Self::default();
        for name in headers.keys() {
            survey.length |= *name == CONTENT_LENGTH;
            survey.hop_by_hop |= is_hop_by_hop(name);
            survey.claims |= is_claim(name);
            survey.cookie |= *name == COOKIE;
            survey.authorization |= *name == AUTHORIZATION;
            survey.expect |= *name == EXPECT;
            survey.lists |= lists::is_folded(name);
            survey.odd |= is_odd(name);
        }
        survey
    }
}

/// Takes the fields of the connection away, and tells of them what the next one may need to know.
pub(super) fn settle_hops(headers: &mut HeaderMap) -> Result<Removal, Refusal> {
    if !understood(headers) {
        return Err(Refusal::Coding);
    }
    let mut removal = remove_hop_by_hop(headers);
    // HTTP/2 is spoken from the start or not at all: a tunnel with it would carry requests past
    // the cache and all that is checked here.
    removal.upgrade.take_if(|protocol| is_http2(protocol));
    Ok(removal)
}

fn is_http2(protocol: &HeaderValue) -> bool {
    let mut offered = protocol.as_bytes().split(|byte| *byte == b',');
    offered.any(|offered| {
        let offered = offered.trim_ascii();
        offered.eq_ignore_ascii_case(b"h2c") || offered.eq_ignore_ascii_case(b"h2")
    })
}

/// An expectation that nothing here would meet is answered at once: a client repeats the request without
/// it, and without an answer it might wait for ever (RFC 9110 §10.1.1, SAFETY 80). Over HTTP/1.1 the
/// server library asks for the body if `100-continue` stands alone; over HTTP/2 it cannot.
///
/// Without a body nobody waits, and the field must not be there. It would reach upstream in a call whose
/// answer is for many.
fn settle_expectation(parts: &mut Parts, bodiless: bool) -> Result<(), Refusal> {
    let lines = || parts.headers.get_all(EXPECT).iter();
    let http2 = parts.version >= Version::HTTP_2;
    if bodiless || parts.version == Version::HTTP_10 || lines().all(HeaderValue::is_empty) {
        parts.headers.remove(EXPECT);
        return Ok(());
    }
    let met = |line: &HeaderValue| line.as_bytes().eq_ignore_ascii_case(b"100-continue");
    match !http2 && lines().all(met) {
        true => Ok(()),
        false => Err(Refusal::Expectation),
    }
}

/// `Max-Forwards` (RFC 9110 §7.6.2).
pub(super) fn count_down(parts: &mut Parts) -> Result<(), Refusal> {
    let used_up = match parts.method {
        Method::TRACE => Refusal::Trace,
        Method::OPTIONS => Refusal::Options,
        _ => return Ok(()),
    };
    let Some(left) = parts.headers.get(MAX_FORWARDS) else {
        return Ok(());
    };
    let left = left.to_str().ok().and_then(|left| left.parse::<u64>().ok());
    match left {
        Some(0) => Err(used_up),
        Some(left) => {
            parts
                .headers
                .insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
        None => Ok(()),
    }
}
