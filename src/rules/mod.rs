//! What the operator says: rules, compiled once and asked for each request.
//!
//! [`RuleSet::find`] answers whether a rule takes a request at all, without allocating when none
//! does. [`Match::request`](set::Match::request) then says under which key the request is looked up, or why it bypasses the
//! cache; [`RuleSet::fill_request`], if it has to be forwarded, which tags it gives. What a rule says about a
//! response is asked of its [`CompiledRule`].
//!
//! The path is never decoded or cleaned: the route is matched, and the key made, on the bytes that
//! the inner service's router matches too (SAFETY 14, 15).

mod after;
mod automatic;
mod check;
mod client;
pub(crate) mod comparison;
mod compiled;
mod cookies;
mod keying;
mod names;
mod odd;
mod options;
mod pattern;
mod policy;
mod query;
mod request;
mod rule;
mod set;
mod settings;
mod sieve;
mod statuses;
mod tags;
mod target;
pub(crate) mod template;
#[cfg(feature = "config")]
mod written;

pub(crate) use self::automatic::names_unsafe_method;
pub(crate) use self::client::{Sharing, client_fields};
pub(crate) use self::compiled::CompiledRule;
pub use self::cookies::Cookies;
pub(crate) use self::odd::{has_parameter, is_odd};
pub use self::options::{
    Authorization, ClientPolicy, Consistency, Forward, Host, Profile, SetCookie, TagHeader, Ttl,
};
pub(crate) use self::policy::{Exchange, Storable, decide};
pub use self::query::Query;
pub(crate) use self::request::{Bypass, CacheRequest, FillRequest};
pub use self::rule::Rule;
pub(crate) use self::set::RuleSet;
pub use self::set::{Explanation, Reach};
pub(crate) use self::settings::Defaults;
pub use self::settings::RuleSettings;
pub use self::statuses::Statuses;
pub(crate) use self::target::RequestTarget;
