//! The Tower face of the cache: [`CacheLayer`], [`CacheService`], [`CacheBody`].

mod future;
mod layer;
mod service;

pub use self::future::ResponseFuture;
pub use self::layer::CacheLayer;
pub use self::service::CacheService;
pub use crate::engine::CacheBody;
