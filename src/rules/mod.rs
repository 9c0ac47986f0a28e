//! What the operator says: rules, compiled once and asked for each request.

pub(crate) mod template;
