//! `tagcache explain`.

use std::fmt::Write;

use clap::Args;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use serde_json::{Value, json};

use super::failure::print;
use super::{ConfigArgs, Failure};
use crate::config::Period;
use crate::{CacheBuilder, Explanation};

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The method, such as GET
    method: Method,
    /// The URL, or its path
    url: Uri,
    /// A field of the request: 'name: value'
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Prints the result as JSON
    #[arg(long)]
    json: bool,
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected 'name: value'")?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{name:?} is no field name"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| format!("{value:?} is no field value"))?;
    Ok((name, value))
}

pub(super) fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let loaded = args.config.load()?;
    let mut builder = loaded.config.cache_builder();
    if loaded.config.has_implicit_rule() {
        builder = CacheBuilder::upstream_rule(builder);
    }
    let (cache, companion) = loaded.build_with(builder)?;
    drop(companion);
    let explained = cache.explain(&request(args)?);
    print(&if args.json {
        format!("{:#}", as_json(&explained))
    } else {
        as_text(&explained)
    })
}

fn request(args: &ExplainArgs) -> Result<Parts, Failure> {
    let mut request = Request::new(());
    *request.method_mut() = args.method.clone();
    *request.uri_mut() = args.url.clone();
    if !args.url.path().starts_with('/') {
        return Err(Failure::usage(format!("{} has no path", args.url)));
    }
    request.headers_mut().extend(args.headers.iter().cloned());
    Ok(request.into_parts().0)
}

fn as_text(explained: &Explanation) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    match (&explained.rule, &explained.route) {
        (Some(rule), Some(route)) => line("rule", &format!("{rule} ({route})")),
        _ => line("rule", "none"),
    }
    if let Some(why) = &explained.why_not {
        line("not cached", why);
        return text.trim_end().to_owned();
    }
    let key = explained.key.iter().filter(|(name, _)| *name != "rule");
    let key: Vec<String> = key.map(|(name, value)| format!("{name}={value}")).collect();
    line("key", &key.join(" "));
    line("digest", explained.digest.as_deref().unwrap_or("none"));
    if let Some(why) = explained.not_stored {
        let template = explained.unfilled.as_deref().unwrap_or_default();
        line("not stored", &format!("{}: {template}", why.as_str()));
    }
    for tag in &explained.tags {
        line("tag", tag);
    }
    for template in &explained.later_tags {
        line("tag", &format!("{template} (from the response)"));
    }
    line("lifetime", &lifetime(explained));
    if let Some(window) = explained.stale_while_revalidate {
        line(
            "stale",
            &format!("{} while it is refreshed", Period(window)),
        );
    }
    if let Some(window) = explained.stale_if_error {
        line(
            "stale",
            &format!("{} if the upstream fails", Period(window)),
        );
    }
    line(
        "checked",
        if explained.strict {
            "strict: each hit against the purge log"
        } else {
            "near: by this process, within the lease"
        },
    );
    text.trim_end().to_owned()
}

fn lifetime(explained: &Explanation) -> String {
    match (explained.ttl, explained.overrides) {
        (Some(ttl), true) => format!("{}, whatever the response says", Period(ttl)),
        (Some(ttl), false) => format!("the response's own, else {}", Period(ttl)),
        (None, _) => "the response's own; none: not stored".to_owned(),
    }
}

fn as_json(explained: &Explanation) -> Value {
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "cached": explained.why_not.is_none(),
        "rule": explained.rule,
        "route": explained.route,
        "why_not": explained.why_not,
        "key": explained.key,
        "digest": explained.digest,
        "tags": explained.tags,
        "tags_from_response": explained.later_tags,
        "unfilled": explained.unfilled,
        "not_stored": explained.not_stored.map(crate::NotStored::as_str),
        "ttl": seconds(explained.ttl),
        "override": explained.overrides,
        "stale_while_revalidate": seconds(explained.stale_while_revalidate),
        "stale_if_error": seconds(explained.stale_if_error),
        "body_limit": explained.body_limit,
        "consistency": if explained.strict { "strict" } else { "near" },
    })
}
