//! What the RFCs say about a shared cache, as pure functions: no I/O, no clock, no configuration.

mod cache_control;
mod conditions;
mod date;
mod directive;
mod fields;
mod range;
mod syntax;
mod update;
mod validator;

#[cfg(test)]
mod tests;

pub(crate) use self::cache_control::{Qualified, RequestDirectives, ResponseDirectives};
pub(crate) use self::conditions::{
    Precondition, conditional_fields, evaluate_conditions, strip_conditions,
};
pub(crate) use self::fields::{StoreSetCookie, drop_hop_by_hop, stored_fields};
pub(crate) use self::range::{Selected, part_fields, select, unsatisfiable_fields};
pub(crate) use self::update::{freshen, identifies, not_modified_fields};
pub(crate) use self::validator::{ETag, is_strong_validator};
