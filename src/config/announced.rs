//! Activity and alerts that nothing which streams announce reaches.

use std::collections::BTreeSet;

use super::Config;
use crate::spelling::nearest;
use crate::{ActivitySettings, AlertRule, Announce, ConfigPlace, Setting, Warning};

const ACTIVITY: Setting = Setting::of("activity", "entries").called("activity");
const SUM: Setting = Setting::of("activity", "sum");

/// What is said to nobody, or is never said.
pub(super) fn advice(config: &Config) -> Vec<Warning> {
    let mappings = config.streams.iter().flat_map(|stream| &stream.on);
    let announced: Vec<&Announce> = mappings.filter_map(|on| on.announced()).collect();
    if announced.is_empty() {
        return unannounced(config);
    }
    let mut advice = Vec::new();
    advice.extend(
        config
            .activity
            .iter()
            .flat_map(|activity| sums(activity, &announced)),
    );
    for rule in &config.alerts {
        let place = ConfigPlace::alert(&*rule.name);
        let messages = types(rule, &announced)
            .into_iter()
            .chain(fields(rule, &announced));
        advice.extend(messages.map(|message| Warning::new(place.clone(), message)));
    }
    advice
}

/// Where no stream announces anything.
fn unannounced(config: &Config) -> Vec<Warning> {
    let message = |what: &str| {
        format!(
            "no stream announces anything (`[streams.on.announce]`): but for what a program announces by itself, {what}"
        )
    };
    let kept = config.activity.as_ref();
    let kept = kept.map(|_| Warning::new(ACTIVITY, message("nothing is kept")));
    let first = config.alerts.first();
    let raised = first.map(|first| {
        let place = ConfigPlace::alert(&*first.name);
        Warning::new(place, message("no alert is ever raised"))
    });
    kept.into_iter().chain(raised).collect()
}

/// Sums of fields that nobody tells.
fn sums(activity: &ActivitySettings, announced: &[&Announce]) -> Vec<Warning> {
    let told = told(announced);
    // Who says nothing of sums misses none.
    let summed = activity.summed().iter();
    let summed = summed.filter(|_| activity.summed() != ActivitySettings::new().summed());
    let unknown = summed.filter(|field| !told.contains(field.as_str()));
    let warning = |field: &String| {
        let help = meant(field, &told);
        let message = format!("no event that is announced tells a field `{field}` to add up{help}");
        Warning::new(SUM, message)
    };
    unknown.map(warning).collect()
}

/// Types that no update has.
fn types(rule: &AlertRule, announced: &[&Announce]) -> Vec<String> {
    let known: BTreeSet<&str> = announced.iter().map(|announce| announce.kind()).collect();
    let unknown = rule
        .types
        .iter()
        .filter(|kind| !known.contains(kind.as_str()));
    let message = |kind: &String| {
        let help = meant(kind, &known);
        format!("no event is announced as `{kind}`{help}")
    };
    unknown.map(message).collect()
}

/// Fields that no update of the rule's types has.
fn fields(rule: &AlertRule, announced: &[&Announce]) -> Vec<String> {
    let is_meant = |announce: &&&Announce| {
        rule.types.is_empty() || rule.types.iter().any(|kind| kind == announce.kind())
    };
    let of_types: Vec<&Announce> = announced.iter().filter(is_meant).copied().collect();
    if of_types.is_empty() {
        return Vec::new();
    }
    let told = told(&of_types);
    let mut said = BTreeSet::new();
    let read = rule.fields_read();
    let unknown = read
        .iter()
        .filter(|(_, field)| !told.contains(field.as_str()));
    let unknown = unknown.filter(|read| said.insert(*read));
    unknown
        .map(|(key, field)| unknown_field(rule, key, field, &told))
        .collect()
}

fn unknown_field(rule: &AlertRule, key: &str, field: &str, told: &BTreeSet<&str>) -> String {
    let help = match field {
        "type" => "; an update's type is asked for with `types`".to_owned(),
        "subject" => "; an update's subject is none: tell it as a field".to_owned(),
        _ => meant(field, told),
    };
    let of = match rule.types.is_empty() {
        true => "that is announced".to_owned(),
        false => format!("of the type {}", rule.types.join(" or ")),
    };
    let consequence = match key {
        "when" => "so that it is never raised",
        "message" => "so that its message has a `?` there",
        _ => "so that amounts have no known decimals",
    };
    format!("no event {of} tells a field `{field}`, which `{key}` reads, {consequence}{help}")
}

fn told<'c>(announced: &[&'c Announce]) -> BTreeSet<&'c str> {
    let fields = announced.iter().flat_map(|announce| announce.field_names());
    fields.collect()
}

/// What was probably meant.
fn meant(word: &str, known: &BTreeSet<&str>) -> String {
    let known: Vec<&str> = known.iter().copied().collect();
    match nearest(word, &known) {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are `{}`", known.join("`, `")),
    }
}
