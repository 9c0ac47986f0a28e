//! `tagcache purge --admin`: through the admin listener of a running proxy.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::failure::{Failure, print};
use super::purge_args::{PurgeArgs, taken, told_where};

pub(super) async fn run(admin: &str, args: &PurgeArgs) -> Result<(), Failure> {
    let answer = args.admin.call(admin, "/purge", Some(&call(args))).await?;
    let (status, told) = (answer.status, &answer.json);
    if args.json && told.is_object() {
        print(&format!("{told:#}"))?;
    }
    let text = |key: &str| told[key].as_str().unwrap_or_default();
    let why = match text("reason") {
        "" => text("error"),
        reason => reason,
    };
    match status {
        StatusCode::OK => tell(args, told),
        StatusCode::ACCEPTED => Err(Failure::pending(format!(
            "the proxy at {admin} has purged for itself and tries again to tell the others: {why}"
        ))),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Failure::usage(format!("nothing was purged: {why}")))
        }
        _ if why.is_empty() => Err(Failure::failed(args.admin.refusal(admin, &answer))),
        _ => Err(Failure::failed(format!(
            "nothing was purged: {}",
            args.admin.refusal(admin, &answer)
        ))),
    }
}

/// What a proxy did, or would do.
fn tell(args: &PurgeArgs, told: &Value) -> Result<(), Failure> {
    let empty = Vec::new();
    let reaches = told["reach"].as_array().unwrap_or(&empty);
    if args.json {
        return Ok(());
    }
    let done = if args.dry_run {
        "would purge"
    } else {
        "purged"
    };
    for reach in reaches {
        let text = |key: &str| reach[key].as_str().unwrap_or_default();
        print(format!("{done} {} {}", text("kind"), text("name")).trim_end())?;
        let rules: Vec<&str> = reach["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if args.dry_run {
            print(&taken(&rules))?;
        }
        match (reach["doubt"].as_str(), args.dry_run) {
            (Some(doubt), true) => print(&format!("  note: {doubt}"))?,
            (Some(doubt), false) => eprintln!("note: {doubt}"),
            (None, _) => {}
        }
    }
    match told["position"].as_str() {
        Some(position) => print(&told_where(position, &told["everywhere"])),
        None => Ok(()),
    }
}

/// What is asked for, as the listener reads it.
fn call(args: &PurgeArgs) -> Value {
    let what = &args.what;
    let lists = [
        ("tag", &what.tags),
        ("family", &what.families),
        ("url", &what.urls),
        ("rule", &what.rules),
        ("glob", &what.globs),
    ];
    let mut call = Map::new();
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        call.insert(name.to_owned(), json!(list));
    }
    for (name, set) in [
        ("all", what.all),
        ("soft", args.soft),
        ("dry_run", args.dry_run),
        ("force", args.force),
        ("in_log", args.in_log),
    ] {
        if set {
            call.insert(name.to_owned(), json!(true));
        }
    }
    Value::Object(call)
}
