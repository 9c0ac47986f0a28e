use super::*;
use crate::position::Position;
use crate::tag::{Tag, TagId};

fn tag(text: &str) -> Target {
    Target::Tag(Tag::new(text).unwrap())
}

struct Stored {
    tags: TagSet,
    path: &'static str,
}

impl Stored {
    fn tagged(tags: &[&str]) -> Self {
        let mut set = TagSet::implicit("rule", "/a/b");
        for text in tags {
            set.add(&Tag::new(text).unwrap()).unwrap();
        }
        Self {
            tags: set,
            path: "/a/b",
        }
    }

    fn verdict(&self, memory: &Memory, stamp: u64) -> Verdict {
        memory.judge(Subject {
            stamp: Stamp::at(Position::new(1, stamp)),
            tags: &self.tags,
            path: self.path,
        })
    }
}

fn memory(marks: usize, globs: usize) -> Memory {
    Memory::new(
        Bounds {
            marks,
            globs,
            slots: 1 << 16,
        },
        0,
    )
}

#[test]
fn each_kind_of_target_purges_what_it_names_and_says_so() {
    let stored = Stored::tagged(&["auction:0x1"]);
    for (target, detail) in [
        (tag("auction:0x1"), Some(Detail::Purged)),
        (tag("auction:0x2"), None),
        (Target::Family("auction".into()), Some(Detail::PurgedFamily)),
        (Target::Family("history".into()), None),
        (Target::Rule("rule".into()), Some(Detail::PurgedRule)),
        (Target::Rule("other".into()), None),
        (Target::Path("/a/b".into()), Some(Detail::PurgedPath)),
        (Target::Path("/a".into()), None),
        (Target::Glob("/a/*".into()), Some(Detail::PurgedGlob)),
        (Target::Glob("/b/*".into()), None),
        (Target::All, Some(Detail::PurgedAll)),
    ] {
        let mut memory = memory(10, 10);
        memory.apply(5, PurgeKind::Hard, std::slice::from_ref(&target));
        let expected = detail.map_or(Verdict::Valid, Verdict::Purged);
        assert_eq!(stored.verdict(&memory, 4), expected, "{target} before");
        assert_eq!(stored.verdict(&memory, 5), Verdict::Valid, "{target} after");
    }
}

#[test]
fn rule_two_marks_a_later_soft_purge_does_not_soften_a_hard_one() {
    let stored = Stored::tagged(&["x"]);
    let mut memory = memory(10, 10);
    memory.apply(1, PurgeKind::Hard, &[tag("x")]);
    memory.apply(2, PurgeKind::Soft, &[tag("x")]);
    assert_eq!(stored.verdict(&memory, 0), Verdict::Purged(Detail::Purged));
    assert_eq!(
        stored.verdict(&memory, 1),
        Verdict::Soft(Detail::SoftPurged)
    );
    assert_eq!(stored.verdict(&memory, 2), Verdict::Valid);
}

#[test]
fn a_hard_glob_wins_over_a_soft_one_of_the_same_pattern() {
    let stored = Stored::tagged(&[]);
    let mut memory = memory(10, 10);
    memory.apply(1, PurgeKind::Hard, &[Target::Glob("/a/**".into())]);
    memory.apply(2, PurgeKind::Soft, &[Target::Glob("/a/**".into())]);
    assert_eq!(
        stored.verdict(&memory, 0),
        Verdict::Purged(Detail::PurgedGlob)
    );
    assert_eq!(
        stored.verdict(&memory, 1),
        Verdict::Soft(Detail::SoftPurged)
    );
}

#[test]
fn rule_mark_floor_a_dropped_mark_raises_the_floor() {
    let stored = Stored::tagged(&["x"]);
    let mut memory = memory(1, 10);
    memory.apply(1, PurgeKind::Hard, &[tag("x")]);
    memory.apply(2, PurgeKind::Hard, &[tag("y")]);
    assert_eq!(memory.floor(), 1);
    assert_eq!(
        stored.verdict(&memory, 0),
        Verdict::Purged(Detail::BelowFloor)
    );
    assert_eq!(stored.verdict(&memory, 1), Verdict::Valid);
}

