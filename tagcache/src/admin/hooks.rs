//! [`AdminHooks`]: what the admin listener shows of the rest of the program.

use std::fmt;
use std::sync::Arc;

use crate::admin::Telemetry;
use crate::proxy::UpstreamStatuses;

/// What the admin listener shows of the rest of the program.
#[derive(Clone)]
#[must_use = "hooks do nothing until they are handed to `Admin::new`"]
pub struct AdminHooks {
    pub(super) telemetry: Telemetry,
    pub(super) upstreams: Option<UpstreamStatuses>,
    config: Arc<dyn Fn() -> String + Send + Sync>,
    unready: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl AdminHooks {
    /// Shows what `telemetry` counts, and nothing else.
    pub fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            upstreams: None,
            config: Arc::new(String::new),
            unready: Arc::new(|| None),
        }
    }

    /// The text that `/config` answers: what is in effect now, without secrets. Default: empty.
    pub fn config(mut self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.config = Arc::new(text);
        self
    }

    /// The upstreams whose state `/readyz` tells. Default: none.
    pub fn upstreams(mut self, upstreams: UpstreamStatuses) -> Self {
        self.upstreams = Some(upstreams);
        self
    }

    /// Why requests should go elsewhere now, such as that the program drains. Default: never.
    pub fn unready(mut self, reason: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.unready = Arc::new(reason);
        self
    }

    pub(super) fn config_text(&self) -> String {
        (self.config)()
    }

    pub(super) fn unready_reason(&self) -> Option<String> {
        (self.unready)()
    }
}

impl fmt::Debug for AdminHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminHooks")
    }
}
