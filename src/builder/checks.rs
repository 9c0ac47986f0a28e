//! Settings that are refused before anything is built.

use std::time::Duration;

use crate::error::ConfigError;

pub(super) fn lease(lease: Duration) -> Result<(), ConfigError> {
    let problem = if lease < Duration::from_millis(30) {
        "shorter than 30 ms, which no heartbeat can keep"
    } else if lease > Duration::from_secs(60) {
        "longer than a minute"
    } else {
        return Ok(());
    };
    Err(ConfigError::new("lease", problem, format!("{lease:?}")))
}
