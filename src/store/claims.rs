//! Claims: which node of a fleet fetches a response, so that the others need not.
//!
//! A claim is advice. Whoever holds it may be dead, and whoever does not may call the inner service
//! all the same; what either stores is judged by its stamp, like any other fill (PROTOCOL 16), so
//! that a holder who comes late can do no harm.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::Error;
use crate::key::CacheKey;
use crate::position::{Position, Stamp};

/// Who holds a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Taken before the holder's call, so that it can be seen whether a purge has made it useless.
    pub(crate) stamp: Stamp,
    /// Tells it from any other.
    pub(crate) id: u64,
}

/// What claiming came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimResult {
    /// The claim is ours, until it is released or its time is over.
    Ours,
    /// Somebody else has it.
    Theirs(Holder),
    /// The last one who had it found that the response is not to be shared: waiting is in vain.
    Unshareable,
}

/// How a claim ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimEnd {
    /// Free for the next.
    Free,
    /// Free for the next, and for so long nobody need wait for such a claim.
    Unshareable(Duration),
}

/// Where nodes claim keys.
pub(crate) trait Claims: Debug + Send + Sync + 'static {
    /// Claims `key` for `holder` and so long, if nobody has it; or takes it from `from`, if that one
    /// still has it.
    ///
    /// # Errors
    /// Any failure to ask. The engine then goes on without a claim.
    fn claim<'a>(
        &'a self,
        key: &'a CacheKey,
        holder: Holder,
        time: Duration,
        from: Option<Holder>,
    ) -> BoxFuture<'a, Result<ClaimResult, Error>>;

    /// Ends the claim of `holder`, unless somebody else has it by now.
    ///
    /// # Errors
    /// Any failure to say so: the claim then ends with its time.
    fn release<'a>(
        &'a self,
        key: &'a CacheKey,
        holder: Holder,
        ended: ClaimEnd,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stamp.position(), self.id)
    }
}

impl FromStr for Holder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (position, id) = text.split_once('/').ok_or("no holder")?;
        let position: Position = position.parse().map_err(|_| "no position")?;
        Ok(Self {
            stamp: Stamp::at(position),
            id: id.parse().map_err(|_| "no number")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_reads_back_what_it_prints_and_nothing_else() {
        let holder = Holder {
            stamp: Stamp::at(Position::new(u64::MAX, 7)),
            id: 3,
        };
        assert_eq!(holder.to_string().parse(), Ok(holder));
        for text in ["", "-", "1-2", "1-2/", "1/2", "1-2/x"] {
            assert!(text.parse::<Holder>().is_err(), "{text:?}");
        }
    }
}
