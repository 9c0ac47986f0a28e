//! Events in, purges out.

mod purger;

pub use self::purger::Purger;
