//! Walking through a data folder: checkpoints, plans, segments, batches and changes, one line each.
//!
//! The walk starts with the newest good checkpoint that does not lie behind what was asked for, or with nothing when none
//! does and the log is whole from its first batch, and replays the log behind it, so that every change is shown with the
//! places it moved and the plan they are named in. Of a log that begins later, and of what the oldest checkpoint covers
//! in a damaged one, the changes before the checkpoint are shown with what they say themselves.
//! It goes on as far as it can: a damaged place is a line of its own, and so is what is missing because of
//! it. Changes behind a hole that do not prove themselves any more are shown with the reason.
//!
//! Nothing here writes, and no more than a window of a segment and the state is in memory.

use std::{fmt, io, ops::ControlFlow};

use inventory_core::slot::SlotConfig;
use wal::{
    BadPlace, BatchKind, CheckpointError, CheckpointMeta, CheckpointReader, Hole, RecoverFrom, ScanFrom, ScanReport,
    Scanned, ScannedBatch, ScannedSegment, Standing, Storage, list_checkpoints, scan,
};

use crate::{
    group::{RunView, read_runs},
    plan_store::PlanFiles,
    replay::read_hash,
    salvage::{Salvage, Stop, Taken},
};

pub use crate::line::{
    Actor, ChangeLine, CheckpointLine, DamageLine, FrozenEvent, HoleLine, Line, PlaceMoved, PlanLine,
};

/// What a walk came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkReport {
    /// The log as a whole.
    pub scan: ScanReport,
    /// The checkpoint it started with.
    pub base: Option<String>,
    /// Damaged places, files that are no good among them.
    pub damages: u64,
    /// Acknowledged batches that are nowhere, beyond what the checkpoint covers.
    pub batches_lost: u64,
    /// Changes in them, as far as it is known how many.
    pub changes_lost: u64,
    /// Holes of which nobody knows how many changes they hold.
    pub holes_without_end: u64,
    /// Changes that are there and do not prove themselves.
    pub changes_not_saved: u64,
    /// Events that are not shown to their last change.
    pub frozen: Vec<FrozenEvent>,
    /// The hash of the state reached.
    pub state_hash: u64,
}

/// The folder cannot be walked at all.
#[derive(Debug)]
pub struct WalkError {
    /// The file, or the folder when empty.
    pub file: String,
    /// The system's reason.
    pub source: io::Error,
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.file.is_empty() {
            write!(f, "the data folder cannot be read: {}", self.source)
        } else {
            write!(f, "{}: {}", self.file, self.source)
        }
    }
}

impl std::error::Error for WalkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Walks through a folder from this position on (0: all that is kept) and tells `sink`, until it breaks. The
/// checkpoints and plans come first, then each segment with what is in it. Batches and changes of the segment
/// in which `from` lies come from its beginning on.
pub fn walk(
    storage: &dyn Storage,
    from: u64,
    sink: &mut dyn FnMut(Line<'_>) -> ControlFlow<()>,
) -> Result<WalkReport, WalkError> {
    let plans = PlanFiles::read_all(storage).map_err(|(file, source)| WalkError { file, source })?;
    let folder = Folder { storage, plans: &plans };
    let mut checkpoints = folder.checkpoints().map_err(|source| WalkError { file: String::new(), source })?;
    let is_whole =
        folder.reaches_back(&checkpoints, from).map_err(|source| WalkError { file: String::new(), source })?;
    let (salvage, base) = if is_whole {
        (Salvage::empty(CONFIG, &plans, Vec::new()), None)
    } else {
        // The oldest that is good, or the newest that is not behind what was asked for.
        folder.base(&mut checkpoints, from, Vec::new())
    };
    let mut walk = Walk::new(salvage, base, sink);
    walk.files(checkpoints, &plans);
    walk.log(storage, from).map_err(|source| WalkError { file: String::new(), source })
}

/// What bounds memory is no part of the state, so any bound does; this one drops nothing.
pub(crate) const CONFIG: SlotConfig = SlotConfig { seed: 0, tombstones_max: u32::MAX };

/// A checkpoint to start with.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) file: String,
    pub(crate) meta: CheckpointMeta,
}

/// The files beside the log.
pub(crate) struct Folder<'a> {
    pub(crate) storage: &'a dyn Storage,
    pub(crate) plans: &'a PlanFiles,
}

