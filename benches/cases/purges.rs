//! Applying a purge, and judging a response by the purges.

use std::hint::black_box;

use tower_tagcache::bench::{PurgeBench, Tagged};

use super::{Case, Run};

/// More than there are marks, so that each purge is of a tag that is not remembered.
const TAGS: usize = 1 << 18;

pub fn cases() -> Vec<Case> {
    vec![
        verdict("verdict_6_tags", 6),
        verdict("verdict_32_tags", 32),
        Case::new("purge_apply", |_| {
            let target = |number| PurgeBench::target(&format!("auction:{number:040}"));
            let targets = (0..TAGS).map(target).collect::<Result<Vec<_>, _>>()?;
            let (mut purges, mut next) = (PurgeBench::full()?, 0);
            Run::plain(move || {
                purges.apply(black_box(&targets[next % TAGS..][..1]));
                next += 1;
            })
        }),
    ]
}

fn verdict(name: &'static str, count: usize) -> Case {
    Case::new(name, move |_| {
        let (purges, tags) = (PurgeBench::full()?, Tagged::with(count)?);
        assert!(purges.valid(&tags));
        Run::plain(move || {
            black_box(purges.valid(black_box(&tags)));
        })
    })
}
