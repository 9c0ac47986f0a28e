//! Which alerts an update raises. Pure.
//!
//! [`AlertRule`] is what the operator writes; [`AlertRules`] are some of them, compiled, and
//! [`AlertRules::raised_by`] says which of them an [`Update`](crate::Update) raises an alert of. Who is told, and how
//! often, others do by what a [`CompiledAlert`] says.
//!
//! Numbers are compared exactly, whatever their size: by their decimal digits, never as floating-point numbers. A rule
//! that cannot judge an update, as a field is missing or no number, raises nothing and says so once
//! ([`AlertRules::problems`]).

mod alert;
mod compiled;
mod condition;
mod decimals;
mod explanation;
mod field;
mod message;
mod number;
mod problems;
mod rules;
mod settings;
mod units;
#[cfg(feature = "config")]
mod written;

pub(crate) use self::alert::{alert_id, alert_json};
pub(crate) use self::compiled::CompiledAlert;
pub use self::decimals::{Decimals, TokenDecimals};
pub use self::explanation::AlertExplanation;
pub use self::problems::AlertProblem;
pub(crate) use self::rules::{AlertRules, Raised};
pub use self::settings::{AlertLimit, AlertRule};
