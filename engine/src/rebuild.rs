//! A state put together from a checkpoint and batches, wherever they come from, up to one moment.
//!
//! The same replay as a start's: every change must give its number and its digest again, every HASH must
//! be that of the state, every batch must continue the chain. What is asked for may lie inside a batch:
//! changes are numbered in the order of the bytes, so the first ones of a batch are a state of their own.
//!
//! Not here: where batches are kept (`backup`), or what to do with damaged ones (nothing is passed over).

use std::{collections::HashMap, sync::Arc};

use inventory_core::{
    codec,
    ids::{PlanDigest, TimestampMs},
    slot::SlotConfig,
};
use wal::{BatchContent, BatchKind, Chain, CheckpointReader, LogIdentity, Storage};

use crate::{
    checkpointer::read_hashes,
    group::{RunView, read_runs},
    new_folder::{NewFolderError, Origin, write_new_folder},
    plan_store::{PlanFiles, build, digest_of},
    replay::{ReplayError, State, load_checkpoint},
    verify::{VerifyError, VerifyReport},
};

/// What bounds memory is no part of the state, so any bound does; this one drops nothing.
const CONFIG: SlotConfig = SlotConfig { seed: 0, tombstones_max: u32::MAX };

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// As far as there is log.
    End,
    /// Up to and with this position.
    Position(u64),
    /// Up to the last change before the first one made after this time.
    Time(TimestampMs),
}

/// A batch, wherever it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedBatch<'a> {
    /// What it says.
    pub content: BatchContent<'a>,
    /// The chain after it.
    pub chain: Chain,
}

/// The state cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildError(String);

impl std::fmt::Display for RebuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RebuildError {}

/// What a rebuilt state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuiltState {
    /// Its last position.
    pub position: u64,
    /// The time of its last change.
    pub time: TimestampMs,
    /// Events.
    pub events: usize,
    /// Live holds.
    pub live_holds: u64,
    /// The state's hash.
    pub state_hash: u64,
}

/// A state that is being put together.
pub struct Rebuild {
    state: State,
    origin: Origin,
    plans: PlanFiles,
    encoded: HashMap<PlanDigest, Vec<u8>>,
}

impl Rebuild {
    /// From the first change on. `plans` are encoded ones; more can be added later.
    ///
    /// # Errors
    /// A plan that is none.
    pub fn from_start(identity: LogIdentity, plans: Vec<Vec<u8>>) -> Result<Rebuild, RebuildError> {
        let mut rebuild = Rebuild::empty(identity);
        plans.into_iter().try_for_each(|encoded| rebuild.add_plan(encoded).map(drop))?;
        Ok(rebuild)
    }

    /// From a checkpoint on, which is verified as at a start.
    ///
    /// # Errors
    /// The checkpoint is damaged, or names a plan that is not among `plans`.
    pub fn from_checkpoint(storage: &dyn Storage, name: &str, plans: Vec<Vec<u8>>) -> Result<Rebuild, VerifyError> {
        let meta = *CheckpointReader::open(storage, name).map_err(crate::replay::StartError::Checkpoint)?.meta();
        let mut rebuild = Rebuild::empty(meta.identity);
        for encoded in plans {
            rebuild
                .add_plan(encoded)
                .map_err(|RebuildError(message)| VerifyError { verdict: crate::verify::Verdict::Damaged, message })?;
        }
        rebuild.state = load_checkpoint(storage, name, CONFIG, &rebuild.plans)?.state;
        rebuild.origin = Origin::of_checkpoint(&meta);
        Ok(rebuild)
    }

    fn empty(identity: LogIdentity) -> Rebuild {
        Rebuild {
            state: State::empty(CONFIG),
            origin: Origin::start(identity),
            plans: PlanFiles::none(),
            encoded: HashMap::new(),
        }
    }

    /// Adds an encoded plan that changes may name.
    ///
    /// # Errors
    /// It is none.
    pub fn add_plan(&mut self, encoded: Vec<u8>) -> Result<PlanDigest, RebuildError> {
        let digest = digest_of(&encoded);
        if !self.encoded.contains_key(&digest) {
            let plan =
                build(&encoded, digest).map_err(|why| RebuildError(format!("plan {digest} is not valid: {why}")))?;
            self.plans.plans.insert(digest, Arc::new(plan));
            self.encoded.insert(digest, encoded);
        }
        Ok(digest)
    }

