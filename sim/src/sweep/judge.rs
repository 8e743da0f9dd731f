//! What the production code makes of a damaged folder, and whether that is right.
//!
//! Three answers are right: everything is there; or what is missing was never acknowledged; or a refusal that
//! names a file. `verify` and a start must give the same one.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use engine::{ClockSource, ManualClock, Verdict, VerifyError, VerifyReport, open, verify};
use inventory_core::ids::TimestampMs;
use wal::{
    Chain, CheckpointError, CheckpointReader, Keep, RecoverError, RecoverFrom, Storage, WATERMARK_NAME,
    list_checkpoints, recover,
};

use super::{folder::Folder, sale::engine_config};

/// A folder before the damage, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// What a case is called by.
    pub(super) name: String,
    pub(super) folder: Folder,
    /// The last position that was acknowledged.
    pub(super) acknowledged: u64,
    /// The last position written.
    pub(super) written: u64,
    /// The one right state at each position that a batch ends at.
    pub(super) hash_at: Arc<BTreeMap<u64, u64>>,
    /// The chain after each batch, from the first.
    pub(super) chains: Arc<Vec<Chain>>,
}

impl Sample {
    pub(super) fn new(
        name: &str,
        folder: Folder,
        acknowledged: u64,
        written: u64,
        hash_at: Arc<BTreeMap<u64, u64>>,
    ) -> Sample {
        let mut chains = Vec::new();
        let note = &mut |batch: wal::BatchView<'_>| {
            chains.push(batch.chain);
            Ok(())
        };
        // A log behind a checkpoint does not begin at its beginning; it is only looked at in full.
        let _ = recover(&folder, RecoverFrom::start(), note);
        Sample { name: name.to_owned(), folder, acknowledged, written, hash_at, chains: Arc::new(chains) }
    }
}

/// How much of the production code looks at a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// `recover` over the log alone: the same chain means the same batches, and replaying the same batches was
    /// looked at in full. Only where nothing but the log is damaged and there is no checkpoint.
    Log,
    /// The reader of checkpoints alone: one that it calls damaged is passed over whatever is damaged in it. Only
    /// where nothing but one checkpoint is damaged.
    Checkpoint,
    /// `verify`.
    Check,
    /// `verify`, a start, and `verify` after a crash.
    Start,
}

/// What a case asks for besides being right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing.
    Right,
    /// Only bytes that nobody was told of are damaged: to refuse would be wrong.
    Start,
    /// A check must not call this folder whole.
    Notice,
    /// A check must not call it whole, and the other copy lets it start.
    Fallback,
    /// Acknowledged data is gone: there is no right start.
    Refuse,
    /// The damage takes the last acknowledged batches and every witness of them too, or puts back an older
    /// copy of all that could tell. No program that looks at these bytes can see it, so an earlier state is
    /// right here, from this position on, and nothing else is.
    Exposed(u64),
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything written is there.
    Exact,
    /// Everything acknowledged is there, and not everything written.
    Unacknowledged,
    /// An earlier state, where nothing could tell: see [`Demand::Exposed`].
    Exposed,
    /// Not started, with a sentence that names a file.
    Refused,
    /// None of these.
    Wrong(String),
}

/// What `verify` says, and what is wrong with it.
type Checked = Result<Result<VerifyReport, VerifyError>, String>;

fn check(folder: &dyn Storage) -> Checked {
    catch_unwind(AssertUnwindSafe(|| verify(folder)))
        .map_err(|cause| format!("verify panics: {}", text_of(cause.as_ref())))
}

