//! From a request to an answer.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use crate::admin::access::{self, Asker, Call};
use crate::admin::answer::{self, Answer};
use crate::admin::happened::{Again, Page};
use crate::admin::metrics::{self, Format};
use crate::admin::purge::Plan;
use crate::admin::ready::{self, Signs};
use crate::admin::{AdminHooks, AdminSettings};
use tower_tagcache::{Cache, Target};

/// What the admin listener and the door on the public one share.
pub(super) struct Office {
    pub(super) settings: AdminSettings,
    pub(super) cache: Cache,
    pub(super) hooks: AdminHooks,
}

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Alive,
    Ready,
    Metrics(Option<Format>),
    Config,
    Page(Page),
    ResendAlerts,
    Purge,
    InvalidateForTest,
}

impl Topic {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/healthz" => Self::Alive,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics(None),
            "/metrics.json" => Self::Metrics(Some(Format::Json)),
            "/metrics.txt" => Self::Metrics(Some(Format::Prometheus)),
            "/config" => Self::Config,
            "/activity" => Self::Page(Page::Activity),
            "/analytics" => Self::Page(Page::Analytics),
            "/alerts/failed" => Self::Page(Page::FailedAlerts),
            "/alerts/resend" => Self::ResendAlerts,
            "/purge" => Self::Purge,
            "/test/invalidate-cache" => Self::InvalidateForTest,
            _ => return None,
        })
    }

    const fn call(self) -> Call {
        match self {
            Self::Alive | Self::Ready | Self::Metrics(_) => Call::Look,
            Self::Config | Self::Page(_) => Call::Inspect,
            Self::ResendAlerts => Call::Resend,
            Self::Purge => Call::Purge,
            Self::InvalidateForTest => Call::Test,
        }
    }

    fn takes(self, method: &Method) -> bool {
        let mut known = self.methods().split(", ");
        known.any(|known| known == method.as_str())
    }

    const fn methods(self) -> &'static str {
        match self.call() {
            Call::Look | Call::Inspect => "GET, HEAD",
            Call::Purge | Call::Resend | Call::Test | Call::PublicPurge => "POST",
        }
    }
}

/// What is left to do after a look at the head.
pub(super) enum NextStep {
    Answered(Answer),
    /// [Tell](Office::tell) of this what the query asks for.
    Tell(Page),
    /// Read the body, then [send alerts again](Office::resend).
    Resend,
    /// Read the body, then [purge](Office::purge).
    Purge,
    /// [Purge](Office::purge_all) everything; the body means nothing.
    PurgeAll,
}

impl Office {
    /// Answers what the head alone decides: above all who may not ask, before a body is read.
    pub(super) fn begin(&self, peer: IpAddr, head: &Parts) -> NextStep {
        let topic = Topic::of(head.uri.path());
        let known =
            topic.filter(|topic| *topic != Topic::InvalidateForTest || self.settings.test_calls);
        let Some(topic) = known else {
            let message = "no such page; there are /healthz, /readyz, /metrics, /config, /activity, /analytics, \
                           /alerts/failed, /alerts/resend and /purge";
            return NextStep::Answered(answer::error(StatusCode::NOT_FOUND, message));
        };
        if !topic.takes(&head.method) {
            return NextStep::Answered(answer::only(topic.methods()));
        }
        if let Err(why) = self.admit(topic.call(), peer, &head.headers) {
            return NextStep::Answered(answer::denied(why));
        }
        NextStep::Answered(match topic {
            Topic::Page(page) => return NextStep::Tell(page),
            Topic::ResendAlerts => return NextStep::Resend,
            Topic::Alive => answer::text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            Topic::Ready => self.ready(),
            Topic::Metrics(format) => {
                self.metrics(format.unwrap_or_else(|| Format::wanted(&head.headers)))
            }
            Topic::Config => {
                let config = self.hooks.config_text();
                answer::text(StatusCode::OK, "text/plain; charset=utf-8", config)
            }
            Topic::Purge => return NextStep::Purge,
            Topic::InvalidateForTest => return NextStep::PurgeAll,
        })
    }

    pub(super) fn admit(
        &self,
        call: Call,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), access::Denial> {
        let admitted = access::admit(&self.settings, call, Asker { peer, headers });
        match (&admitted, call) {
            (Ok(()), _) => {}
            // Everybody can send it: not a line each for who floods the log.
            (Err(_), Call::PublicPurge) => tracing::debug!(%peer, "PURGE was refused"),
            (Err(_), _) => tracing::warn!(%peer, ?call, "an admin call was refused"),
        }
        admitted
    }

    pub(super) fn metrics(&self, format: Format) -> Answer {
        metrics::answer(&self.hooks.telemetry, &self.cache, format)
    }

    /// Tells of `page` what the query of `head` asks for.
    pub(super) async fn tell(&self, page: Page, head: &Parts) -> Answer {
        let query = head.uri.query().unwrap_or_default();
        page.answer(query, &self.cache).await
    }

    /// Sends the alerts again that `body` names.
    pub(super) async fn resend(&self, peer: IpAddr, body: &[u8]) -> Answer {
        match Again::read(body) {
            Ok(again) => {
                tracing::info!(%peer, ?again, "asked to send alerts again");
                again.answer(&self.cache).await
            }
            Err(why) => answer::error(StatusCode::BAD_REQUEST, &why),
        }
    }

    /// Purges what `body` names.
    pub(super) async fn purge(&self, peer: IpAddr, body: &[u8]) -> Answer {
        match Plan::read(body) {
            Ok(plan) => self.carry_out(peer, plan).await,
            Err(why) => answer::error(StatusCode::BAD_REQUEST, &why),
        }
    }

    /// Purges everything.
    pub(super) async fn purge_all(&self, peer: IpAddr) -> Answer {
        self.carry_out(peer, Plan::hard(vec![Target::All])).await
    }

    /// Purges the one URL with this path.
    pub(super) async fn purge_path(&self, peer: IpAddr, path: &str) -> Answer {
        match Target::url(path) {
            Ok(target) => self.carry_out(peer, Plan::hard(vec![target])).await,
            Err(error) => answer::error(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    async fn carry_out(&self, peer: IpAddr, plan: Plan) -> Answer {
        let first = plan.targets.first().map(ToString::to_string);
        let targets = plan.targets.len();
        if let Some(why) = plan.unknown_rule(&self.cache) {
            tracing::info!(%peer, targets, first, "asked to purge a rule that there is not");
            return answer::error(StatusCode::UNPROCESSABLE_ENTITY, &why);
        }
        match plan.dry_run {
            true => tracing::debug!(%peer, targets, first, "asked what a purge would take"),
            false => tracing::info!(%peer, targets, first, "asked to purge"),
        }
        plan.carry_out(&self.cache).await
    }

    /// Why requests should go elsewhere, if they should.
    fn unready(&self) -> Option<String> {
        let down = || {
            let upstreams = self.hooks.upstreams.as_ref()?;
            let unready = !self.settings.ready_without_upstream && !upstreams.any_up();
            unready.then(|| "all upstreams are down".to_owned())
        };
        self.hooks.unready_reason().or_else(down)
    }

    fn ready(&self) -> Answer {
        ready::answer(&Signs {
            cache: &self.cache,
            upstreams: self.hooks.upstreams.as_ref(),
            breaker_open: self.hooks.telemetry.breaker_open(),
            unready: self.unready(),
        })
    }
}