    /// Applies the next batch, as far as `until` reaches. Whether it reaches beyond the batch.
    ///
    /// # Errors
    /// The batch does not continue what was applied, or does not give what it gave when it was made.
    pub fn apply(&mut self, batch: &LoggedBatch<'_>, until: Until) -> Result<bool, RebuildError> {
        let LoggedBatch { content, chain } = batch;
        let at = |what: String| {
            RebuildError(format!("batch {} at position {}: {what}", content.batch_seq, content.first_position))
        };
        if (content.batch_seq, content.first_position) != (self.origin.batch_seq + 1, self.origin.next_position) {
            return Err(at(format!(
                "batch {} at position {} was expected",
                self.origin.batch_seq + 1,
                self.origin.next_position
            )));
        }
        if self.origin.chain.after(content) != *chain {
            return Err(at("it continues another history".to_owned()));
        }
        let replay = |error: ReplayError| at(error.to_string());
        let mut origin = Origin { batch_seq: content.batch_seq, chain: *chain, ..self.origin };
        match content.kind {
            BatchKind::Data => {
                let runs = read_runs(content.payload, content.count).map_err(|error| at(error.to_string()))?;
                let wanted = self.changes_wanted(&runs, until);
                let all = wanted == u64::from(content.count);
                if wanted == 0 {
                    return Ok(false);
                }
                let runs = first_changes(&runs, wanted).map_err(|what| at(what.to_owned()))?;
                self.state.replay_runs(&runs, &self.plans).map_err(replay)?;
                origin.next_position += wanted;
                let last = runs.iter().map(|run| run.time).max().unwrap_or(origin.time);
                origin.time = if all { TimestampMs(content.time_ms) } else { last.max(origin.time) };
                self.origin = origin;
                Ok(all)
            }
            BatchKind::Hash => {
                // Behind the changes of a start it has the time of the start. Elsewhere nothing happened then.
                if self.state.given.is_of(origin.time) {
                    origin.time = TimestampMs(content.time_ms);
                }
                self.state.compare_hash(content.payload).map_err(replay)?;
                self.origin = origin;
                Ok(true)
            }
            BatchKind::Seal => {
                self.origin = origin;
                Ok(true)
            }
            BatchKind::Marker => Err(at("it is of a kind that is never kept".to_owned())),
        }
    }

    /// How many of the next batch's changes are asked for.
    fn changes_wanted(&self, runs: &[RunView<'_>], until: Until) -> u64 {
        let all: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
        match until {
            Until::End => all,
            Until::Position(position) => (position + 1).saturating_sub(self.origin.next_position).min(all),
            Until::Time(time) => runs.iter().take_while(|run| run.time <= time).map(|run| u64::from(run.count)).sum(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What it is.
    #[must_use]
    pub fn state(&self) -> RebuiltState {
        RebuiltState {
            position: self.origin.position(),
            time: self.origin.time,
            events: self.state.event_count(),
            live_holds: self.state.live_holds(),
            state_hash: self.state.hash(),
        }
    }

    /// Writes it as a data folder of the next incarnation into empty storage, and verifies that. `now` is the
    /// wall clock.
    ///
    /// # Errors
    /// The storage is not empty, the disk refuses, or what was written does not read back the same.
    pub fn write(&self, storage: &dyn Storage, now: TimestampMs) -> Result<VerifyReport, NewFolderError> {
        let named = self.state.slots.iter().flat_map(|slot| slot.events().map(|event| event.plan().digest()));
        let named: std::collections::BTreeSet<[u8; 32]> = named.map(|digest| digest.0).collect();
        let plans = named.iter().filter_map(|digest| self.encoded.get(&PlanDigest(*digest)));
        write_new_folder(storage, &self.state, &self.origin, plans.map(Vec::as_slice), now)
    }
}

/// The runs that hold the first `wanted` changes.
fn first_changes<'a>(runs: &[RunView<'a>], wanted: u64) -> Result<Vec<RunView<'a>>, &'static str> {
    let mut first = Vec::new();
    let mut left = wanted;
    for run in runs {
        // At most the count, which is a u32.
        let count = left.min(u64::from(run.count)) as u32;
        if count == 0 {
            break;
        }
        let mut bytes = run.records.len();
        if count < run.count {
            bytes = 0;
            for _ in 0..count {
                let rest = run.records.get(bytes..).unwrap_or_default();
                let (_, consumed) = codec::decode_record(rest).map_err(|_| "a change is not readable")?;
                bytes += consumed;
            }
        }
        first.push(RunView { count, records: &run.records[..bytes], ..*run });
        left -= u64::from(count);
    }
    Ok(first)
}

/// What a checkpoint needs beside itself, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointContent {
    /// The plans that its events name.
    pub plans: Vec<PlanDigest>,
    /// The hash of its state.
    pub state_hash: u64,
}

/// Reads a checkpoint once through and verifies every section.
///
/// # Errors
/// It is damaged or not readable.
pub fn checkpoint_content(reader: &CheckpointReader) -> Result<CheckpointContent, VerifyError> {
    use crate::replay::StartError;
    let mut plans = std::collections::BTreeSet::new();
    let mut sections = reader.read_all().map_err(StartError::Checkpoint)?;
    let mut image = Vec::new();
    while let Some(tag) = sections.next(&mut image).map_err(StartError::Checkpoint)? {
        let Ok(slot) = u8::try_from(tag) else { continue };
        let named = inventory_core::image::plans_of(&image).map_err(|error| StartError::Image {
            file: reader.name().to_owned(),
            slot,
            what: error.to_string(),
        })?;
        plans.extend(named.into_iter().map(|digest| digest.0));
    }
    sections.finish().map_err(StartError::Checkpoint)?;
    let state_hash = read_hashes(reader)?.into_iter().fold(0, |all, hash| all ^ hash);
    Ok(CheckpointContent { plans: plans.into_iter().map(PlanDigest).collect(), state_hash })
}
