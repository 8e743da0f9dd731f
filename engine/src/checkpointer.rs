//! The checkpointer: makes checkpoints out of sealed segments.
//!
//! ```text
//! previous checkpoint ─┐
//! sealed segments ─> runs by slot ─> slot by slot: decode, apply, encode ─> new checkpoint
//! ```
//!
//! It never looks at live memory: what is in a sealed segment is durable, and the same `apply` makes the
//! same state of it, so the image is exact and no turn waits for it. Two checkpoints are kept, and the log
//! of the older one.
//!
//! Sections: tag 0 to 255 is the image of that slot, absent while it has no event; [`HASHES_TAG`] is the
//! hash of every slot, 256 times u64.

use std::{fmt, io, sync::Arc, time::Duration};

use inventory_core::{
    ids::{SlotIndex, TimestampMs},
    image,
    limits::SLOTS,
    slot::{Slot, SlotConfig},
};
use probe::{planted, sometimes};
use wal::{
    BatchKind, Chain, CheckpointError, CheckpointMeta, CheckpointReader, CheckpointWriter, RecoverError, Sections,
    SegmentInfo, Storage, list_checkpoints, read_segment, remove_segment,
};

use crate::{
    background::{Pace, beside},
    engine::Engine,
    group::{RunView, read_runs},
    replay::{StartError, compare_hash, decode_slot, replay_run},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        park_timeout,
    },
};

/// The section with the slots' hashes.
pub(crate) const HASHES_TAG: u32 = 256;
/// How long the thread rests between looks.
const REST: Duration = Duration::from_millis(200);
/// How the names of checkpoints begin.
const FILE_PREFIX: &str = "snap-";

/// No checkpoint could be made. The log is whole; it only grows longer.
#[derive(Debug)]
pub enum CheckpointFailure {
    /// The operating system refused.
    Io {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A sealed segment does not check any more, or cannot be replayed.
    Log(RecoverError),
    /// The new checkpoint cannot be written, or the previous one not be read.
    Checkpoint(CheckpointError),
    /// The previous checkpoint and the log do not fit together.
    Replay(String),
}

impl fmt::Display for CheckpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointFailure::Io { file, source } => write!(f, "{file}: {source}"),
            CheckpointFailure::Log(error) => error.fmt(f),
            CheckpointFailure::Checkpoint(error) => error.fmt(f),
            CheckpointFailure::Replay(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for CheckpointFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CheckpointFailure::Io { source, .. } => Some(source),
            CheckpointFailure::Log(error) => error.source(),
            CheckpointFailure::Checkpoint(error) => error.source(),
            CheckpointFailure::Replay(_) => None,
        }
    }
}

impl From<StartError> for CheckpointFailure {
    fn from(error: StartError) -> CheckpointFailure {
        match error {
            StartError::Io { file, source } => CheckpointFailure::Io { file, source },
            StartError::Checkpoint(error) => CheckpointFailure::Checkpoint(error),
            StartError::Log(error) => CheckpointFailure::Log(error),
            error @ (StartError::Plans(_) | StartError::Image { .. }) => CheckpointFailure::Replay(error.to_string()),
        }
    }
}

/// What a checkpointer tells its thread's owner.
#[derive(Debug)]
pub enum CheckpointReport {
    /// A checkpoint was made, true at this position.
    Made {
        /// The last position in it.
        position: u64,
    },
    /// None could be made.
    Failed(CheckpointFailure),
}

/// Makes checkpoints.
pub struct Checkpointer {
    engine: Arc<Engine>,
    storage: Arc<dyn Storage>,
    slot_config: SlotConfig,
    stop: Arc<AtomicBool>,
    /// The segment at which the last try failed: the next one waits for more log.
    failed_at: u64,
    /// Old log could not be removed: that waits for the next checkpoint.
    removal_failed: bool,
    /// Sales go before it, while the log is short.
    is_background: bool,
}

/// The runs of some segments, by slot.
struct Runs {
    by_slot: Vec<Vec<Run>>,
    batch_seq: u64,
    next_position: u64,
    chain: Chain,
    time_ms: u64,
}

/// A checkpoint to be made.
struct Due {
    segments: Vec<SegmentInfo>,
    /// Name of the checkpoint it stands on.
    previous: Option<String>,
    /// The last batch of all sealed log, also beyond `segments`.
    log_end: u64,
}

struct Run {
    count: u32,
    time: TimestampMs,
    records: Vec<u8>,
}

