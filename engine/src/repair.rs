//! Making a new folder of what a damaged one still proves.
//!
//! The newest good checkpoint, then every change behind it that proves itself: also behind a hole, for events
//! that lost nothing in it. What is not saved is named, change by change. The damaged folder is only read.
//!
//! Invariants:
//!
//! - R1. Every position behind the checkpoint, up to the last that was acknowledged, is either saved or told
//!   as a [`Loss`].
//! - R2. The new folder has the next incarnation and the mark of a restore; its positions go on behind all
//!   that were ever given out.
//!
//! Not here: judging a change (`salvage.rs`), the files of the new folder (`new_folder.rs`).

use std::{collections::BTreeSet, fmt, ops::ControlFlow};

use inventory_core::{
    ids::{PlanDigest, TimestampMs},
    slot::Slot,
};
use wal::{Chain, Storage};

use crate::{
    inspect::{CONFIG, Folder, Line, Walk, WalkError, WalkReport},
    line::{ChangeLine, DamageLine, FrozenEvent, HoleLine},
    new_folder::{NewFolderError, Origin, write_new_folder},
    plan_store::{PlanFiles, PlanStoreError, read_encoded},
    replay::State,
    verify::VerifyReport,
};

/// Something that a repair cannot save, or a damaged place behind it.
#[derive(Debug)]
pub enum Loss<'a> {
    /// A change that is there and does not prove itself.
    Change(&'a ChangeLine<'a>),
    /// Acknowledged batches that are nowhere, with all changes in them.
    Hole(&'a HoleLine),
    /// A damaged place. It loses nothing by itself: a hole or a change says what it does.
    Damage(&'a DamageLine),
    /// An event that is not saved to its last change, told once, at the end.
    Event(&'a FrozenEvent),
}

/// What a repair came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// The walk through the old folder.
    pub walk: WalkReport,
    /// Events in the new folder.
    pub events: usize,
    /// Events that are not saved to their last change.
    pub events_frozen: usize,
    /// Changes saved behind the checkpoint.
    pub changes_saved: u64,
    /// The last position of the new folder.
    pub position: u64,
    /// The incarnation of the new folder.
    pub incarnation: u64,
    /// The time of the old folder.
    pub time: TimestampMs,
}

impl RepairReport {
    /// Whether anything that was acknowledged is not in the new folder.
    #[must_use]
    pub fn loses(&self) -> bool {
        self.walk.changes_lost > 0
            || self.walk.holes_without_end > 0
            || self.walk.changes_not_saved > 0
            || self.events_frozen > 0
    }
}

/// No repair is possible.
#[derive(Debug)]
pub enum RepairError {
    /// The folder cannot be walked.
    Walk(WalkError),
    /// Neither a checkpoint nor a segment says whose log it is.
    NoLog,
}

impl fmt::Display for RepairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RepairError::Walk(error) => error.fmt(f),
            RepairError::NoLog => f.write_str("no checkpoint and no segment of a log is readable in this folder"),
        }
    }
}

impl std::error::Error for RepairError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RepairError::Walk(error) => Some(error),
            RepairError::NoLog => None,
        }
    }
}

/// What can be saved of a folder, ready to be written.
pub struct Repair {
    slots: Vec<Slot>,
    origin: Origin,
    report: RepairReport,
}

