//! What faces that answer requests themselves have in common: who may ask, whose pages, about what, and how they say no.

mod guard;
mod origins;
mod problem;
mod query;
mod subjects;
mod words;

pub(crate) use self::guard::Guard;
#[cfg(feature = "live")]
pub(crate) use self::guard::secret;
pub(crate) use self::origins::{Origins, Preflight};
pub(crate) use self::problem::Problem;
pub(crate) use self::query::{list, once, path_of};
pub(crate) use self::subjects::Subjects;
pub(crate) use self::words::FaceWords;
