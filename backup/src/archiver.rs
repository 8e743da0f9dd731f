//! The archiver: copies the durable log of a running engine to a store, and now and then a snapshot.
//!
//! ```text
//! durable log ─> batches after the last archived one ─> plans, then one object with them
//! newest checkpoint ─> snapshot, when there is none to begin with or a lot of log since
//! ```
//!
//! Only durable batches are ever looked at. Before the first copy the store's end is compared with the log's
//! chain: a store that holds another future of this log is left alone. Log that is gone before it was archived
//! leaves a gap; a snapshot behind it begins anew. Nothing here holds up a turn, and a store that does not
//! answer costs disk, then a gap, never a sale.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use engine::{ArchiveStatus, Engine, PLANS_DIR, TimestampMs};
use wal::{Chain, CheckpointError, LogIdentity, RecoverError, SegmentCursor, Storage};

use crate::catalog::{Catalog, Future, log_name, plan_name, snapshot_name};
use crate::log_object::LogBody;
use crate::restore::{RestoreError, read_log};
use crate::sealed::{Head, Kind, Seal, SealedWriter};
use crate::snapshot::{SnapshotError, SnapshotSource, read_plan};
use crate::store::{Store, StoreError};

/// Payload in one object, and one batch more.
const OBJECT_PAYLOAD_BYTES: u64 = 8 << 20;
/// Log since the last snapshot that makes another due, when it is also longer than that.
const SNAPSHOT_AFTER_BYTES: u64 = 256 << 20;

/// The archive is behind. What is archived stays good.
#[derive(Debug)]
pub enum ArchiveFault {
    /// The store does not do what is asked. Tried again later.
    Store(StoreError),
    /// What the store holds cannot be read.
    Unreadable(RestoreError),
    /// The store holds another future of this log, or one that this log has not reached.
    OtherFuture {
        /// Where.
        place: String,
        /// What differs.
        what: String,
    },
    /// The log cannot be read.
    Log(RecoverError),
    /// No snapshot can be made.
    Snapshot(SnapshotError),
    /// A plan file cannot be read.
    Plan {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
}

impl fmt::Display for ArchiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveFault::Store(error) => error.fmt(f),
            ArchiveFault::Unreadable(error) => write!(f, "the end of the archive cannot be read: {error}"),
            ArchiveFault::OtherFuture { place, what } => write!(
                f,
                "{place} holds another future of this log ({what}); nothing more is archived there: name another \
                 place, or find out which of the two is right"
            ),
            ArchiveFault::Log(error) => error.fmt(f),
            ArchiveFault::Snapshot(error) => error.fmt(f),
            ArchiveFault::Plan { file, why } => write!(f, "{file}: {why}"),
        }
    }
}

impl std::error::Error for ArchiveFault {}

impl From<StoreError> for ArchiveFault {
    fn from(error: StoreError) -> ArchiveFault {
        ArchiveFault::Store(error)
    }
}

/// What one turn did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archived {
    /// Everything durable is there.
    Nothing,
    /// A part of the log.
    Log {
        /// The last position in it.
        position: u64,
    },
    /// A snapshot.
    Snapshot {
        /// The position it is true at.
        position: u64,
        /// The first position that is missing before it; zero: none is.
        gap_after: u64,
    },
}

/// The end of what is archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    batch_seq: u64,
    next_position: u64,
    chain: Chain,
    time_ms: u64,
}

impl End {
    const START: End = End { batch_seq: 0, next_position: 1, chain: Chain::START, time_ms: 0 };

    fn of(head: &Head) -> End {
        End {
            batch_seq: head.last_batch,
            next_position: head.next_position,
            chain: head.chain,
            time_ms: head.last_time_ms,
        }
    }
}

/// Copies the log of one engine to one store.
pub struct Archiver {
    engine: Arc<Engine>,
    storage: Arc<dyn Storage>,
    store: Arc<dyn Store>,
    identity: LogIdentity,
    /// Unknown until the store was looked at.
    end: Option<End>,
    cursor: Option<SegmentCursor>,
    plans: BTreeSet<String>,
    snapshot_position: u64,
    snapshot_bytes: u64,
    /// Payload archived since the last snapshot.
    since_snapshot: u64,
    snapshot_due: bool,
}

impl Archiver {
    /// An archiver that has not looked at its store yet. From now on log is kept until it is archived.
    #[must_use]
    pub fn new(engine: Arc<Engine>, storage: Arc<dyn Storage>, store: Arc<dyn Store>) -> Archiver {
        engine.note_archived(ArchiveStatus::default());
        let identity = engine.identity();
        Archiver {
            engine,
            storage,
            store,
            identity,
            end: None,
            cursor: None,
            plans: BTreeSet::new(),
            snapshot_position: 0,
            snapshot_bytes: 0,
            since_snapshot: 0,
            snapshot_due: false,
        }
    }

