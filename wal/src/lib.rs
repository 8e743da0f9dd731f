//! The log: an append-only sequence of opaque batches in segment files, and checkpoint files.
//!
//! What it promises:
//! - after [`LogWriter::sync`] returns, everything appended before is on the device;
//! - [`recover`] gives back every batch that was ever reported durable, in order, and then at most a
//!   few whole batches more; when it cannot prove that, it refuses and says which byte is bad;
//! - no page that holds a durable batch is written again, and no old segment is ever modified.
//!
//! What it does not do: it knows nothing of seats, reads no clock, retries no failed sync and starts
//! no thread but the one that prepares the next segment.
//!
//! The byte layout of every file is in [`mod@format`] and [`checkpoint`], beside its encoder.

pub mod checkpoint;
mod error;
pub mod format;
#[doc(hidden)]
pub mod fuzz;
mod memory;
mod preallocate;
mod reader;
mod recovery;
#[cfg(test)]
mod recovery_model;
mod scan;
mod scan_survey;
mod segment;
mod storage;
mod watermark;
mod writer;

pub use checkpoint::{CheckpointMeta, CheckpointReader, CheckpointWriter, Sections, list_checkpoints};
pub use error::{CheckpointError, Damage, OpenError, Proof, RecoverError, SinkError, WriteError};
pub use format::{
    BATCH_PAYLOAD_BYTES_MAX, BatchContent, BatchKind, Chain, FIRST_BATCH_SEQ, FIRST_POSITION, IN_FLIGHT_MAX,
    LogIdentity, PAGE_BYTES,
};
pub use memory::{Keep, MemoryStorage};
pub use preallocate::Preallocate;
pub use recovery::{
    BatchView, Location, OwnedBatch, RecoverFrom, Recovered, SegmentCursor, TailReport, Warning, read_segment, recover,
};
pub use scan::{
    BadBatch, BadPlace, Hole, ScanFrom, ScanReport, Scanned, ScannedBatch, ScannedSegment, SegmentStart, Standing, scan,
};
pub use segment::{SegmentInfo, remove_segment};
pub use storage::{DirLock, FileStorage, ReadFile, Storage, WriteFile, write_file_atomically};
pub use watermark::{WATERMARK_NAME, Watermark};
pub use writer::{Appended, LogConfig, LogWriter};
