//! What a group leaves with its shard until it is durable: what to show then, and whom to answer.
//!
//! Not here: the group itself (`group.rs`), showing and answering (`shard.rs`).

use std::ops::Range;

use inventory_core::{
    ids::{EventNumber, TimestampMs},
    place::Move,
};

use crate::{
    answer::{Done, Refused},
    group::Place,
    reply::Reply,
    view::ViewChange,
};

/// A change by the group it went out with. Group 0: before this start.
#[derive(Clone, Copy)]
pub(crate) struct ChangeRef {
    pub(crate) group: u64,
    pub(crate) place: Place,
}

impl ChangeRef {
    pub(crate) const BEFORE: ChangeRef = ChangeRef { group: 0, place: Place { run: 0, at: 0 } };
}

/// What a group leaves with its shard until it is durable.
pub(crate) struct Outstanding {
    pub(crate) number: u64,
    pub(crate) time: TimestampMs,
    /// Changes before each run.
    pub(crate) run_starts: Vec<u32>,
    pub(crate) changes: u32,
    pub(crate) shown: Vec<Shown>,
    pub(crate) moves: Vec<Move>,
    pub(crate) replies: Vec<Pending>,
}

impl Outstanding {
    pub(crate) fn new(number: u64) -> Outstanding {
        Outstanding {
            number,
            time: TimestampMs(0),
            run_starts: Vec::new(),
            changes: 0,
            shown: Vec::new(),
            moves: Vec::new(),
            replies: Vec::new(),
        }
    }
}

/// What a change does to the views.
pub(crate) struct Shown {
    pub(crate) slot: usize,
    pub(crate) event: EventNumber,
    pub(crate) place: Place,
    pub(crate) moves: Range<usize>,
    pub(crate) change: ViewChange,
    /// What becomes of the event's place in the directory.
    pub(crate) entry: Entry,
}

/// What a change does to the directory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Nothing.
    Stays,
    /// The event is new: its view goes in.
    Made,
    /// The event is gone: its view goes out.
    Retired,
}

/// An answer that waits for its group.
pub(crate) struct Pending {
    pub(crate) place: Place,
    pub(crate) time: TimestampMs,
    pub(crate) result: Result<Done, Refused>,
    pub(crate) reply: Reply,
}
