//! Who is asked what happened: Redis, as the configuration names it, or a running proxy.

use clap::Args;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::admin_call::AdminArgs;
use super::failure::{Failure, runtime};
use super::overlay::builder;
use super::source::ConfigArgs;
use crate::admin::{Again, NOTHING_KEPT, Page};
use tower_tagcache::{Cache, Error, ErrorKind};

/// Who is asked, and how the answer is printed.
#[derive(Debug, Args)]
pub(super) struct AskArgs {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    config: ConfigArgs,
    /// Prints the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What of activity is meant.
#[derive(Debug, Args)]
pub(super) struct AboutArgs {
    /// Those of this type, such as sale; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<String>,
    /// Those of this subject, such as auction:0x…
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Those of the auction with this address
    #[arg(long, value_name = "ADDRESS", conflicts_with = "subject")]
    auction: Option<String>,
}

impl AboutArgs {
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let kinds = self.kinds.iter().map(|kind| ("type", kind.as_str()));
        let subject = self.subject.iter();
        let subject = subject.map(|subject| ("subject", subject.as_str()));
        let auction = self.auction.iter();
        let auction = auction.map(|auction| ("auction", auction.as_str()));
        kinds.chain(subject).chain(auction)
    }

    pub(super) fn is_all(&self) -> bool {
        self.parameters().next().is_none()
    }
}

/// These parameters as the query of a URL.
pub(super) fn query<'p>(parameters: impl IntoIterator<Item = (&'static str, &'p str)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters).finish()
}

impl AskArgs {
    /// What `page` tells of what `query` asks for.
    pub(super) fn ask(&self, page: Page, query: &str) -> Result<Value, Failure> {
        let runtime = runtime(&mut Builder::new_current_thread())?;
        if let Some(admin) = &self.admin.url {
            let target = format!("{}?{query}", page.path());
            return runtime.block_on(self.call(admin, target.trim_end_matches('?'), None));
        }
        let cache = self.cache()?;
        let Some(feed) = cache.activity() else {
            return Err(Failure::usage(NOTHING_KEPT));
        };
        let told = runtime.block_on(page.read(query, feed));
        told.map_err(|error| failed(&error))
    }

    /// Sends alerts again; what came of it.
    pub(super) fn send(&self, again: &Again) -> Result<Value, Failure> {
        let runtime = runtime(&mut Builder::new_current_thread())?;
        if let Some(admin) = &self.admin.url {
            let body = match again {
                Again::Alert(id) => json!({ "id": id }),
                Again::All => json!({ "all": true }),
            };
            return runtime.block_on(self.call(admin, "/alerts/resend", Some(&body)));
        }
        let cache = self.cache()?;
        let Some(feed) = cache.activity() else {
            return Err(Failure::usage(NOTHING_KEPT));
        };
        let sent = runtime.block_on(again.send(feed));
        let sent = sent.map_err(|error| failed(&error))?;
        sent.ok_or_else(|| Failure::usage(again.unknown()))
    }

    async fn call(
        &self,
        admin: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let told = self.admin.call(admin, target, body).await?;
        match told.status {
            StatusCode::OK if told.json.is_object() => Ok(told.json),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Failure::usage(self.admin.refusal(admin, &told)))
            }
            _ => Err(Failure::failed(self.admin.refusal(admin, &told))),
        }
    }

    /// The cache of the configuration, for what it keeps in Redis.
    fn cache(&self) -> Result<Cache, Failure> {
        const ADMIN: &str = "name a running proxy with --admin http://127.0.0.1:9180";
        let loaded = self.config.load()?;
        if loaded.file.path().is_none() {
            return Err(Failure::usage(format!(
                "there is no tagcache.toml here; name a file with --config, or {ADMIN}"
            )));
        }
        let (cache, companion) = loaded.file.build_with(builder(&loaded))?;
        drop(companion);
        if cache.activity().is_some() && loaded.file.config.redis.url.is_none() {
            return Err(Failure::usage(format!(
                "no Redis is configured, so that each proxy keeps what happened to itself: {ADMIN}"
            )));
        }
        Ok(cache)
    }
}

fn failed(error: &Error) -> Failure {
    let message = format!("{error:#}");
    match error.kind() {
        ErrorKind::Invalid => Failure::usage(message),
        _ => Failure::failed(message),
    }
}
