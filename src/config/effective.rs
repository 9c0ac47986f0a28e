//! A configuration with all that it does not say itself.

use super::{Bytes, Config, Period, Secret};
use crate::defaults;
use crate::spelling::without_secrets;

impl Config {
    /// [`effective`](Self::effective), as text for people: secrets are there, and masked.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let effective = self.effective();
        let text = toml::Table::try_from(&effective).and_then(|mut table| {
            let redis = table.get_mut("redis").and_then(toml::Value::as_table_mut);
            if let (Some(redis), Some(Secret(url))) = (redis, &effective.redis.url) {
                let shown = match url.contains("://") {
                    true => without_secrets(url),
                    false => "***".to_owned(),
                };
                redis.insert("url".to_owned(), shown.into());
            }
            toml::to_string(&table)
        });
        text.unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// A copy with the defaults written out, for people who ask what is in effect.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut config = self.clone();
        config.mode = Some(self.mode());
        config.cache.upstream_rule = Some(self.has_implicit_rule());
        config.fill_redis();
        config.fill_cache();
        if config.has_receivers() {
            config.outgoing.get_or_insert_default();
        }
        if !config.alerts.is_empty() || config.has_receivers() {
            // How an alert is known to have been raised.
            config.activity.get_or_insert_default();
        }
        let cache = &config.cache;
        let consistency = cache.consistency.unwrap_or_default();
        let profile = cache.profile.unwrap_or_default();
        for rule in &mut config.rules {
            *rule = rule.with_lifetimes(|ttl| self.cache.ttl(ttl));
            rule.fill(consistency, profile);
        }
        config
    }

    fn fill_redis(&mut self) {
        let redis = &mut self.redis;
        if redis.url.is_none() {
            return;
        }
        let namespace = redis
            .namespace
            .get_or_insert_with(|| defaults::NAMESPACE.to_owned());
        redis
            .consumer_group
            .get_or_insert_with(|| namespace.clone());
        redis.compress.get_or_insert(false);
        redis
            .max_connection_age
            .get_or_insert(Period(defaults::CONNECTION_AGE));
        redis
            .connect_timeout
            .get_or_insert(Period(defaults::CONNECT_TIMEOUT));
        redis
            .read_timeout
            .get_or_insert(Period(defaults::READ_TIMEOUT));
        redis
            .write_timeout
            .get_or_insert(Period(defaults::WRITE_TIMEOUT));
        redis
            .purge_timeout
            .get_or_insert(Period(defaults::PURGE_TIMEOUT));
        redis.streams.get_or_insert(true);
    }

    fn fill_cache(&mut self) {
        let cache = &mut self.cache;
        cache.default_ttl.get_or_insert(Period(defaults::TTL));
        cache.long_ttl.get_or_insert(Period(defaults::LONG_TTL));
        cache.short_ttl.get_or_insert(Period(defaults::SHORT_TTL));
        cache.profile.get_or_insert_default();
        cache.consistency.get_or_insert_default();
        cache.lease.get_or_insert(Period(defaults::LEASE));
        cache
            .store_bytes
            .get_or_insert(Bytes(defaults::STORE_BYTES));
        cache.near_after.get_or_insert(defaults::NEAR_AFTER);
        cache
            .lifetime_ceiling
            .get_or_insert(Period(defaults::LIFETIME_CEILING));
        cache
            .coalesce_timeout
            .get_or_insert(Period(defaults::COALESCE_TIMEOUT));
        cache.fill_bytes.get_or_insert(Bytes(defaults::FILL_BYTES));
        cache
            .fleet_claim
            .get_or_insert(Period(defaults::FLEET_CLAIM));
    }
}
