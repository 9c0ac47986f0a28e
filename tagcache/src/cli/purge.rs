//! `tagcache purge`.

use clap::Args;
use serde_json::{Value, json};

use super::failure::print;
use super::overlay::builder;
use super::{ConfigArgs, Failure, purge_admin};
use tower_tagcache::{Cache, Durability, Error, ErrorKind, Purged, Reach, Target};

#[derive(Debug, Args)]
#[command(after_help = "\
Without --admin the purge goes to Redis, as the configuration names it.

Exit status: 0 the purge is in the log, and every node knows at its next look; 1 it failed: nothing is
purged, or it is not known whether it is; 2 wrong usage or configuration, or a rule that there is not;
3 with --admin: it is in force in that proxy, and waits for the log there.")]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    pub(super) what: What,
    /// Leaves the responses usable as stale, where their rule allows that
    #[arg(long)]
    pub(super) soft: bool,
    /// Says what would be purged, and purges nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Purges a rule that the configuration does not have: another node may have it
    #[arg(long)]
    pub(super) force: bool,
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
    fn targets(&self) -> Result<Vec<Target>, Failure> {
        let tags = self.tags.iter().map(Target::tag);
        let targets = tags
            .chain(self.families.iter().map(Target::family))
            .chain(self.urls.iter().map(Target::url))
            .chain(self.rules.iter().map(Target::rule))
            .chain(self.globs.iter().map(Target::glob))
            .chain(self.all.then_some(Ok(Target::All)));
        let targets: Result<Vec<Target>, Error> = targets.collect();
        targets.map_err(|error| Failure::usage(format!("{error:#}")))
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
    let loaded = args.config.load()?;
    let (cache, companion) = loaded.file.build_with(builder(&loaded))?;
    drop(companion);
    // Without a file nobody knows what rules the proxies have.
    let known = loaded.file.path().is_some();
    let reaches: Vec<Reach> = targets.iter().map(|target| cache.reach(target)).collect();
    if known && !args.force {
        refuse_unknown(&reaches)?;
    }
    if args.dry_run {
        return tell_dry_run(args, &reaches, known);
    }
    if loaded.file.config.redis.url.is_none() {
        let message = "nothing was purged: no Redis is configured, so that there is nothing to purge from \
                       here; name a running proxy with --admin http://127.0.0.1:9180, or the \
                       configuration of those that share a Redis with --config";
        return Err(Failure::usage(message));
    }
    let purged = runtime.block_on(purge(&cache, args, &targets))?;
    if known {
        tell_doubts(&reaches);
    }
    tell(args, &targets, &purged)
}

fn refuse_unknown(reaches: &[Reach]) -> Result<(), Failure> {
    let mut unknown = reaches.iter().filter(|reach| reach.is_unknown_rule());
    match unknown.next().and_then(|reach| reach.doubt.as_deref()) {
        None => Ok(()),
        Some(doubt) => Err(Failure::usage(format!(
            "nothing was purged: {doubt} (--force purges it nevertheless: another node may have it)"
        ))),
    }
}

async fn purge(cache: &Cache, args: &PurgeArgs, targets: &[Target]) -> Result<Purged, Failure> {
    let purger = match args.soft {
        true => cache.purger().soft(),
        false => cache.purger(),
    };
    let purged = purger.targets(targets.iter().cloned()).await;
    purged.map_err(|error| failed(args, targets, &error))
}

/// What did not work, and why. This process ends: a purge that would wait in a longer-lived one is lost
/// with it.
fn failed(args: &PurgeArgs, targets: &[Target], error: &Error) -> Failure {
    let cause = cause(error);
    let why = match error.kind() {
        ErrorKind::Invalid => return Failure::usage(format!("nothing was purged: {cause}")),
        _ if is_refused(error) => format!("nothing was purged: {cause}"),
        // The record may have been written, and its acknowledgement been lost.
        _ => format!(
            "the purge is not confirmed: {cause}; nothing waits to be tried again: repeat the command, \
             which does no harm"
        ),
    };
    if args.json {
        let told = json!({
            "status": "failed",
            "purged": false,
            "reason": cause,
            "targets": named(targets),
        });
        // What cannot be printed is told as well.
        let _ = print(&format!("{told:#}"));
    }
    Failure::failed(why)
}

/// Why the log did not take it, without what is said of a process that lives on.
fn cause(error: &Error) -> String {
    match beneath(error) {
        Some(source) => format!("{source:#}"),
        None => format!("{error:#}"),
    }
}

/// Whether the server refused it, so that it is certain not to be in the log.
fn is_refused(error: &Error) -> bool {
    beneath(error).is_some_and(|source| source.kind() == ErrorKind::Denied)
}

/// What made a purge pending.
fn beneath(error: &Error) -> Option<&Error> {
    let source = std::error::Error::source(error)?;
    source
        .downcast_ref()
        .filter(|_| error.kind() == ErrorKind::Pending)
}

pub(super) fn named(targets: &[Target]) -> Vec<Value> {
    let target = |target: &Target| json!({ "kind": target.kind(), "name": target.name() });
    targets.iter().map(target).collect()
}

fn tell_dry_run(args: &PurgeArgs, reaches: &[Reach], known: bool) -> Result<(), Failure> {
    if args.json {
        let reach = |reach: &Reach| {
            json!({
                "kind": reach.target.kind(),
                "name": reach.target.name(),
                "rules": known.then_some(&reach.rules),
                "doubt": reach.doubt.as_deref().filter(|_| known),
            })
        };
        let told = json!({
            "status": "dry-run",
            "purged": false,
            "soft": args.soft,
            "targets": reaches.iter().map(reach).collect::<Vec<_>>(),
        });
        return print(&format!("{told:#}"));
    }
    for reach in reaches {
        let (kind, name) = (reach.target.kind(), reach.target.name());
        print(&format!(
            "would purge {}",
            format!("{kind} {name}").trim_end()
        ))?;
        if !known {
            continue;
        }
        let rules: Vec<&str> = reach.rules.iter().map(String::as_str).collect();
        print(&taken(&rules))?;
        if let Some(doubt) = &reach.doubt {
            print(&format!("  note: {doubt}"))?;
        }
    }
    if known {
        return Ok(());
    }
    print("no configuration is read, so what rules these are is not known: name it with --config")
}

/// Whose responses a purge can take.
pub(super) fn taken(rules: &[&str]) -> String {
    match rules {
        [] => "  takes the stored responses of no rule".to_owned(),
        [one] => format!("  takes stored responses of rule `{one}`"),
        rules => format!("  takes stored responses of rules `{}`", rules.join("`, `")),
    }
}

/// Beside what was done, so that scripts that read that are not disturbed.
pub(super) fn tell_doubts(reaches: &[Reach]) {
    for doubt in reaches.iter().filter_map(|reach| reach.doubt.as_deref()) {
        eprintln!("note: {doubt}");
    }
}

fn tell(args: &PurgeArgs, targets: &[Target], purged: &Purged) -> Result<(), Failure> {
    let replicas = match purged.durability {
        Durability::Replicated(replicas) => replicas,
        _ => 0,
    };
    if args.json {
        let told = json!({
            "status": "purged",
            "purged": true,
            "soft": args.soft,
            "targets": named(targets),
            "position": purged.position.to_string(),
            "replicas": replicas,
        });
        return print(&format!("{told:#}"));
    }
    for target in targets {
        print(format!("purged {} {}", target.kind(), target.name()).trim_end())?;
    }
    print(&format!("every node knows at position {}", purged.position))
}
