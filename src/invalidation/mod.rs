//! (docs)
