//! [`Filter`]: which updates somebody wants.

use std::collections::HashSet;
use std::fmt;

use crate::rules::template::WholeNumber;
use crate::spelling::shown;
use crate::update::{ALERT, Update, check_kind};
use crate::web::{Problem, Subjects};

/// The most subjects of one filter, and of one ticket.
pub(super) const MAX_SUBJECTS: usize = 200;
/// The most of everything else that a filter names.
const MAX_OTHERS: usize = 20;
/// The longest number, in bytes: a `uint256` has 78 digits.
const MAX_NUMBER: usize = 100;

/// Which updates somebody wants: those that pass all of these, of which an empty one lets everything pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    subjects: HashSet<Box<str>>,
    kinds: Vec<Box<str>>,
    networks: Vec<Box<str>>,
    /// The least that a field may be, as a whole number.
    least: Vec<(Box<str>, WholeNumber)>,
}

impl Filter {
    pub(super) fn matches(&self, update: &Update) -> bool {
        let is_among = |list: &[Box<str>], value: &str| list.iter().any(|one| **one == *value);
        let reaches = |(field, least): &(Box<str>, WholeNumber)| {
            let number = update.get(field).and_then(whole_number);
            number.is_some_and(|number| number >= *least)
        };
        let network = || update.get("network").unwrap_or_default();
        // Alerts are for those who ask for them.
        let is_asked_for = || {
            self.kinds.iter().any(|kind| **kind == *ALERT)
                || self.subjects.contains(update.subject())
        };
        (!update.is_alert() || is_asked_for())
            && (self.subjects.is_empty() || self.subjects.contains(update.subject()))
            && (self.kinds.is_empty() || is_among(&self.kinds, update.kind()))
            && (self.networks.is_empty() || is_among(&self.networks, network()))
            && self.least.iter().all(reaches)
    }

    pub(super) fn add_subject(&mut self, text: &str, known: &Subjects) -> Result<(), Problem> {
        let subject = known.parse(text)?;
        self.subjects.insert(subject.as_str().into());
        no_more_than(MAX_SUBJECTS, self.subjects.len(), "subjects")
    }

    pub(super) fn add_kind(&mut self, text: &str) -> Result<(), Problem> {
        if text != ALERT {
            check_kind(text).map_err(|error| Problem::bad_request(error.to_string()))?;
        }
        self.kinds.push(text.into());
        no_more_than(MAX_OTHERS, self.kinds.len(), "types")
    }

    pub(super) fn add_network(&mut self, text: &str) -> Result<(), Problem> {
        if text.is_empty() || text.len() > 64 {
            return Err(Problem::bad_request("a network is 1 to 64 bytes long"));
        }
        self.networks.push(text.into());
        no_more_than(MAX_OTHERS, self.networks.len(), "networks")
    }

    pub(super) fn add_least(&mut self, field: &str, text: &str) -> Result<(), Problem> {
        let number = whole_number(text).filter(|_| !field.is_empty());
        let Some(number) = number else {
            let (field, text) = (shown(field), shown(text));
            let detail = format!(
                "the least of {field:?}, {text:?}, is not a whole number in decimal or 0x hexadecimal, of at most \
                 {MAX_NUMBER} characters"
            );
            return Err(Problem::bad_request(detail));
        };
        self.least.push((field.into(), number));
        no_more_than(MAX_OTHERS, self.least.len(), "bounds")
    }

    /// Keeps to `allowed`: a filter that names no subject wants these.
    pub(super) fn within(&mut self, allowed: &HashSet<Box<str>>) -> Result<(), Problem> {
        if self.subjects.is_empty() {
            self.subjects.clone_from(allowed);
        }
        match self
            .subjects
            .iter()
            .find(|subject| !allowed.contains(*subject))
        {
            None => Ok(()),
            Some(subject) => {
                let detail = format!("the ticket is not for {subject:?}");
                Err(Problem::forbidden(detail))
            }
        }
    }
}

