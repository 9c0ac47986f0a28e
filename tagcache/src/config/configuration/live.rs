//! From `[live]`, its secrets and the listeners to the service of live updates.

use tower_tagcache::config::ConfigFileError;
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::{Cache, ConfigError, ConfigPlace, RuleSettings, Warning};

use super::Configuration;
use super::secrets::{Env, SecretKey};
use crate::setting::{LIVE_OPEN, LIVE_TICKET_KEY, LIVE_TOKEN, live};

const TOKEN: SecretKey = SecretKey {
    setting: LIVE_TOKEN,
    file: live("token_file"),
    variable: "TAGCACHE_LIVE_TOKEN",
};
const TICKET_KEY: SecretKey = SecretKey {
    setting: LIVE_TICKET_KEY,
    file: live("ticket_key_file"),
    variable: "TAGCACHE_LIVE_TICKET_KEY",
};

impl Configuration {
    /// What `[live]` says; `None` without it. Its token and the key of its tickets come from `TAGCACHE_LIVE_TOKEN` and
    /// `TAGCACHE_LIVE_TICKET_KEY`, their files, or the file itself, in this order; whose `X-Forwarded-For` is
    /// believed is up to `[proxy]`. `env` is as for [`load`](Self::load).
    ///
    /// # Errors
    /// A secret cannot be read; or nobody says who may listen, and others than this machine can connect.
    pub fn live_settings(&self, env: Env<'_>) -> Result<Option<LiveSettings>, ConfigFileError> {
        let Some(mut settings) = self.tables.live.clone() else {
            return Ok(None);
        };
        let (token, key) = (&settings.token, &settings.ticket_key);
        let token = self.secret(&TOKEN, token, settings.token_file.as_ref(), env)?;
        let key = self.secret(&TICKET_KEY, key, settings.ticket_key_file.as_ref(), env)?;
        (settings.token, settings.ticket_key) = (token, key);
        if settings.open.is_none() && !is_guarded(&settings) {
            if let Some(listen) = self.exposed() {
                let message = "nobody says who may listen to live updates, and not this machine alone can connect: set \
                               `token_file` or `ticket_key_file`, or `open = true` for everybody who connects";
                let address = listen.address.to_string();
                return Err(self
                    .file
                    .refused(&ConfigError::new(LIVE_OPEN, message, address)));
            }
            settings.open = Some(true);
        }
        let peers = &self.tables.proxy.trusted_peers;
        settings.trusted_proxies = peers.iter().map(ToString::to_string).collect();
        Ok(Some(settings))
    }

    /// The service, and what of it deserves a second look.
    pub(super) fn live_service(
        &self,
        cache: &Cache,
        env: Env<'_>,
    ) -> Result<Option<(LiveService, Vec<Warning>)>, ConfigFileError> {
        let Some(settings) = self.live_settings(env)? else {
            return Ok(None);
        };
        let service = cache.live(&settings);
        let keys = [
            (&TOKEN, settings.token_file.as_ref()),
            (&TICKET_KEY, settings.ticket_key_file.as_ref()),
        ];
        let service = service.map_err(|error| self.secret_refused(&error, &keys, env))?;
        let mut warnings: Vec<_> = self.listened_by_all(&settings).into_iter().collect();
        let taken = |path: &str| service.takes(path);
        let rules = self.file.config.rules.iter();
        warnings.extend(rules.filter_map(|rule| never_asked(rule, "live updates are", &taken)));
        Ok(Some((service, warnings)))
    }

    fn listened_by_all(&self, settings: &LiveSettings) -> Option<Warning> {
        let listen = self
            .exposed()
            .filter(|_| settings.open == Some(true) && !is_guarded(settings))?;
        let message = format!(
            "whoever can connect to {} may listen to all updates; with `token_file` or `ticket_key_file`, and without \
             `open`, only who has the token or a ticket",
            listen.address
        );
        Some(Warning::new(LIVE_OPEN, message))
    }
}

const fn is_guarded(settings: &LiveSettings) -> bool {
    settings.token.is_some() || settings.ticket_key.is_some()
}

/// A rule whose requests are answered before it is asked, with `what`: those for paths that are `taken`.
pub(super) fn never_asked(
    rule: &RuleSettings,
    what: &str,
    taken: &dyn Fn(&str) -> bool,
) -> Option<Warning> {
    // A path that the route matches; one of several segments where it may have any number.
    let filled = |segment: &str| match segment {
        rest if rest.starts_with("{*") => "x/y".to_owned(),
        capture if capture.contains('{') && !capture.contains("{{") => "x".to_owned(),
        literal => literal.replace("{{", "{").replace("}}", "}"),
    };
    let path: Vec<_> = rule.route.split('/').map(filled).collect();
    let is_taken = rule.enabled && taken(&path.join("/"));
    is_taken.then(|| {
        let message = format!(
            "{what} answered where its route is ({}): the rule is never asked",
            rule.route
        );
        Warning::new(ConfigPlace::rule(&*rule.name), message)
    })
}
