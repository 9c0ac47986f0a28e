//! From `[feed]`, `[push_service]`, their secrets and the listeners to the services that clients ask.

use tower_tagcache::config::{ConfigFileError, Secret};
use tower_tagcache::feed::{ActivityService, ActivityServiceSettings};
use tower_tagcache::outgoing::push::{PushService, PushServiceSettings};
use tower_tagcache::{Cache, ConfigError, Setting, Warning};

use super::Configuration;
use super::live::never_asked;
use super::secrets::{Env, SecretKey};
use crate::setting::{feed, push_service};

const FEED_TOKEN: SecretKey = SecretKey {
    setting: feed("token"),
    file: feed("token_file"),
    variable: "TAGCACHE_FEED_TOKEN",
};
const PUSH_TOKEN: SecretKey = SecretKey {
    setting: push_service("token"),
    file: push_service("token_file"),
    variable: "TAGCACHE_PUSH_TOKEN",
};

/// A service, and what of it deserves a second look.
type Watched<S> = (S, Vec<Warning>);

impl Configuration {
    /// What `[feed]` says; `None` without it. Its token comes from `TAGCACHE_FEED_TOKEN`, its file, or the file itself, in this
    /// order. `env` is as for [`load`](Self::load).
    ///
    /// # Errors
    /// The token cannot be read; or nobody says who may ask, and others than this machine can connect.
    pub fn feed_settings(
        &self,
        env: Env<'_>,
    ) -> Result<Option<ActivityServiceSettings>, ConfigFileError> {
        let Some(mut settings) = self.tables.feed.clone() else {
            return Ok(None);
        };
        let file = settings.token_file.as_ref();
        settings.token = self.secret(&FEED_TOKEN, &settings.token, file, env)?;
        let what = "ask what happened";
        settings.open = self.said_open(feed("open"), settings.open, &settings.token, what)?;
        Ok(Some(settings))
    }

    /// What `[push_service]` says; `None` without it. Its token comes from `TAGCACHE_PUSH_TOKEN`, its file, or the file itself,
    /// in this order. `env` is as for [`load`](Self::load).
    ///
    /// # Errors
    /// As of [`feed_settings`](Self::feed_settings).
    pub fn push_service_settings(
        &self,
        env: Env<'_>,
    ) -> Result<Option<PushServiceSettings>, ConfigFileError> {
        let Some(mut settings) = self.tables.push_service.clone() else {
            return Ok(None);
        };
        let file = settings.token_file.as_ref();
        settings.token = self.secret(&PUSH_TOKEN, &settings.token, file, env)?;
        let what = "subscribe to pushes";
        settings.open =
            self.said_open(push_service("open"), settings.open, &settings.token, what)?;
        Ok(Some(settings))
    }

    /// Whether everybody may do `what`, which is to be said where others than this machine can connect.
    fn said_open(
        &self,
        setting: Setting,
        open: Option<bool>,
        token: &Option<Secret>,
        what: &str,
    ) -> Result<Option<bool>, ConfigFileError> {
        if open.is_some() || token.is_some() {
            return Ok(open);
        }
        let Some(listen) = self.exposed() else {
            return Ok(Some(true));
        };
        let message = format!(
            "nobody says who may {what}, and not this machine alone can connect: set `token_file`, or `open = true` for \
             everybody who connects"
        );
        let address = listen.address.to_string();
        Err(self
            .file
            .refused(&ConfigError::new(setting, message, address)))
    }

    pub(super) fn feed_service(
        &self,
        cache: &Cache,
        env: Env<'_>,
    ) -> Result<Option<Watched<ActivityService>>, ConfigFileError> {
        let Some(settings) = self.feed_settings(env)? else {
            return Ok(None);
        };
        let file = settings.token_file.as_ref();
        let service = cache.activity_service(&settings);
        let service =
            service.map_err(|error| self.secret_refused(&error, &[(&FEED_TOKEN, file)], env))?;
        let is_open = settings.open == Some(true) && settings.token.is_none();
        let mut warnings = self.open_to_all(feed("open"), is_open, "ask what happened");
        let taken = |path: &str| service.takes(path);
        let rules = self.file.config.rules.iter();
        warnings.extend(rules.filter_map(|rule| never_asked(rule, "activity is", &taken)));
        Ok(Some((service, warnings)))
    }

    pub(super) fn push_service(
        &self,
        cache: &Cache,
        env: Env<'_>,
    ) -> Result<Option<Watched<PushService>>, ConfigFileError> {
        let Some(settings) = self.push_service_settings(env)? else {
            return Ok(None);
        };
        let file = settings.token_file.as_ref();
        let service = cache.push_service(&settings);
        let service =
            service.map_err(|error| self.secret_refused(&error, &[(&PUSH_TOKEN, file)], env))?;
        let is_open = settings.open == Some(true) && settings.token.is_none();
        let mut warnings = self.open_to_all(push_service("open"), is_open, "subscribe browsers");
        let taken = |path: &str| service.takes(path);
        let rules = self.file.config.rules.iter();
        warnings.extend(rules.filter_map(|rule| never_asked(rule, "subscriptions are", &taken)));
        Ok(Some((service, warnings)))
    }

    fn open_to_all(&self, setting: Setting, is_open: bool, what: &str) -> Vec<Warning> {
        let listen = self.exposed().filter(|_| is_open);
        let warning = listen.map(|listen| {
            let message = format!(
                "whoever can connect to {} may {what}; with `token_file`, and without `open`, only who has the token",
                listen.address
            );
            Warning::new(setting, message)
        });
        warning.into_iter().collect()
    }
}