impl fmt::Display for Filter {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut subjects: Vec<_> = self.subjects.iter().map(|one| &**one).collect();
        subjects.sort_unstable();
        match subjects.is_empty() {
            true => f.write_str("all updates")?,
            false => write!(f, "updates of {}", subjects.join(", "))?,
        }
        if !self.kinds.is_empty() {
            write!(f, " of the type {}", self.kinds.join(" or "))?;
        }
        if !self.networks.is_empty() {
            write!(f, " on {}", self.networks.join(" or "))?;
        }
        for (field, least) in &self.least {
            write!(f, ", {field} >= {}", least.as_str())?;
        }
        Ok(())
    }
}

/// A number that somebody sent, which takes longer to read the longer it is.
fn whole_number(text: &str) -> Option<WholeNumber> {
    let is_short = text.len() <= MAX_NUMBER;
    is_short.then(|| WholeNumber::parse(text)).flatten()
}

fn no_more_than(most: usize, there: usize, what: &str) -> Result<(), Problem> {
    match there <= most {
        true => Ok(()),
        false => Err(Problem::bad_request(format!("more than {most} {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::settings::WORDS;

    fn subjects() -> Subjects {
        Subjects::compile(WORDS, &["{kind}:{id}".to_owned()]).unwrap()
    }

    #[test]
    fn an_update_passes_if_it_passes_everything_that_is_named() {
        let sale = Update::new("sale", "auction:1").unwrap();
        let sale = sale.with_field("amount", "1000000000000000000000").unwrap();
        let sale = sale.with_field("network", "ethereum").unwrap();
        let filter = |make: &dyn Fn(&mut Filter) -> Result<(), Problem>| {
            let mut filter = Filter::default();
            make(&mut filter).unwrap();
            filter.matches(&sale)
        };
        assert!(filter(&|_| Ok(())));
        assert!(filter(&|f| f.add_subject("auction:1", &subjects())));
        assert!(!filter(&|f| f.add_subject("auction:2", &subjects())));
        assert!(filter(&|f| {
            f.add_subject("auction:2", &subjects())?;
            f.add_subject("auction:1", &subjects())
        }));
        assert!(filter(&|f| f.add_kind("sale")) && !filter(&|f| f.add_kind("kick")));
        assert!(filter(&|f| f.add_network("ethereum")) && !filter(&|f| f.add_network("base")));
        for (least, passes) in [
            ("1000000000000000000000", true),
            ("1000000000000000000001", false),
            ("0x3635c9adc5dea00000", true),
            ("0x3635c9adc5dea00001", false),
            ("-5", true),
        ] {
            assert_eq!(filter(&|f| f.add_least("amount", least)), passes, "{least}");
        }
        assert!(!filter(&|f| f.add_least("price", "0")), "it has no price");
        assert!(
            !filter(&|f| f.add_least("network", "0")),
            "that is no number"
        );
    }

    #[test]
    fn a_filter_keeps_to_its_ticket() {
        let allowed = HashSet::from(["a:1".into(), "a:2".into()]);
        let mut filter = Filter::default();
        filter.within(&allowed).unwrap();
        assert!(filter.matches(&Update::new("sale", "a:2").unwrap()));
        assert!(!filter.matches(&Update::new("sale", "a:3").unwrap()));
        filter.add_subject("a:3", &subjects()).unwrap();
        assert!(filter.within(&allowed).is_err());
    }

    #[test]
    fn what_no_filter_can_be_is_refused() {
        let mut filter = Filter::default();
        assert!(filter.add_kind("a b").is_err());
        assert!(filter.add_kind("").is_err());
        assert!(filter.add_network("").is_err());
        for text in ["", "1.5", "many", "1e18", "0x", &"9".repeat(200)] {
            assert!(filter.add_least("amount", text).is_err(), "{text}");
        }
        assert!(filter.add_least("", "1").is_err());
        let many = |n: usize| filter.clone().add_subject(&format!("a:{n}"), &subjects());
        assert!((0..3).all(|n| many(n).is_ok()));
        let mut filter = Filter::default();
        let all: Result<(), _> =
            (0..=MAX_SUBJECTS).try_for_each(|n| filter.add_subject(&format!("a:{n}"), &subjects()));
        assert!(all.is_err());
    }
}
