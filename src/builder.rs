//! Assembles the parts: the only file that knows them all.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::coalesce::Flights;
use crate::embedded::{EmbeddedLog, EmbeddedStore};
use crate::engine::{Engine, Limits, VariantMemory};
use crate::error::{ConfigError, Warning};
use crate::invalidation::Purger;
use crate::log::{Follower, Log, Purges, Retention, Views};
use crate::middleware::CacheLayer;
use crate::observe::{Observer, SharedObserver};
use crate::rules::{Rule, RuleSet};
use crate::store::Store;
use crate::validity::Bounds;
