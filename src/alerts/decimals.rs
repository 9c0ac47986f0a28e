//! [`Decimals`]: in which units an amount is.

use std::collections::BTreeMap;

use crate::alerts::field::{FieldTrouble, text};
use crate::error::ConfigError;
use crate::rules::template::fold_addresses;
use crate::update::Update;

/// A `uint256` has 78 digits.
pub(super) const MAX_DECIMALS: u8 = 77;

/// How many decimals an amount has: with 18 it is in units of 10^-18.
///
/// ```
/// use tower_tagcache::{AlertRule, TokenDecimals};
///
/// let usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48";
/// let rule = AlertRule::new("big-sales")
///     .when("amount >= 1000.5")
///     .decimals("amount", TokenDecimals::by("token").of(usdc, 6).default(18));
/// # let _ = rule;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decimals {
    /// Always so many, from 0 to 77.
    Fixed(u8),
    /// As many as the token has that another field names.
    ByToken(TokenDecimals),
}

/// The decimals of amounts in tokens that another field names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields)
)]
#[non_exhaustive]
pub struct TokenDecimals {
    /// The field that names the token: "token".
    pub by: String,
    /// The decimals of each token, from 0 to 77: `{ "0xA0b8…" = 6 }`. An address is one in any case.
    #[cfg_attr(feature = "config", serde(default))]
    pub of: BTreeMap<String, u8>,
    /// Of every other token. Default: none, a rule cannot judge updates with another token, and says so.
    #[cfg_attr(
        feature = "config",
        serde(default, skip_serializing_if = "Option::is_none")
    )]
    pub default: Option<u8>,
}

impl TokenDecimals {
    /// The field `by` names the token.
    pub fn by(by: impl Into<String>) -> Self {
        Self {
            by: by.into(),
            of: BTreeMap::new(),
            default: None,
        }
    }

    /// Sets the decimals of `token`, from 0 to 77. An address is one in any case.
    #[must_use]
    pub fn of(mut self, token: impl Into<String>, decimals: u8) -> Self {
        self.of.insert(token.into(), decimals);
        self
    }

    /// Sets the decimals of every other token. Default: none, a rule cannot judge updates with another token, and says so.
    #[must_use]
    pub const fn default(mut self, decimals: u8) -> Self {
        self.default = Some(decimals);
        self
    }

    fn folded(self) -> Result<Self, ConfigError> {
        let refused = |why: &str, input: &str| ConfigError::new("decimals", why, input);
        if self.by.is_empty() {
            return Err(refused("no field that names the token", ""));
        }
        let mut of = BTreeMap::new();
        for (token, decimals) in self.of {
            check(decimals, &token)?;
            if of
                .insert(fold_addresses((&*token).into()).into_owned(), decimals)
                .is_some()
            {
                return Err(refused("the token is named twice", &token));
            }
        }
        if let Some(decimals) = self.default {
            check(decimals, &self.by)?;
        }
        Ok(Self { of, ..self })
    }

    fn find(&self, update: &Update) -> Result<u8, FieldTrouble> {
        let token = text(update, &self.by)?;
        let known = self.of.get(&*fold_addresses(token.into())).copied();
        known
            .or(self.default)
            .ok_or_else(|| FieldTrouble::unknown_token(&self.by, token))
    }
}

impl Decimals {
    /// As a rule uses them, for the amount in `field`.
    pub(super) fn compile(self, field: &str) -> Result<Self, ConfigError> {
        match self {
            Self::Fixed(decimals) => check(decimals, field).map(|()| self),
            Self::ByToken(tokens) => tokens.folded().map(Self::ByToken),
        }
    }

    /// Those of the amount in `update`.
    pub(super) fn find(&self, update: &Update) -> Result<u8, FieldTrouble> {
        match self {
            Self::Fixed(decimals) => Ok(*decimals),
            Self::ByToken(tokens) => tokens.find(update),
        }
    }

    /// For people.
    pub(super) fn explain(&self) -> String {
        match self {
            Self::Fixed(1) => "1 decimal".to_owned(),
            Self::Fixed(decimals) => format!("{decimals} decimals"),
            Self::ByToken(tokens) => format!("decimals by {}", tokens.by),
        }
    }
}

impl From<u8> for Decimals {
    fn from(decimals: u8) -> Self {
        Self::Fixed(decimals)
    }
}

impl From<TokenDecimals> for Decimals {
    fn from(tokens: TokenDecimals) -> Self {
        Self::ByToken(tokens)
    }
}

/// Whether there may be so many decimals; `of` is what they are of.
fn check(decimals: u8, of: &str) -> Result<(), ConfigError> {
    match decimals <= MAX_DECIMALS {
        true => Ok(()),
        false => {
            let message = format!("{decimals} decimals, more than {MAX_DECIMALS}");
            Err(ConfigError::new("decimals", message, of))
        }
    }
}
