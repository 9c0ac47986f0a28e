//! What the RFCs say about a shared cache, as pure functions: no I/O, no clock, no configuration.

mod cache_control;
mod date;
mod directive;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use self::cache_control::{Qualified, RequestDirectives, ResponseDirectives};
