//! A slot: the events whose key has one low byte, with their holds. What a shard owns, a run of the
//! log names, and a checkpoint writes.
//!
//! Not here (yet): bodies; this is the contract the engine is written against.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    change::{Change, HoldView, ResumeCause},
    command::Command,
    ids::{EventKey, EventNumber, HoldId, PlanDigest, SlotIndex, TimestampMs},
    place::Move,
    plan::Plan,
    reject::Reject,
};

/// Where `apply` finds the plans that changes name. The caller has loaded them before.
pub trait Plans {
    /// The plan with this digest. Panics when it was never loaded: a bug, plans are durable before
    /// the changes that name them.
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan>;
}

/// Settings of a slot that are no part of its state.
#[derive(Clone, Copy, Debug)]
pub struct SlotConfig {
    /// Secret of the instance: seeds the tables whose keys callers choose.
    pub seed: u64,
    /// Ended holds remembered at most.
    pub tombstones_max: u32,
}

/// What a command would do.
#[derive(Clone, Debug)]
pub enum Decision {
    /// This change, to be logged and applied.
    Change(EventNumber, Change),
    /// Nothing: the command took effect before, or only reads. The hold as it is now.
    Hold {
        /// Its event.
        event: EventNumber,
        /// The hold.
        view: HoldView,
        /// Whether the command took effect before (false: it only reads).
        replayed: bool,
    },
    /// Nothing: the event is as asked already, or only validation was asked.
    Event {
        /// The event.
        event: EventNumber,
        /// Whether the command took effect before.
        replayed: bool,
    },
}

/// What applying gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Number of the change within its event.
    pub event_seq: u32,
    /// Low 32 bits of the event's hash after it.
    pub digest: u32,
}
