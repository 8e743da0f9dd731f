//! The bytes of the log.

/// Unit of writing: every batch starts on a page of its own.
pub const PAGE_BYTES: usize = 4096;
/// A batch carries at most this much payload.
pub const BATCH_PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// At most this many batches are written and not yet durable.
pub const IN_FLIGHT_MAX: u32 = 2;
/// The number of the first batch of a log.
pub const FIRST_BATCH_SEQ: u64 = 1;
/// The position of the first change of a log.
pub const FIRST_POSITION: u64 = 1;

/// Which log this is. Stored in every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity {
    /// Made once, at the first start of a data folder.
    pub instance: [u8; 16],
    /// The partition this log belongs to.
    pub partition: u32,
    /// Grows with every restore.
    pub incarnation: u64,
}

/// Digest over everything up to a batch, wherever its bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Chain(pub [u8; 16]);

impl Chain {
    /// Before the first batch.
    pub const START: Chain = Chain([0; 16]);
}

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchKind {
    /// Changes.
    Data,
    /// A page that only says how far the log is durable. Has no number and is never delivered.
    Marker,
    /// The last batch of a segment.
    Seal,
    /// A digest of the state, for replay to compare.
    Hash,
}
