//! [`Reach`]: what a purge can take, without anything being purged.

use super::RuleSet;
use crate::rules::compiled::CompiledRule;
use crate::rules::pattern::Element;
use crate::spelling::nearest;
use crate::tag::Target;

/// The family of the tags that `Cache-Groups` gives (RFC 9875).
const GROUPS: &str = "cache-group";

/// What a purge of one target can take, as far as the rules tell. How many responses that are, nobody
/// counts: a purge does not look for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// The target, in its one form.
    pub target: Target,
    /// The rules whose responses it can take.
    pub rules: Vec<String>,
    /// What speaks against that it does what was meant, and what probably was.
    pub doubt: Option<String>,
}

impl Reach {
    /// Whether it names a rule that there is not.
    #[must_use]
    pub fn is_unknown_rule(&self) -> bool {
        matches!(self.target, Target::Rule(_)) && self.rules.is_empty()
    }
}

impl RuleSet {
    /// What a purge of `target` can take.
    pub(crate) fn reach(&self, target: &Target) -> Reach {
        let (rules, doubt) = match target {
            Target::All => (self.those(|_| true), None),
            Target::Rule(name) => self.reach_of_rule(name),
            Target::Tag(tag) => self.reach_of_tag(tag.as_str()),
            Target::Family(name) => self.reach_of_family(name),
            Target::Path(path) => self.reach_of_path(path),
            Target::Glob(pattern) => self.reach_of_glob(pattern),
        };
        Reach {
            target: target.clone(),
            rules: rules.iter().map(|rule| rule.name().to_string()).collect(),
            doubt,
        }
    }

    fn those(&self, wanted: impl Fn(&CompiledRule) -> bool) -> Vec<&CompiledRule> {
        let rules = self.iter().map(|rule| &**rule);
        rules.filter(|rule| wanted(rule)).collect()
    }

    fn reach_of_rule(&self, name: &str) -> (Vec<&CompiledRule>, Option<String>) {
        let rules = self.those(|rule| **rule.name() == *name);
        if !rules.is_empty() {
            return (rules, None);
        }
        let known: Vec<&str> = self.iter().map(|rule| &**rule.name()).collect();
        let help = match nearest(name, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "there are no rules".to_owned(),
            None => format!("there are `{}`", known.join("`, `")),
        };
        (rules, Some(format!("no rule is called `{name}`; {help}")))
    }

    fn reach_of_tag(&self, tag: &str) -> (Vec<&CompiledRule>, Option<String>) {
        let rules = self.those(|rule| {
            let mut templates = rule.tags.templates();
            templates.any(|template| template.can_give(tag))
        });
        let family = tag.split_once(':').map(|(family, _)| family);
        if !rules.is_empty() || family == Some(GROUPS) {
            return (rules, None);
        }
        let meant = match family {
            Some(family) => self.meant(family),
            None => self.meant_whole(tag),
        };
        self.by_responses(format!("no rule's template gives the tag `{tag}`{meant}"))
    }

    fn reach_of_family(&self, name: &str) -> (Vec<&CompiledRule>, Option<String>) {
        let gives = |rule: &CompiledRule| {
            let mut templates = rule.tags.templates();
            templates
                .any(|template| template.begins_with_value() || template.family() == Some(name))
        };
        let rules = self.those(gives);
        if !rules.is_empty() || name == GROUPS {
            return (rules, None);
        }
        let whole = self.iter().any(|rule| {
            let mut templates = rule.tag_templates();
            templates.any(|(text, _)| text == name)
        });
        let meant = match whole {
            true => format!(
                "; `{name}` is a tag without a colon, so without a family: purge it as a tag"
            ),
            false => self.meant(name),
        };
        self.by_responses(format!(
            "no rule's template gives tags of the family `{name}`{meant}"
        ))
    }

    /// Tags that no template gives may still be named by a response itself.
    fn by_responses(&self, doubt: String) -> (Vec<&CompiledRule>, Option<String>) {
        let rules = self.those(|rule| rule.tag_headers().next().is_some());
        let rest = match rules.is_empty() {
            true => "nothing is stored with it",
            false => "only responses that name it themselves (Surrogate-Key, Cache-Tag …) have it",
        };
        (rules, Some(format!("{doubt}; {rest}")))
    }

    fn reach_of_path(&self, path: &str) -> (Vec<&CompiledRule>, Option<String>) {
        match self.route(path) {
            Some((rule, _)) if rule.settings.enabled => (vec![rule], None),
            Some((rule, _)) => {
                let name = rule.name();
                let doubt =
                    format!("rule `{name}`, whose route matches this path, is switched off");
                (vec![rule], Some(doubt))
            }
            None => {
                let doubt = "no rule's route matches this path: nothing is stored under it";
                (Vec::new(), Some(doubt.to_owned()))
            }
        }
    }

