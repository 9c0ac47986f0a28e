//! From `[live]`, its secrets and the listeners to the service of live updates.

use std::path::PathBuf;

use tower_tagcache::config::{ConfigFileError, Secret};
use tower_tagcache::live::{LiveService, LiveSettings};
use tower_tagcache::{Cache, ConfigError, ConfigPlace, RuleSettings, Setting, Warning};

use super::Configuration;
use crate::proxy::Listen;
use crate::setting::{LIVE_OPEN, LIVE_TICKET_KEY, LIVE_TOKEN, live};

/// A secret: the variable that beats its file, which beats its key.
struct SecretKey {
    setting: Setting,
    file: Setting,
    variable: &'static str,
}

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

/// The value of a variable, if it has one.
type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

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
        let service = service.map_err(|error| self.live_refused(&error, env))?;
        let mut warnings: Vec<_> = self.open_to_all(&settings).into_iter().collect();
        let rules = &self.file.config.rules;
        warnings.extend(rules.iter().filter_map(|rule| never_asked(rule, &service)));
        Ok(Some((service, warnings)))
    }

    fn secret(
        &self,
        key: &SecretKey,
        written: &Option<Secret>,
        file: Option<&PathBuf>,
        env: Env<'_>,
    ) -> Result<Option<Secret>, ConfigFileError> {
        let text = match (set(env, key.variable), file) {
            (Some(text), _) => text,
            (None, Some(path)) => std::fs::read_to_string(path).map_err(|error| {
                let (why, shown) = (format!("cannot be read: {error}"), path.display());
                self.file
                    .refused(&ConfigError::new(key.file, why, shown.to_string()))
            })?,
            (None, None) => return Ok(written.clone()),
        };
        Ok(Some(Secret(text.trim().to_owned())))
    }

    /// `error` of the service, with the line, file or variable that has the secret it is about.
    fn live_refused(&self, error: &ConfigError, env: Env<'_>) -> ConfigFileError {
        let about = |key: &&SecretKey| error.place().setting() == Some(key.setting);
        let Some(key) = [&TOKEN, &TICKET_KEY].into_iter().find(about) else {
            return self.file.refused(error);
        };
        if set(env, key.variable).is_some() {
            let mut file = self.file.clone();
            file.made_elsewhere(key.setting, key.variable);
            return file.refused(error);
        }
        let settings = self.tables.live.as_ref();
        let file = settings.and_then(|live| match key.setting == LIVE_TOKEN {
            true => live.token_file.as_ref(),
            false => live.ticket_key_file.as_ref(),
        });
        match file {
            None => self.file.refused(error),
            Some(path) => {
                let (why, shown) = (error.message(), path.display().to_string());
                self.file.refused(&ConfigError::new(key.file, why, shown))
            }
        }
    }

    /// A listener that others than this machine can connect to.
    fn exposed(&self) -> Option<&Listen> {
        let others = |listen: &&Listen| !listen.address.ip().to_canonical().is_loopback();
        self.tables.proxy.listen.iter().find(others)
    }

    fn open_to_all(&self, settings: &LiveSettings) -> Option<Warning> {
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

fn set(env: Env<'_>, variable: &str) -> Option<String> {
    env(variable).filter(|text| !text.trim().is_empty())
}

const fn is_guarded(settings: &LiveSettings) -> bool {
    settings.token.is_some() || settings.ticket_key.is_some()
}

/// A rule whose requests are answered with live updates.
fn never_asked(rule: &RuleSettings, service: &LiveService) -> Option<Warning> {
    // A path that the route matches; one of several segments where it may have any number.
    let filled = |segment: &str| match segment {
        rest if rest.starts_with("{*") => "x/y".to_owned(),
        capture if capture.contains('{') && !capture.contains("{{") => "x".to_owned(),
        literal => literal.replace("{{", "{").replace("}}", "}"),
    };
    let path: Vec<_> = rule.route.split('/').map(filled).collect();
    let taken = rule.enabled && service.takes(&path.join("/"));
    taken.then(|| {
        let message = format!(
            "live updates are answered where its route is ({}): the rule is never asked",
            rule.route
        );
        Warning::new(ConfigPlace::rule(&*rule.name), message)
    })
}
