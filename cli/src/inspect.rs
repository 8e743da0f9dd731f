//! `usherctl inspect`: what a data folder holds, as JSON lines, without a server and without writing to it.
//!
//! Not here: the walk (crate `engine`), whether the folder is whole (`verify.rs`).

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use client::HoldId;
use engine::inspect::{ChangeLine, CheckpointLine, DamageLine, HoleLine, Line, PlaceMoved, PlanLine, walk};
use inventory_core::place::{Moved, PlaceState};
use prost_types::Timestamp;
use serde_json::{Value, json};
use wal::{BatchKind, FileStorage, ScannedBatch, ScannedSegment, Standing};

use crate::event_card::moment_json;
use crate::event_file;
use crate::instant;
use crate::name::EventName;

/// What an inspection that could not be made ends with.
pub(crate) const UNREADABLE_EXIT: u8 = 3;
/// What an inspection ends with that met acknowledged data that is lost.
const LOST_EXIT: u8 = 2;

const EXAMPLES: &str = "Examples:
  usherctl inspect /var/lib/usher --what segments
  usherctl inspect /var/lib/usher --event concert-1 --seat A-12
  usherctl inspect /var/lib/usher --from 120000 --to 120500 --what changes
  usherctl inspect /var/lib/usher/retired/00c0ffee00c0ffee.event

One JSON object a line; `line` says of what: checkpoint, plan, segment, batch, change, damage, hole; of the file of a
retired event: event, sale, killed. Exit codes: 0
shown, 2 shown and acknowledged data is lost, 3 not readable or wrong usage. Nothing is ever written.";

/// Show what a data folder holds, as JSON lines, without writing to it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectOptions {
    /// The data folder of a server, or the file of a retired event
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Only this much: segments (with checkpoints and plans), batches, changes; all without it
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    what: Vec<What>,
    /// Only changes of this event
    #[arg(long, value_name = "EVENT")]
    event: Option<EventName>,
    /// Only changes that move this seat or area, by its key
    #[arg(long, value_name = "KEY")]
    seat: Option<String>,
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Up to and with this position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only changes at or after this time
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    from_time: Option<Timestamp>,
    /// Only changes before this time
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    to_time: Option<Timestamp>,
    /// Show hold ids in full: who has one may confirm and release the hold
    #[arg(long)]
    ids: bool,
}

/// A kind of thing in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Segments, checkpoints and plans.
    Segments,
    /// Batches.
    Batches,
    /// Changes.
    Changes,
}

