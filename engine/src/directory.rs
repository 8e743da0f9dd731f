//! Every event by name.

use std::sync::Arc;

use inventory_core::ids::EventKey;

use crate::view::EventView;

/// The durable events.
pub struct Directory {}

#[expect(unused_variables, reason = "the skeleton")]
impl Directory {
    /// The event with this name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<EventView>> {
        unimplemented!("the skeleton")
    }

    /// The event with this key.
    #[must_use]
    pub fn find_key(&self, key: EventKey) -> Option<Arc<EventView>> {
        unimplemented!("the skeleton")
    }

    /// At most `limit` events whose names follow `after`, by name.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<Arc<EventView>> {
        unimplemented!("the skeleton")
    }

    /// How many events there are.
    #[must_use]
    pub fn event_count(&self) -> usize {
        unimplemented!("the skeleton")
    }
}
