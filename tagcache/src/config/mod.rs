//! The file with the environment laid over it: what [the library](tower_tagcache::config) reads of it, and the tables
//! `[proxy]`, `[live]`, `[feed]`, `[push_service]`, `[admin]` and `[log]` of the program.
//!
//! Beside the variables of the library, which beat its keys:
//!
//! | variable | key |
//! |---|---|
//! | `TAGCACHE_ADMIN_LISTEN` | `admin.listen` |
//! | `TAGCACHE_ADMIN_TOKEN` | `admin.token` |
//! | `TAGCACHE_LIVE_TOKEN` | `live.token`, and `live.token_file` |
//! | `TAGCACHE_LIVE_TICKET_KEY` | `live.ticket_key`, and `live.ticket_key_file` |
//! | `TAGCACHE_FEED_TOKEN` | `feed.token`, and `feed.token_file` |
//! | `TAGCACHE_PUSH_TOKEN` | `push_service.token`, and `push_service.token_file` |
//! | `RUST_LOG` | `log.level` |

mod configuration;
mod tables;

pub use self::configuration::Configuration;
pub use self::configuration::assemble::Assembly;
pub use self::tables::{LogFormat, LogSettings, Tables, schema};
