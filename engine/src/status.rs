//! The engine in numbers, for operators.

use inventory_core::ids::TimestampMs;

/// One shard in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    /// Commands that wait.
    pub waiting: usize,
    /// Commands judged since the start.
    pub judged: u64,
    /// Changes made since the start.
    pub changes: u64,
    /// Holds ended by time since the start.
    pub expired: u64,
    /// Commands dropped because their deadline had passed.
    pub dropped: u64,
    /// Live holds, as of the last turn.
    pub live_holds: u64,
}

/// How far the log is archived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveStatus {
    /// The last batch in the archive.
    pub batch_seq: u64,
    /// The last position in the archive.
    pub position: u64,
    /// The time of that batch; zero: nothing is archived yet.
    pub time: TimestampMs,
    /// The position of the newest snapshot in the archive; zero: there is none.
    pub snapshot_position: u64,
    /// Why the last try failed; empty when it did not.
    pub failure: String,
}

/// The engine in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The engine's time.
    pub time: TimestampMs,
    /// The last durable position.
    pub position: u64,
    /// Made once, at the first start of the data folder.
    pub instance: [u8; 16],
    /// Grows with every restore.
    pub incarnation: u64,
    /// Grows with every start.
    pub epoch: u64,
    /// Durable events.
    pub events: usize,
    /// Each shard.
    pub shards: Vec<ShardStatus>,
    /// Takes nothing new.
    pub draining: bool,
    /// The disk is nearly full.
    pub storage_low: bool,
    /// The log failed; the process is about to end.
    pub failed: bool,
    /// Bytes that may still be written.
    pub space_available: u64,
    /// Batches written since the start.
    pub batches: u64,
    /// Syncs since the start.
    pub syncs: u64,
    /// Bytes of log on disk: all segments, as long as they are.
    pub log_bytes: u64,
    /// Bytes of sealed log that no checkpoint covers.
    pub uncovered_log_bytes: u64,
    /// The position the newest checkpoint is true at; zero: there is none.
    pub checkpoint_position: u64,
    /// How far the log is archived; nothing: it is not asked for.
    pub archive: Option<ArchiveStatus>,
}