    /// Where it copies to.
    #[must_use]
    pub fn place(&self) -> String {
        self.store.place()
    }

    /// Copies one object, if there is something to copy. Call again at once until it says
    /// [`Archived::Nothing`]; after a fault, later.
    ///
    /// # Errors
    /// The archive is behind; the engine's status says so.
    pub fn turn(&mut self) -> Result<Archived, ArchiveFault> {
        let result = self.work();
        let end = self.end.unwrap_or(End::START);
        self.engine.note_archived(ArchiveStatus {
            batch_seq: end.batch_seq,
            position: end.next_position - 1,
            time: TimestampMs(end.time_ms),
            snapshot_position: self.snapshot_position,
            failure: result.as_ref().err().map(ToString::to_string).unwrap_or_default(),
        });
        result
    }

    fn work(&mut self) -> Result<Archived, ArchiveFault> {
        let end = match self.end {
            Some(end) => end,
            None => self.look_at_the_store()?,
        };
        if self.snapshot_due
            && let Some(archived) = self.put_snapshot(end)?
        {
            return Ok(archived);
        }
        let durable = self.engine.durable_log();
        if end.batch_seq > durable.batch_seq {
            return Err(ArchiveFault::OtherFuture {
                place: self.store.place(),
                what: format!("it goes to batch {} and the log to batch {}", end.batch_seq, durable.batch_seq),
            });
        }
        if end.batch_seq == durable.batch_seq {
            return Ok(Archived::Nothing);
        }
        let next = end.batch_seq + 1;
        // The last one that begins at or before it; of two that hold a copy the later one counts.
        let segment = durable.segments.iter().rev().find(|segment| segment.first_batch_seq <= next);
        let Some(segment) = segment.cloned() else {
            // It was removed before it was archived, or lies before the folder's first checkpoint.
            self.snapshot_due = true;
            return match self.put_snapshot(end)? {
                Some(archived) => Ok(archived),
                None => Ok(Archived::Nothing),
            };
        };
        let is_live = durable.segments.last().is_some_and(|last| last.name == segment.name);
        let last = if is_live { durable.batch_seq } else { segment.last_batch_seq.min(durable.batch_seq) };
        let cursor = match self.cursor.take() {
            Some(cursor) if cursor.segment().name == segment.name && cursor.next_batch_seq() == next => cursor,
            _ => SegmentCursor::new(segment),
        };
        self.put_log(end, cursor, last)
    }

    /// Where the archive ends, compared with the log.
    fn look_at_the_store(&mut self) -> Result<End, ArchiveFault> {
        let future = Catalog::read_future(self.store.as_ref(), &self.identity)?;
        if let Some(newest) = future.snapshots.last() {
            self.snapshot_position = newest.position;
            self.snapshot_bytes = newest.bytes;
            self.since_snapshot =
                future.logs.iter().filter(|log| log.first_batch > newest.batch_seq).map(|log| log.bytes).sum();
        }
        let end = self.end_of(&future)?;
        // A future that does not begin with the first batch begins with a snapshot.
        self.snapshot_due = end == End::START && future.snapshots.is_empty() && !self.begins_at_one();
        self.end = Some(end);
        Ok(end)
    }

    fn begins_at_one(&self) -> bool {
        let durable = self.engine.durable_log();
        durable.segments.first().is_none_or(|segment| segment.first_batch_seq == 1)
    }

    fn end_of(&self, future: &Future) -> Result<End, ArchiveFault> {
        let newest = future.logs.iter().max_by_key(|log| log.last_batch);
        let snapshot = future.snapshots.last();
        if let Some(log) = newest
            && snapshot.is_none_or(|snapshot| snapshot.batch_seq <= log.last_batch)
        {
            let read = read_log(self.store.as_ref(), &log.name, &self.identity).map_err(ArchiveFault::Unreadable)?;
            return Ok(End::of(&read.head));
        }
        match snapshot {
            Some(snapshot) => {
                let head =
                    crate::restore::read_head(self.store.as_ref(), &snapshot.name).map_err(ArchiveFault::Unreadable)?;
                Ok(End::of(&head))
            }
            None => Ok(End::START),
        }
    }