fn text_of(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Judges one folder.
pub(super) fn judge(sample: &Sample, folder: &Folder, demand: Demand, depth: Depth) -> Outcome {
    let judged = match depth {
        Depth::Log => judge_log(sample, folder, demand),
        Depth::Checkpoint => judge_checkpoint(sample, folder, demand),
        Depth::Check => judge_check(sample, folder, demand).map(|(outcome, _)| outcome),
        Depth::Start => judge_check(sample, folder, demand).and_then(|(outcome, checked)| {
            start(sample, folder, checked.as_ref())?;
            Ok(outcome)
        }),
    };
    judged.unwrap_or_else(Outcome::Wrong)
}

fn judge_log(sample: &Sample, folder: &Folder, demand: Demand) -> Result<Outcome, String> {
    let (mut batches, mut differs) = (0, false);
    let recovered = catch_unwind(AssertUnwindSafe(|| {
        recover(folder, RecoverFrom::start(), &mut |batch| {
            differs |= sample.chains.get(batches) != Some(&batch.chain);
            batches += 1;
            Ok(())
        })
    }))
    .map_err(|cause| format!("recovery panics: {}", text_of(cause.as_ref())))?;
    match recovered {
        Err(error) => {
            if !names_a_file(&error.to_string(), sample, folder) {
                return Err(format!("refused without naming a file: {error}"));
            }
            if matches!(error, RecoverError::Io { .. }) {
                return Err(format!("damage is called a failure to read: {error}"));
            }
            judge_refusal(&error, demand)
        }
        Ok(_) if differs => Err("a batch came back that was never written".to_owned()),
        Ok(recovered) => judge_position(sample, recovered.next_position - 1, demand),
    }
}

fn judge_checkpoint(sample: &Sample, folder: &Folder, demand: Demand) -> Result<Outcome, String> {
    let names = list_checkpoints(folder).map_err(|error| error.to_string())?;
    let mut damaged = 0;
    // The other one is known to be good.
    let is_changed = |name: &&String| folder.bytes(name) != sample.folder.bytes(name);
    for name in names.iter().filter(is_changed) {
        let read = || CheckpointReader::open(folder, name).and_then(|reader| reader.verify_all());
        let read = catch_unwind(AssertUnwindSafe(read));
        match read.map_err(|cause| format!("the reader panics: {}", text_of(cause.as_ref())))? {
            Ok(()) => {}
            Err(CheckpointError::Damaged { file, .. }) if file == *name => damaged += 1,
            Err(error) => return Err(format!("damage is called something else: {error}")),
        }
    }
    match demand {
        Demand::Fallback if damaged == 1 && names.len() > 1 => Ok(Outcome::Exact),
        Demand::Notice if damaged == 1 => Ok(Outcome::Refused),
        _ => Err(format!("{damaged} of {} checkpoints are called damaged", names.len())),
    }
}

fn judge_refusal(error: &dyn std::fmt::Display, demand: Demand) -> Result<Outcome, String> {
    if matches!(demand, Demand::Start | Demand::Fallback) {
        return Err(format!("refused, and everything acknowledged is there: {error}"));
    }
    Ok(Outcome::Refused)
}

fn judge_check(sample: &Sample, folder: &Folder, demand: Demand) -> Result<(Outcome, Option<VerifyReport>), String> {
    match check(folder)? {
        Err(error) => {
            if !names_a_file(&error.message, sample, folder) {
                return Err(format!("refused without naming a file: {error}"));
            }
            if error.verdict == Verdict::Io {
                return Err(format!("damage is called a failure to read: {error}"));
            }
            Ok((judge_refusal(&error, demand)?, None))
        }
        Ok(report) => {
            let outcome = judge_state(sample, &report, demand)?;
            if report.verdict == Verdict::Damaged
                && !report.warnings.iter().any(|warning| names_a_file(warning, sample, folder))
            {
                return Err(format!("called damaged without naming a file: {:?}", report.warnings));
            }
            Ok((outcome, Some(report)))
        }
    }
}

fn judge_state(sample: &Sample, report: &VerifyReport, demand: Demand) -> Result<Outcome, String> {
    let VerifyReport { verdict, position, state_hash, .. } = *report;
    match sample.hash_at.get(&position) {
        Some(hash) if *hash == state_hash => {}
        right => {
            return Err(format!("{verdict:?}: position {position} with the hash {state_hash:016x}, not {right:x?}"));
        }
    }
    if matches!(demand, Demand::Notice | Demand::Fallback) && verdict != Verdict::Damaged {
        return Err(format!("{verdict:?}, and a file is damaged"));
    }
    judge_position(sample, position, demand).map_err(|what| format!("{verdict:?}: {what}"))
}

fn judge_position(sample: &Sample, position: u64, demand: Demand) -> Result<Outcome, String> {
    if position > sample.written {
        return Err(format!("position {position}, and only {} were written", sample.written));
    }
    if position < sample.acknowledged {
        if let Demand::Exposed(from) = demand
            && position >= from
        {
            return Ok(Outcome::Exposed);
        }
        return Err(format!("position {position}, and {} was acknowledged", sample.acknowledged));
    }
    if demand == Demand::Refuse {
        return Err(format!("position {position}, and acknowledged data is damaged"));
    }
    Ok(if position == sample.written { Outcome::Exact } else { Outcome::Unacknowledged })
}

/// A refusal is of use when it says where to look.
fn names_a_file(message: &str, sample: &Sample, folder: &Folder) -> bool {
    // One that is missing is named too.
    folder.names().chain(sample.folder.names()).chain([WATERMARK_NAME]).any(|name| message.contains(name))
}

/// Starts the folder and compares with what the check said.
fn start(sample: &Sample, folder: &Folder, checked: Option<&VerifyReport>) -> Result<(), String> {
    let disk = folder.to_disk();
    // Later than anything in the log, sooner than a jump of the clock.
    let clock = ManualClock::new(TimestampMs(super::sale::START.0 + 60_000));
    let config = engine_config(28 << 10);
    let started = catch_unwind(AssertUnwindSafe(|| {
        open(Arc::new(disk.clone()), ClockSource::Manual(clock), config, &mut |_| {}).map(|opened| opened.report)
    }))
    .map_err(|cause| format!("the start panics: {}", text_of(cause.as_ref())))?;
    let (report, checked) = match (started, checked) {
        (Ok(report), Some(checked)) => (report, checked),
        (Err(error), None) if names_a_file(&error.to_string(), sample, folder) => return Ok(()),
        (Err(error), None) => return Err(format!("the start is refused without naming a file: {error}")),
        (Ok(report), None) => return Err(format!("refused by the check, and started: {report:?}")),
        (Err(error), Some(checked)) => {
            return Err(format!("{:?} says the check, the start refuses: {error}", checked.verdict));
        }
    };
    if report.state_hash != checked.state_hash {
        return Err(format!("started with {:016x}, checked with {:016x}", report.state_hash, checked.state_hash));
    }
    for keep in [Keep::Nothing, Keep::Everything] {
        match check(&disk.crash(keep))? {
            Ok(again) if again.position == report.position => {}
            Ok(again) => {
                return Err(format!("position {} after a start at {} and a crash", again.position, report.position));
            }
            Err(error) => return Err(format!("started, and after a crash refused: {error}")),
        }
    }
    Ok(())
}
