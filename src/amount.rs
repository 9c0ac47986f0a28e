//! Times and sizes as settings have them: a file writes them with their units.

use std::time::Duration;

/// A time, as text with its unit: `"250ms"`, `"10s"`, `"1h 30m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period(pub Duration);

/// A number of bytes, as a whole number or as text with a unit: `65536`, `"64 KiB"`, `"2MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl From<Period> for Duration {
    fn from(Period(time): Period) -> Self {
        time
    }
}

impl From<Duration> for Period {
    fn from(time: Duration) -> Self {
        Self(time)
    }
}

impl From<Bytes> for u64 {
    fn from(Bytes(bytes): Bytes) -> Self {
        bytes
    }
}

/// As many as there can be here.
impl From<Bytes> for usize {
    fn from(Bytes(bytes): Bytes) -> Self {
        Self::try_from(bytes).unwrap_or(Self::MAX)
    }
}

impl From<usize> for Bytes {
    fn from(bytes: usize) -> Self {
        Self(bytes as u64)
    }
}
