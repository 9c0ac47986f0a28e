//! What the RFCs say about a shared cache, as pure functions: no I/O, no clock, no configuration.

mod cache_control;
mod conditions;
mod date;
mod directive;
mod fields;
mod freshness;
mod range;
mod storable;
mod syntax;
mod update;
mod validator;
mod vary;

#[cfg(test)]
mod tests;

pub(crate) use self::cache_control::{Qualified, RequestDirectives, ResponseDirectives};
pub(crate) use self::conditions::{
    Precondition, conditional_fields, evaluate_conditions, strip_conditions,
};
pub(crate) use self::fields::{StoreSetCookie, drop_hop_by_hop, stored_fields};
pub(crate) use self::freshness::{
    Lifetime, Reuse, corrected_initial_age, lifetime, reuse, stale_forbidden,
};
pub(crate) use self::range::{Selected, part_fields, select, unsatisfiable_fields};
pub(crate) use self::storable::{
    Caution, allows_authorized, content_length, is_final_status, may_store, understood,
};
pub(crate) use self::update::{freshen, identifies, not_modified_fields};
pub(crate) use self::validator::{ETag, is_strong_validator};
pub(crate) use self::vary::{Vary, append_variant};
