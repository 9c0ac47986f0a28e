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

use super::Failure;
use super::failure::print;
use super::purge::PurgeArgs;

/// For the whole exchange; longer than the listener's own.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

pub(super) async fn run(admin: &str, args: &PurgeArgs) -> Result<(), Failure> {
    let request = request(admin, args)?;
    let answered = timeout(TIMEOUT, exchange(request)).await;
    let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    let (status, body) =
        answered.map_err(|why| Failure::failed(format!("admin listener at {admin}: {why}")))?;
    // 202: in force there, and pending for others.
    if status.is_success() {
        return print(body.trim_end());
    }
    Err(Failure::failed(format!(
        "admin listener at {admin} answers {status}: {}",
        body.trim()
    )))
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
