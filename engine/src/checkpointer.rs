//! The checkpointer: makes checkpoints out of sealed segments.

use std::{fmt, sync::Arc, sync::atomic::AtomicBool};

/// No checkpoint could be made. The log is whole; it only grows longer.
#[derive(Debug)]
pub enum CheckpointFailure {
    /// The skeleton has none yet.
    Unknown(String),
}

impl fmt::Display for CheckpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointFailure::Unknown(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CheckpointFailure {}

/// Makes checkpoints.
pub struct Checkpointer {}

#[expect(unused_variables, reason = "the skeleton")]
impl Checkpointer {
    /// Makes checkpoints as they fall due until `stop` is true (looked at every 200 ms). For a thread of its
    /// own. A failure goes to `report` and is tried again with the next segment.
    pub fn run(self, stop: Arc<AtomicBool>, report: &mut dyn FnMut(CheckpointReport)) {
        unimplemented!("the skeleton")
    }

    /// Makes one checkpoint if one is due. Whether it did.
    pub fn turn(&mut self) -> Result<bool, CheckpointFailure> {
        unimplemented!("the skeleton")
    }
}

/// What a checkpointer tells its thread's owner.
#[derive(Debug)]
pub enum CheckpointReport {
    /// A checkpoint was made, true at this position.
    Made {
        /// The last position in it.
        position: u64,
    },
    /// None could be made.
    Failed(CheckpointFailure),
}
