//! [`Subjects`]: what people may listen to, and how they write it.

use crate::error::ConfigError;
use crate::live::problem::Problem;
use crate::place::Setting;
use crate::spelling::shown;
use crate::tag::Tag;

const SUBJECTS: Setting = Setting::of("live", "subjects");

/// What people may listen to.
#[derive(Debug)]
pub(super) struct Subjects(Vec<Pattern>);

/// `kind:id`, where either may be open.
#[derive(Debug)]
struct Pattern {
    text: String,
    /// `None`: any.
    kind: Option<String>,
    id: Form,
}

#[derive(Debug, PartialEq, Eq)]
enum Form {
    Address,
    Anything,
    Text(String),
}

impl Subjects {
    pub(super) fn compile(patterns: &[String]) -> Result<Self, ConfigError> {
        let compile = |text: &String| {
            Pattern::parse(text).ok_or_else(|| {
                let why = "not like `auction:{address}`, `{kind}:{id}` or `market:all`";
                ConfigError::new(SUBJECTS, why, &**text)
            })
        };
        if patterns.is_empty() {
            let why = "names nothing that people may listen to";
            return Err(ConfigError::new(SUBJECTS, why, "[]"));
        }
        patterns
            .iter()
            .map(compile)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The subject `text`, if people may listen to it.
    pub(super) fn parse(&self, text: &str) -> Result<Tag, Problem> {
        let shown = shown(text);
        let tag = Tag::new(text).map_err(|error| Problem::bad_request(error.to_string()))?;
        let (kind, id) = tag.as_str().split_once(':').unwrap_or((tag.as_str(), ""));
        let of_kind = |pattern: &&Pattern| pattern.kind.as_deref().is_none_or(|own| own == kind);
        let Some(pattern) = self.0.iter().find(of_kind) else {
            let known: Vec<_> = self.0.iter().map(|pattern| &*pattern.text).collect();
            let known = known.join(", ");
            let detail =
                format!("nobody can listen to {shown:?} here; subjects look like: {known}");
            return Err(Problem::bad_request(detail));
        };
        let is_known = match &pattern.id {
            Form::Address => is_address(id),
            // What looks like an address is one, or a mistake that would be silent for ever.
            Form::Anything => !id.is_empty() && (!id.starts_with("0x") || is_address(id)),
            Form::Text(text) => id == text,
        };
        if !is_known {
            let hint = match &pattern.id {
                Form::Text(_) => "",
                _ => "; an address is 0x and 40 hexadecimal digits",
            };
            let detail = format!("subject {shown:?} is not like {}{hint}", pattern.text);
            return Err(Problem::bad_request(detail));
        }
        Ok(tag)
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once(':')?;
        let name = |part: &str| {
            let name = part.strip_prefix('{')?.strip_suffix('}')?;
            let is_name =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            is_name.then(|| name.to_owned())
        };
        let plain = |part: &str| !part.is_empty() && !part.contains(['{', '}']);
        let kind = match name(kind) {
            Some(_) => None,
            None => Some(plain(kind).then(|| kind.to_owned())?),
        };
        let id = match name(id) {
            Some(name) if name == "address" => Form::Address,
            Some(_) => Form::Anything,
            None => Form::Text(plain(id).then(|| id.to_owned())?),
        };
        Some(Self {
            text: text.to_owned(),
            kind,
            id,
        })
    }
}

fn is_address(id: &str) -> bool {
    let digits = id.strip_prefix("0x");
    digits.is_some_and(|digits| {
        digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_of_a_form_that_is_known_or_refused() {
        let subjects = ["auction:{address}", "{kind}:{id}"].map(str::to_owned);
        let subjects = Subjects::compile(&subjects).unwrap();
        let address = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
        let parsed = subjects.parse(&format!("auction:{address}")).unwrap();
        assert_eq!(
            parsed.as_str(),
            format!("auction:{}", address.to_lowercase())
        );
        assert!(subjects.parse("listing:7").is_ok());
        for text in [
            "",
            "auction:",
            "auction:7",
            "auction:0x12",
            "auction:0xA16E02E87b7454126E5E10d957A927A7F5B5d2bg",
            "auction:0xA16E02E87b7454126E5E10d957A927A7F5B5d2be0",
            "listing:0x12",
            "listing",
            "listing:\n",
        ] {
            assert!(subjects.parse(text).is_err(), "{text}");
        }
        let only = Subjects::compile(&["market:all".to_owned()]).unwrap();
        assert!(only.parse("market:all").is_ok());
        assert!(only.parse("market:some").is_err() && only.parse("auction:7").is_err());
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for text in ["", "auction", "{}:{id}", "a{b}:c", "a:{B}", ":x", "a:"] {
            assert!(Subjects::compile(&[text.to_owned()]).is_err(), "{text}");
        }
        assert!(Subjects::compile(&[]).is_err());
    }
}