#[test]
fn a_dropped_glob_raises_the_floor() {
    let mut memory = memory(10, 2);
    for (ordinal, pattern) in [(1, "/a"), (2, "/b"), (3, "/c")] {
        memory.apply(ordinal, PurgeKind::Hard, &[Target::Glob(pattern.into())]);
    }
    assert_eq!((memory.floor(), memory.len()), (1, 2));
}

#[test]
fn safety_49_a_million_purged_tags_leave_a_bounded_memory() {
    let mut memory = memory(1_000, 10);
    for n in 1..=1_000_000 {
        memory.apply(n, PurgeKind::Hard, &[Target::Rule(format!("{n}").into())]);
    }
    assert_eq!(memory.len(), 1_000);
    assert_eq!(memory.floor(), 999_000);
    assert!(memory.marks.places() <= 3_000);
}

#[test]
fn a_purge_that_is_applied_twice_keeps_one_place() {
    let mut memory = memory(1_000, 10);
    for n in 1..=10_000 {
        let targets = [tag(&format!("{}", n % 1_000))];
        memory.apply(n, PurgeKind::Hard, &targets);
        // As the follower does with what was appended here.
        memory.apply(n, PurgeKind::Hard, &targets);
    }
    // Room for as many places again, so that sweeping is rare.
    let before = memory.marks.places();
    memory.marks.sweep_now();
    assert!(before <= 2_016 && memory.marks.places() <= 1_000);
}

#[test]
fn safety_49_one_tag_purged_for_ever_keeps_one_mark() {
    let mut memory = memory(1_000, 10);
    for n in 1..=100_000 {
        memory.apply(n, PurgeKind::Hard, &[tag("x")]);
    }
    assert_eq!((memory.len(), memory.floor()), (1, 0));
    assert!(memory.marks.places() <= 3_000);
}

#[test]
fn safety_50_a_hundred_thousand_globs_leave_a_bounded_list() {
    let mut memory = memory(10, 1_000);
    for n in 1..=100_000 {
        let target = Target::Glob(format!("/{n}/*").into());
        memory.apply(n, PurgeKind::Soft, &[target]);
    }
    assert_eq!((memory.len(), memory.floor()), (1_000, 99_000));
}

#[test]
fn safety_41_old_tags_do_not_survive_a_refill_with_other_tags() {
    let refilled = Stored::tagged(&["b"]);
    let mut memory = memory(10, 10);
    memory.apply(2, PurgeKind::Hard, &[tag("a")]);
    assert_eq!(refilled.verdict(&memory, 1), Verdict::Valid);
    memory.apply(3, PurgeKind::Hard, &[tag("b")]);
    assert_eq!(
        refilled.verdict(&memory, 1),
        Verdict::Purged(Detail::Purged)
    );
    assert!(!refilled.tags.contains(TagId::tag("a")));
}

/// SAFETY 75: what unsafe requests name pushes no mark out and raises no floor.
#[test]
fn safety_75_paths_and_groups_by_the_thousand_leave_other_marks_and_the_floor_alone() {
    use crate::tag::Tag;
    let mut memory = memory(100, 10);
    let named = Target::Tag(Tag::new("auction:1").unwrap());
    memory.apply(1, PurgeKind::Hard, &[named]);
    for n in 0..2_000_u64 {
        let group = Tag::new(&format!("cache-group:h:{n}")).unwrap();
        let targets = [Target::Path(format!("/x/{n}").into()), Target::Tag(group)];
        memory.apply(2 + n, PurgeKind::Hard, &targets);
    }
    assert_eq!((memory.floor(), memory.len()), (0, 1));
    let judge = |path: &str, tag: &str, ordinal| {
        let mut tags = TagSet::implicit("r", path);
        tags.add(&Tag::new(tag).unwrap()).unwrap();
        let stamp = Stamp::at(Position::new(1, ordinal));
        memory.judge(Subject {
            stamp,
            tags: &tags,
            path,
        })
    };
    assert_eq!(judge("/p", "auction:1", 0), Verdict::Purged(Detail::Purged));
    let last = Verdict::Purged(Detail::PurgedPath);
    assert_eq!(judge("/x/1999", "a", 2_000), last);
    assert_eq!(judge("/x/1999", "a", 2_001), Verdict::Valid);
    assert_eq!(
        judge("/p", "cache-group:h:1999", 2_000),
        Verdict::Purged(Detail::Purged)
    );
    assert_eq!(judge("/p", "cache-group:h:1999", 2_001), Verdict::Valid);
}
