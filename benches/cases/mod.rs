//! What is measured, in one list for both the clock (`micro.rs`) and the instruction counter
//! (`instructions.rs`).

mod codec;
mod layer;
mod purges;
mod rules;

use std::error::Error;

use http::Request;
use tokio::runtime::Runtime;

pub type Body = http_body_util::Empty<bytes::Bytes>;
pub type Failure = Box<dyn Error + Send + Sync>;

/// Makes a case ready to run; may use the runtime.
pub type Prepare = Box<dyn FnOnce(&Runtime) -> Result<Run, Failure>>;

/// One thing that is measured.
pub struct Case {
    pub name: &'static str,
    /// The case whose cost is part of this one's and is none of the cache's.
    #[allow(dead_code, reason = "only the instruction counter subtracts")]
    pub without: Option<&'static str>,
    pub prepare: Prepare,
}

/// One iteration.
#[allow(clippy::large_enum_variant, reason = "a handful of them exist")]
pub enum Run {
    Plain(Box<dyn FnMut()>),
    /// It uses up a request: a copy of this one, whose making is measured as the case `request`.
    Request(Request<Body>, Box<dyn FnMut(Request<Body>)>),
}

impl Run {
    fn plain(run: impl FnMut() + 'static) -> Result<Self, Failure> {
        Ok(Self::Plain(Box::new(run)))
    }

    fn request(
        uri: &'static str,
        run: impl FnMut(Request<Body>) + 'static,
    ) -> Result<Self, Failure> {
        Ok(Self::Request(request(uri), Box::new(run)))
    }
}

impl Case {
    fn new(
        name: &'static str,
        prepare: impl FnOnce(&Runtime) -> Result<Run, Failure> + 'static,
    ) -> Self {
        Self {
            name,
            without: None,
            prepare: Box::new(prepare),
        }
    }

    fn without(self, name: &'static str) -> Self {
        Self {
            without: Some(name),
            ..self
        }
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    let mut cases = rules::cases();
    cases.extend(codec::cases());
    cases.extend(purges::cases());
    cases.extend(layer::cases());
    cases
}

/// A request as a browser behind a proxy sends it to an API: ten fields.
pub fn request(uri: &'static str) -> Request<Body> {
    let fields = [
        ("host", "api.example.org"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        ),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("referer", "https://www.example.org/auctions"),
        ("origin", "https://www.example.org"),
        ("sec-fetch-mode", "cors"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-request-id", "6f1c2f0e-6f3a-4b57-9c39-0a3f0d0f5a11"),
    ];
    let mut request = Request::new(Body::new());
    *request.uri_mut() = http::Uri::from_static(uri);
    for (name, value) in fields {
        request
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(value));
    }
    request
}

/// A copy, as cheap as there is one.
pub fn copy(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::new());
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
