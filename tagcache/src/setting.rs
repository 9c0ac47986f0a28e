//! The program's settings, by their tables in the configuration file: what errors name.

use tower_tagcache::Setting;

pub(crate) const UPSTREAMS: Setting = proxy("upstreams");
pub(crate) const LISTEN: Setting = proxy("listen");
pub(crate) const ACCESS_LOG_PATH: Setting =
    Setting::of("proxy.access_log", "path").called("access_log path");
pub(crate) const LOG_LEVEL: Setting = Setting::of("log", "level").called("log level");

pub(crate) const LIVE_OPEN: Setting = live("open");
pub(crate) const LIVE_TOKEN: Setting = live("token");
pub(crate) const LIVE_TICKET_KEY: Setting = live("ticket_key");

pub(crate) const fn proxy(key: &'static str) -> Setting {
    Setting::of("proxy", key)
}

pub(crate) const fn limit(key: &'static str) -> Setting {
    Setting::of("proxy.limits", key)
}

pub(crate) const fn timeout(key: &'static str) -> Setting {
    Setting::of("proxy.timeouts", key)
}

pub(crate) const fn health(key: &'static str) -> Setting {
    Setting::of("proxy.health", key)
}

pub(crate) const fn live(key: &'static str) -> Setting {
    Setting::of("live", key)
}

pub(crate) const fn feed(key: &'static str) -> Setting {
    Setting::of("feed", key)
}

pub(crate) const fn push_service(key: &'static str) -> Setting {
    Setting::of("push_service", key)
}

pub(crate) const fn admin(key: &'static str) -> Setting {
    Setting::of("admin", key)
}
