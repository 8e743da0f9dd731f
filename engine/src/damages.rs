//! Every damage of a folder with its place, for whoever was told that there is some.
//!
//! The refusal of a start names the first. Here the folder is walked to its end.
//!
//! Not here: the verdict (`verify.rs`), what a repair could save (`repair.rs`).

use std::ops::ControlFlow;

use wal::{CheckpointError, Damage, RecoverError, Storage};

use crate::{
    inspect::{Line, WalkError, walk},
    line::{CheckpointLine, HoleLine},
    replay::StartError,
    verify,
};

/// A damage, where it is, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDamage {
    /// The file.
    pub file: String,
    /// The byte.
    pub offset: u64,
    /// The first batch that is bad or missing.
    pub batch_seq: Option<u64>,
    /// The first position that is bad or missing.
    pub first_position: Option<u64>,
    /// The last one.
    pub last_position: Option<u64>,
    /// What is wrong there.
    pub what: String,
    /// What it costs.
    pub lost: String,
}

/// As many are listed; a damaged folder rarely has more than one.
const LISTED_MAX: usize = 1_000;

/// Lists every damage of a folder, that which a start refuses first. Empty for a whole one. Writes nothing.
///
/// # Errors
/// The folder cannot be listed.
pub fn damages(storage: &dyn Storage) -> Result<Vec<FoundDamage>, WalkError> {
    let mut found = Vec::new();
    let mut bad_places = Vec::new();
    let mut is_lost = false;
    let mut warned: Vec<FoundDamage> = match verify::read(storage) {
        Ok((replayed, _)) => {
            let warnings = replayed.recovered.warnings.into_iter().filter(|warning| warning.is_damage);
            let second_copies = warnings.map(|warning| (warning.file, warning.what)).chain(replayed.missing);
            second_copies
                .map(|(file, what)| {
                    let lost = "nothing: it is a second copy of what is there".to_owned();
                    FoundDamage { lost, ..of_file(file, 0, what) }
                })
                .collect()
        }
        Err(error) => {
            is_lost = true;
            found.push(of_start(&error));
            Vec::new()
        }
    };
    let report = walk(storage, 0, &mut |line| {
        match line {
            Line::Checkpoint(line) => found.extend(of_checkpoint(&line)),
            Line::Plan(line) => {
                found.extend(line.problem.map(|what| FoundDamage {
                    lost: "the plan; an event that has it cannot be read".to_owned(),
                    ..of_file(line.file, 0, what)
                }));
            }
            Line::Segment(segment) => {
                bad_places.extend(segment.problems.iter().map(|(offset, what)| {
                    let first_position = segment.start.map(|start| start.first_position);
                    FoundDamage { first_position, ..of_file(segment.name.clone(), *offset, what.clone()) }
                }));
            }
            Line::Damage(line) => {
                let place = line.place;
                let batch = place.batch;
                bad_places.push(FoundDamage {
                    batch_seq: batch.map(|batch| batch.batch_seq),
                    first_position: batch.map(|batch| batch.first_position),
                    last_position: batch.and_then(|b| (b.first_position + u64::from(b.count)).checked_sub(1)),
                    ..of_file(place.file, place.offset, place.what)
                });
            }
            Line::Hole(hole) => {
                is_lost = true;
                found.push(of_hole(&hole));
            }
            Line::Batch(_) | Line::Change(_) => {}
        }
        ControlFlow::Continue(())
    })?;
    for event in report.frozen {
        found.push(FoundDamage {
            lost: match &event.saved_to {
                Some(seq) => format!("changes of the event behind its change {seq}"),
                None => "the event with all its changes".to_owned(),
            },
            ..of_file(String::new(), 0, format!("event {} ends there: {}", event.name(), event.why))
        });
    }
    // A bad place is damage where something acknowledged is lost; else it may be what a crash leaves.
    if is_lost {
        found.append(&mut bad_places);
    }
    found.append(&mut warned);
    let mut listed: Vec<FoundDamage> = Vec::new();
    for damage in found {
        // The refusal and the walk name the same place; the walk knows where it ends.
        match listed.iter_mut().find(|known| (&known.file, known.offset) == (&damage.file, damage.offset)) {
            Some(known) => {
                known.batch_seq = known.batch_seq.or(damage.batch_seq);
                known.first_position = known.first_position.or(damage.first_position);
                known.last_position = known.last_position.or(damage.last_position);
                if known.lost.is_empty() {
                    known.lost = damage.lost;
                }
            }
            None => listed.push(damage),
        }
    }
    listed.truncate(LISTED_MAX);
    Ok(listed)
}

