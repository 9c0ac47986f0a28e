//! `[push]`, which a program without the feature `push` refuses.

use super::Config;
use super::environment::Variables;
use crate::{CacheBuilder, Setting};

/// What beats the key and its file.
#[cfg(feature = "push")]
const VARIABLE: &str = "TAGCACHE_PUSH_KEY";

/// `[push]`: who the push services are told it is.
#[cfg(feature = "push")]
pub use crate::outgoing::push::PushSettings as PushTable;

/// `[push]`, where there is no Web Push: it cannot be read.
#[cfg(not(feature = "push"))]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct PushTable {}

/// Lets the variable, if it is set, beat the key; which setting it was.
#[cfg(feature = "push")]
pub(super) fn lay_over(
    config: &mut Config,
    variables: &Variables<'_>,
) -> Option<(Setting, &'static str)> {
    let push = config.push.as_mut()?;
    push.key = Some(super::Secret(variables.text(VARIABLE)?));
    push.key_file = None;
    Some((Setting::of("push", "key"), VARIABLE))
}

#[cfg(not(feature = "push"))]
pub(super) const fn lay_over(
    _config: &mut Config,
    _variables: &Variables<'_>,
) -> Option<(Setting, &'static str)> {
    None
}

/// `to` with `[push]`, of which the file with the key beats the key.
#[cfg(feature = "push")]
pub(super) fn apply(config: &Config, to: CacheBuilder) -> CacheBuilder {
    match config.push.clone() {
        Some(mut push) => {
            push.key.take_if(|_| push.key_file.is_some());
            to.push(push)
        }
        None => to,
    }
}

#[cfg(not(feature = "push"))]
pub(super) const fn apply(_config: &Config, to: CacheBuilder) -> CacheBuilder {
    to
}

#[cfg(not(feature = "push"))]
impl<'de> serde::Deserialize<'de> for PushTable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        let why = "this program sends no Web Push: it was built without the feature `push` of tower-tagcache";
        Err(serde::de::Error::custom(why))
    }
}