impl Checkpointer {
    pub(crate) fn new(engine: Arc<Engine>, storage: Arc<dyn Storage>, slot_config: SlotConfig) -> Checkpointer {
        Checkpointer {
            engine,
            storage,
            slot_config,
            stop: Arc::default(),
            failed_at: 0,
            removal_failed: false,
            is_background: false,
        }
    }

    /// Makes checkpoints as they fall due until `stop` is true; unpark the thread to have it looked at sooner
    /// than every 200 ms. For a thread of its own. It starts another, `usher-checkpoint`, that runs when nothing
    /// else wants to and makes them all, but for those that begin when more than 2 GiB of log wait for one. A
    /// failure goes to `report` and is tried again when there is more log.
    pub fn run(mut self, stop: Arc<AtomicBool>, report: &mut (dyn FnMut(CheckpointReport) + Send)) {
        self.stop = Arc::clone(&stop);
        self.is_background = true;
        let engine = Arc::clone(&self.engine);
        let shared = Mutex::new((self, report));
        let look = |is_mine: &dyn Fn() -> bool| {
            while !stop.load(Ordering::Acquire) {
                let made = is_mine() && {
                    let (checkpointer, report) = &mut *shared.lock();
                    checkpointer.turn_and_tell(*report)
                };
                if !made {
                    park_timeout(REST);
                }
            }
        };
        // A thread cannot come back from the background: it takes two of them.
        beside("usher-checkpoint", &|| look(&|| !engine.is_behind()), |has_other| {
            look(&|| !has_other || engine.is_behind());
        });
    }

    /// Whether one was made.
    fn turn_and_tell(&mut self, report: &mut dyn FnMut(CheckpointReport)) -> bool {
        match self.turn() {
            Ok(true) => report(CheckpointReport::Made { position: self.engine.files.lock().checkpoint_position }),
            Ok(false) => return false,
            Err(failure) => {
                report(CheckpointReport::Failed(failure));
                return false;
            }
        }
        true
    }

    /// Makes one checkpoint if one is due. Whether it did.
    pub fn turn(&mut self) -> Result<bool, CheckpointFailure> {
        let result = match self.due() {
            Some(due) => {
                sometimes!("checkpoint: one is due");
                let result = self.make(&due.segments, due.previous.as_deref());
                self.removal_failed = false;
                if result.is_err() {
                    self.failed_at = due.log_end;
                }
                result
            }
            None if self.removal_failed => Ok(false),
            // The archive may have caught up, or the disk filled.
            None => {
                let result = self.remove_unneeded().map(|()| false);
                self.removal_failed = result.is_err();
                result
            }
        };
        if let Err(failure) = &result {
            sometimes!("checkpoint: none could be made");
            let mut files = self.engine.files.lock();
            files.checkpoint_failures += 1;
            files.checkpoint_failure = failure.to_string();
        }
        result
    }

    /// What the next checkpoint is to cover, when one is due and there is more log than at the last failure.
    fn due(&self) -> Option<Due> {
        let config = &self.engine.config;
        let mut files = self.engine.files.lock();
        let mut segments: Vec<SegmentInfo> = files.uncovered().cloned().collect();
        let due = files.uncovered_bytes() > config.checkpoint_log_bytes.max(files.checkpoint_bytes)
            || segments.len() >= config.checkpoint_segments
            || files.wanted_seq > files.checkpoint_seq;
        let log_end = segments.last()?.last_batch_seq;
        let is_wanted = std::mem::take(&mut files.is_wanted);
        if !due || (log_end <= self.failed_at && !is_wanted) {
            return None;
        }
        // Their runs are held in memory: not more of them at once than fall due together.
        let mut held = 0;
        let too_many = segments.iter().position(|segment| {
            let is_first = held == 0;
            held += segment.valid_len;
            !is_first && held > config.checkpoint_log_bytes
        });
        sometimes!("checkpoint: it covers a part of the log", too_many.is_some());
        segments.truncate(too_many.unwrap_or(segments.len()));
        Some(Due { segments, previous: files.checkpoint_name.clone(), log_end })
    }

