//! What is known of one segment file.

use std::io;

use crate::storage::Storage;

/// One segment, and the batches in it that count. Neighbours never overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// File name.
    pub name: String,
    /// The opening for writing that made it.
    pub epoch: u64,
    /// Its number within the epoch.
    pub index: u64,
    /// Its first batch.
    pub first_batch_seq: u64,
    /// Its last batch; `first_batch_seq - 1` when it has none.
    pub last_batch_seq: u64,
    /// The first position in it.
    pub first_position: u64,
    /// Bytes from the start of the file to the end of `last_batch_seq`.
    pub valid_len: u64,
    /// Length of the file.
    pub bytes: u64,
}

/// Removes a segment; durable when this returns. Call oldest first.
pub fn remove_segment(storage: &dyn Storage, segment: &SegmentInfo) -> io::Result<()> {
    storage.remove(&segment.name)?;
    storage.sync_dir("")
}