    fn reach_of_glob(&self, pattern: &str) -> (Vec<&CompiledRule>, Option<String>) {
        let glob = Element::of_glob(pattern);
        let fallback = self.fallback.as_deref().map(CompiledRule::name);
        let rules = self.those(|rule| {
            Some(rule.name()) == fallback
                || Element::meet(&glob, &Element::of_route(&rule.settings.route))
        });
        let doubt = rules.is_empty().then(|| {
            "no rule's route can match a path that this glob matches: nothing is stored there"
                .to_owned()
        });
        (rules, doubt)
    }

    fn meant(&self, family: &str) -> String {
        let families: Vec<&str> = self
            .iter()
            .flat_map(|rule| rule.tag_templates().filter_map(|(_, family)| family))
            .collect();
        match nearest(family, &families) {
            Some(near) if near != family => format!("; did you mean the family `{near}`?"),
            Some(_) => "; its value has another form than the template's".to_owned(),
            None => String::new(),
        }
    }

    fn meant_whole(&self, tag: &str) -> String {
        let texts: Vec<&str> = self
            .iter()
            .flat_map(|rule| rule.tag_templates().map(|(text, _)| text))
            .collect();
        nearest(tag, &texts).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::{Defaults, Rule};

    fn rules() -> RuleSet {
        let minute = Duration::from_secs(60);
        let rules = vec![
            Rule::new("products", "/products/{id}")
                .ttl(minute)
                .tag("product:{id:int}"),
            Rule::new("list", "/products").ttl(minute).tag("products"),
            Rule::new("files", "/files/{*rest}")
                .ttl(minute)
                .tag("{query.kind}:{rest}"),
        ];
        RuleSet::compile(rules, &Defaults::default()).unwrap().0
    }

    fn reach(target: Result<Target, crate::Error>) -> (Vec<String>, String) {
        let reach = rules().reach(&target.unwrap());
        (reach.rules, reach.doubt.unwrap_or_default())
    }

    #[test]
    fn safety_112_a_rule_that_is_not_there_is_told_with_the_one_that_was_meant() {
        let (rules_of, doubt) = reach(Target::rule("prodcts"));
        assert!(rules_of.is_empty());
        assert_eq!(
            doubt,
            "no rule is called `prodcts`; did you mean `products`?"
        );
        let (_, doubt) = reach(Target::rule("banana"));
        assert!(
            doubt.ends_with("there are `products`, `list`, `files`"),
            "{doubt}"
        );
        assert!(
            rules()
                .reach(&Target::Rule("banana".into()))
                .is_unknown_rule()
        );
        assert_eq!(
            reach(Target::rule("list")),
            (vec!["list".to_owned()], String::new())
        );
    }

    #[test]
    fn safety_112_a_tag_that_no_template_gives_is_told() {
        for (tag, rules, doubt) in [
            ("product:7", &["products"][..], ""),
            ("product:seven", &[], "another form"),
            ("prodct:7", &[], "did you mean the family `product`?"),
            ("products", &["list"], ""),
            ("product", &[], "did you mean `products`?"),
        ] {
            let (found, told) = reach(Target::tag(tag));
            // `files` takes its family from the request: it may give any with a colon.
            let found: Vec<&str> = found.iter().map(String::as_str).collect();
            if told.is_empty() {
                assert!(
                    rules.iter().all(|rule| found.contains(rule)),
                    "{tag}: {found:?}"
                );
            }
            let colon = tag.contains(':');
            assert!(
                told.contains(doubt) || colon && found.contains(&"files"),
                "{tag}: {told}"
            );
        }
        let (_, doubt) = reach(Target::tag("product"));
        assert!(
            doubt.contains("responses that name it themselves"),
            "{doubt}"
        );
    }

    #[test]
    fn a_path_and_a_glob_reach_the_rules_whose_routes_they_meet() {
        for (glob, expected) in [
            ("/products/*", &["products"][..]),
            ("/products/**", &["products"]),
            ("/products*", &["list"]),
            ("/**", &["products", "list", "files"]),
            ("/files/*/x", &["files"]),
            ("/files", &[]),
            ("/produ?ts/7", &["products"]),
            ("/produ??ts/7", &[]),
            ("**/7", &["products", "files"]),
        ] {
            assert_eq!(reach(Target::glob(glob)).0, expected, "{glob}");
        }
        assert_eq!(reach(Target::url("/products/7?x=1")).0, ["products"]);
        let (rules, doubt) = reach(Target::url("/other"));
        assert!(
            rules.is_empty() && doubt.contains("no rule's route"),
            "{doubt}"
        );
    }
}
