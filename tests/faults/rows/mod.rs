//! The rows: what happens, in groups that differ by what it happens to.

mod events;
mod nodes;
mod redis;
mod replicas;
mod upstreams;

use crate::bench::{Nodes, Row, Upstream};

/// Most rows: two nodes, and an upstream that answers.
const USUAL: (Upstream, Nodes) = (Upstream::Lives, Nodes::Two);

/// A row of the usual kind.
macro_rules! row {
    ($name:literal, $what:literal, $layout:ident, $fault:ident) => {
        row!($name, $what, $layout, &[], $fault)
    };
    ($name:literal, $what:literal, $layout:ident, $args:expr, $fault:ident) => {
        row!($name, $what, $layout, $args, super::USUAL, $fault)
    };
    ($name:literal, $what:literal, $layout:ident, $args:expr, $kind:expr, $fault:ident) => {
        $crate::bench::Row {
            name: $name,
            what: $what,
            layout: tagcache_test_support::Layout::$layout,
            args: $args,
            upstream: $kind.0,
            nodes: $kind.1,
            fault: |bench| Box::pin($fault(bench)),
        }
    };
}
use row;

/// Names are those of files, and of what is asked for.
#[test]
fn no_two_rows_share_a_name() {
    let groups: [&[Row]; 5] = [
        redis::ROWS,
        replicas::ROWS,
        upstreams::ROWS,
        events::ROWS,
        nodes::ROWS,
    ];
    let mut names: Vec<_> = groups
        .iter()
        .flat_map(|rows| rows.iter().map(|row| row.name))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