/// Runs the command, writing lines to `data` and remarks to `beside`. Gives what to end with.
pub(crate) fn inspect(options: &InspectOptions, data: &mut dyn Write, beside: &mut dyn Write) -> io::Result<u8> {
    if options.dir.is_file() {
        return event_file::inspect(&options.dir, options.ids, data, beside);
    }
    let storage = match FileStorage::open_read_only(&options.dir) {
        Ok(storage) => storage,
        Err(error) => {
            writeln!(beside, "error: {error}")?;
            return Ok(UNREADABLE_EXIT);
        }
    };
    let filter = Filter::of(options);
    let mut data = BufWriter::new(data);
    let mut failed = None;
    let from = options.from.unwrap_or(0);
    let walked = walk(&storage, from, &mut |line| {
        if filter.is_behind(&line) {
            return ControlFlow::Break(());
        }
        let Some(json) = filter.json(&line) else { return ControlFlow::Continue(()) };
        match writeln!(data, "{json}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    data.flush()?;
    match walked {
        Ok(report) if report.batches_lost > 0 || report.changes_not_saved > 0 => {
            writeln!(
                beside,
                "{} acknowledged batches are lost, and {} changes behind them do not prove themselves; next: usherctl \
                 repair {} --out NEW",
                report.batches_lost,
                report.changes_not_saved,
                options.dir.display()
            )?;
            Ok(LOST_EXIT)
        }
        Ok(report) if report.base.is_none() && report.scan.identity.is_none() => {
            writeln!(beside, "error: no data of a server in this folder")?;
            Ok(UNREADABLE_EXIT)
        }
        Ok(_) => Ok(0),
        Err(error) => {
            writeln!(beside, "error: {error}")?;
            Ok(UNREADABLE_EXIT)
        }
    }
}

/// What was asked for.
struct Filter<'o> {
    options: &'o InspectOptions,
    segments: bool,
    batches: bool,
    changes: bool,
    from_ms: u64,
    to_ms: u64,
}

impl<'o> Filter<'o> {
    fn of(options: &'o InspectOptions) -> Self {
        let all = options.what.is_empty();
        // Who asks for an event or a seat asks for changes.
        let narrow = options.event.is_some() || options.seat.is_some();
        let wants = |what| options.what.contains(&what) || all && !narrow;
        Self {
            options,
            segments: wants(What::Segments),
            batches: wants(What::Batches),
            changes: wants(What::Changes) || all,
            from_ms: options.from_time.as_ref().map_or(0, ms_of),
            to_ms: options.to_time.as_ref().map_or(u64::MAX, ms_of),
        }
    }

    /// Whether nothing that was asked for can follow.
    fn is_behind(&self, line: &Line<'_>) -> bool {
        match (line, self.options.to) {
            (Line::Batch(found), Some(to)) => found.standing == Standing::Counts && found.batch.first_position > to,
            _ => false,
        }
    }

    fn json(&self, line: &Line<'_>) -> Option<Value> {
        match line {
            Line::Checkpoint(checkpoint) => self.segments.then(|| checkpoint_json(checkpoint)),
            Line::Plan(plan) => self.segments.then(|| plan_json(plan)),
            Line::Segment(segment) => self.segments.then(|| segment_json(segment)),
            Line::Batch(found) => {
                let (first, end) =
                    (found.batch.first_position, found.batch.first_position + u64::from(found.batch.count));
                let wanted =
                    self.options.from.is_none_or(|from| end > from) && self.options.to.is_none_or(|to| first <= to);
                (self.batches && wanted).then(|| batch_json(found))
            }
            Line::Change(change) => {
                let places = change.places();
                (self.changes && self.wants(change, places.as_deref()))
                    .then(|| change_json(change, places.as_deref(), self.options.ids))
            }
            Line::Damage(damage) => Some(damage_json(damage)),
            Line::Hole(hole) => Some(hole_json(hole)),
        }
    }

    fn wants(&self, change: &ChangeLine<'_>, places: Option<&[PlaceMoved]>) -> bool {
        let options = self.options;
        let event = options.event.as_ref().map(EventName::as_str);
        let seat = options.seat.as_deref();
        options.from.is_none_or(|from| change.position >= from)
            && options.to.is_none_or(|to| change.position <= to)
            && (self.from_ms..self.to_ms).contains(&change.time.0)
            && event.is_none_or(|id| change.event.is_some_and(|(found, _)| found.as_str() == id))
            && seat
                .is_none_or(|key| places.unwrap_or_default().iter().any(|place| change.key_of(place.what) == Some(key)))
    }
}

fn ms_of(time: &Timestamp) -> u64 {
    let ms = time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000);
    u64::try_from(ms).unwrap_or(0)
}

/// A place that does not check.
pub(crate) fn damage_json(line: &DamageLine) -> Value {
    let place = &line.place;
    json!({
        "line": "damage",
        "file": place.file,
        "offset": place.offset,
        "bytes": place.bytes,
        "batch": place.batch.map(|batch| batch.batch_seq),
        "first_position": place.batch.map(|batch| batch.first_position),
        "changes": place.batch.map(|batch| batch.count),
        "what": place.what,
    })
}

/// Acknowledged batches that are nowhere.
pub(crate) fn hole_json(line: &HoleLine) -> Value {
    let hole = &line.hole;
    json!({
        "line": "hole",
        "file": hole.file,
        "offset": hole.offset,
        "first_batch": hole.first_batch_seq,
        "last_batch": hole.last_batch_seq,
        "first_position": hole.first_position,
        "last_position": hole.last_position,
        "covered": line.is_covered,
        "proof": hole.proof.to_string(),
    })
}

fn checkpoint_json(line: &CheckpointLine) -> Value {
    let meta = line.meta.as_ref();
    json!({
        "line": "checkpoint",
        "file": line.file,
        "bytes": line.bytes,
        "incarnation": meta.map(|meta| meta.identity.incarnation),
        "batch": meta.map(|meta| meta.batch_seq),
        "position": meta.map(|meta| meta.next_position - 1),
        "time": meta.map_or(Value::Null, |meta| moment_json(meta.time_ms)),
        "restored_at": meta.and_then(|meta| meta.restored_at_ms).map_or(Value::Null, moment_json),
        "start": line.is_base,
        "problem": line.problem,
    })
}

fn plan_json(line: &PlanLine) -> Value {
    json!({
        "line": "plan",
        "file": line.file,
        "digest": line.digest.map(|digest| digest.to_string()),
        "name": line.name,
        "seats": line.seats,
        "capacity": line.capacity,
        "problem": line.problem,
    })
}

fn segment_json(segment: &ScannedSegment) -> Value {
    let start = segment.start.as_ref();
    let problems: Vec<Value> =
        segment.problems.iter().map(|(offset, what)| json!({ "offset": offset, "what": what })).collect();
    json!({
        "line": "segment",
        "file": segment.name,
        "epoch": segment.epoch,
        "index": segment.index,
        "bytes": segment.bytes,
        "incarnation": start.map(|start| start.identity.incarnation),
        "first_batch": start.map(|start| start.first_batch_seq),
        "first_position": start.map(|start| start.first_position),
        "durable_before": start.map(|start| start.durable_before),
        "kept_before": start.map(|start| start.kept_before),
        "kept": Some(segment.kept_seq).filter(|&kept| kept < u64::MAX),
        "time": start.map_or(Value::Null, |start| moment_json(start.time_ms)),
        "read": segment.is_read,
        "problems": problems,
    })
}

fn batch_json(found: &ScannedBatch<'_>) -> Value {
    let batch = &found.batch;
    json!({
        "line": "batch",
        "file": batch.location.file,
        "offset": batch.location.offset,
        "bytes": found.bytes,
        "batch": batch.batch_seq,
        "kind": match batch.kind {
            BatchKind::Data => "data",
            BatchKind::Hash => "hash",
            BatchKind::Seal => "seal",
            BatchKind::Marker => "marker",
        },
        "standing": match found.standing {
            Standing::Counts => "counts",
            Standing::Copy => "copy",
            Standing::Superseded => "superseded",
            Standing::Unacknowledged => "unacknowledged",
        },
        "incarnation": found.incarnation,
        "first_position": batch.first_position,
        "changes": batch.count,
        "time": moment_json(batch.time_ms),
        "durable": found.durable_seq,
        "relog": found.is_relog,
        "stop": found.is_stop,
        "linked": found.is_linked,
    })
}

/// A change.
pub(crate) fn change_json(change: &ChangeLine<'_>, places: Option<&[PlaceMoved]>, ids: bool) -> Value {
    let hold = |id: &inventory_core::ids::HoldId| HoldId::from_halves((id.0 >> 64) as u64, id.0 as u64);
    let holds: Vec<HoldId> = change.holds().iter().map(hold).collect();
    let hold_refs: Vec<String> = holds.iter().map(|id| id.hold_ref().to_string()).collect();
    let places: Option<Vec<Value>> =
        places.map(|places| places.iter().map(|place| place_json(change, *place)).collect());
    let mut json = json!({
        "line": "change",
        "position": change.position,
        "incarnation": change.incarnation,
        "batch": change.batch_seq,
        "time": moment_json(change.time.0),
        "event": change.event.map(|(id, _)| id.as_str()),
        "slot": change.slot.0,
        "event_number": change.record.event.0,
        "event_seq": change.record.event_seq,
        "kind": change.kind(),
        "actor": change.actor().word(),
        "hold_ref": if hold_refs.len() == 1 { hold_refs[0].as_str().into() } else { Value::Null },
        "hold_refs": hold_refs,
        "replaced_ref": change.replaced().map(|id| hold(&id).hold_ref().to_string()),
        "order_ref": change.order().map(|order| order.as_str()),
        "cause": change.cause(),
        "places": places,
        "plan_revision": change.plan_revision,
        "not_saved": change.not_saved.as_ref().map(ToString::to_string),
    });
    if ids {
        json["hold_ids"] = holds.iter().map(ToString::to_string).collect::<Vec<_>>().into();
    }
    json
}

fn place_json(change: &ChangeLine<'_>, place: PlaceMoved) -> Value {
    let key = change.key_of(place.what);
    let to = match place.to {
        PlaceState::Open => "open",
        PlaceState::Held => "held",
        PlaceState::Sold => "sold",
        PlaceState::Killed => "killed",
    };
    match place.what {
        Moved::Seat(index) => json!({ "kind": "seat", "key": key, "index": index, "to": to }),
        Moved::Area { area, quantity } => {
            json!({ "kind": "area", "key": key, "index": area, "quantity": quantity, "to": to })
        }
    }
}
