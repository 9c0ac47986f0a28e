//! A call of the admin listener of a running proxy.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::time::timeout;

use super::failure::Failure;

/// For the whole exchange; longer than the longest lease, with replicas, and the listener's own time.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes: a thousand updates of 8 KiB, and a half more for how they are written.
const MAX_ANSWER: usize = 12 * 1024 * 1024;

/// Which listener is called, if one is.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// The admin listener of a running proxy, such as http://127.0.0.1:9180
    #[arg(long = "admin", value_name = "URL")]
    pub(super) url: Option<String>,
    /// The token of that listener
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TAGCACHE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    pub(super) token: Option<String>,
}

/// What a listener answered.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// Null if it is no JSON.
    pub(super) json: Value,
}

impl AdminArgs {
    /// Asks the listener at `admin` for `target`, with `body` if there is one.
    pub(super) async fn call(
        &self,
        admin: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Told, Failure> {
        let request = self.request(admin, target, body)?;
        let answered = timeout(TIMEOUT, exchange(request)).await;
        let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (status, text) =
            answered.map_err(|why| Failure::failed(format!("admin listener at {admin}: {why}")))?;
        let json = serde_json::from_str(&text).unwrap_or_default();
        Ok(Told { status, text, json })
    }

    fn request(
        &self,
        admin: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let url = format!("{}{target}", admin.trim_end_matches('/'));
        let uri: Uri = url
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.scheme_str() == Some("http") && uri.host().is_some())
            .ok_or_else(|| Failure::usage(format!("--admin {admin}: expected http://host:port")))?;
        let mut request = Request::new(Full::default());
        *request.uri_mut() = uri;
        if let Some(body) = body {
            *request.body_mut() = Full::from(body.to_string());
            *request.method_mut() = Method::POST;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| Failure::usage("the token is no field value"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Why `told` at `admin` is no answer.
    pub(super) fn refusal(&self, admin: &str, told: &Told) -> String {
        let why = told.json["error"].as_str().unwrap_or(told.text.trim());
        let answers = format!("admin listener at {admin} answers {}: {why}", told.status);
        match told.status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => {
                format!("{answers}; give it with --token or TAGCACHE_ADMIN_TOKEN")
            }
            _ => answers,
        }
    }
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
