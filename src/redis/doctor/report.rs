//! [`Report`]: what was found, and what it means.

use std::fmt;

use super::facts::Facts;
use crate::redis::promise::Promise;

/// What a server lets a cache keep, and what not. With the feature `config` it can be serialized; its names stay.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The URL without its secrets.
    pub server: String,
    /// The worst of the findings.
    pub verdict: Severity,
    /// Each promise, in order.
    pub promises: Vec<PromiseReport>,
    /// What was found, by area.
    pub findings: Vec<DoctorFinding>,
    /// What the server said.
    pub facts: Facts,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DoctorFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `server`, `replicas`, `memory`, `stream sales` …
    pub area: String,
    /// What was found, in a sentence.
    pub message: String,
    /// What to do about it: a setting or a command.
    pub remedy: Option<String>,
    /// The promises that have an exception because of it.
    pub limits: Vec<Promise>,
    /// The promises that do not hold because of it.
    pub breaks: Vec<Promise>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// To be changed: a promise has an exception, or something fails sooner or later.
    Warning,
    /// The cache cannot use the server; requests are answered without it.
    Problem,
}

/// How a promise stands on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize),
    serde(rename_all = "snake_case")
)]
pub enum Standing {
    /// It holds.
    Holds,
    /// It holds, but for the exceptions that the findings name.
    Limited,
    /// It does not hold.
    Broken,
    /// The server could not be examined, or cannot be used: nothing is answered from it.
    Unknown,
}

/// How one promise stands, and because of what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PromiseReport {
    /// Which.
    pub promise: Promise,
    /// What it says, in a few words.
    pub says: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The areas of the findings that spoil it.
    pub because: Vec<String>,
}

impl Report {
    pub(super) fn new(server: String, facts: Facts, findings: Vec<DoctorFinding>) -> Self {
        let worst = findings.iter().map(|finding| finding.severity).max();
        let verdict = worst.unwrap_or(Severity::Ok);
        let standing = |promise| PromiseReport::of(promise, verdict, &findings);
        Self {
            server,
            verdict,
            promises: Promise::ALL.map(standing).into(),
            facts,
            findings,
        }
    }

    /// The cache can use the server.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.verdict < Severity::Problem
    }
}

impl PromiseReport {
    fn of(promise: Promise, verdict: Severity, findings: &[DoctorFinding]) -> Self {
        let named = |of: fn(&DoctorFinding) -> &Vec<Promise>| {
            let spoilt = findings
                .iter()
                .filter(move |one| of(one).contains(&promise));
            spoilt.map(|finding| finding.area.clone())
        };
        let mut because: Vec<_> = named(|finding| &finding.breaks).collect();
        let is_broken = !because.is_empty();
        because.extend(named(|finding| &finding.limits));
        because.dedup();
        // These ask nothing of a server.
        let is_ours = matches!(promise, Promise::P3 | Promise::P4 | Promise::P5);
        let standing = match (verdict, is_broken) {
            (Severity::Problem, _) if !is_ours => Standing::Unknown,
            (_, true) => Standing::Broken,
            _ if !because.is_empty() => Standing::Limited,
            _ => Standing::Holds,
        };
        Self {
            promise,
            says: promise.says(),
            standing,
            because,
        }
    }
}

impl DoctorFinding {
    pub(super) fn new(
        severity: Severity,
        area: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            area: area.into(),
            message: message.into(),
            remedy: None,
            limits: Vec::new(),
            breaks: Vec::new(),
        }
    }

    pub(super) fn ok(area: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, area, message)
    }

    pub(super) fn note(area: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, area, message)
    }

    pub(super) fn warning(area: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, area, message)
    }

    pub(super) fn problem(area: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Problem, area, message)
    }

    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(super) fn limits(mut self, promises: &[Promise]) -> Self {
        self.limits = promises.to_vec();
        self
    }

    pub(super) fn breaks(mut self, promises: &[Promise]) -> Self {
        self.breaks = promises.to_vec();
        self
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Limited => "holds, with an exception",
            Self::Broken => "does not hold",
            Self::Unknown => "not known",
        })
    }
}
