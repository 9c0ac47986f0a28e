//! Who gives up its place at an upstream when all are taken: what nobody waits for any more, then who may have
//! gone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::proxy::activity::Activity;
use tower_tagcache::Cache;

/// Shared by the upstreams and all connections.
pub(super) struct Yielding {
    cache: Cache,
    half_closed: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Connections whose clients have ended their side and wait for an answer, the oldest first.
    waiting: BTreeMap<u64, Weak<Activity>>,
}

/// A connection whose client has ended its side.
pub(super) struct Place {
    among: Arc<Yielding>,
    id: u64,
}

impl Yielding {
    pub(super) fn new(cache: Cache) -> Arc<Self> {
        Arc::new(Self {
            cache,
            half_closed: Mutex::default(),
        })
    }

    pub(super) fn add(self: &Arc<Self>, activity: &Arc<Activity>) -> Place {
        let mut state = self.half_closed.lock();
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, Arc::downgrade(activity));
        Place {
            among: Arc::clone(self),
            id,
        }
    }

    /// Ends the oldest call that nobody waits for. If there is none, the oldest connection whose client may have
    /// gone, which leaves one (SAFETY 72).
    pub(super) fn end_oldest(&self) {
        if self.cache.end_orphan() {
            return;
        }
        let mut woken = None;
        let mut state = self.half_closed.lock();
        state.waiting.retain(|_, activity| {
            let Some(activity) = activity.upgrade() else {
                return false;
            };
            if woken.is_none() && activity.may_have_gone() {
                woken = Some(activity);
                return false;
            }
            true
        });
        drop(state);
        if let Some(activity) = woken {
            activity.give_up();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.among.half_closed.lock().waiting.remove(&self.id);
    }
}

impl fmt::Debug for Yielding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Yielding")
    }
}
