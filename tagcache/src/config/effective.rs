//! A configuration with all that it does not say itself.

use tower_tagcache::config::Address;

use super::{
    AdminSection, HealthSection, LimitsSection, ListenChoice, Loaded, LogFormat, ProxySection,
    Tables, TimeoutsSection, UpstreamHostChoice,
};
use crate::admin::AdminSettings;
use crate::proxy::ProxySettings;

/// Fills each key that is not there with what the settings say.
macro_rules! fill {
    ($section:expr, $settings:expr; $($key:ident),+) => {
        $(if $section.$key.is_none() {
            $section.$key = Some($settings.$key.clone().into());
        })+
    };
}

impl Loaded {
    /// What is in effect, with the defaults written out, as text for people: secrets are there, and masked.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let merged = || -> Result<String, tower_tagcache::BoxError> {
            let mut all: toml::Table = toml::from_str(&self.file.config.effective_text())?;
            all.extend(toml::Table::try_from(self.tables.effective())?);
            let token = self
                .tables
                .admin
                .as_ref()
                .map(|admin| admin.token.is_some());
            let admin = all.get_mut("admin").and_then(toml::Value::as_table_mut);
            if let (Some(admin), Some(true)) = (admin, token) {
                admin.insert("token".to_owned(), "***".into());
            }
            Ok(toml::to_string(&all)?)
        };
        merged().unwrap_or_else(|error| format!("# {error}\n"))
    }
}

impl Tables {
    /// These with the defaults written out.
    fn effective(&self) -> Self {
        let mut tables = self.clone();
        tables.proxy.fill();
        if let Some(admin) = &mut tables.admin {
            admin.fill();
        }
        let log = &mut tables.log;
        log.format.get_or_insert(LogFormat::Text);
        log.level.get_or_insert_with(|| "info".to_owned());
        tables
    }
}

impl ProxySection {
    fn fill(&mut self) {
        let settings = ProxySettings::new("");
        let proxy = self;
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

impl AdminSection {
    fn fill(&mut self) {
        let settings = AdminSettings::default();
        self.listen.get_or_insert(Address(settings.listen));
        fill!(self, settings; purge_from_loopback, public_test_calls, connections, body_bytes, timeout,
            connection_lifetime, ready_without_upstream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_tagcache::config::Config;

    #[test]
    fn safety_117_what_is_in_effect_is_shown_with_its_defaults_and_without_secrets() {
        let text = "[redis]\nurl = \"redis://u:hunter2@h:6379\"\n[cache]\nshort_ttl = \"3s\"\n\
                    [proxy]\nupstreams = [\"http://127.0.0.1:9\"]\n[proxy.timeouts]\nconnect = \"9s\"\n\
                    [admin]\ntoken = \"hunter2hunter2hunter2\"\n\
                    [[rules]]\nname = \"a\"\nroute = \"/\"\nttl = \"short\"\n";
        let read = |text: String| {
            let file = Config::read(None, text, &|_| None).unwrap();
            Loaded::of(file, &|_| None).unwrap()
        };
        let loaded = read(text.to_owned());
        let effective = loaded.file.config.effective();
        let shown = loaded.effective_text();
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
        let again = read(shown);
        assert_eq!(again.file.config.effective().cache, effective.cache);
        assert_eq!(
            again.tables.effective().proxy,
            loaded.tables.effective().proxy
        );
    }
}
