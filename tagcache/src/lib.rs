//! The program `tagcache`: an HTTP cache that purges by tag, as a reverse proxy.
//!
//! The cache is the library [`tower_tagcache`], of which this crate sees the public interface alone. What is here:
//!
//! - [`proxy`]: HTTP/1.1 and HTTP/2 on both sides, with the cache between them
//! - [`admin`]: a listener for purges, health and metrics
//! - [`config`]: the tables `[proxy]`, `[live]`, `[feed]`, `[push_service]`, `[admin]` and `[log]` of the file that the library reads too
//! - [`cli`]: the commands
//!
//! It is a library as well, for its tests, and for who wants the proxy in a program of their own.

pub mod admin;
pub mod cli;
pub mod config;
pub mod proxy;
mod setting;
mod written;
