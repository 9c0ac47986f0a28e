//! A configuration with all that it does not say itself.

use super::error::masked_url;
use super::{Bytes, Config, ConsistencyChoice, Period, ProfileChoice, Secret, Ttl};

impl Config {
    /// [`effective`](Self::effective), as text for people: secrets are there, and masked.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let effective = self.effective();
        let text = toml::Table::try_from(&effective).and_then(|mut table| {
            let redis = table.get_mut("redis").and_then(toml::Value::as_table_mut);
            if let (Some(redis), Some(Secret(url))) = (redis, &effective.redis.url) {
                let shown = match url.contains("://") {
                    true => masked_url(url),
                    false => "***".to_owned(),
                };
                redis.insert("url".to_owned(), shown.into());
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
}
