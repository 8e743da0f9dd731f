//! One enum for each operation, with the evidence inside: which file, which byte, what to do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// What a sink answers when it cannot take a batch.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// The data folder cannot be opened or locked.
#[derive(Debug)]
pub enum OpenError {
    /// The operating system refused.
    Io {
        /// What was touched.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another process holds the folder.
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The folder is on a network file system, where a sync and a lock promise less.
    NetworkFileSystem {
        /// The folder.
        path: PathBuf,
        /// The file system's kind.
        kind: &'static str,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io { path, source } => write!(f, "{}: {source}", path.display()),
            OpenError::Locked { path } => write!(
                f,
                "{}: another process holds this data folder; stop it first, or name another folder",
                path.display()
            ),
            OpenError::NetworkFileSystem { path, kind } => write!(
                f,
                "{}: is on {kind}, a network file system, whose locks and syncs cannot be relied on; \
                 name a folder on a local disk",
                path.display()
            ),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OpenError::Io { source, .. } => Some(source),
            OpenError::Locked { .. } | OpenError::NetworkFileSystem { .. } => None,
        }
    }
}

/// How it is known that a batch which does not check had been reported durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A later batch says so.
    LaterBatch {
        /// The file of that batch.
        file: String,
        /// Its offset.
        offset: u64,
        /// Its number.
        batch_seq: u64,
        /// How far it says the log was durable.
        durable_seq: u64,
    },
    /// A marker page says so.
    Marker {
        /// The file of the marker.
        file: String,
        /// Its offset.
        offset: u64,
        /// How far it says the log was durable.
        durable_seq: u64,
    },
    /// The watermark file says so.
    Watermark {
        /// How far it says the log was durable.
        durable_seq: u64,
    },
    /// The header of a segment says so about what came before it.
    SegmentHeader {
        /// The segment.
        file: String,
        /// How far it says the log was durable.
        durable_seq: u64,
    },
    /// A checkpoint covers it, and checkpoints are made of durable batches only.
    Checkpoint {
        /// The last batch the checkpoint covers.
        batch_seq: u64,
    },
    /// The bytes carry valid checksums and say what no writer of this log writes.
    Contradiction(String),
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::LaterBatch { file, offset, batch_seq, durable_seq } => {
                write!(f, "batch {batch_seq} at byte {offset} of {file} says batch {durable_seq} was durable")
            }
            Proof::Marker { file, offset, durable_seq } => {
                write!(f, "the marker at byte {offset} of {file} says batch {durable_seq} was durable")
            }
            Proof::Watermark { durable_seq } => {
                write!(f, "the WATERMARK file says batch {durable_seq} was durable")
            }
            Proof::SegmentHeader { file, durable_seq } => {
                write!(f, "the header of {file} says batch {durable_seq} was durable")
            }
            Proof::Checkpoint { batch_seq } => {
                write!(f, "a checkpoint covers batch {batch_seq}")
            }
            Proof::Contradiction(what) => f.write_str(what),
        }
    }
}

/// Acknowledged data does not check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file in which the batch should be.
    pub file: String,
    /// Where in the file.
    pub offset: u64,
    /// The first batch that is bad or missing.
    pub batch_seq: u64,
    /// The first position that is lost.
    pub first_position: u64,
    /// The last position that is lost, where a later valid batch tells.
    pub last_position: Option<u64>,
    /// Why it is damage and not a torn tail.
    pub how_proven: Proof,
}

