//! Which version each page has, and which must be visible: how answers are judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tower_tagcache::Everywhere;

/// Bytes of a page.
const SIZE: usize = 600;

/// What is known of the pages. Versions begin at 1 and only grow.
#[derive(Debug)]
pub(crate) struct Ledger {
    pages: Vec<Page>,
    /// For each node, between which moments it may answer with what was purged: cut off together with an old master.
    excused: Vec<Mutex<Option<(Instant, Instant)>>>,
}

#[derive(Debug)]
struct Page {
    version: AtomicU64,
    /// For each node: the version that an answer has at least, as its purge was in force there before.
    least: Vec<Mutex<Least>>,
    /// A version whose purge waits to be appended.
    owed: AtomicU64,
}

/// Since when a version must be visible, and why.
#[derive(Debug, Clone, Copy)]
struct Least {
    version: u64,
    since: Instant,
    why: Why,
}

/// What makes a version one that must be visible. It is told of a stale answer.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "told as a whole")]
pub(crate) enum Why {
    First,
    /// Its purge has returned, at this node.
    Everywhere {
        by: usize,
        how: Option<Everywhere>,
    },
    /// Its purge is pending at this node.
    Pending,
    /// It was pending somewhere, and a purge that came after it has returned.
    Settled,
    /// Its event was acknowledged, and a purge that came after it has returned.
    Event,
}

/// What an answer is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    /// A purge should have ended it.
    Stale(String),
    /// It should have, but the node is known to be cut off together with an old master.
    Excused(Duration),
    /// No page of the origin.
    Wrong(String),
}

/// What a reader knows before it asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) node: usize,
    pub(crate) page: usize,
    least: Least,
    asked: Instant,
}

impl Ledger {
    pub(crate) fn new(pages: usize, nodes: usize) -> Arc<Self> {
        let first = Least {
            version: 1,
            since: Instant::now(),
            why: Why::First,
        };
        let page = || Page {
            version: AtomicU64::new(1),
            least: (0..nodes).map(|_| Mutex::new(first)).collect(),
            owed: AtomicU64::new(0),
        };
        Arc::new(Self {
            pages: (0..pages).map(|_| page()).collect(),
            excused: (0..nodes).map(|_| Mutex::default()).collect(),
        })
    }

    /// What the origin answers now; nothing if there is no such page.
    pub(crate) fn text(&self, page: usize) -> Option<String> {
        let version = self.pages.get(page)?.version.load(Ordering::SeqCst);
        Some(text(page, version))
    }

    /// The page changes; its version from now on.
    pub(crate) fn change(&self, page: usize) -> u64 {
        self.pages[page].version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Answers of `node` must have this version from now on.
    pub(crate) fn visible_at(&self, node: usize, page: usize, version: u64, why: Why) {
        let since = Instant::now();
        let mut least = self.pages[page].least[node].lock();
        if least.version < version {
            *least = Least {
                version,
                since,
                why,
            };
        }
    }

    /// Answers of all nodes must have this version from now on.
    pub(crate) fn visible(&self, page: usize, version: u64, why: Why) {
        for node in 0..self.pages[page].least.len() {
            self.visible_at(node, page, version, why);
        }
    }

    /// The purge of this version is pending at some node.
    pub(crate) fn owe(&self, page: usize, version: u64) {
        self.pages[page].owed.fetch_max(version, Ordering::SeqCst);
    }

    /// All that was pending is everywhere; how many pages that were.
    pub(crate) fn settle(&self) -> usize {
        let mut settled = 0;
        for (number, page) in self.pages.iter().enumerate() {
            let owed = page.owed.swap(0, Ordering::SeqCst);
            settled += usize::from(owed > 0);
            self.visible(number, owed, Why::Settled);
        }
        settled
    }

    /// `node` is cut off together with an old master between these moments.
    pub(crate) fn excuse(&self, node: usize, from: Instant, to: Instant) {
        *self.excused[node].lock() = Some((from, to));
    }

    /// To be taken before the request is sent.
    pub(crate) fn ask(&self, node: usize, page: usize) -> Question {
        Question {
            node,
            page,
            least: *self.pages[page].least[node].lock(),
            asked: Instant::now(),
        }
    }

    pub(crate) fn judge(&self, question: Question, body: &[u8]) -> Verdict {
        let Question {
            node,
            page,
            least,
            asked,
        } = question;
        let said = String::from_utf8_lossy(body);
        let version = said.split(' ').nth(1).and_then(|word| word.parse().ok());
        let newest = self.pages[page].version.load(Ordering::SeqCst);
        let Some(version) = version
            .filter(|version| (1..=newest).contains(version) && said == text(page, *version))
        else {
            let begin: String = said.chars().take(60).collect();
            return Verdict::Wrong(format!("page {page} of {newest}: {begin:?}"));
        };
        if version >= least.version {
            return Verdict::Right;
        }
        let excused = *self.excused[node].lock();
        match excused {
            Some((from, to)) if asked <= to => Verdict::Excused(asked.duration_since(from)),
            _ => Verdict::Stale(format!(
                "page {page} at node {node}: version {version}, {} at least, for {:?}: {:?}",
                least.version,
                asked.duration_since(least.since),
                least.why,
            )),
        }
    }
}

/// A page, which says its number and version in every part of it.
fn text(page: usize, version: u64) -> String {
    let mut text = format!("{page} {version} ");
    let word = format!("{page}.{version};");
    while text.len() < SIZE {
        text.push_str(&word);
    }
    text
}
