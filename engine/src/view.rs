//! What may be seen of an event: its durable state, for readers of any thread.

use std::sync::Arc;

use inventory_core::{
    ids::{EventId, EventKey},
    plan::Plan,
    policy::Settings,
};

/// Places by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// May be held.
    pub open: u32,
    /// In a live hold, or resting.
    pub held: u32,
    /// Sold.
    pub sold: u32,
    /// Withdrawn by the house.
    pub killed: u32,
}

/// Admissions of one area by state.
pub type AreaCounts = Counts;

/// What an event is, apart from its places.
#[derive(Clone, Debug)]
pub struct EventInfo {
    /// Policies, windows, state, texts.
    pub settings: Settings,
    /// The plan of the revision below.
    pub plan: Arc<Plan>,
    /// Counts the event's plans from 1.
    pub plan_revision: u32,
    /// Changes with every update.
    pub etag: u64,
}

/// The places of an event at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatMapSnapshot {
    /// The plan that indexes belong to.
    pub plan_revision: u32,
    /// The position it is true at.
    pub position: u64,
    /// Two bits a seat by index: seat `i` in bits `2 * (i % 4)` of byte `i / 4`.
    pub states: Vec<u8>,
    /// The areas by index.
    pub areas: Vec<AreaCounts>,
}

/// The counts of an event at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The plan that indexes belong to.
    pub plan_revision: u32,
    /// The position it is true at.
    pub position: u64,
    /// All places.
    pub totals: Counts,
    /// Seats by section index.
    pub sections: Vec<Counts>,
    /// Seats and admissions by price level.
    pub levels: Vec<Counts>,
    /// The areas by index.
    pub areas: Vec<AreaCounts>,
}

/// The durable state of one event. Written by the shard that owns the event, read by anyone.
pub struct EventView {
    id: EventId,
    key: EventKey,
}

impl EventView {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> EventKey {
        self.key
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> Arc<EventInfo> {
        unimplemented!("the skeleton")
    }

    /// All its places by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        unimplemented!("the skeleton")
    }

    /// Every place.
    #[must_use]
    pub fn snapshot(&self) -> SeatMapSnapshot {
        unimplemented!("the skeleton")
    }

    /// The counts by section, price level and area.
    #[must_use]
    pub fn availability(&self) -> Availability {
        unimplemented!("the skeleton")
    }

    /// The position of its last durable change.
    #[must_use]
    pub fn position(&self) -> u64 {
        unimplemented!("the skeleton")
    }
}
