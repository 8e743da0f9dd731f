//! Starting: newest checkpoint, then the rest of the log.

use std::{fmt, sync::Arc};

use inventory_core::ids::TimestampMs;
use wal::{Storage, TailReport};

use crate::{
    Engine, EngineConfig, checkpointer::Checkpointer, clock::ClockSource, committer::Committer, shard::Shard,
};

/// A started engine and its working parts, each for a thread of the caller's choice.
pub struct Opened {
    /// What everybody shares.
    pub engine: Arc<Engine>,
    /// By number.
    pub shards: Vec<Shard>,
    /// The writer of the log.
    pub committer: Committer,
    /// The maker of checkpoints.
    pub checkpointer: Checkpointer,
    /// What the start found.
    pub report: StartReport,
}

/// What a start found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartReport {
    /// The checkpoint it began with.
    pub checkpoint: Option<String>,
    /// Batches replayed.
    pub batches: u64,
    /// Changes replayed.
    pub changes: u64,
    /// The last durable position, the changes of this start included.
    pub position: u64,
    /// Events in memory.
    pub events: usize,
    /// How the log ended.
    pub tail: TailReport,
    /// How long the engine was away.
    pub downtime_ms: u64,
    /// Events whose live holds were given later deadlines.
    pub resumed_events: usize,
    /// The state's hash before they were.
    pub state_hash: u64,
    /// The engine's time at the start.
    pub time: TimestampMs,
    /// What an operator should read.
    pub warnings: Vec<String>,
}

/// The engine cannot start. Nothing was changed.
#[derive(Debug)]
pub enum OpenError {
    /// The skeleton has none yet.
    Unknown(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Unknown(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for OpenError {}

/// Starts the engine over a data folder. `progress` gets a sentence now and then.
pub fn open(
    storage: Arc<dyn Storage>,
    clock: ClockSource,
    config: EngineConfig,
    progress: &mut dyn FnMut(&str),
) -> Result<Opened, OpenError> {
    let _ = (storage, clock, config, progress);
    unimplemented!("the skeleton")
}