impl Repair {
    /// Reads a folder and tells everything that cannot be saved. Writes nothing.
    ///
    /// # Errors
    /// The folder cannot be listed, or holds no log at all.
    pub fn read(storage: &dyn Storage, tell: &mut dyn FnMut(Loss<'_>)) -> Result<Repair, RepairError> {
        let wrap = |(file, source)| RepairError::Walk(WalkError { file, source });
        let plans = PlanFiles::read_all(storage).map_err(wrap)?;
        let folder = Folder { storage, plans: &plans };
        let listed = || folder.checkpoints().map_err(|source| wrap((String::new(), source)));
        let mut stops = Vec::new();
        // An event that comes to another digest must end before that change: found by running into it, so the
        // walk is done again until none is found. Each time at least one event more is stopped.
        loop {
            let (salvage, base) = folder.base(&mut listed()?, u64::MAX, stops.clone());
            let mut quiet = |_: Line<'_>| ControlFlow::Continue(());
            let mut walk = Walk::new(salvage, base, &mut quiet);
            walk.log(storage, u64::MAX).map_err(|source| wrap((String::new(), source)))?;
            if walk.salvage.new_stops.is_empty() {
                break;
            }
            stops.append(&mut walk.salvage.new_stops);
        }
        let mut checkpoints = listed()?;
        let (salvage, base) = folder.base(&mut checkpoints, u64::MAX, stops);
        let meta = base.as_ref().map(|base| base.meta);
        let mut sink = |line: Line<'_>| {
            match &line {
                Line::Change(change) if change.not_saved.is_some() => tell(Loss::Change(change)),
                Line::Hole(hole) if !hole.is_covered => tell(Loss::Hole(hole)),
                Line::Damage(damage) => tell(Loss::Damage(damage)),
                _ => {}
            }
            ControlFlow::Continue(())
        };
        let mut walk = Walk::new(salvage, base, &mut sink);
        walk.files(checkpoints, &plans);
        let found = walk.log(storage, u64::MAX).map_err(|source| wrap((String::new(), source)))?;
        let salvage = walk.salvage;
        for event in &found.frozen {
            tell(Loss::Event(event));
        }

        let scan = &found.scan;
        let identity = scan.identity.or(meta.map(|meta| meta.identity)).ok_or(RepairError::NoLog)?;
        let now = salvage.slots.iter().map(|slot| slot.now().0).max().unwrap_or(0);
        let origin = Origin {
            identity,
            batch_seq: (scan.next_batch_seq - 1).max(scan.durable_seq).max(meta.map_or(0, |meta| meta.batch_seq)),
            next_position: scan
                .next_position
                .max(scan.durable_position + 1)
                .max(meta.map_or(1, |meta| meta.next_position)),
            chain: scan.chain.unwrap_or(Chain::START),
            time: TimestampMs(scan.time_ms.max(now)),
        };
        let report = RepairReport {
            events: salvage.slots.iter().map(Slot::event_count).sum(),
            events_frozen: found.frozen.len(),
            changes_saved: salvage.saved,
            position: origin.position(),
            incarnation: identity.incarnation + 1,
            time: origin.time,
            walk: found,
        };
        Ok(Repair { slots: salvage.slots, origin, report })
    }

    /// What it came to.
    #[must_use]
    pub fn report(&self) -> &RepairReport {
        &self.report
    }

    /// Writes the new folder into empty storage and verifies it: `old` is the damaged folder, for its plans.
    /// `now` is the wall clock.
    ///
    /// # Errors
    /// The storage is not empty, the disk refuses, or what was written does not read back the same.
    pub fn write(
        self,
        old: &dyn Storage,
        storage: &dyn Storage,
        now: TimestampMs,
    ) -> Result<VerifyReport, NewFolderError> {
        let mut state = State::empty(CONFIG);
        // What an interrupted start had given back is given once more: a few live holds end a little later.
        state.slots = self.slots;
        let named = state.slots.iter().flat_map(|slot| slot.events().map(|event| event.plan().digest().0));
        let named: BTreeSet<[u8; 32]> = named.collect();
        let encoded: Vec<Vec<u8>> = named
            .into_iter()
            .map(|digest| read_encoded(old, &PlanDigest(digest)))
            .collect::<Result<_, PlanStoreError>>()
            .map_err(|error| NewFolderError::Io {
                file: crate::plan_store::PLANS_DIR.to_owned(),
                source: std::io::Error::other(error),
            })?;
        write_new_folder(storage, &state, &self.origin, encoded.iter().map(Vec::as_slice), now)
    }
}
