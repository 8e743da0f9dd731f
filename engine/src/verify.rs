//! Checking a data folder without writing to it.
//!
//! The same code as a start, up to the point where a start would begin to write. What a start would go
//! around (a damaged checkpoint while an older one is good, a plan that nothing names) is damage here
//! all the same: the state is whole, and a copy that was meant to protect it is not.

use std::fmt;

use inventory_core::{ids::TimestampMs, limits::SLOTS, slot::SlotConfig};
use wal::{CheckpointError, RecoverError, Storage, TailReport, list_checkpoints};

use crate::{
    plan_store::{PlanFiles, PlanStoreError},
    replay::{Replayed, StartError, log_time, refuse_plans_alone, replay},
    router::shard_of,
};

/// What a folder is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything checks.
    Clean,
    /// Everything acknowledged checks; after it lies a write that never was acknowledged.
    TornTail,
    /// Data is damaged or missing.
    Damaged,
    /// The operating system refused to read.
    Io,
    /// A newer program wrote it.
    NewerFormat,
}

impl Verdict {
    /// The exit code of a program that was asked: 0 clean, 1 torn tail, 2 damaged, 3 not readable, 4 newer
    /// format.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::TornTail => 1,
            Verdict::Damaged => 2,
            Verdict::Io => 3,
            Verdict::NewerFormat => 4,
        }
    }
}

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// [`Verdict::Clean`] or [`Verdict::TornTail`]; [`Verdict::Damaged`] when the state is whole and a copy
    /// beside it is not: `warnings` names it.
    pub verdict: Verdict,
    /// The last position.
    pub position: u64,
    /// The latest time in the log.
    pub time: TimestampMs,
    /// The state's hash.
    pub state_hash: u64,
    /// Events.
    pub events: usize,
    /// Live holds.
    pub live_holds: u64,
    /// Segments kept.
    pub segments: usize,
    /// Checkpoints kept.
    pub checkpoints: usize,
    /// The position of the checkpoint it began with; zero: it began with the log.
    pub checkpoint_position: u64,
    /// Whether the last writer ended cleanly.
    pub sealed: bool,
    /// Whether the log ends in the middle of a start, which had given some of the time away back.
    pub unfinished_start: bool,
    /// How the log ends.
    pub tail: TailReport,
    /// What an operator should read.
    pub warnings: Vec<String>,
}

/// A folder is not whole.
#[derive(Debug)]
pub struct VerifyError {
    /// Which kind.
    pub verdict: Verdict,
    /// The file, the byte and what to do.
    pub message: String,
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for VerifyError {}

impl From<StartError> for VerifyError {
    fn from(error: StartError) -> VerifyError {
        let verdict = match &error {
            StartError::Io { .. }
            | StartError::Plans(PlanStoreError::Io { .. })
            | StartError::Checkpoint(CheckpointError::Io { .. })
            | StartError::Log(RecoverError::Io { .. }) => Verdict::Io,
            StartError::Checkpoint(CheckpointError::NewerFormat { .. })
            | StartError::Log(RecoverError::NewerFormat { .. }) => Verdict::NewerFormat,
            StartError::Plans(PlanStoreError::Invalid(_))
            | StartError::Checkpoint(CheckpointError::Damaged { .. } | CheckpointError::NoSection { .. })
            | StartError::Image { .. }
            | StartError::Log(
                RecoverError::Damaged(_)
                | RecoverError::WrongInstance { .. }
                | RecoverError::Gap { .. }
                | RecoverError::Sink { .. },
            ) => Verdict::Damaged,
        };
        VerifyError { verdict, message: error.to_string() }
    }
}

/// Checks every checkpoint, plan and segment of a folder, replays them, and writes nothing.
pub fn verify(storage: &dyn Storage) -> Result<VerifyReport, VerifyError> {
    let (replayed, plans) = read(storage)?;
    let mut warnings: Vec<String> = replayed.bad_checkpoints.iter().map(|(_, error)| error.to_string()).collect();
    warnings.extend(plans.bad.iter().map(|(file, why)| format!("{file}: {why}")));
    let checkpoints = list_checkpoints(storage).map_err(|source| StartError::Io { file: String::new(), source })?;
    let recovered = &replayed.recovered;
    warnings.extend(replayed.missing.iter().map(|(file, what)| format!("{file}: {what}")));
    let damaged = recovered.warnings.iter().filter(|warning| warning.is_damage);
    warnings.extend(damaged.map(ToString::to_string));
    let verdict = match &recovered.tail {
        _ if !warnings.is_empty() => Verdict::Damaged,
        TailReport::Clean => Verdict::Clean,
        TailReport::Torn { .. } => Verdict::TornTail,
    };
    // The log's other warnings are about what a crash leaves, and what it could prove in another way.
    warnings.extend(recovered.warnings.iter().filter(|warning| !warning.is_damage).map(ToString::to_string));
    Ok(VerifyReport {
        verdict,
        position: recovered.next_position - 1,
        time: log_time(&replayed),
        state_hash: replayed.state.hash(),
        events: replayed.state.event_count(),
        live_holds: replayed.state.live_holds(),
        segments: recovered.segments.len(),
        checkpoints: checkpoints.len(),
        checkpoint_position: replayed.checkpoint.as_ref().map_or(0, |(_, meta, _)| meta.next_position - 1),
        sealed: recovered.sealed,
        unfinished_start: !replayed.state.given.is_empty(),
        tail: recovered.tail.clone(),
        warnings,
    })
}

/// The hash of the state a folder holds, put together from this many shards.
pub fn state_hash(storage: &dyn Storage, shards: usize) -> Result<u64, VerifyError> {
    assert!((1..=SLOTS).contains(&shards), "{shards} shards");
    let (replayed, _) = read(storage)?;
    let mut hashes = vec![0; shards];
    for slot in &replayed.state.slots {
        hashes[shard_of(slot.index(), shards)] ^= slot.hash();
    }
    Ok(hashes.into_iter().fold(0, |hash, of_shard| hash ^ of_shard))
}

pub(crate) fn read(storage: &dyn Storage) -> Result<(Replayed, PlanFiles), StartError> {
    // What bounds memory is no part of the state, so any bound does; this one drops nothing.
    let config = SlotConfig { seed: 0, tombstones_max: u32::MAX };
    let plans = PlanFiles::read(storage).map_err(StartError::Plans)?;
    let replayed = replay(storage, config, &plans, &mut |_| {})?;
    refuse_plans_alone(&replayed, &plans)?;
    Ok((replayed, plans))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_exit_code() {
        let codes = [Verdict::Clean, Verdict::TornTail, Verdict::Damaged, Verdict::Io, Verdict::NewerFormat]
            .map(Verdict::exit_code);
        assert_eq!(codes, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_newer_file_is_told_from_a_damaged_one() {
        let newer = StartError::Log(RecoverError::NewerFormat { file: "a".into(), offset: 0, found: 2, known: 1 });
        assert_eq!(VerifyError::from(newer).verdict, Verdict::NewerFormat);
        let newer = StartError::Checkpoint(CheckpointError::NewerFormat { file: "a".into(), found: 2, known: 1 });
        assert_eq!(VerifyError::from(newer).verdict, Verdict::NewerFormat);
        let damaged = StartError::Checkpoint(CheckpointError::Damaged { file: "a".into(), offset: 0, what: "crc" });
        assert_eq!(VerifyError::from(damaged).verdict, Verdict::Damaged);
    }
}
