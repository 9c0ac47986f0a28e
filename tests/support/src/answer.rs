//! What a client gets.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;

/// What a client got, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub async fn read<B>(response: Response<B>) -> Result<Self, B::Error>
    where
        B: http_body::Body<Data = Bytes>,
    {
        let (parts, body) = response.into_parts();
        let whole = body.collect().await?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            trailers: whole.trailers().cloned(),
            body: whole.to_bytes(),
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The lines of a field.
    pub fn fields(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.headers.get_all(name).iter();
        lines.map(HeaderValue::as_bytes).collect()
    }

    /// What this cache says in `Cache-Status`, without its name; empty if no rule took the request.
    pub fn how(&self) -> &str {
        let mut lines = self.headers.get_all("cache-status").into_iter();
        let ours = lines.next_back().and_then(|line| line.to_str().ok());
        ours.and_then(|line| line.strip_prefix("tagcache; "))
            .unwrap_or_default()
    }

    pub fn is_hit(&self) -> bool {
        self.how().starts_with("hit")
    }

    /// The parameter `name` of `Cache-Status`.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut parts = self.how().split("; ");
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn detail(&self) -> &str {
        self.param("detail").unwrap_or("none")
    }

    /// The fields that the inner service could have sent: without those that the cache adds.
    pub fn sent_fields(&self) -> Vec<(HeaderName, HeaderValue)> {
        let ours = ["age", "cache-status", "etag", "date"];
        let fields = self.headers.iter();
        fields
            .filter(|(name, _)| !ours.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
