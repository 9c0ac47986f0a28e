//! (docs)
#[derive(Debug)]
pub(crate) struct Follower;
