//! `tagcache purge`.

use clap::Args;
use serde_json::{Value, json};

use super::failure::print;
use super::{ConfigArgs, Failure, purge_admin};
use crate::{Cache, Error, ErrorKind, Purged, Purger, Tag};

#[derive(Debug, Args)]
#[command(after_help = "Without --admin the purge goes to Redis, as the configuration names it.")]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// Leaves the responses usable as stale, where their rule allows that
    #[arg(long)]
    pub(super) soft: bool,
    /// Says what would be purged, and purges nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The admin listener of a running proxy, such as http://127.0.0.1:9180
    #[arg(long, value_name = "URL")]
    pub(super) admin: Option<String>,
    /// The token of that listener
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TAGCACHE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    pub(super) token: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Prints the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is purged; at least one of them.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct What {
    /// Responses with this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub(super) tags: Vec<String>,
    /// Responses with a tag of this family, which is what stands before its colon
    #[arg(long = "family", value_name = "NAME")]
    pub(super) families: Vec<String>,
    /// Responses of this URL or path, with all queries and hosts
    #[arg(long = "url", value_name = "URL")]
    pub(super) urls: Vec<String>,
    /// Responses stored under this rule
    #[arg(long = "rule", value_name = "NAME")]
    pub(super) rules: Vec<String>,
    /// Responses whose path matches: `*` within a segment, `**` across
    #[arg(long = "glob", value_name = "PATTERN")]
    pub(super) globs: Vec<String>,
    /// All responses
    #[arg(long)]
    pub(super) all: bool,
}

impl What {
    /// Each as its kind and its text, tags in their one form.
    fn targets(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let bad = |error: Error| Failure::usage(error.to_string());
        let tags = self
            .tags
            .iter()
            .map(|tag| Tag::new(tag).map(|tag| tag.as_str().to_owned()));
        let tags: Vec<String> = tags.collect::<Result<_, _>>().map_err(bad)?;
        let of = |kind, texts: &[String]| -> Vec<(&'static str, String)> {
            texts.iter().map(|text| (kind, text.clone())).collect()
        };
        let mut targets = of("tag", &tags);
        targets.extend(of("family", &self.families));
        targets.extend(of("url", &self.urls));
        targets.extend(of("rule", &self.rules));
        targets.extend(of("glob", &self.globs));
        if self.all {
            targets.push(("all", String::new()));
        }
        Ok(targets)
    }
}

pub(super) fn run(args: &PurgeArgs) -> Result<(), Failure> {
    let targets = args.what.targets()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no runtime: {error}")))?;
    if let Some(admin) = &args.admin {
        return runtime.block_on(purge_admin::run(admin, args));
    }
    if args.dry_run {
        return tell(args, "would purge", &targets, None);
    }
    let cache = through_redis(args)?;
    let purged = runtime.block_on(purge(&cache, args.soft, &targets))?;
    tell(args, "purged", &targets, Some(&purged))
}

/// The cache that the configuration describes. No stream is read, and nothing is served.
fn through_redis(args: &PurgeArgs) -> Result<Cache, Failure> {
    let loaded = args.config.load()?;
    if loaded.config.redis.url.is_none() {
        let message = "no Redis is configured, so that there is nothing to purge from here; \
                       name a running proxy with --admin";
        return Err(Failure::usage(message));
    }
    let (cache, companion) = loaded.build()?;
    drop(companion);
    Ok(cache)
}

async fn purge(
    cache: &Cache,
    soft: bool,
    targets: &[(&'static str, String)],
) -> Result<Purged, Failure> {
    let purger = if soft {
        cache.purger().soft()
    } else {
        cache.purger()
    };
    let mut last = None;
    for (kind, text) in targets {
        let purged = one(&purger, kind, text).await;
        last = Some(purged.map_err(|error| failed(kind, text, &error))?);
    }
    last.ok_or_else(|| Failure::usage("nothing to purge"))
}

async fn one(purger: &Purger, kind: &str, text: &str) -> Result<Purged, Error> {
    match kind {
        "tag" => purger.tag(text).await,
        "family" => purger.family(text).await,
        "url" => purger.url(text).await,
        "rule" => purger.rule(text).await,
        "glob" => purger.glob(text).await,
        _ => purger.all().await,
    }
}

fn failed(kind: &str, text: &str, error: &Error) -> Failure {
    let message = format!("{kind} {text} was not purged: {error}");
    match error.kind() {
        ErrorKind::Invalid => Failure::usage(message),
        _ => Failure::failed(message),
    }
}

fn tell(
    args: &PurgeArgs,
    done: &str,
    targets: &[(&'static str, String)],
    purged: Option<&Purged>,
) -> Result<(), Failure> {
    if args.json {
        let target = |(kind, text): &(&'static str, String)| json!({ "kind": kind, "name": text });
        let targets: Vec<Value> = targets.iter().map(target).collect();
        let position = purged.map(|purged| purged.position.to_string());
        let told = json!({
            "purged": purged.is_some(),
            "soft": args.soft,
            "targets": targets,
            "position": position,
        });
        return print(&format!("{told:#}"));
    }
    for (kind, text) in targets {
        print(format!("{done} {kind} {text}").trim_end())?;
    }
    match purged {
        Some(purged) => print(&format!("every node knows at position {}", purged.position)),
        None => Ok(()),
    }
}
