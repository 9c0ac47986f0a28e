//! [`Doubt`].

use std::fmt;

/// Something is in doubt in this process as long as this is there.
#[must_use = "the doubt ends when this is dropped"]
pub(crate) struct Doubt {
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Doubt {
    /// Calls `end` when it is dropped.
    pub(crate) fn until(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            end: Some(Box::new(end)),
        }
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doubt")
    }
}
