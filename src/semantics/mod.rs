//! What the RFCs say about a shared cache, as pure functions: no I/O, no clock, no configuration.
//!
//! What an operator adds to it (a rule's lifetime, a permission to share) stands in `rules`; here it
//! appears only as an argument. Everything fails safe: what cannot be read is read as forbidding.
//!
//! | Specification | Says | Function |
//! |---|---|---|
//! | RFC 9110 §5.6.7, RFC 9111 §4.2 | dates in three formats, compared without case | [`date`] |
//! | RFC 9110 §8.8.3 | entity-tags, strong and weak comparison | [`ETag`](validator::ETag) |
//! | RFC 9110 §8.8.2.2 | when `Last-Modified` is a strong validator | [`is_strong_validator`] |
//! | RFC 9110 §13.2.2, RFC 9111 §4.3.2 | conditions of a client | [`evaluate_conditions`] |
//! | RFC 9111 §3.3, §3.4 | parts, and combining them | [`Span`], [`select_of_part`] |
//! | RFC 9110 §14.2, §13.1.5 | ranges, `If-Range` | [`select`], [`part_fields`], [`unsatisfiable_fields`] |
//! | RFC 9110 §6.5.1 | which trailers are kept and passed on | [`TrailerSieve`], [`trailer_fields`] |
//! | RFC 9110 §15.1, §15.4.5 | heuristic statuses; what a 304 carries | [`lifetime`], [`not_modified_fields`] |
//! | RFC 9111 §3, §3.5, §5.2.2.3 | may it be stored | [`may_store`], [`understood`](storable::understood), [`allows_authorized`] |
//! | RFC 9111 §3.1 | which fields are stored | [`stored_fields`] |
//! | RFC 9111 §3.2, §4.3.4 | update of a stored response by a 304 | [`identifies`], [`freshen`] |
//! | RFC 9111 §4.1 | `Vary` | [`Vary`], [`append_variant`] |
//! | RFC 9111 §4.2.1, §4.2.2 | freshness lifetime | [`lifetime`] |
//! | RFC 9111 §4.2.3, §5.1 | age | [`corrected_initial_age`], [`set_age`] |
//! | RFC 9111 §4.2.4, §5.2.1, RFC 8246 | stale, and what a client asks for | [`stale_forbidden`], [`reuse`] |
//! | RFC 9111 §4.3.1 | asking the inner service | [`conditional_fields`], [`strip_conditions`] |
//! | RFC 9111 §5.2, §5.4, RFC 5861, RFC 8246 | directives | [`ResponseDirectives`], [`RequestDirectives`] |
//! | RFC 9111 §4.4 | invalidation by unsafe methods | [`is_unsafe`], [`named_paths`] |
//! | RFC 9211 | `Cache-Status` | [`append_cache_status`] |
//! | RFC 9213 | targeted fields | [`ResponseDirectives::effective`] |
//! | No-Vary-Search (draft) | queries that make no difference | [`NoVarySearch`] |
//! | RFC 9875 | cache groups | [`groups`](fn@groups), [`invalidated_groups`] |

mod cache_control;
mod cache_status;
mod conditions;
mod date;
mod directive;
mod encoding;
mod fields;
mod freshness;
mod groups;
mod invalidation;
mod no_vary_search;
mod own;
mod range;
mod storable;
mod syntax;
mod trailers;
mod update;
mod validator;
mod vary;

#[cfg(test)]
mod tests;

pub(crate) use self::cache_control::{
    OWN_TARGET, RequestDirectives, ResponseDirectives, SURROGATE_CONTROL,
};
pub(crate) use self::cache_status::{
    Passed, append as append_cache_status, append_passed, fill_in, name_position, set_age,
    with_places,
};
pub(crate) use self::conditions::{
    Precondition, conditional_fields, evaluate_conditions, has_conditions, strip_conditions,
    strip_range,
};
pub(crate) use self::date::value as date_value;
pub(crate) use self::directive::DirectiveScope;
pub(crate) use self::encoding::reduce_encodings;
pub(crate) use self::fields::{PerConnection, join_cookies, settle_length, stored_fields};
pub(crate) use self::freshness::{
    Lifetime, Reuse, Terms, corrected_initial_age, lifetime, reuse, stale_forbidden,
};
pub(crate) use self::groups::{groups, invalidated_groups};
pub(crate) use self::invalidation::{is_non_error, is_unsafe, named_paths};
pub(crate) use self::no_vary_search::NoVarySearch;
pub(crate) use self::own::{Conditions, OWN_DIGITS, OWN_ETAG, asks_for_304, drop_own, has_own_tag};
pub(crate) use self::range::{
    Selection, Span, asks_for_one_range, multipart, part_fields, select, select_of_part,
    unsatisfiable_fields,
};
pub(crate) use self::storable::{
    Caution, StoreSetCookie, allows_authorized, content_length, may_store,
};
pub use self::trailers::may_trail;
pub(crate) use self::trailers::{TrailerSieve, trailer_fields};
pub(crate) use self::update::{
    HeadMethodVerdict, freshen, identifies, judge_head_method, not_modified_fields,
    same_validators, speaks_of_resource,
};
pub(crate) use self::validator::{is_strong_validator, same_strong_tag};
pub(crate) use self::vary::{Vary, append_variant};