    fn make(&self, segments: &[SegmentInfo], previous: Option<&str>) -> Result<bool, CheckpointFailure> {
        let storage = self.storage.as_ref();
        let previous = previous
            .map(|name| CheckpointReader::open(storage, name).map(|reader| (name, reader)))
            .transpose()
            .map_err(CheckpointFailure::Checkpoint)?;
        let covered = previous.as_ref().map_or(0, |(_, reader)| reader.meta().batch_seq);
        let runs = read_runs_by_slot(storage, segments, covered)?;
        if runs.batch_seq == covered {
            return Err(CheckpointFailure::Replay(format!("no batch follows batch {covered} in the sealed log")));
        }
        self.remove_left_overs()?;

        let meta = CheckpointMeta {
            identity: self.engine.identity,
            batch_seq: runs.batch_seq,
            next_position: runs.next_position,
            chain: runs.chain,
            time_ms: runs.time_ms,
            // Known only at the end; it has a section.
            hash: [0; 16],
            restored_at_ms: None,
        };
        let mut writer = CheckpointWriter::create(storage, meta).map_err(CheckpointFailure::Checkpoint)?;
        let mut hashes = match &previous {
            Some((_, reader)) => read_hashes(reader)?,
            None => [0; SLOTS],
        };
        let mut there = match &previous {
            Some((name, reader)) => Some(Images::of(name, reader)?),
            None => None,
        };
        let mut pace = self.is_background.then(|| Pace::beside(&self.engine));
        let mut image = Vec::new();
        for (index, runs) in (0..=u8::MAX).zip(&runs.by_slot) {
            if self.stop.load(Ordering::Acquire) {
                return Ok(false);
            }
            image.clear();
            if let Some(there) = &mut there {
                there.take(index, &mut image)?;
            }
            if !runs.is_empty() {
                let name = previous.as_ref().map(|(name, _)| *name);
                self.replay(SlotIndex(index), runs, name, &mut hashes[usize::from(index)], &mut image, pace.as_mut())?;
            }
            if !image.is_empty() {
                writer.add_section(u32::from(index), &image).map_err(CheckpointFailure::Checkpoint)?;
            }
        }
        // Also what was only copied must be what was once written.
        if let Some(there) = there {
            there.finish()?;
        }
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        writer.add_section(HASHES_TAG, &bytes).map_err(CheckpointFailure::Checkpoint)?;
        let name = writer.finish().map_err(CheckpointFailure::Checkpoint)?;
        self.adopt(&name, &meta, previous.map(|(name, reader)| (name, reader.meta().batch_seq)))?;
        Ok(true)
    }

    /// Makes `image` and `hash` of a slot those after its runs. An empty image: there was no event.
    fn replay(
        &self,
        index: SlotIndex,
        runs: &[Run],
        previous: Option<&str>,
        hash: &mut u64,
        image: &mut Vec<u8>,
        mut pace: Option<&mut Pace<'_>>,
    ) -> Result<(), CheckpointFailure> {
        let plans = &self.engine.plans;
        let mut slot = match previous {
            Some(name) if !image.is_empty() => {
                let slot = decode_slot(image, name, index, self.slot_config, plans)?;
                // A device that put a block of another checkpoint here would have changes applied to what they
                // were never decided on.
                compare_hash(name, &slot, *hash)?;
                slot
            }
            _ => Slot::new(index, self.slot_config),
        };
        for run in runs {
            let view = RunView { slot: index, count: run.count, time: run.time, records: &run.records };
            replay_run(&mut slot, &view, plans).map_err(|error| CheckpointFailure::Replay(error.to_string()))?;
            if let Some(pace) = &mut pace {
                pace.rest();
            }
        }
        image.clear();
        image::encode_slot(&slot, image);
        *hash = slot.hash();
        Ok(())
    }

    /// Takes the new checkpoint into use and removes what nothing needs any more: first the checkpoints
    /// before the last two, then the log that both of these cover, oldest first. A crash in between leaves
    /// more than is needed, never less.
    fn adopt(&self, name: &str, meta: &CheckpointMeta, previous: Option<(&str, u64)>) -> Result<(), CheckpointFailure> {
        let storage = self.storage.as_ref();
        let io = |file: &str| {
            let file = file.to_owned();
            move |source| CheckpointFailure::Io { file, source }
        };
        let bytes = CheckpointReader::open(storage, name).map_err(CheckpointFailure::Checkpoint)?.bytes();
        {
            let mut files = self.engine.files.lock();
            files.checkpoint_name = Some(name.to_owned());
            files.checkpoint_seq = meta.batch_seq;
            files.checkpoint_position = meta.next_position - 1;
            files.checkpoint_bytes = bytes;
            files.older_seq = previous.map_or(0, |(_, older_seq)| older_seq);
            if planted!(LogRemovedEarly) {
                files.older_seq = meta.batch_seq;
            }
        }
        self.engine.note_log_length();
        for old in list_checkpoints(storage).map_err(io(""))? {
            if old != name && previous.is_none_or(|(previous, _)| old != previous) {
                storage.remove(&old).and_then(|()| storage.sync_dir("")).map_err(io(&old))?;
            }
        }
        self.remove_unneeded()
    }

