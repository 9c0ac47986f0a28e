//! Settings that each work and together probably do not do what was meant.

use std::sync::Arc;

use crate::error::Warning;
use crate::invalidation::EventStream;
use crate::rules::RuleSet;
use crate::tag::Target;

/// Writes each to the log.
pub(super) fn log(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Tags that no event can purge, where events are configured at all.
pub(super) fn of(rules: &RuleSet, streams: &[Arc<EventStream>]) -> Vec<Warning> {
    if streams.is_empty() {
        return Vec::new();
    }
    let scopes = streams.iter().map(|stream| stream.scope());
    let purgeable: Vec<Target> = scopes
        .flat_map(|scope| [scope.hard, scope.soft])
        .flatten()
        .collect();
    let mut warnings = Vec::new();
    for rule in rules.iter() {
        for (template, family) in rule.tag_templates() {
            if !purgeable
                .iter()
                .any(|target| covers(target, template, family))
            {
                let message =
                    format!("no event purges the tag {template:?}; only its lifetime ends it");
                warnings.push(Warning::new(format!("rule `{}`", rule.name()), message));
            }
        }
    }
    warnings
}

/// Whether a purge of `target` can name a tag made from the template.
fn covers(target: &Target, template: &str, family: Option<&str>) -> bool {
    match target {
        Target::All => true,
        Target::Family(name) => family.is_none_or(|family| family == &**name),
        Target::Tag(tag) => tag.as_str() == template,
        Target::Rule(_) | Target::Path(_) | Target::Glob(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::builder::Cache;
    use crate::invalidation::{On, Stream};
    use crate::rules::Rule;

    fn warnings(tag: &str, purge: &str) -> Vec<String> {
        let minute = std::time::Duration::from_secs(60);
        let rule = Rule::new("auction", "/auctions/{address}").ttl(minute);
        let stream = Stream::rindexer("sales").on(On::event("Sale").purge(purge));
        let builder = Cache::builder().rule(rule.tag(tag)).stream(stream);
        let (cache, _) = builder.build().unwrap();
        cache.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tag_that_no_event_can_purge_is_a_warning_that_names_the_rule() {
        let told = warnings("auktion:{address}", "auction:{address}");
        assert_eq!(told.len(), 1, "{told:?}");
        for word in ["`auction`", "auktion:{address}", "no event purges"] {
            assert!(told[0].contains(word), "{told:?}");
        }
    }

    #[test]
    fn a_tag_that_an_event_can_purge_is_none() {
        assert!(warnings("auction:{address}", "auction:{id}").is_empty());
        assert!(warnings("auctions", "auctions").is_empty());
    }
}
