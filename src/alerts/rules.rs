//! [`AlertRules`]: all rules of alerts, asked of each update.

use crate::alerts::compiled::CompiledAlert;
use crate::alerts::explanation::AlertExplanation;
use crate::alerts::problems::{AlertProblem, ProblemBoard};
use crate::alerts::settings::AlertRule;
use crate::error::ConfigError;
use crate::place::ConfigPlace;
use crate::update::Update;

/// The rules of alerts, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct AlertRules {
    rules: Box<[CompiledAlert]>,
    /// Shared by all who ask.
    problems: ProblemBoard,
}

/// An alert that an update raises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raised<'r> {
    /// By which rule.
    pub(crate) rule: &'r CompiledAlert,
    /// The rule's message about it, if it has one.
    pub(crate) message: Option<String>,
}

impl AlertRules {
    /// Reads `rules`, which may name the webhooks `webhook_names`.
    ///
    /// # Errors
    /// A rule cannot be used, or two have one name.
    pub(crate) fn compile(
        rules: Vec<AlertRule>,
        webhook_names: &[String],
    ) -> Result<Self, ConfigError> {
        let mut compiled: Vec<CompiledAlert> = Vec::with_capacity(rules.len());
        for rule in rules {
            let place = ConfigPlace::alert(&rule.name);
            if compiled.iter().any(|other| other.name() == rule.name) {
                let error = ConfigError::new("name", "another alert has this name", rule.name);
                return Err(error.within(place));
            }
            let rule = CompiledAlert::compile(rule, webhook_names);
            compiled.push(rule.map_err(|error| error.within(place))?);
        }
        Ok(Self {
            rules: compiled.into(),
            problems: ProblemBoard::default(),
        })
    }

    /// The alerts that `update` raises. A resync says that something unknown changed, and raises none.
    pub(crate) fn raised_by(&self, update: &Update) -> Vec<Raised<'_>> {
        if update.is_resync() {
            return Vec::new();
        }
        let raise = |rule| self.raise(rule, update);
        self.rules.iter().filter_map(raise).collect()
    }

    /// What rules could not judge, up to now: each problem once, with its count.
    pub(crate) fn problems(&self) -> Vec<AlertProblem> {
        self.problems.list()
    }

    /// All of them in words, in the order of the configuration.
    pub(crate) fn explain(&self) -> Vec<AlertExplanation> {
        let explain = |rule: &CompiledAlert| AlertExplanation {
            rule: rule.name().to_owned(),
            text: rule.explain(),
        };
        self.rules.iter().map(explain).collect()
    }

    /// In the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CompiledAlert> {
        self.rules.iter()
    }

    fn raise<'r>(&self, rule: &'r CompiledAlert, update: &Update) -> Option<Raised<'r>> {
        let told = |trouble| self.problems.note(rule.name(), trouble);
        match rule.is_raised_by(update) {
            Ok(true) => Some(Raised {
                rule,
                message: rule.message(update, told),
            }),
            Ok(false) => None,
            Err(trouble) => {
                told(trouble);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
