//! A configuration with all that it does not say itself.

use super::error::masked_url;
use super::{
    Address, AdminSection, Bytes, Config, ConsistencyChoice, HealthSection, LimitsSection,
    ListenChoice, LogFormat, Period, ProfileChoice, Secret, TimeoutsSection, Ttl,
    UpstreamHostChoice,
};
use crate::proxy::ProxySettings;
use crate::proxy::admin::AdminSettings;

/// Fills each key that is not there with what the settings say.
macro_rules! fill {
    ($section:expr, $settings:expr; $($key:ident),+) => {
        $(if $section.$key.is_none() {
            $section.$key = Some($settings.$key.clone().into());
        })+
    };
}

impl Config {
    /// [`effective`](Self::effective), as text for people: secrets are there, and masked.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let effective = self.effective();
        let text = toml::Table::try_from(&effective).and_then(|mut table| {
            let secrets = [
                ("redis", "url", effective.redis.url.as_ref()),
                (
                    "admin",
                    "token",
                    effective
                        .admin
                        .as_ref()
                        .and_then(|admin| admin.token.as_ref()),
                ),
            ];
            for (section, key, secret) in secrets {
                let section = table.get_mut(section).and_then(toml::Value::as_table_mut);
                if let (Some(section), Some(Secret(secret))) = (section, secret) {
                    let shown = match secret.contains("://") {
                        true => masked_url(secret),
                        false => "***".to_owned(),
                    };
                    section.insert(key.to_owned(), shown.into());
                }
            }
            toml::to_string(&table)
        });
        text.unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// The same with the defaults written out, for people who ask what is in effect.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut config = self.clone();
        config.mode = Some(self.mode());
        config.cache.upstream_rule = Some(self.has_implicit_rule());
        config.fill_redis();
        config.fill_cache();
        config.fill_proxy();
        if let Some(admin) = &mut config.admin {
            fill_admin(admin);
        }
        let log = &mut config.log;
        log.format.get_or_insert(LogFormat::Text);
        log.level.get_or_insert_with(|| "info".to_owned());
        let consistency = config.cache.consistency;
        for rule in &mut config.rules {
            rule.consistency = rule.consistency.or(consistency);
            rule.body_limit.get_or_insert(Bytes(2 << 20));
            rule.ttl = rule.ttl.map(|ttl| Ttl::Of(self.cache.ttl(ttl)));
        }
        config
    }

    fn fill_redis(&mut self) {
        let redis = &mut self.redis;
        if redis.url.is_none() {
            return;
        }
        let millis = |millis| Period(std::time::Duration::from_millis(millis));
        let namespace = redis.namespace.get_or_insert_with(|| "tagcache".to_owned());
        redis
            .consumer_group
            .get_or_insert_with(|| namespace.clone());
        redis.compress.get_or_insert(false);
        redis.connect_timeout.get_or_insert(millis(5_000));
        redis.read_timeout.get_or_insert(millis(25));
        redis.write_timeout.get_or_insert(millis(100));
        redis.purge_timeout.get_or_insert(millis(2_000));
        redis.streams.get_or_insert(true);
    }

    fn fill_cache(&mut self) {
        let cache = &mut self.cache;
        for (period, ttl) in [
            (cache.default_ttl, Ttl::Default),
            (cache.long_ttl, Ttl::Long),
            (cache.short_ttl, Ttl::Short),
        ] {
            let period = Some(period.unwrap_or_else(|| Period(cache.ttl(ttl))));
            match ttl {
                Ttl::Default => cache.default_ttl = period,
                Ttl::Long => cache.long_ttl = period,
                Ttl::Short | Ttl::Of(_) => cache.short_ttl = period,
            }
        }
        let seconds = |seconds| Period(std::time::Duration::from_secs(seconds));
        cache.profile.get_or_insert(ProfileChoice::Careful);
        cache.consistency.get_or_insert(ConsistencyChoice::Near);
        cache.lease.get_or_insert(seconds(1));
        cache.store_bytes.get_or_insert(Bytes(64 << 20));
        cache.near_after.get_or_insert(1);
        cache.lifetime_ceiling.get_or_insert(seconds(24 * 60 * 60));
        cache.coalesce_timeout.get_or_insert(seconds(30));
        cache.fill_bytes.get_or_insert(Bytes(256 << 20));
        cache.fleet_claim.get_or_insert(seconds(30));
    }

    fn fill_proxy(&mut self) {
        let settings = ProxySettings::new("");
        let proxy = &mut self.proxy;
        if proxy.upstreams.is_empty() {
            return;
        }
        if proxy.listen.is_empty() {
            let listen = settings.listen.iter();
            proxy.listen = listen
                .map(|listen| ListenChoice::Plain(Address(listen.address)))
                .collect();
        }
        proxy.host.get_or_insert(UpstreamHostChoice::Client);
        fill!(proxy, settings; name, accept_encoding);
        let limits: &mut LimitsSection = &mut proxy.limits;
        fill!(limits, settings.limits; connections, head_bytes, head_fields, streams, upstream_requests,
            upstream_idle, attempts);
        let timeouts: &mut TimeoutsSection = &mut proxy.timeouts;
        fill!(timeouts, settings.timeouts; client_handshake, client_head, client_body, client_write,
            client_idle, connect, handshake, response_head, response_body, upstream_idle, tunnel_idle, drain);
        let health: &mut HealthSection = &mut proxy.health;
        fill!(health, settings.health; interval, failures, pause);
    }
}

fn fill_admin(admin: &mut AdminSection) {
    let settings = AdminSettings::default();
    admin.listen.get_or_insert(Address(settings.listen));
    fill!(admin, settings; purge_from_loopback, public_test_calls, connections, body_bytes, timeout,
        connection_lifetime, ready_without_upstream);
}

impl From<std::time::Duration> for Period {
    fn from(time: std::time::Duration) -> Self {
        Self(time)
    }
}

impl From<usize> for Bytes {
    fn from(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_117_what_is_in_effect_is_shown_with_its_defaults_and_without_secrets() {
        let text = "[redis]\nurl = \"redis://u:hunter2@h:6379\"\n[cache]\nshort_ttl = \"3s\"\n\
                    [proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n[proxy.timeouts]\nconnect = \"9s\"\n\
                    [admin]\ntoken = \"hunter2hunter2hunter2\"\n\
                    [[rules]]\nname = \"a\"\nroute = \"/\"\nttl = \"short\"\n";
        let loaded = Config::read(None, text.to_owned(), &|_| None).unwrap();
        let effective = loaded.config.effective();
        let shown = loaded.config.effective_text();
        for line in [
            "url = \"redis://***@h:6379\"",
            "namespace = \"tagcache\"",
            "read_timeout = \"25ms\"",
            "token = \"***\"",
            "listen = [\"127.0.0.1:8080\"]",
            "listen = \"127.0.0.1:9180\"",
            "connect = \"9s\"",
            "response_head = \"1m\"",
            "ttl = \"3s\"",
            "consistency = \"near\"",
            "lifetime_ceiling = \"1day\"",
        ] {
            assert!(shown.contains(&format!("{line}\n")), "{line}\n{shown}");
        }
        assert!(!shown.contains("hunter2"), "{shown}");
        // What is shown is a configuration, and says all that it says.
        let again = Config::read(None, shown, &|_| None).unwrap();
        assert_eq!(again.config.effective().cache, effective.cache);
        assert_eq!(again.config.effective().proxy, effective.proxy);
    }
}
