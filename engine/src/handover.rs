//! How far the groups of a shard are: made, taken by the committer, durable and out.
//!
//! ```text
//! shard       hand_over(n) ─> send the group            release(n): views shown, answers sent
//! committer                    take, then wake the shard
//! anybody                      is_all_out
//! ```
//!
//! Invariants: `released` never exceeds `handed`; a group is sent only after it counts as handed over and
//! untaken, so that the committer, which clears the mark when it takes the group, never clears it first.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The marks of one shard, shared with the committer and with whoever waits for the end.
pub(crate) struct Handover {
    /// The committer has not taken the shard's last group.
    untaken: AtomicBool,
    /// Groups handed to the committer since the start.
    handed: AtomicU64,
    /// Groups whose answers are out.
    released: AtomicU64,
}

impl Handover {
    pub(crate) fn new() -> Handover {
        Handover { untaken: AtomicBool::new(false), handed: AtomicU64::new(0), released: AtomicU64::new(0) }
    }

    /// The shard is about to send its group `number`.
    pub(crate) fn hand_over(&self, number: u64) {
        self.untaken.store(true, Ordering::Release);
        self.handed.store(number, Ordering::Release);
    }

    /// The committer has the group. It wakes the shard only after this: the other way round the shard could
    /// look, find its group untaken, and do nothing until it is durable.
    pub(crate) fn take(&self) {
        self.untaken.store(false, Ordering::Release);
    }

    /// Whether the last group still waits for the committer.
    pub(crate) fn is_untaken(&self) -> bool {
        self.untaken.load(Ordering::Acquire)
    }

    /// Group `number` is shown in the views and its answers are out.
    pub(crate) fn release(&self, number: u64) {
        self.released.store(number, Ordering::Release);
    }

    /// Whether no group is on its way.
    pub(crate) fn is_all_out(&self) -> bool {
        // The smaller one first: equal afterwards means that they were equal when the second was read.
        let released = self.released.load(Ordering::Acquire);
        released == self.handed.load(Ordering::Acquire)
    }
}
