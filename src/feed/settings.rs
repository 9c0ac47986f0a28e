//! [`ActivityServiceSettings`]: who may read the activity, and of what.

use std::path::PathBuf;

use crate::secret::Secret;
use crate::web::FaceWords;

/// What people do here.
pub(super) const WORDS: FaceWords = FaceWords {
    table: "feed",
    act: "ask",
    act_on: "ask about",
};

/// Who may read the activity feed and its counters, for [`Cache::activity_service`](crate::Cache::activity_service).
///
/// ```
/// use tower_tagcache::feed::ActivityServiceSettings;
///
/// let settings = ActivityServiceSettings::guarded("a-token-that-nobody-guesses")
///     .origins(["https://auctions.example"])
///     .subjects(["auction:{address}"]);
/// # let _ = settings;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "config",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(deny_unknown_fields, default)
)]
#[non_exhaustive]
pub struct ActivityServiceSettings {
    /// Whether anyone who can connect may read. Default: false, so a client needs the token; true for a `tagcache proxy` that
    /// listens on this machine only and has none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub open: Option<bool>,
    /// Token that lets a client read: 16 characters or more, sent as `Authorization: Bearer`. Prefer `token_file`. Default:
    /// none.
    #[cfg_attr(
        feature = "config",
        serde(serialize_with = "crate::secret::masked", skip_serializing_if = "Option::is_none"),
        schemars(extend("writeOnly" = true))
    )]
    pub token: Option<Secret>,
    /// A file with the token. Default: none.
    #[cfg_attr(feature = "config", serde(skip_serializing_if = "Option::is_none"))]
    pub token_file: Option<PathBuf>,
    /// Origins whose pages may ask besides pages of this host: `["https://auctions.example"]`; `["*"]` allows all. Default:
    /// none.
    pub origins: Vec<String>,
    /// Path below which `/activity` and `/analytics` are: `/api`. In a nested router, the whole path. Default: "".
    pub below: String,
    /// What people may ask about. `{address}` is an address (`0x` and 40 hexadecimal digits); any other name in braces matches
    /// any text, but what begins with `0x` must be an address. The first pattern whose part before the colon fits decides; if
    /// that part is a word, it is a parameter too: `auction=0x…`. Default: `["auction:{address}", "{kind}:{id}"]`.
    pub subjects: Vec<String>,
}

impl Default for ActivityServiceSettings {
    fn default() -> Self {
        Self {
            open: None,
            token: None,
            token_file: None,
            origins: Vec::new(),
            below: String::new(),
            subjects: vec!["auction:{address}".to_owned(), "{kind}:{id}".to_owned()],
        }
    }
}

impl ActivityServiceSettings {
    /// Anyone who can connect may read.
    #[must_use]
    pub fn open() -> Self {
        Self {
            open: Some(true),
            ..Self::default()
        }
    }

    /// A client that sends `token` may read.
    #[must_use]
    pub fn guarded(token: impl Into<String>) -> Self {
        Self {
            token: Some(Secret(token.into())),
            ..Self::default()
        }
    }

    /// Sets the origins whose pages may ask besides pages of this host. Default: none.
    #[must_use]
    pub fn origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the path below which `/activity` and `/analytics` are. Default: "".
    #[must_use]
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.below = path.into();
        self
    }

    /// Sets what people may ask about. Default: `auction:{address}` and `{kind}:{id}`.
    #[must_use]
    pub fn subjects(mut self, subjects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subjects = subjects.into_iter().map(Into::into).collect();
        self
    }
}
