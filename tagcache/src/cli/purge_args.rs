//! What `tagcache purge` is asked, and how both of its ways tell what is taken.

use clap::Args;
use serde_json::Value;

use super::admin_call::AdminArgs;
use super::failure::Failure;
use super::source::ConfigArgs;
use tower_tagcache::{Error, Target};

#[derive(Debug, Args)]
#[command(after_help = "\
Without --admin the purge goes to Redis, as the configuration names it.

It returns when no node answers with what was purged any more: mostly within milliseconds, and at most 5.5 s after
it was in the log, where a node has stopped (10 s more where Redis has replicas).

Exit status: 0 the purge is everywhere, or in the log with --in-log; 1 it failed: nothing is
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
    /// Returns as soon as the purge is in the log: other nodes may answer with what was purged for a moment
    #[arg(long)]
    pub(super) in_log: bool,
    #[command(flatten)]
    pub(super) admin: AdminArgs,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
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
    pub(super) fn targets(&self) -> Result<Vec<Target>, Failure> {
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

/// Whose responses a purge can take.
pub(super) fn taken(rules: &[&str]) -> String {
    match rules {
        [] => "  takes the stored responses of no rule".to_owned(),
        [one] => format!("  takes stored responses of rule `{one}`"),
        rules => format!("  takes stored responses of rules `{}`", rules.join("`, `")),
    }
}

/// Where a purge has come to.
pub(super) fn told_where(position: &str, everywhere: &Value) -> String {
    let number = |key: &str| everywhere[key].as_u64().unwrap_or_default();
    let how = match (
        everywhere.is_object(),
        number("acknowledged"),
        number("waited_out"),
    ) {
        (false, ..) => return format!("every node knows at position {position}"),
        (true, ..) if everywhere["by_time"] == true => {
            "who has copies is not known, and the time was waited for".into()
        }
        (true, said, 0) => format!("{said} said so"),
        (true, said, silent) => format!("{said} said so, {silent} waited out"),
    };
    format!("no node answers with it any more ({how}), at position {position}")
}
