//! Consecutive batches in one object.
//!
//! ```text
//! body:   batch ..
//! batch:  | kind u8 | zero 3 | count u32 | batch u64 | position u64 | time ms u64 | payload bytes u32 |
//!         | zero u32 | payload .. |
//! ```
//!
//! Chains are not kept: they are computed again from the one in the head, and the last must be the head's.

use wal::{BATCH_PAYLOAD_BYTES_MAX, BatchContent, BatchKind, BatchView, Chain, LogIdentity};

use engine::LoggedBatch;

use crate::sealed::{Head, Kind, SealedError, SealedReader, u32_at, u64_at};

const BATCH_HEAD_BYTES: usize = 40;
/// More than any archiver puts into one object.
pub(crate) const BODY_BYTES_MAX: u64 = 64 << 20;

/// An object that is being filled.
#[derive(Debug)]
pub(crate) struct LogBody {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl LogBody {
    /// Behind a batch with this chain.
    pub(crate) fn after(identity: LogIdentity, chain: Chain) -> LogBody {
        let head = Head {
            kind: Kind::Log,
            identity,
            first_batch: 0,
            last_batch: 0,
            first_position: 0,
            next_position: 0,
            first_time_ms: 0,
            last_time_ms: 0,
            chain_before: chain,
            chain,
            body_bytes: 0,
        };
        LogBody { head, body: Vec::new() }
    }

    /// Adds a batch. False: it does not continue the last one's chain.
    pub(crate) fn push(&mut self, batch: &BatchView<'_>) -> bool {
        let content = batch.content();
        if self.head.chain.after(&content) != batch.chain {
            return false;
        }
        if self.body.is_empty() {
            self.head.first_batch = batch.batch_seq;
            self.head.first_position = batch.first_position;
            self.head.first_time_ms = batch.time_ms;
        }
        self.body.extend_from_slice(&[content.kind.code(), 0, 0, 0]);
        self.body.extend_from_slice(&content.count.to_le_bytes());
        self.body.extend_from_slice(&content.batch_seq.to_le_bytes());
        self.body.extend_from_slice(&content.first_position.to_le_bytes());
        self.body.extend_from_slice(&content.time_ms.to_le_bytes());
        // A batch is at most a MiB.
        self.body.extend_from_slice(&(content.payload.len() as u32).to_le_bytes());
        self.body.extend_from_slice(&[0; 4]);
        self.body.extend_from_slice(content.payload);
        self.head.last_batch = batch.batch_seq;
        self.head.next_position = batch.first_position + u64::from(batch.count);
        self.head.last_time_ms = batch.time_ms;
        self.head.chain = batch.chain;
        self.head.body_bytes = self.body.len() as u64;
        true
    }
}

/// An object that was read whole and checks.
#[derive(Debug)]
pub(crate) struct ReadLog {
    object: String,
    pub(crate) head: Head,
    body: Vec<u8>,
}

impl ReadLog {
    /// Reads and checks all of it before anything is used.
    pub(crate) fn read(reader: SealedReader<'_>, object: &str) -> Result<ReadLog, SealedError> {
        let (head, body, _) = reader.whole(BODY_BYTES_MAX)?;
        let read = ReadLog { object: object.to_owned(), head, body };
        if head.kind != Kind::Log {
            return Err(read.damaged(12, "it is no part of a log"));
        }
        let mut last = None;
        for batch in read.batches() {
            last = Some(batch?);
        }
        let ends = last.map(|batch| {
            let content = batch.content;
            let next_position = content.first_position + u64::from(content.count);
            (content.batch_seq, next_position, content.time_ms, batch.chain)
        });
        if ends != Some((head.last_batch, head.next_position, head.last_time_ms, head.chain)) {
            return Err(read.damaged(48, "it does not end where its head says"));
        }
        Ok(read)
    }

    fn damaged(&self, offset: u64, what: &str) -> SealedError {
        SealedError::Damaged { object: self.object.clone(), offset, what: what.to_owned() }
    }

    /// Its batches, in order.
    pub(crate) fn batches(&self) -> Batches<'_> {
        Batches {
            log: self,
            at: 0,
            next_batch: self.head.first_batch,
            next_position: self.head.first_position,
            time_ms: self.head.first_time_ms,
            chain: self.head.chain_before,
        }
    }
}

/// The batches of an object.
pub(crate) struct Batches<'a> {
    log: &'a ReadLog,
    at: usize,
    next_batch: u64,
    next_position: u64,
    time_ms: u64,
    chain: Chain,
}

impl<'a> Batches<'a> {
    fn read(&mut self) -> Result<LoggedBatch<'a>, &'static str> {
        let rest = &self.log.body[self.at..];
        let (head, rest) = rest.split_at_checked(BATCH_HEAD_BYTES).ok_or("it ends inside a batch")?;
        let kind = BatchKind::from_code(head[0]).filter(|kind| *kind != BatchKind::Marker);
        let kind = kind.ok_or("a batch is of no kind that is kept")?;
        let payload_bytes = u32_at(head, 32) as usize;
        if payload_bytes > BATCH_PAYLOAD_BYTES_MAX {
            return Err("a batch is longer than any");
        }
        let payload = rest.get(..payload_bytes).ok_or("it ends inside a batch")?;
        let content = BatchContent {
            kind,
            count: u32_at(head, 4),
            batch_seq: u64_at(head, 8),
            first_position: u64_at(head, 16),
            time_ms: u64_at(head, 24),
            payload,
        };
        if content.batch_seq != self.next_batch || content.first_position != self.next_position {
            return Err("a batch does not follow the one before it");
        }
        if content.time_ms < self.time_ms {
            return Err("time goes back");
        }
        let next_position = content.first_position.checked_add(u64::from(content.count));
        self.next_position = next_position.ok_or("a position is greater than any")?;
        self.next_batch = content.batch_seq.checked_add(1).ok_or("a batch number is greater than any")?;
        self.time_ms = content.time_ms;
        self.chain = self.chain.after(&content);
        self.at += BATCH_HEAD_BYTES + payload_bytes;
        Ok(LoggedBatch { content, chain: self.chain })
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<LoggedBatch<'a>, SealedError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.log.body.len() {
            return None;
        }
        let at = self.at;
        let read = self.read();
        if read.is_err() {
            self.at = self.log.body.len();
        }
        Some(read.map_err(|what| self.log.damaged(at as u64, &format!("{what} (byte of the body)"))))
    }
}
