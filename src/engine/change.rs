//! Requests that change what is stored: invalidation by unsafe methods (RFC 9111 §4.4, RFC 9875 §3).

use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use tower::ServiceExt;

use crate::engine::own_validators::{precondition_failed, without_own};
use crate::engine::{CacheBody, Engine, InnerService, ServiceResult};
use crate::rules::{CompiledRule, RuleSet, names_unsafe_method};
use crate::semantics::{self, Conditions};
use crate::tag::{PurgeKind, Target};

impl Engine {
    /// Whether a request may by its method change what is stored.
    pub(crate) fn may_change<A>(&self, request: &Request<A>) -> bool {
        let method = request.method();
        let changes = semantics::is_unsafe(method)
            // Rules are asked about these two, and see to the field.
            || method != Method::GET && method != Method::HEAD && names_unsafe_method(request.headers());
        changes && !self.has_forwarded(request.extensions())
    }

    /// Forwards a request that may change `target`. If it did not fail, everything stored under that
    /// path is purged before the client hears of it, and with it what the response names.
    pub(crate) async fn change<S, A>(
        self: Arc<Self>,
        target: Uri,
        mut request: Request<A>,
        inner: S,
    ) -> ServiceResult<S, A>
    where
        S: InnerService<A>,
    {
        if without_own(&mut request) == Conditions::Failed {
            return Ok(precondition_failed());
        }
        request.extensions_mut().insert(self.mark());
        let change = Change::new(target, request.uri(), request.headers());
        let response = inner.oneshot(request).await?;
        self.invalidate(&change, response.status(), response.headers())
            .await;
        Ok(CacheBody::forward(response))
    }

    /// Purges what `change` has changed, if the response says that it succeeded.
    pub(super) async fn invalidate(
        &self,
        change: &Change,
        status: StatusCode,
        response: &HeaderMap,
    ) {
        if semantics::is_non_error(status) {
            let targets = self.changed(change, response);
            // Not acknowledged, it is in force in this process at once and appended later; the
            // observer is told.
            self.fills
                .purges
                .purge_promptly(PurgeKind::Hard, targets)
                .await;
        }
    }

    /// What a successful unsafe request invalidates.
    fn changed(&self, change: &Change, response: &HeaderMap) -> Vec<Target> {
        let rules = self.rules.load();
        let path = change.target.path();
        let mut targets = vec![Target::Path(path.into())];
        let host = change.host.get(HOST).and_then(|host| host.to_str().ok());
        for named in semantics::named_paths(response, &change.target, host) {
            if named != path && change.rule(&rules, &named).is_some() {
                targets.push(Target::Path(named.into()));
            }
        }
        if let Some(rule) = change.rule(&rules, path) {
            let groups = rule.invalidated_groups(&change.target, &change.host, response);
            targets.extend(groups.map(Target::Tag));
        }
        targets.dedup();
        targets
    }
}

/// What is kept of a request that may change something.
pub(super) struct Change {
    target: Uri,
    /// What the path of `target` has before that which the layer sees: the prefix of a nested router.
    prefix: Box<str>,
    /// Its `Host`.
    host: HeaderMap,
}

impl Change {
    /// A request for `target`, which its layer sees as one for `own`.
    pub(super) fn new(target: Uri, own: &Uri, request: &HeaderMap) -> Self {
        let host = request.get(HOST).cloned();
        Self {
            prefix: prefix(target.path(), own.path()).into(),
            target,
            host: host.into_iter().map(|host| (HOST, host)).collect(),
        }
    }

    /// The rule under which responses for `path` are stored: by the whole path, or by what is left of it
    /// below the prefix.
    fn rule<'r>(&self, rules: &'r RuleSet, path: &str) -> Option<&'r Arc<CompiledRule>> {
        let below = || {
            path.strip_prefix(&*self.prefix)
                .filter(|_| !self.prefix.is_empty())
        };
        rules.stored_under(path).or_else(|| match below()? {
            "" => rules.stored_under("/"),
            own => rules.stored_under(own).filter(|_| own.starts_with('/')),
        })
    }
}

/// What `whole` has before `own`. A router that is asked for its prefix alone sees `/`.
fn prefix<'p>(whole: &'p str, own: &str) -> &'p str {
    match whole.strip_suffix(own) {
        Some(prefix) => prefix,
        None if own == "/" => whole,
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_what_a_nested_router_took_away() {
        for (whole, own, taken) in [
            ("/v1/items/1", "/items/1", "/v1"),
            ("/v1", "/", "/v1"),
            ("/v1/", "/", "/v1"),
            ("/items/1", "/items/1", ""),
            ("/", "/", ""),
            ("/a", "/b", ""),
        ] {
            assert_eq!(prefix(whole, own), taken, "{whole} {own}");
        }
    }
}
