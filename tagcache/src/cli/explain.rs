//! `tagcache explain`.

use std::collections::BTreeMap;
use std::fmt::Write;

use clap::Args;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::failure::{Failure, print};
use super::listening::{explain_feed, explain_live};
use super::overlay::{Overlay, builder};
use super::serve::log_filter;
use super::source::{ConfigArgs, variable};
use tower_tagcache::Explanation;
use tower_tagcache::config::Period;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The method, such as GET
    method: Method,
    /// The URL, or its path
    url: Uri,
    /// A field of the request: 'name: value'
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What the upstream answers with: then it is told what becomes of that
    #[arg(long, value_name = "STATUS")]
    status: Option<StatusCode>,
    /// A field of that answer: 'cache-control: max-age=60'
    #[arg(short = 'R', long = "response-header", value_name = "FIELD", value_parser = field)]
    response_headers: Vec<(HeaderName, HeaderValue)>,
    #[command(flatten)]
    overlay: Overlay,
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
    let mut loaded = args.config.load()?;
    args.overlay.lay_over(&mut loaded);
    log_filter(&loaded)?;
    let assembled = loaded.assemble(builder(&loaded), &variable)?;
    let mut request = request(args)?;
    // A library's layer sees what its server gives it.
    let seen = assembled
        .proxy
        .as_ref()
        .map(|proxy| proxy.as_seen(&mut request));
    let path = match seen {
        Some(Err(_)) => "",
        _ => request.uri.path(),
    };
    if let Some(live) = assembled.live.as_ref().filter(|live| live.takes(path)) {
        return print(&explain_live(live, &request, args.json));
    }
    if let Some(feed) = assembled.feed.as_ref().filter(|feed| feed.takes(path)) {
        return print(&explain_feed(feed, &request, args.json));
    }
    if assembled.push.as_ref().is_some_and(|push| push.takes(path)) {
        let why = "browsers subscribe to pushes here: the cache is not asked";
        return print(&match args.json {
            true => format!("{:#}", json!({ "cached": false, "push": why })),
            false => format!("push       {why}"),
        });
    }
    let explained = match (seen, response(args)) {
        (Some(Err(refusal)), _) => Explanation::because(refusal),
        (_, Some(response)) => assembled.cache.explain_response(&request, &response),
        (_, None) => assembled.cache.explain(&request),
    };
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
    for (name, value) in &args.headers {
        request.headers_mut().append(name, value.clone());
    }
    let host = args.url.authority().map(|host| host.as_str().parse());
    if let Some(Ok(host)) = host {
        // As a client sends it that asks for a URL.
        request.headers_mut().entry(HOST).or_insert(host);
    }
    Ok(request.into_parts().0)
}

/// The answer that is asked about, if one is.
fn response(args: &ExplainArgs) -> Option<http::response::Parts> {
    if args.status.is_none() && args.response_headers.is_empty() {
        return None;
    }
    let mut response = Response::new(());
    *response.status_mut() = args.status.unwrap_or_default();
    let fields = args.response_headers.iter().cloned();
    for (name, value) in fields {
        response.headers_mut().append(name, value);
    }
    Some(response.into_parts().0)
}

/// Lines of a name and what is said of it.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "{name:<10} {value}");
    }

    fn end(self) -> String {
        self.0.trim_end().to_owned()
    }
}

fn as_text(explained: &Explanation) -> String {
    let mut lines = Lines::default();
    match (&explained.rule, &explained.route) {
        (Some(rule), Some(route)) => lines.add("rule", &format!("{rule} ({route})")),
        _ => lines.add("rule", "none"),
    }
    if let Some(why) = &explained.why_not {
        lines.add("not cached", why);
        return lines.end();
    }
    let key = explained.key.iter().filter(|(name, _)| *name != "rule");
    let key: Vec<String> = key.map(|(name, value)| format!("{name}={value}")).collect();
    lines.add("key", &key.join(" "));
    lines.add("digest", explained.digest.as_deref().unwrap_or("none"));
    for tag in &explained.tags {
        lines.add("tag", tag);
    }
    for template in &explained.later_tags {
        lines.add("tag", &format!("{template} (from the response)"));
    }
    match explained.not_stored {
        Some(why) => {
            let template = explained.unfilled.as_deref();
            let rest = template.map_or_else(String::new, |template| format!(": {template}"));
            lines.add("not stored", &format!("{}{rest}", why.as_str()));
        }
        None => add_lifetimes(explained, &mut lines),
    }
    match explained.response {
        Some(Ok(lifetime)) => {
            let told = format!("is stored, and fresh for {}", Period(lifetime));
            lines.add("this one", &told);
        }
        Some(Err(why)) => lines.add("this one", &format!("is not stored ({})", why.as_str())),
        None => {}
    }
    for note in &explained.notes {
        lines.add("note", note);
    }
    let checked = match explained.strict {
        true => "strict: each hit against the purge log",
        false => "near: by this process, within the lease",
    };
    lines.add("checked", checked);
    lines.end()
}

fn add_lifetimes(explained: &Explanation, lines: &mut Lines) {
    lines.add("lifetime", &lifetime(explained));
    for (statuses, ttl) in &explained.ttl_for {
        let told = match ttl.is_zero() {
            true => "not stored".to_owned(),
            false => Period(*ttl).to_string(),
        };
        lines.add("", &format!("status {statuses}: {told}"));
    }
    for (window, what) in [
        (explained.stale_while_revalidate, "while it is refreshed"),
        (explained.stale_if_error, "if the upstream fails"),
    ] {
        if let Some(window) = window {
            lines.add("stale", &format!("{} {what}", Period(window)));
        }
    }
}

fn lifetime(explained: &Explanation) -> String {
    let lifetime = match (explained.ttl, explained.overrides) {
        (Some(ttl), true) => format!("{}, whatever the response says", Period(ttl)),
        (Some(ttl), false) => format!("the response's own, else {}", Period(ttl)),
        (None, _) => {
            "the response's own, or a guess by its Last-Modified; with neither, not stored"
                .to_owned()
        }
    };
    match explained.needs_permission {
        false => lifetime,
        true => format!(
            "none unless the response says public, must-revalidate or s-maxage, as the request has \
             Authorization (RFC 9111 §3.5); then {lifetime}"
        ),
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
        "not_stored": explained.not_stored.map(tower_tagcache::NotStored::as_str),
        "ttl": seconds(explained.ttl),
        "ttl_for": explained.ttl_for.iter().map(|(statuses, ttl)| (statuses.clone(), ttl.as_secs_f64())).collect::<BTreeMap<_, _>>(),
        "needs_permission": explained.needs_permission,
        "notes": explained.notes,
        "response": explained.response.map(|verdict| match verdict {
            Ok(lifetime) => json!({ "stored": true, "lifetime": lifetime.as_secs_f64() }),
            Err(why) => json!({ "stored": false, "why": why.as_str() }),
        }),
        "override": explained.overrides,
        "stale_while_revalidate": seconds(explained.stale_while_revalidate),
        "stale_if_error": seconds(explained.stale_if_error),
        "body_limit": explained.body_limit,
        "consistency": if explained.strict { "strict" } else { "near" },
    })
}
