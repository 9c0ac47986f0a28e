//! Switches that take one protocol rule away, in unit tests only, so that the model test can show
//! that it would notice. In any other build each check is a constant `false`.

/// The rules of `docs/PROTOCOL.md` that can be taken away, by the names in its brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    EpochCheck,
    TwoMarks,
    MarkFloor,
    BootFloor,
    Gap,
    OwnAck,
    StampBefore,
    StampPair,
    WaitHead,
    HeadEpoch,
    Joiner,
    Ack,
    SettleStart,
    Strong,
    Lease,
    LeaseSend,
    CaughtUp,
    NearStamp,
}

#[cfg(test)]
thread_local! {
    static WEAKENED: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Whether `rule` is taken away.
#[cfg(test)]
pub(crate) fn weakened(rule: Rule) -> bool {
    WEAKENED.get() == Some(rule)
}

/// Whether `rule` is taken away: never, outside of unit tests.
#[cfg(not(test))]
#[inline]
pub(crate) const fn weakened(_: Rule) -> bool {
    false
}

/// Takes `rule` away from this thread (or gives all back) until the next call.
#[cfg(test)]
pub(crate) fn weaken(rule: Option<Rule>) {
    WEAKENED.set(rule);
}
