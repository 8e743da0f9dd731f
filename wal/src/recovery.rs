//! Reading a log back and judging its tail.

use crate::error::{RecoverError, SinkError};
use crate::format::{BatchKind, Chain, FIRST_POSITION, LogIdentity};
use crate::segment::SegmentInfo;
use crate::storage::Storage;

/// Where to begin: what the newest checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoverFrom {
    /// Batches up to this one are verified where they are kept, and not delivered. 0: deliver all.
    pub after_batch_seq: u64,
    /// The chain after that batch.
    pub chain: Option<Chain>,
    /// The position after it.
    pub next_position: u64,
    /// Its time.
    pub time_ms: u64,
}

impl RecoverFrom {
    /// From the first batch.
    pub fn start() -> RecoverFrom {
        RecoverFrom { after_batch_seq: 0, chain: None, next_position: FIRST_POSITION, time_ms: 0 }
    }
}

/// Where a batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file.
    pub file: &'a str,
    /// Where in the file.
    pub offset: u64,
}

/// One batch, lent to the sink.
#[derive(Debug, Clone, Copy)]
pub struct BatchView<'a> {
    /// What it is: never [`BatchKind::Marker`].
    pub kind: BatchKind,
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
    /// Its time.
    pub time_ms: u64,
    /// The opaque bytes.
    pub payload: &'a [u8],
    /// Where it lies.
    pub location: Location<'a>,
}

/// A batch kept in memory to be written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBatch {
    /// What it is.
    pub kind: BatchKind,
    /// Its number.
    pub batch_seq: u64,
    /// The position of its first change.
    pub first_position: u64,
    /// How many changes.
    pub count: u32,
    /// Its time.
    pub time_ms: u64,
    /// The chain before it.
    pub prev_chain: Chain,
    /// The opaque bytes.
    pub payload: Vec<u8>,
}

/// How the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailReport {
    /// Nothing after the last batch.
    Clean,
    /// A write that was never acknowledged lies after the last batch and is disregarded.
    Torn {
        /// The file.
        file: String,
        /// The first byte that is disregarded.
        offset: u64,
        /// From there to the last byte that is not zero.
        bytes: u64,
        /// Whole batches among them.
        batches: u32,
    },
}

/// Something that does not stop a start and that an operator should read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The file.
    pub file: String,
    /// One sentence.
    pub what: String,
}

/// What a log holds.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Which log it is; nothing when the folder has none.
    pub identity: Option<LogIdentity>,
    /// The highest epoch used; the next opening for writing takes the one after.
    pub epoch: u64,
    /// The number the next batch gets.
    pub next_batch_seq: u64,
    /// The position the next change gets.
    pub next_position: u64,
    /// The last batch that is proven durable.
    pub durable_seq: u64,
    /// The chain after the last batch.
    pub chain: Chain,
    /// The latest time in the log or the watermark file.
    pub time_ms: u64,
    /// Whether the last writer stopped cleanly.
    pub sealed: bool,
    /// How the log ends.
    pub tail: TailReport,
    /// What an operator should read.
    pub warnings: Vec<Warning>,
    /// The segments kept, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// The batches above `durable_seq`: [`crate::LogWriter::open`] writes them again.
    pub relog: Vec<OwnedBatch>,
}

/// Reads the log, delivers every batch above `from.after_batch_seq` in order, and judges the tail.
/// Writes nothing. What was delivered counts only when this returns `Ok`.
pub fn recover(
    storage: &dyn Storage,
    from: RecoverFrom,
    sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
) -> Result<Recovered, RecoverError> {
    let _ = (storage, from, sink);
    unimplemented!("the skeleton")
}

/// Reads one sealed segment again and delivers its batches, verified.
pub fn read_segment(
    storage: &dyn Storage,
    segment: &SegmentInfo,
    sink: &mut dyn FnMut(BatchView<'_>) -> Result<(), SinkError>,
) -> Result<(), RecoverError> {
    let _ = (storage, segment, sink);
    unimplemented!("the skeleton")
}
