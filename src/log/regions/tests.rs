use super::*;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn here(ordinal: u64) -> Position {
    Position::new(1, ordinal)
}

/// A claim of the log with the epoch `epoch`, which its relay asked for behind the record `base` of this log.
fn claim(region: &str, epoch: u64, joins: bool, base: Option<u64>) -> RelayClaim {
    RelayClaim {
        region: region.into(),
        position: Position::new(epoch, 5),
        joins,
        base: base.map(here),
    }
}

fn regions(names: &[&str]) -> Regions {
    Regions::new(names.iter().map(|name| (*name).into()), secs(30))
}

#[test]
fn safety_157_a_beat_counts_from_before_its_relay_asked() {
    let regions = regions(&["us"]);
    assert_eq!(regions.until(), Duration::ZERO, "nothing was heard yet");
    // The record 4 was not there at 100 s, and may have been at 101 s.
    for (sent, tip) in [(100, 3), (101, 4), (102, 9)] {
        regions.saw_tip(secs(sent), here(tip));
    }
    // However late it comes.
    regions.note(&claim("us", 7, false, Some(4)), secs(110));
    assert_eq!(regions.until(), secs(130));
    // One whose relay may have asked at any time proves nothing.
    regions.note(&claim("us", 7, false, None), secs(111));
    regions.note(&claim("us", 7, false, Some(2)), secs(111));
    assert_eq!(regions.until(), secs(130));
    regions.note(&claim("us", 7, false, Some(6)), secs(112));
    assert_eq!(regions.until(), secs(131));
    // An older one that comes later takes nothing away.
    regions.note(&claim("us", 7, false, Some(4)), secs(112));
    assert_eq!(regions.until(), secs(131));
}

#[test]
fn each_region_must_be_heard() {
    let regions = regions(&["us", "ap"]);
    for second in 0..60 {
        regions.saw_tip(secs(100 + second), here(second));
    }
    regions.note(&claim("us", 7, false, Some(10)), secs(110));
    regions.note(&claim("elsewhere", 8, false, Some(10)), secs(110));
    assert_eq!(regions.until(), Duration::ZERO);
    let troubles = regions.troubles(secs(112));
    assert_eq!(troubles.len(), 1);
    assert!(troubles[0].message.contains("\"ap\""), "{troubles:?}");
    regions.note(&claim("ap", 9, false, Some(20)), secs(120));
    assert_eq!(regions.until(), secs(139), "us was heard at 109 s");
    assert_eq!(regions.troubles(secs(138)), []);
    assert_eq!(regions.troubles(secs(139)).len(), 1);
}

#[test]
fn safety_159_two_logs_under_one_name_count_as_not_heard() {
    let regions = regions(&["us"]);
    for second in 0..200 {
        regions.saw_tip(secs(100 + second), here(second));
    }
    regions.note(&claim("us", 7, true, None), secs(105));
    regions.note(&claim("us", 7, false, Some(5)), secs(106));
    assert!(regions.until() > secs(130));
    // The other joins: its log may be the same region's, after a loss.
    regions.note(&claim("us", 8, true, None), secs(107));
    regions.note(&claim("us", 8, false, Some(7)), secs(108));
    assert!(regions.until() > secs(130));
    // But then the first is heard again.
    regions.note(&claim("us", 7, false, Some(8)), secs(109));
    assert_eq!(regions.until(), Duration::ZERO);
    regions.note(&claim("us", 8, false, Some(9)), secs(110));
    assert_eq!(regions.until(), Duration::ZERO);
    let troubles = regions.troubles(secs(110));
    assert!(
        troubles[0].message.contains("two purge logs"),
        "{troubles:?}"
    );
    // Only one is left.
    regions.note(&claim("us", 8, false, Some(45)), secs(147));
    assert_eq!(regions.until(), secs(174));
}

#[test]
fn tips_are_bounded_and_those_of_another_epoch_forgotten() {
    let regions = regions(&["us"]);
    for number in 0..10_000 {
        regions.saw_tip(Duration::from_millis(number * 50), here(number));
    }
    assert_eq!(regions.state.lock().tips.len(), MAX_TIPS);
    regions.saw_tip(secs(1_000), Position::new(2, 1));
    regions.note(&claim("us", 7, false, Some(9_999)), secs(1_001));
    assert_eq!(regions.until(), Duration::ZERO);
}
