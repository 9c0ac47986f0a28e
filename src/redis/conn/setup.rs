//! How a server is spoken to, as the builder says it: TLS, credentials, the age of connections.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use crate::error::ConfigError;
use crate::place::Setting;
use crate::redis::account::Account;
use crate::redis::address::ServerPlace;
use crate::redis::credentials::{CredentialSource, RedisLogin};
#[cfg(feature = "tls")]
use crate::redis::tls::{RedisTls, Wrong};
use crate::spelling::written;

const SHORTEST_AGE: Duration = Duration::from_secs(1);

impl Server {
    /// How it is spoken to by TLS, if its URL asks for that.
    ///
    /// # Errors
    /// A file cannot be used, or the URL does not ask for TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, tls: &RedisTls) -> Result<Self, ConfigError> {
        let inner = Arc::get_mut(&mut self.inner).expect("nobody else has it yet");
        if inner.address.is_secure {
            let host = match &inner.address.place {
                ServerPlace::Tcp(at) => &at.host,
                // Wherever the master is: `server_name`, if any, is looked at.
                _ => "localhost",
            };
            let checked = tls.connector().and_then(|_| tls.name_of(host));
            let wrong = |wrong: Wrong| {
                ConfigError::new(
                    Setting::of("redis.tls", wrong.setting),
                    wrong.why,
                    wrong.input,
                )
            };
            checked.map_err(wrong)?;
        } else if *tls != RedisTls::new() {
            let why = "is for TLS, which the URL does not ask for: write rediss:// there";
            return Err(ConfigError::new(
                Setting::of("redis", "tls"),
                why,
                &*inner.shown,
            ));
        }
        inner.wiring.tls = tls.clone();
        Ok(self)
    }

    /// Who says as whom it is spoken to, and its Sentinels.
    ///
    /// # Errors
    /// A file cannot be read, the URL has a password too, or it names no Sentinels that could be spoken to.
    pub(crate) fn with_credentials(
        mut self,
        source: CredentialSource,
        sentinel: &RedisLogin,
    ) -> Result<Self, ConfigError> {
        let inner = Arc::get_mut(&mut self.inner).expect("nobody else has it yet");
        if let CredentialSource::Login(login) = &source {
            login.check("redis")?;
        }
        let asked = !matches!(source, CredentialSource::Url);
        if asked && inner.address.settings.password().is_some() {
            let why = "has a password, which is said elsewhere too: leave one of them out";
            return Err(ConfigError::new(Setting::REDIS_URL, why, &*inner.shown));
        }
        if sentinel.says_something() {
            if !matches!(inner.address.place, ServerPlace::Sentinel(_)) {
                let why =
                    "is for Sentinels, which the URL does not name: write redis+sentinel:// there";
                let setting = Setting::of("redis", "sentinel");
                return Err(ConfigError::new(setting, why, &*inner.shown));
            }
            sentinel.check("redis.sentinel")?;
        }
        inner.account = Account::new(source);
        inner.wiring.sentinel = sentinel.clone();
        Ok(self)
    }

    /// Uses no connection for longer than `age`.
    ///
    /// # Errors
    /// It is so short that connections would be made all the time.
    pub(crate) fn with_longest_age(mut self, age: Duration) -> Result<Self, ConfigError> {
        if age < SHORTEST_AGE {
            let why = "is shorter than 1s: connections would be made all the time";
            let setting = Setting::of("redis", "max_connection_age");
            return Err(ConfigError::new(setting, why, written(age)));
        }
        let inner = Arc::get_mut(&mut self.inner).expect("nobody else has it yet");
        inner.longest_age = age;
        Ok(self)
    }
}
