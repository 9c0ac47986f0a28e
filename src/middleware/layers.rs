//! [`Layers`]: what keeps apart layers of one cache that nobody has named.
//!
//! Something in front of a layer may take a prefix from the path, and not say so: two layers then see the
//! same URI for what are two pages (P5, SAFETY 109). Only a name can tell that two layers mean the same, so
//! those without one share keys only where there can be no two places:
//!
//! - layers that different lines of a program make are different;
//! - so are those that one line makes one after the other before the first request, as a loop over
//!   places does;
//! - what the same line makes later is the same layer made again, as for each connection.
//!
//! What keeps them apart is drawn at random: a number that another process finds too, such as their
//! order, would be another layer's after a change of the program.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::chance::unique;

/// The layers of one cache without a name.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// There is more than one place, so each counts.
    several: AtomicBool,
    /// A request has come to one of them.
    asked: AtomicBool,
    /// As many as the program has lines that make layers. Locked when a layer wraps its first service,
    /// and when the last of those is gone.
    sites: Mutex<Vec<Site>>,
}

/// A line of the program that makes layers.
#[derive(Debug)]
struct Site {
    at: &'static Location<'static>,
    id: [u8; 16],
    /// So many of its layers have services.
    mounted: usize,
    /// It makes layers for more than one place.
    many: bool,
}

/// A layer that has wrapped a service. Held by the layer, its clones, and their services.
#[derive(Debug)]
pub(super) struct Mount {
    layers: Arc<Layers>,
    at: &'static Location<'static>,
    id: [u8; 16],
}

impl Layers {
    /// A layer that is made at `at` wraps its first service. Whether it is the one by which there are
    /// several is returned beside it.
    pub(super) fn mount(self: Arc<Self>, at: &'static Location<'static>) -> (Mount, bool) {
        let mut sites = self.sites.lock();
        let id = match sites.iter_mut().find(|site| site.at == at) {
            None => {
                let id = random();
                sites.push(Site {
                    at,
                    id,
                    mounted: 1,
                    many: false,
                });
                id
            }
            Some(site) => {
                site.many |= site.mounted > 0 && !self.asked.load(Ordering::Relaxed);
                site.mounted += 1;
                if site.many { random() } else { site.id }
            }
        };
        let several = sites.len() > 1 || sites.iter().any(|site| site.many);
        // Whoever mounts a layer does so before it asks it.
        let first = several && !self.several.swap(true, Ordering::Relaxed);
        drop(sites);
        let mounted = Mount {
            layers: self,
            at,
            id,
        };
        (mounted, first)
    }

    /// A request has come.
    pub(super) fn note_asked(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.asked.store(true, Ordering::Relaxed);
        }
    }
}

impl Mount {
    /// What tells this layer from the others, if there are others.
    pub(super) fn apart(&self) -> Option<&[u8]> {
        let several = self.layers.several.load(Ordering::Relaxed);
        several.then_some(self.id.as_slice())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut sites = self.layers.sites.lock();
        if let Some(site) = sites.iter_mut().find(|site| site.at == self.at) {
            site.mounted -= 1;
        }
    }
}

/// A number that no other layer has, in this process or another.
fn random() -> [u8; 16] {
    (u128::from(unique()) << 64 | u128::from(unique())).to_ne_bytes()
}