    /// Removes the segments that neither checkpoint needs, oldest first, and that are archived or must make room.
    fn remove_unneeded(&self) -> Result<(), CheckpointFailure> {
        let bytes_max = self.engine.config.archive_log_bytes_max;
        loop {
            let storage_low = self.engine.log.storage_low.load(Ordering::Relaxed);
            let Some(segment) = self.engine.files.lock().unneeded(storage_low, bytes_max) else { return Ok(()) };
            sometimes!("checkpoint: log that it covers is removed");
            remove_segment(self.storage.as_ref(), &segment)
                .map_err(|source| CheckpointFailure::Io { file: segment.name.clone(), source })?;
            let mut files = self.engine.files.lock();
            files.sealed.retain(|kept| kept.name != segment.name);
            files.removed.push(segment.name);
        }
    }

    /// Removes half-written checkpoints that a crash left.
    fn remove_left_overs(&self) -> Result<(), CheckpointFailure> {
        let names = self.storage.list("").map_err(|source| CheckpointFailure::Io { file: String::new(), source })?;
        for name in names.iter().filter(|name| name.starts_with(FILE_PREFIX) && name.ends_with(".tmp")) {
            sometimes!("checkpoint: a half-written one is removed");
            self.storage.remove(name).map_err(|source| CheckpointFailure::Io { file: name.clone(), source })?;
        }
        Ok(())
    }
}

/// The images of a checkpoint, in the order of its slots.
struct Images<'r> {
    sections: Sections<'r>,
    /// The slot that comes next.
    slot: Option<u8>,
    image: Vec<u8>,
}

impl<'r> Images<'r> {
    fn of(name: &str, reader: &'r CheckpointReader) -> Result<Images<'r>, CheckpointFailure> {
        if !reader.sections().filter(|tag| *tag < HASHES_TAG).is_sorted() {
            return Err(CheckpointFailure::Replay(format!("{name}: its slots are not in order")));
        }
        let sections = reader.read_all().map_err(CheckpointFailure::Checkpoint)?;
        let mut images = Images { sections, slot: None, image: Vec::new() };
        images.read()?;
        Ok(images)
    }

    fn read(&mut self) -> Result<(), CheckpointFailure> {
        self.slot = None;
        while let Some(tag) = self.sections.next(&mut self.image).map_err(CheckpointFailure::Checkpoint)? {
            if let Ok(slot) = u8::try_from(tag) {
                self.slot = Some(slot);
                break;
            }
        }
        Ok(())
    }

    /// The image of a slot, when there is one. To be asked for one slot after the other.
    fn take(&mut self, slot: u8, image: &mut Vec<u8>) -> Result<(), CheckpointFailure> {
        if self.slot == Some(slot) {
            std::mem::swap(image, &mut self.image);
            self.read()?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), CheckpointFailure> {
        self.sections.finish().map_err(CheckpointFailure::Checkpoint)
    }
}

fn read_runs_by_slot(storage: &dyn Storage, segments: &[SegmentInfo], covered: u64) -> Result<Runs, CheckpointFailure> {
    let mut all = Runs {
        by_slot: (0..SLOTS).map(|_| Vec::new()).collect(),
        batch_seq: covered,
        next_position: 0,
        chain: Chain::START,
        time_ms: 0,
    };
    for segment in segments {
        read_segment(storage, segment, &mut |batch| {
            if batch.batch_seq <= covered {
                return Ok(());
            }
            if batch.batch_seq != all.batch_seq + 1 {
                return Err(format!("batch {} follows batch {}", batch.batch_seq, all.batch_seq).into());
            }
            all.batch_seq = batch.batch_seq;
            all.next_position = batch.first_position + u64::from(batch.count);
            all.chain = batch.chain;
            all.time_ms = batch.time_ms;
            if batch.kind == BatchKind::Data {
                for run in read_runs(batch.payload, batch.count)? {
                    let RunView { slot, count, time, records } = run;
                    all.by_slot[usize::from(slot.0)].push(Run { count, time, records: records.to_vec() });
                }
            }
            Ok(())
        })
        .map_err(CheckpointFailure::Log)?;
    }
    Ok(all)
}

/// The slots' hashes in a checkpoint.
pub(crate) fn read_hashes(reader: &CheckpointReader) -> Result<[u64; SLOTS], StartError> {
    let bytes = reader.read_section(HASHES_TAG).map_err(StartError::Checkpoint)?;
    let mut hashes = [0; SLOTS];
    for (hash, bytes) in hashes.iter_mut().zip(bytes.as_chunks().0) {
        *hash = u64::from_le_bytes(*bytes);
    }
    Ok(hashes)
}