    fn put_log(&mut self, end: End, mut cursor: SegmentCursor, last: u64) -> Result<Archived, ArchiveFault> {
        let mut body = LogBody::after(self.identity, end.chain);
        let mut other = None;
        let read = cursor.read(self.storage.as_ref(), last, OBJECT_PAYLOAD_BYTES, &mut |batch| {
            if batch.batch_seq < end.batch_seq {
                return Ok(());
            }
            let continues = if batch.batch_seq == end.batch_seq { batch.chain == end.chain } else { body.push(&batch) };
            if continues {
                return Ok(());
            }
            other = Some(batch.batch_seq);
            Err("another future".into())
        });
        if let Some(batch_seq) = other {
            return Err(ArchiveFault::OtherFuture {
                place: self.store.place(),
                what: format!("they part at batch {batch_seq}"),
            });
        }
        match read {
            // Removed between the look at the list and this: the next turn finds out what to do.
            Err(RecoverError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Archived::Log { position: end.next_position - 1 });
            }
            read => read.map_err(ArchiveFault::Log)?,
        }
        if body.body.is_empty() {
            // Only batches that are there already: on to the next part of the segment.
            self.cursor = Some(cursor);
            return Ok(Archived::Log { position: end.next_position - 1 });
        }
        self.put_plans()?;
        let name = log_name(&body.head);
        put_sealed(self.store.as_ref(), &name, &body.head, &body.body)?;
        let end = End::of(&body.head);
        self.end = Some(end);
        self.since_snapshot += body.body.len() as u64;
        let due = self.since_snapshot > SNAPSHOT_AFTER_BYTES.max(self.snapshot_bytes);
        self.snapshot_due |= due && self.newest_checkpoint_position() > self.snapshot_position;
        self.cursor = Some(cursor);
        Ok(Archived::Log { position: end.next_position - 1 })
    }

    fn newest_checkpoint_position(&self) -> u64 {
        self.engine.newest_checkpoint().map_or(0, |newest| newest.position)
    }

    /// A plan file is durable before a change names it: all files there are now include all that the batches
    /// read before name.
    fn put_plans(&mut self) -> Result<(), ArchiveFault> {
        let fault =
            |file: &str, error: std::io::Error| ArchiveFault::Plan { file: file.to_owned(), why: error.to_string() };
        let files = self.storage.list(PLANS_DIR).map_err(|error| fault(PLANS_DIR, error))?;
        for file in files.into_iter().filter(|file| file.ends_with(".plan")) {
            if self.plans.contains(&file) {
                continue;
            }
            let path = format!("{PLANS_DIR}/{file}");
            let encoded = read_plan(self.storage.as_ref(), &path).map_err(|error| fault(&path, error))?;
            let name = plan_name(&self.identity.instance, &encoded);
            if !name.contains(file.trim_end_matches(".plan")) {
                return Err(ArchiveFault::Plan { file: path, why: "it is damaged".to_owned() });
            }
            let head = Head {
                kind: Kind::Plan,
                identity: self.identity,
                first_batch: 0,
                last_batch: 0,
                first_position: 0,
                next_position: 0,
                first_time_ms: 0,
                last_time_ms: 0,
                chain_before: Chain::START,
                chain: Chain::START,
                body_bytes: encoded.len() as u64,
            };
            put_sealed(self.store.as_ref(), &name, &head, &encoded)?;
            self.plans.insert(file);
        }
        Ok(())
    }

    /// Puts the newest checkpoint there. Nothing: there is none yet that would help.
    fn put_snapshot(&mut self, end: End) -> Result<Option<Archived>, ArchiveFault> {
        let Some(newest) = self.engine.newest_checkpoint() else { return Ok(None) };
        if newest.position <= self.snapshot_position {
            self.snapshot_due = false;
            return Ok(None);
        }
        let source = match SnapshotSource::open(self.storage.as_ref(), &newest.name) {
            // A newer one took its place: the next turn.
            Err(SnapshotError::Checkpoint(CheckpointError::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            source => source.map_err(ArchiveFault::Snapshot)?,
        };
        let head = *source.head();
        let name = snapshot_name(&head);
        let mut sealed: Option<Seal> = None;
        self.store.put(&name, &mut |out| {
            sealed = Some(source.write(self.storage.as_ref(), out, &mut |_| {})?);
            Ok(())
        })?;
        self.snapshot_position = newest.position;
        self.snapshot_bytes = sealed.map_or(0, |seal| seal.bytes);
        self.since_snapshot = 0;
        self.snapshot_due = false;
        let gap_after = if head.last_batch > end.batch_seq && end != End::START && !self.has_log_after(end) {
            end.next_position
        } else {
            0
        };
        if head.last_batch > end.batch_seq && !self.has_log_after(end) {
            // The archive goes on behind the snapshot.
            self.end = Some(End::of(&head));
            self.cursor = None;
        }
        Ok(Some(Archived::Snapshot { position: newest.position, gap_after }))
    }

    fn has_log_after(&self, end: End) -> bool {
        let durable = self.engine.durable_log();
        durable.segments.first().is_some_and(|segment| segment.first_batch_seq <= end.batch_seq + 1)
    }
}

/// Puts an object whose body is in memory.
fn put_sealed(store: &dyn Store, name: &str, head: &Head, body: &[u8]) -> Result<(), StoreError> {
    store.put(name, &mut |out| {
        let mut writer = SealedWriter::begin(out, head)?;
        writer.write_all(body)?;
        writer.seal().map(drop)
    })
}
