//! The one writer of a log.

use std::sync::Arc;

use crate::error::WriteError;
use crate::format::{BatchKind, Chain, LogIdentity};
use crate::preallocate::Preallocate;
use crate::recovery::Recovered;
use crate::segment::SegmentInfo;
use crate::storage::Storage;

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Size of a segment.
    pub segment_bytes: u64,
    /// Size of the first segment of an epoch; the next ones are four times the one before.
    pub first_segment_bytes: u64,
    /// Batches written and not yet durable: 1 or 2. One more append syncs first.
    pub in_flight: u32,
    /// Who prepares the next segment.
    pub preallocate: Preallocate,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 64 << 20,
            first_segment_bytes: 1 << 20,
            in_flight: 1,
            preallocate: Preallocate::Background,
        }
    }
}

impl LogConfig {
    /// Small segments and no thread: the same calls give the same operations in the same order.
    pub fn deterministic(segment_bytes: u64) -> LogConfig {
        LogConfig { segment_bytes, first_segment_bytes: segment_bytes, in_flight: 1, preallocate: Preallocate::Inline }
    }
}

/// Where an appended batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// The position of its last change; `first_position - 1` when it has none.
    pub last_position: u64,
    /// The segment within the epoch.
    pub segment_index: u64,
}

/// The one writer of a log.
pub struct LogWriter {}

#[expect(unused_variables, reason = "the skeleton")]
impl LogWriter {
    /// Starts a new epoch: a new segment, the unproven batches written again, all of it durable.
    pub fn open(
        storage: Arc<dyn Storage>,
        identity: LogIdentity,
        config: LogConfig,
        recovered: &Recovered,
    ) -> Result<LogWriter, WriteError> {
        unimplemented!("the skeleton")
    }
    /// Writes one batch ([`BatchKind::Data`] or [`BatchKind::Hash`]); durable after the next sync.
    /// `payload` is gathered. Rotates first when the segment is full; syncs first when as many batches
    /// as the configuration allows are in flight.
    pub fn append(
        &mut self,
        kind: BatchKind,
        time_ms: u64,
        count: u32,
        payload: &[&[u8]],
    ) -> Result<Appended, WriteError> {
        unimplemented!("the skeleton")
    }
    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }
    /// The last durable batch.
    pub fn durable_seq(&self) -> u64 {
        unimplemented!("the skeleton")
    }
    /// The position the next change gets.
    pub fn next_position(&self) -> u64 {
        unimplemented!("the skeleton")
    }
    /// The number the next batch gets.
    pub fn next_batch_seq(&self) -> u64 {
        unimplemented!("the skeleton")
    }
    /// The chain after the last appended batch.
    pub fn chain(&self) -> Chain {
        unimplemented!("the skeleton")
    }
    /// Writes a page that says how far the log is durable. No sync; nothing when it would say nothing new.
    pub fn mark(&mut self) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }
    /// Writes the watermark file and syncs it.
    pub fn write_watermark(&mut self, time_ms: u64) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }
    /// Ends the segment with a durable SEAL and goes on in the next.
    pub fn rotate(&mut self) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }
    /// Clean end: SEAL, sync, watermark. Nothing may be appended afterwards.
    pub fn seal(&mut self, time_ms: u64) -> Result<(), WriteError> {
        unimplemented!("the skeleton")
    }
    /// The segments no longer written to, oldest first.
    pub fn sealed_segments(&self) -> Vec<SegmentInfo> {
        unimplemented!("the skeleton")
    }
    /// The segment being written, as far as it is durable.
    pub fn live_segment(&self) -> SegmentInfo {
        unimplemented!("the skeleton")
    }
    /// Forgets a sealed segment that was removed.
    pub fn forget_segment(&mut self, name: &str) {
        unimplemented!("the skeleton")
    }
    /// The epoch this writer opened.
    pub fn epoch(&self) -> u64 {
        unimplemented!("the skeleton")
    }
}