impl<'a> Folder<'a> {
    /// The checkpoints, newest first, each verified as a whole.
    pub(crate) fn checkpoints(&self) -> io::Result<Vec<CheckpointLine>> {
        let look = |file: String| {
            let opened = CheckpointReader::open(self.storage, &file);
            let bytes = self.storage.open_read(&file).and_then(|file| file.len()).unwrap_or(0);
            let meta = opened.as_ref().ok().map(|reader| *reader.meta());
            let error = opened.and_then(|reader| reader.verify_all()).err();
            let problem_at = match &error {
                Some(CheckpointError::Damaged { offset, .. }) => *offset,
                _ => 0,
            };
            let renamed = meta.is_some_and(|meta| meta.file_name() != file);
            let renamed = renamed.then(|| "it was written under another name".to_owned());
            let problem = error.map(|error| error.to_string()).or(renamed);
            CheckpointLine { file, bytes, meta, problem, problem_at, is_base: false }
        };
        Ok(list_checkpoints(self.storage)?.into_iter().map(look).collect())
    }

    /// Whether every good checkpoint is behind what was asked for and nothing is missing in the log from the first batch
    /// up to the oldest of them: the state need not come from it then.
    fn reaches_back(&self, checkpoints: &[CheckpointLine], from: u64) -> io::Result<bool> {
        let good = checkpoints.iter().filter(|line| line.problem.is_none()).filter_map(|line| line.meta);
        let Some(oldest) = good.min_by_key(|meta| meta.batch_seq).filter(|meta| meta.next_position > from) else {
            return Ok(false);
        };
        let (mut is_whole, mut reached) = (true, false);
        let start = ScanFrom { base: RecoverFrom::start(), identity: Some(oldest.identity), position: 0 };
        scan(self.storage, start, &mut |found| {
            match found {
                Scanned::Bad(_) | Scanned::Hole(_) => is_whole = false,
                Scanned::Segment(segment) => is_whole &= segment.problems.is_empty(),
                Scanned::Batch(batch) => {
                    reached |= batch.standing == Standing::Counts && batch.batch.batch_seq >= oldest.batch_seq;
                }
            }
            if is_whole && !reached { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(is_whole && reached)
    }

    /// The state to start with: of the newest good checkpoint that does not cover `from`, else of the oldest
    /// good one, else of none.
    pub(crate) fn base(
        &self,
        checkpoints: &mut [CheckpointLine],
        from: u64,
        stops: Vec<Stop>,
    ) -> (Salvage<'a>, Option<Base>) {
        loop {
            let good = || checkpoints.iter().enumerate().filter(|(_, line)| line.problem.is_none());
            let before = |line: &CheckpointLine| line.meta.is_some_and(|meta| meta.next_position <= from);
            let Some(at) = good().find(|(_, line)| before(line)).or(good().next_back()).map(|(at, _)| at) else {
                return (Salvage::empty(CONFIG, self.plans, stops), None);
            };
            let line = &mut checkpoints[at];
            match Salvage::from_checkpoint(self.storage, &line.file, CONFIG, self.plans, stops.clone()) {
                Ok((salvage, meta)) => {
                    line.is_base = true;
                    return (salvage, Some(Base { file: line.file.clone(), meta }));
                }
                Err(error) => line.problem = Some(error.to_string()),
            }
        }
    }
}

/// The walk through the log with the state beside it.
pub(crate) struct Walk<'w, 'p> {
    pub(crate) salvage: Salvage<'p>,
    base: Option<Base>,
    sink: &'w mut dyn FnMut(Line<'_>) -> ControlFlow<()>,
    flow: ControlFlow<()>,
    damages: u64,
    batches_lost: u64,
    changes_lost: u64,
    holes_without_end: u64,
    changes_not_saved: u64,
}

impl<'w, 'p> Walk<'w, 'p> {
    pub(crate) fn new(
        salvage: Salvage<'p>,
        base: Option<Base>,
        sink: &'w mut dyn FnMut(Line<'_>) -> ControlFlow<()>,
    ) -> Walk<'w, 'p> {
        let flow = ControlFlow::Continue(());
        Walk {
            salvage,
            base,
            sink,
            flow,
            damages: 0,
            batches_lost: 0,
            changes_lost: 0,
            holes_without_end: 0,
            changes_not_saved: 0,
        }
    }

    fn tell(&mut self, line: Line<'_>) {
        if self.flow.is_continue() {
            self.flow = (self.sink)(line);
        }
    }

    /// The files beside the log.
    pub(crate) fn files(&mut self, checkpoints: Vec<CheckpointLine>, plans: &PlanFiles) {
        for line in checkpoints.into_iter().rev() {
            self.damages += u64::from(line.problem.is_some());
            self.tell(Line::Checkpoint(line));
        }
        for line in plans.lines() {
            self.damages += u64::from(line.problem.is_some());
            self.tell(Line::Plan(line));
        }
    }

    /// The log.
    pub(crate) fn log(&mut self, storage: &dyn Storage, from: u64) -> io::Result<WalkReport> {
        let base = self.base.as_ref().map(|base| base.meta);
        let from = ScanFrom {
            base: base.as_ref().map_or_else(RecoverFrom::start, RecoverFrom::checkpoint),
            identity: base.map(|meta| meta.identity),
            // The state needs all behind the checkpoint.
            position: base.map_or(0, |meta| meta.next_position.min(from)),
        };
        let scan = scan(storage, from, &mut |found| {
            match found {
                Scanned::Segment(segment) => self.segment(segment),
                Scanned::Batch(batch) => self.batch(&batch),
                Scanned::Bad(place) => self.damage(place),
                Scanned::Hole(hole) => self.hole(hole),
            }
            self.flow
        })?;
        Ok(WalkReport {
            scan,
            base: self.base.as_ref().map(|base| base.file.clone()),
            damages: self.damages,
            batches_lost: self.batches_lost,
            changes_lost: self.changes_lost,
            holes_without_end: self.holes_without_end,
            changes_not_saved: self.changes_not_saved,
            frozen: self.salvage.frozen(),
            state_hash: self.salvage.hash(),
        })
    }

    fn covered(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.meta.batch_seq)
    }

