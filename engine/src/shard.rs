//! A shard: the slots of one thread.

use inventory_core::ids::TimestampMs;

/// When a shard's turn should be called again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// At once: there is more to do.
    pub again: bool,
    /// At this time at the latest.
    pub at: Option<TimestampMs>,
}

/// The slots of one thread, with everything only that thread touches.
pub struct Shard {}

impl Shard {
    /// Its number.
    #[must_use]
    pub fn index(&self) -> usize {
        unimplemented!("the skeleton")
    }

    /// One turn. Never waits. First what became durable: views, then the answers, in order. Then, when the
    /// committer has taken the last group: read the clock once, expire what is due, judge what waits, hand
    /// over one group.
    pub fn turn(&mut self) -> Wake {
        unimplemented!("the skeleton")
    }
}
