//! A slot beside what its shard knows of it: views, what is durable, when something is due.
//!
//! Not here: what is done with it (`shard.rs`).

use std::sync::Arc;

use inventory_core::{
    ids::{EventNumber, SlotIndex, TimestampMs},
    retire,
    slot::Slot,
};

use crate::{engine::Engine, outstanding::ChangeRef, view::EventView};

/// A slot that remembers no more ended holds than this has no share of their memory to speak of.
const TOMBSTONES_OF_A_SMALL_SLOT: u32 = 1_024;

/// A slot with what the shard knows of its events.
pub(crate) struct SlotState {
    pub(crate) slot: Slot,
    pub(crate) index: SlotIndex,
    /// By number. Nothing: retired, and that is durable.
    pub(crate) events: Vec<Option<EventMeta>>,
    /// The last change that added an event or retired one.
    pub(crate) named: ChangeRef,
    /// When something may be due.
    pub(crate) due: Option<TimestampMs>,
    /// The turn that raised the floors last.
    pub(crate) floors_turn: u64,
    /// It has a share of the memory of ended holds.
    pub(crate) remembers_many: bool,
    /// Floors are not looked at before.
    pub(crate) floors_after: TimestampMs,
}

/// What the shard knows of an event.
pub(crate) struct EventMeta {
    pub(crate) view: Arc<EventView>,
    pub(crate) last: ChangeRef,
    /// Position of its last durable change.
    pub(crate) position: u64,
    /// What it adds to the shard's hash, as of the last group.
    pub(crate) hash: u64,
    pub(crate) live_holds: u64,
}

impl SlotState {
    pub(crate) fn new(index: SlotIndex, slot: Slot, engine: &Engine, position: u64) -> SlotState {
        let mut events = Vec::new();
        for number in (0..slot.next_event_number().0).map(EventNumber) {
            events.push(slot.event(number).map(|event| {
                let view = engine.directory.find_key(event.key()).expect("the directory was built from the slots");
                let mut meta = EventMeta::new(view, position);
                meta.read(&slot, number);
                meta
            }));
        }
        SlotState {
            due: slot.next_due(),
            remembers_many: remembers_many(&slot),
            slot,
            index,
            events,
            named: ChangeRef::BEFORE,
            floors_turn: 0,
            floors_after: TimestampMs(0),
        }
    }

    pub(crate) fn meta(&self, event: EventNumber) -> &EventMeta {
        self.events[event.0 as usize].as_ref().expect("nobody looks at an event that is gone")
    }

    pub(crate) fn meta_mut(&mut self, event: EventNumber) -> &mut EventMeta {
        self.events[event.0 as usize].as_mut().expect("an event that is gone is not changed")
    }
}

pub(crate) fn remembers_many(slot: &Slot) -> bool {
    slot.tombstones() > TOMBSTONES_OF_A_SMALL_SLOT
}

impl EventMeta {
    pub(crate) fn new(view: Arc<EventView>, position: u64) -> EventMeta {
        EventMeta { view, last: ChangeRef::BEFORE, position, hash: 0, live_holds: 0 }
    }

    /// Reads again what changes have changed.
    pub(crate) fn read(&mut self, slot: &Slot, number: EventNumber) {
        let Some(event) = slot.event(number) else {
            self.hash = retire::retired_hash(self.view.key());
            self.live_holds = 0;
            return;
        };
        self.hash = event.slot_hash();
        self.live_holds = u64::from(event.live_holds());
    }
}
