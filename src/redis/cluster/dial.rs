//! [`Dial`]: what a Cluster needs of the server that it is.

use std::fmt::Display;

use ::redis::RedisError;

use super::Cluster;
use crate::error::Error;
use crate::redis::address::HostPort;
use crate::redis::connection::Connection;
use crate::store::Budgets;

/// Connects to the nodes of a Cluster; shown as its URL.
pub(in crate::redis) trait Dial: Display + Clone + Send + Sync + 'static {
    /// A connection to the node `at`.
    fn connect_to(&self, at: &HostPort) -> impl Future<Output = Result<Connection, Error>> + Send;

    fn budgets(&self) -> &Budgets;

    /// `error` as our own: which server, what was being done.
    fn error(&self, operation: &str, error: RedisError) -> Error;

    /// The nodes.
    fn cluster(&self) -> Option<&Cluster>;
}
