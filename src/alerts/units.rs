//! [`Units`]: how a rule reads amounts.

use std::collections::BTreeMap;

use crate::alerts::decimals::Decimals;
use crate::alerts::field::{FieldTrouble, number};
use crate::alerts::number::Decimal;
use crate::error::ConfigError;
use crate::spelling::nearest;
use crate::update::Update;

/// The decimals of the amounts that a rule reads, by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Units(BTreeMap<String, Decimals>);

impl Units {
    /// `read` are the fields that the rule reads: the decimals of another one are those of one that is misspelt, and
    /// conditions would take its amounts for whole tokens.
    pub(super) fn compile(
        decimals: BTreeMap<String, Decimals>,
        read: &[&str],
    ) -> Result<Self, ConfigError> {
        let compile = |(field, decimals): (String, Decimals)| {
            if !read.contains(&&*field) {
                let help = nearest(&field, read).map(|near| format!("; did you mean `{near}`?"));
                let help = help.unwrap_or_default();
                let message =
                    format!("decimals of a field that no condition and no message reads{help}");
                return Err(ConfigError::new("decimals", message, field));
            }
            let decimals = decimals.compile(&field)?;
            Ok((field, decimals))
        };
        decimals
            .into_iter()
            .map(compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn get(&self, field: &str) -> Option<&Decimals> {
        self.0.get(field)
    }

    /// The number that `text` is, which `field` of `update` has: in whole tokens, if the field has decimals.
    pub(super) fn amount(
        &self,
        update: &Update,
        field: &str,
        text: &str,
    ) -> Result<Decimal, FieldTrouble> {
        let number = number(field, text)?;
        let decimals = self.get(field).map(|decimals| decimals.find(update));
        let decimals = decimals.transpose()?.unwrap_or(0);
        Ok(Decimal::in_units(&number, decimals.into()))
    }
}
