//! The Tower face of the cache: [`CacheLayer`], [`CacheService`], [`CacheBody`].

mod body;
mod future;
mod layer;
mod service;

pub use self::body::CacheBody;
pub use self::future::ResponseFuture;
pub use self::layer::CacheLayer;
pub use self::service::CacheService;
