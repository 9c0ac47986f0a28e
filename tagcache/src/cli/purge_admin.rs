//! `tagcache purge --admin`: through the admin listener of a running proxy.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::failure::{Failure, print};
use super::purge_args::{PurgeArgs, taken, told_where};

/// For the whole exchange; longer than the longest lease, with replicas, and the listener's own time.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

pub(super) async fn run(admin: &str, args: &PurgeArgs) -> Result<(), Failure> {
    let request = request(admin, args)?;
    let answered = timeout(TIMEOUT, exchange(request)).await;
    let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let (status, body) =
        answered.map_err(|why| Failure::failed(format!("admin listener at {admin}: {why}")))?;
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    if args.json && told.is_object() {
        print(&format!("{told:#}"))?;
    }
    let text = |key: &str| told[key].as_str().unwrap_or_default();
    let why = match text("reason") {
        "" => text("error"),
        reason => reason,
    };
    let answers = |why: &str| format!("admin listener at {admin} answers {status}: {why}");
    match status {
        StatusCode::OK => tell(args, &told),
        StatusCode::ACCEPTED => Err(Failure::pending(format!(
            "the proxy at {admin} has purged for itself and tries again to tell the others: {why}"
        ))),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => {
            Err(Failure::usage(format!("nothing was purged: {why}")))
        }
        StatusCode::UNAUTHORIZED if args.token.is_none() => Err(Failure::failed(format!(
            "nothing was purged: {}; give it with --token or TAGCACHE_ADMIN_TOKEN",
            answers(why)
        ))),
        _ if why.is_empty() => Err(Failure::failed(answers(body.trim()))),
        _ => Err(Failure::failed(format!(
            "nothing was purged: {}",
            answers(why)
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

fn request(admin: &str, args: &PurgeArgs) -> Result<Request<Full<Bytes>>, Failure> {
    let url = format!("{}/purge", admin.trim_end_matches('/'));
    let uri: Uri = url
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.scheme_str() == Some("http") && uri.host().is_some())
        .ok_or_else(|| Failure::usage(format!("--admin {admin}: expected http://host:port")))?;
    let mut request = Request::new(Full::from(call(args).to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = &args.token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| Failure::usage("the token is no field value"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
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

async fn exchange(request: Request<Full<Bytes>>) -> Result<(StatusCode, String), String> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        cause.map_or_else(|| error.to_string(), ToString::to_string)
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
