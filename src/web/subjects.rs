//! [`Subjects`]: what people may ask about, and how they write it.

use super::problem::Problem;
use super::words::FaceWords;
use crate::error::ConfigError;
use crate::spelling::shown;
use crate::tag::Tag;

/// What people may ask about.
#[derive(Debug)]
pub(crate) struct Subjects {
    words: FaceWords,
    patterns: Vec<Pattern>,
}

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
    /// Also nothing.
    Free,
    Text(String),
}

impl Subjects {
    pub(crate) fn compile(words: FaceWords, patterns: &[String]) -> Result<Self, ConfigError> {
        let setting = words.setting("subjects");
        let compile = |text: &String| {
            Pattern::parse(text).ok_or_else(|| {
                let why = "not like `auction:{address}`, `{kind}:{id}` or `market:all`";
                ConfigError::new(setting, why, &**text)
            })
        };
        if patterns.is_empty() {
            let why = format!("names nothing that people may {}", words.act_on);
            return Err(ConfigError::new(setting, why, "[]"));
        }
        let patterns = patterns.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { words, patterns })
    }

    /// Whatever there is; auctions are a kind that is named.
    #[cfg(feature = "activity")]
    pub(crate) fn any(words: FaceWords) -> Self {
        let free = |text: &str, kind: Option<&str>| Pattern {
            text: text.to_owned(),
            kind: kind.map(str::to_owned),
            id: Form::Free,
        };
        let patterns = vec![
            free("auction:{id}", Some("auction")),
            free("{kind}:{id}", None),
        ];
        Self { words, patterns }
    }

    /// The kinds that are named, of whatever form the rest is.
    #[cfg(feature = "activity")]
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        let kinds = self.patterns.iter();
        kinds.filter_map(|pattern| pattern.kind.as_deref())
    }

    /// The subject `text`, if people may ask about it.
    pub(crate) fn parse(&self, text: &str) -> Result<Tag, Problem> {
        let shown = shown(text);
        let tag = Tag::new(text).map_err(|error| Problem::bad_request(error.to_string()))?;
        let (kind, id) = tag.as_str().split_once(':').unwrap_or((tag.as_str(), ""));
        let of_kind = |pattern: &&Pattern| pattern.kind.as_deref().is_none_or(|own| own == kind);
        let Some(pattern) = self.patterns.iter().find(of_kind) else {
            let known: Vec<_> = self.patterns.iter().map(|pattern| &*pattern.text).collect();
            let known = known.join(", ");
            let act = self.words.act_on;
            let detail = format!("nobody can {act} {shown:?} here; subjects look like: {known}");
            return Err(Problem::bad_request(detail));
        };
        let is_known = match &pattern.id {
            Form::Address => is_address(id),
            // What looks like an address is one, or a mistake that would be silent for ever.
            Form::Anything => !id.is_empty() && (!id.starts_with("0x") || is_address(id)),
            Form::Free => !id.starts_with("0x") || is_address(id),
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

    const WORDS: FaceWords = FaceWords {
        table: "live",
        act: "listen",
        act_on: "listen to",
    };

    #[test]
    fn a_subject_is_of_a_form_that_is_known_or_refused() {
        let subjects = ["auction:{address}", "{kind}:{id}"].map(str::to_owned);
        let subjects = Subjects::compile(WORDS, &subjects).unwrap();
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
        let only = Subjects::compile(WORDS, &["market:all".to_owned()]).unwrap();
        assert!(only.parse("market:all").is_ok());
        assert!(only.parse("market:some").is_err() && only.parse("auction:7").is_err());
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for text in ["", "auction", "{}:{id}", "a{b}:c", "a:{B}", ":x", "a:"] {
            assert!(
                Subjects::compile(WORDS, &[text.to_owned()]).is_err(),
                "{text}"
            );
        }
        assert!(Subjects::compile(WORDS, &[]).is_err());
    }
}