    fn segment(&mut self, segment: &ScannedSegment) {
        self.damages += segment.problems.len() as u64;
        self.tell(Line::Segment(segment));
    }

    fn damage(&mut self, place: BadPlace) {
        self.damages += 1;
        self.tell(Line::Damage(DamageLine { place }));
    }

    fn hole(&mut self, hole: Hole) {
        let covered = self.covered();
        let first = hole.first_batch_seq.max(covered + 1);
        let is_covered = hole.last_batch_seq <= covered;
        self.batches_lost += (hole.last_batch_seq + 1).saturating_sub(first);
        if !is_covered {
            let next = self.base.as_ref().map_or(0, |base| base.meta.next_position);
            match hole.last_position {
                Some(last) => self.changes_lost += (last + 1).saturating_sub(hole.first_position.max(next)),
                None => self.holes_without_end += 1,
            }
        }
        self.tell(Line::Hole(HoleLine { hole, is_covered }));
    }

    fn batch(&mut self, found: &ScannedBatch<'_>) {
        self.tell(Line::Batch(found));
        if found.standing != Standing::Counts || self.flow.is_break() {
            return;
        }
        let batch = &found.batch;
        let damage = |what: String| BadPlace {
            file: batch.location.file.to_owned(),
            offset: batch.location.offset,
            bytes: found.bytes,
            batch: Some(wal::BadBatch {
                batch_seq: batch.batch_seq,
                first_position: batch.first_position,
                count: batch.count,
            }),
            what,
        };
        match batch.kind {
            BatchKind::Data => match read_runs(batch.payload, batch.count) {
                Ok(runs) => self.runs(found, &runs, &damage),
                Err(error) => self.damage(damage(error.to_string())),
            },
            BatchKind::Hash => {
                let behind = batch.batch_seq > self.covered();
                if behind && self.batches_lost == 0 && self.changes_not_saved == 0 && self.salvage.is_whole() {
                    match read_hash(batch.payload) {
                        Ok(logged) if logged == self.salvage.hash() => {}
                        Ok(logged) => {
                            let reached = self.salvage.hash();
                            let what = format!("the state has the hash {reached:016x}, the log says {logged:016x}");
                            self.damage(damage(what));
                        }
                        Err(error) => self.damage(damage(error.to_string())),
                    }
                }
            }
            BatchKind::Seal | BatchKind::Marker => {}
        }
    }

    fn runs(&mut self, found: &ScannedBatch<'_>, runs: &[RunView<'_>], damage: &dyn Fn(String) -> BadPlace) {
        let is_behind = found.batch.batch_seq > self.covered();
        let mut position = found.batch.first_position;
        for run in runs {
            let Walk { salvage, sink, flow, changes_not_saved, .. } = self;
            let mut visit = |taken: Taken<'_>| {
                let not_saved = taken.result.err();
                *changes_not_saved += u64::from(not_saved.is_some());
                let line = ChangeLine {
                    position,
                    incarnation: found.incarnation,
                    time: run.time,
                    batch_seq: found.batch.batch_seq,
                    slot: run.slot,
                    record: taken.record,
                    event: taken.event.map(|(id, key)| (id, *key)),
                    plan: taken.plan.map(|(plan, _)| plan),
                    plan_revision: taken.plan.map(|(_, revision)| *revision),
                    moves: (is_behind && not_saved.is_none()).then_some(taken.moves),
                    not_saved,
                };
                position += 1;
                if flow.is_continue() {
                    *flow = sink(Line::Change(line));
                }
            };
            let read = if is_behind { salvage.take(run, &mut visit) } else { salvage.name(run, &mut visit) };
            if let Err((left, why)) = read {
                // Those behind it in the run are lost with it; their numbers are not, so the next run shows it.
                let last = position + u64::from(left);
                self.changes_not_saved += u64::from(left);
                self.damage(damage(format!(
                    "{left} changes of slot {} from position {position} on: {why}",
                    run.slot.0
                )));
                position = last;
            }
        }
    }
}