fn of_file(file: String, offset: u64, what: String) -> FoundDamage {
    FoundDamage { file, offset, batch_seq: None, first_position: None, last_position: None, what, lost: String::new() }
}

fn of_checkpoint(line: &CheckpointLine) -> Option<FoundDamage> {
    let what = line.problem.clone()?;
    let position = line.meta.map(|meta| meta.next_position - 1);
    let lost = match position {
        Some(position) => format!("a copy of the state at position {position}"),
        None => "a copy of the state".to_owned(),
    };
    Some(FoundDamage { last_position: position, lost, ..of_file(line.file.clone(), line.problem_at, what) })
}

fn of_hole(line: &HoleLine) -> FoundDamage {
    let hole = &line.hole;
    let count = hole.last_position.map(|last| (last + 1).saturating_sub(hole.first_position));
    let changes = match (count, hole.last_position) {
        (Some(0), _) => "no change, a batch that proves others".to_owned(),
        (Some(count), Some(last)) => format!("{count} changes, positions {} to {last}", hole.first_position),
        _ => format!("changes from position {} on", hole.first_position),
    };
    let lost = if line.is_covered { format!("nothing: a checkpoint covers {changes}") } else { changes };
    FoundDamage {
        batch_seq: Some(hole.first_batch_seq),
        first_position: Some(hole.first_position),
        last_position: hole.last_position,
        lost,
        ..of_file(
            hole.file.clone(),
            hole.offset,
            format!("batches {} to {} are not there, and {}", hole.first_batch_seq, hole.last_batch_seq, hole.proof),
        )
    }
}

fn of_start(error: &StartError) -> FoundDamage {
    let what = error.to_string();
    match error {
        StartError::Log(RecoverError::Damaged(damage)) => {
            let Damage { file, offset, batch_seq, first_position, last_position, how_proven } = damage.as_ref();
            FoundDamage {
                batch_seq: Some(*batch_seq),
                first_position: Some(*first_position),
                last_position: *last_position,
                ..of_file(file.clone(), *offset, how_proven.to_string())
            }
        }
        StartError::Log(RecoverError::Gap { before, batch_seq, first_position, .. }) => FoundDamage {
            batch_seq: Some(*batch_seq),
            first_position: Some(*first_position),
            ..of_file(before.clone(), 0, what)
        },
        StartError::Log(RecoverError::Sink { file, offset, batch_seq, first_position, .. }) => FoundDamage {
            batch_seq: Some(*batch_seq),
            first_position: Some(*first_position),
            ..of_file(file.clone(), *offset, what)
        },
        StartError::Log(RecoverError::NewerFormat { file, offset, .. })
        | StartError::Checkpoint(CheckpointError::Damaged { file, offset, .. }) => of_file(file.clone(), *offset, what),
        StartError::Log(RecoverError::WrongInstance { file, .. } | RecoverError::Io { file, .. })
        | StartError::Checkpoint(
            CheckpointError::NewerFormat { file, .. }
            | CheckpointError::NoSection { file, .. }
            | CheckpointError::Io { file, .. },
        )
        | StartError::Image { file, .. }
        | StartError::Io { file, .. } => of_file(file.clone(), 0, what),
        StartError::Plans(_) => of_file(String::new(), 0, what),
    }
}