/// The log cannot be recovered, or not proven whole.
#[derive(Debug)]
pub enum RecoverError {
    /// The operating system refused.
    Io {
        /// The file, or the folder when empty.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Acknowledged data is damaged.
    Damaged(Box<Damage>),
    /// The file was written by a newer version of this program.
    NewerFormat {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// Its format.
        found: u16,
        /// The newest format known here.
        known: u16,
    },
    /// The file belongs to another log.
    WrongInstance {
        /// The file.
        file: String,
        /// What differs and how.
        difference: String,
    },
    /// A segment is missing.
    Gap {
        /// The file before the gap; empty when nothing is before it.
        after: String,
        /// The file after the gap.
        before: String,
        /// The first batch that is missing.
        batch_seq: u64,
        /// The first batch that is there again.
        next_batch_seq: u64,
        /// The first position that is missing.
        first_position: u64,
    },
    /// The receiver of the batches refused one.
    Sink {
        /// The file of the batch.
        file: String,
        /// Where in the file.
        offset: u64,
        /// The batch.
        batch_seq: u64,
        /// The first position in it.
        first_position: u64,
        /// The receiver's reason.
        source: SinkError,
    },
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecoverError::Io { file, source } if file.is_empty() => {
                write!(f, "the data folder cannot be read: {source}")
            }
            RecoverError::Io { file, source } => write!(f, "{file} cannot be read: {source}"),
            RecoverError::Damaged(damage) => {
                let Damage { file, offset, batch_seq, first_position, last_position, how_proven } = damage.as_ref();
                write!(
                    f,
                    "{file}: acknowledged data is damaged at byte {offset}: batch {batch_seq}, \
                     from position {first_position}"
                )?;
                match last_position {
                    Some(last) => write!(f, " to {last}")?,
                    None => write!(f, " on")?,
                }
                write!(
                    f,
                    ", does not check, and {how_proven}; nothing was changed: keep the folder as it \
                     is and restore from a snapshot, or copy the files back from another disk"
                )
            }
            RecoverError::NewerFormat { file, offset, found, known } => write!(
                f,
                "{file}: byte {offset} is in format {found} and this program knows up to {known}; \
                 start the newer program that wrote it"
            ),
            RecoverError::WrongInstance { file, difference } => write!(
                f,
                "{file}: belongs to another log ({difference}); move it out of this folder or name \
                 the folder it belongs to"
            ),
            RecoverError::Gap { after, before, batch_seq, next_batch_seq, first_position } => {
                write!(
                    f,
                    "batches {batch_seq} to {} (from position {first_position}) are missing ",
                    next_batch_seq.saturating_sub(1)
                )?;
                if after.is_empty() {
                    write!(f, "before byte 0 of {before}")?;
                } else {
                    write!(f, "between {after} and byte 0 of {before}")?;
                }
                write!(f, "; copy the missing segment back, or restore from a snapshot")
            }
            RecoverError::Sink { file, offset, batch_seq, first_position, source } => write!(
                f,
                "{file}: batch {batch_seq} at byte {offset} (from position {first_position}) checks \
                 but cannot be replayed: {source}; keep the folder as it is and restore from a \
                 snapshot, or start the program version that wrote it"
            ),
        }
    }
}

impl Error for RecoverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RecoverError::Io { source, .. } => Some(source),
            RecoverError::Sink { source, .. } => Some(source.as_ref()),
            RecoverError::Damaged(_)
            | RecoverError::NewerFormat { .. }
            | RecoverError::WrongInstance { .. }
            | RecoverError::Gap { .. } => None,
        }
    }
}

/// The log cannot be written. After any of these nobody knows what is on the device: end the process.
#[derive(Debug)]
pub enum WriteError {
    /// The operating system refused.
    Io {
        /// The file.
        file: String,
        /// What was being done to it.
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// An earlier operation failed and this writer does nothing any more.
    Failed,
    /// The identity asked for contradicts the log that is there.
    WrongInstance {
        /// What differs and how.
        difference: String,
    },
}

impl WriteError {
    pub(crate) fn io(file: &str, operation: &'static str, source: io::Error) -> WriteError {
        WriteError::Io { file: file.to_owned(), operation, source }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Io { file, operation, source } => {
                write!(f, "{file}: {operation} failed: {source}")
            }
            WriteError::Failed => f.write_str("an earlier write to the log failed"),
            WriteError::WrongInstance { difference } => {
                write!(f, "the log in this folder is another one: {difference}")
            }
        }
    }
}

impl Error for WriteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WriteError::Io { source, .. } => Some(source),
            WriteError::Failed | WriteError::WrongInstance { .. } => None,
        }
    }
}

/// A checkpoint cannot be written or read.
#[derive(Debug)]
pub enum CheckpointError {
    /// The operating system refused.
    Io {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The bytes do not check.
    Damaged {
        /// The file.
        file: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The file was written by a newer version of this program.
    NewerFormat {
        /// The file.
        file: String,
        /// Its format.
        found: u16,
        /// The newest format known here.
        known: u16,
    },
    /// No section carries this tag.
    NoSection {
        /// The file.
        file: String,
        /// The tag asked for.
        tag: u32,
    },
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointError::Io { file, source } => write!(f, "{file}: {source}"),
            CheckpointError::Damaged { file, offset, what } => {
                write!(f, "{file}: the checkpoint is damaged at byte {offset}: {what}")
            }
            CheckpointError::NewerFormat { file, found, known } => write!(
                f,
                "{file}: is in format {found} and this program knows up to {known}; start the newer \
                 program that wrote it"
            ),
            CheckpointError::NoSection { file, tag } => {
                write!(f, "{file}: has no section {tag}")
            }
        }
    }
}

impl Error for CheckpointError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            CheckpointError::Io { source, .. } => Some(source),
            CheckpointError::Damaged { .. }
            | CheckpointError::NewerFormat { .. }
            | CheckpointError::NoSection { .. } => None,
        }
    }
}
