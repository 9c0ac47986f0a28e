//! Switches that take one protocol rule away, in unit tests only, so that the model test and those
//! of interleavings can show that they would notice. In any other build each check is a constant `false`.

/// The rules of `docs/PROTOCOL.md` that can be taken away, by the names in its brackets, and those of
/// flights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtocolRule {
    EpochCheck,
    TwoMarks,
    MarkFloor,
    BootFloor,
    Gap,
    OwnAck,
    StampBefore,
    StampPair,
    WaitTip,
    TipEpoch,
    TipFresh,
    Joiner,
    Ack,
    SettleStart,
    Strong,
    Lease,
    LeaseSend,
    CaughtUp,
    NearStamp,
    MarkFirst,
    PosNear,
    SoftPos,
    PosEpoch,
    LeaseFirst,
    #[cfg(feature = "redis")]
    OlderEpoch,
    RollTime,
    RollLongest,
    RollMark,
    RollToken,
    RollRemove,
    #[cfg(test)]
    RollFirst,
    RollOk,
    RollApplied,
    RollFresh,
    RollGone,
    SettleJoin,
    AnnounceEverywhere,
    AnnounceSettle,
    AnnounceEpoch,
    AnnounceOnce,
    ResumeGap,
    RelayJoin,
    RelayJoinFirst,
    RelayJoinSettle,
    RelayEpoch,
    RelayGap,
    RelayPath,
    RelayClaim,
    RelayBase,
    RelayName,
    #[cfg(any(test, feature = "live"))]
    ResumeEpoch,
    ResumeReach,
    #[cfg(any(test, feature = "live"))]
    ResumeAhead,
    #[cfg(feature = "activity")]
    KeptBehind,
    #[cfg(feature = "activity")]
    KeptOnce,
    #[cfg(feature = "activity")]
    KeptStream,
    #[cfg(feature = "activity")]
    KeptCopies,
    /// A fill that dies tells those who wait for it (SAFETY 51, 52).
    LeadEnds,
    /// A flight that ends takes no other's place in the registry with it.
    OwnPlace,
    /// One flight of a key replaces another only for whoever saw that it is of no use.
    OneLeads,
    /// The flights under way are bounded.
    Places,
    /// Who was overtaken by a flight looks again before it leads another.
    Overtaken,
}

#[cfg(test)]
thread_local! {
    static WEAKENED: std::cell::Cell<Option<ProtocolRule>> = const { std::cell::Cell::new(None) };
}

/// Whether `rule` is taken away.
#[cfg(test)]
pub(crate) fn weakened(rule: ProtocolRule) -> bool {
    WEAKENED.get() == Some(rule)
}

/// Whether `rule` is taken away: never, outside of unit tests.
#[cfg(not(test))]
#[inline]
pub(crate) const fn weakened(_: ProtocolRule) -> bool {
    false
}

/// Takes `rule` away from this thread (or gives all back) until the next call.
#[cfg(test)]
pub(crate) fn weaken(rule: Option<ProtocolRule>) {
    WEAKENED.set(rule);
}
