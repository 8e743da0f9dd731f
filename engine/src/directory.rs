//! Every durable event by name and by key.
//!
//! One map for each slot, replaced whole when an event is added or retired: readers of any thread never wait, and
//! the copy stays small because an addition copies one slot's map of 256.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use inventory_core::{ids::EventKey, limits::SLOTS};

use crate::{
    router::event_key,
    sync::{
        ArcSwap,
        atomic::{AtomicUsize, Ordering},
    },
    view::EventView,
};

/// What is known of the events of a slot.
#[derive(Clone, Default)]
struct Events {
    views: HashMap<EventKey, Arc<EventView>>,
    retired: HashSet<EventKey>,
}

/// The durable events.
pub struct Directory {
    slots: Vec<ArcSwap<Events>>,
    count: AtomicUsize,
}

impl Directory {
    pub(crate) fn new(
        views: impl IntoIterator<Item = Arc<EventView>>,
        retired: impl IntoIterator<Item = EventKey>,
    ) -> Directory {
        let mut slots = vec![Events::default(); SLOTS];
        let mut count = 0;
        for view in views {
            slots[usize::from(view.key().slot().0)].views.insert(view.key(), view);
            count += 1;
        }
        for key in retired {
            slots[usize::from(key.slot().0)].retired.insert(key);
        }
        Directory { slots: slots.into_iter().map(ArcSwap::from_pointee).collect(), count: AtomicUsize::new(count) }
    }

    /// Only the shard that owns the event's slot adds to its map.
    pub(crate) fn insert(&self, view: Arc<EventView>) {
        let slot = &self.slots[usize::from(view.key().slot().0)];
        let mut events = Events::clone(&slot.load());
        events.views.insert(view.key(), view);
        slot.store(Arc::new(events));
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Of a retired event its key is kept. Only the shard that owns the event's slot takes from its map.
    pub(crate) fn retire(&self, key: EventKey) {
        let slot = &self.slots[usize::from(key.slot().0)];
        let mut events = Events::clone(&slot.load());
        events.views.remove(&key);
        events.retired.insert(key);
        slot.store(Arc::new(events));
        self.count.fetch_sub(1, Ordering::Release);
    }

    /// Whether an event of this name was retired: no other gets it.
    #[must_use]
    pub fn is_retired(&self, id: &str) -> bool {
        let key = event_key(id);
        self.slots[usize::from(key.slot().0)].load().retired.contains(&key)
    }

    /// The event with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<EventView>> {
        self.find_key(event_key(id)).filter(|view| view.id().as_str() == id)
    }

    /// The event with this key.
    #[must_use]
    pub fn find_key(&self, key: EventKey) -> Option<Arc<EventView>> {
        self.slots[usize::from(key.slot().0)].load().views.get(&key).cloned()
    }

    /// At most `limit` events whose names follow `after`, by name.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<Arc<EventView>> {
        let mut views: Vec<Arc<EventView>> = Vec::new();
        for slot in &self.slots {
            let events = slot.load();
            let behind = |view: &&Arc<EventView>| after.is_none_or(|after| view.id().as_str() > after);
            views.extend(events.views.values().filter(behind).cloned());
        }
        // A page of many events: put the page in front, then sort only that.
        if limit < views.len() {
            views.select_nth_unstable_by(limit, |a, b| a.id().cmp(b.id()));
            views.truncate(limit);
        }
        views.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        views
    }

    /// How many events there are.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}
