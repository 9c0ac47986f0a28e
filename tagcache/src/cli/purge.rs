//! `tagcache purge`.

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::failure::{Failure, print, runtime};
use super::overlay::builder;
use super::purge_admin;
use super::purge_args::{PurgeArgs, taken, told_where};
use crate::admin::everywhere;
use tower_tagcache::{Cache, Durability, Error, ErrorKind, Purged, Reach, Target};

pub(super) fn run(args: &PurgeArgs) -> Result<(), Failure> {
    let targets = args.what.targets()?;
    let runtime = runtime(&mut Builder::new_current_thread())?;
    if let Some(admin) = &args.admin.url {
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
    let purger = match args.in_log {
        true => purger.in_log(),
        false => purger,
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
            "everywhere": everywhere(purged),
        });
        return print(&format!("{told:#}"));
    }
    for target in targets {
        print(format!("purged {} {}", target.kind(), target.name()).trim_end())?;
    }
    print(&told_where(
        &purged.position.to_string(),
        &everywhere(purged),
    ))
}
