//! `usherctl repair`: a new data folder of what a damaged one still proves, with every loss named.
//!
//! Not here: what is saved and why (crate `engine`).

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use engine::{FileStorage, Loss, NewFolderError, Repair, RepairReport, VerifyReport, check_unused, in_a_new_folder};
use inventory_core::ids::TimestampMs;
use serde_json::{Value, json};
use wal::OpenError;

use crate::event_card::moment_json;
use crate::inspect::{change_json, damage_json, hole_json};
use crate::report::Output;
use crate::table::grouped;

/// Something acknowledged cannot be saved, and nobody has accepted that.
const LOSS_EXIT: u8 = 2;
/// No repair was possible.
const FAILED_EXIT: u8 = 3;

const EXAMPLES: &str = "Examples:
  usherctl repair /var/lib/usher --out /var/lib/usher-repaired
  usherctl repair /var/lib/usher --out /var/lib/usher-repaired --accept-loss

The damaged folder is only read. Without --accept-loss nothing is written when something would be lost: every change
that cannot be saved is named, and the exit code is 2. Exit codes: 0 written, 2 something would be lost, 3 not possible
or wrong usage.";

/// Make a new data folder of what a damaged one still proves
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RepairOptions {
    /// The damaged data folder; no server may use it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The new folder: one that does not exist or is empty
    #[arg(long, value_name = "NEW")]
    out: PathBuf,
    /// Write the new folder although what is named is not in it
    #[arg(long)]
    accept_loss: bool,
}

/// Runs the command, writing losses to `data` as they are found. Gives what to end with.
pub(crate) fn repair(
    options: &RepairOptions,
    output: Output,
    data: &mut dyn Write,
    beside: &mut dyn Write,
) -> io::Result<u8> {
    let failed = |beside: &mut dyn Write, error: &dyn std::fmt::Display| {
        writeln!(beside, "error: {error}").map(|()| FAILED_EXIT)
    };
    if let Err(error) = check_unused(&options.out) {
        return failed(beside, &error);
    }
    let storage = match FileStorage::open_read_only(&options.dir) {
        Ok(storage) => storage,
        Err(error) => return failed(beside, &error),
    };
    // Looked at, not kept: what is read only is not ours.
    if let Err(error @ OpenError::Locked { .. }) = storage.lock() {
        return failed(beside, &error);
    }
    let mut data = BufWriter::new(data);
    let mut written = Ok(());
    let found = Repair::read(&storage, &mut |loss| {
        if written.is_ok() {
            written = match output {
                Output::Json => writeln!(data, "{}", loss_json(&loss)),
                Output::Table => writeln!(data, "{}", loss_text(&loss)),
            };
        }
    });
    written?;
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            data.flush()?;
            return failed(beside, &error);
        }
    };
    let report = found.report().clone();
    if report.loses() && !options.accept_loss {
        tell(&mut data, output, &report, None)?;
        let dir = (options.dir.display(), options.out.display());
        writeln!(beside, "nothing was written; next: usherctl repair {} --out {} --accept-loss", dir.0, dir.1)?;
        return Ok(LOSS_EXIT);
    }
    let made = in_a_new_folder::<_, NewFolderError>(&options.out, |new| found.write(&storage, new, wall_clock()));
    match made {
        Ok(verified) => {
            tell(&mut data, output, &report, Some(&verified))?;
            let out = options.out.display();
            writeln!(beside, "{out} is written and verified; next: usherd --data-dir {out}")?;
            Ok(0)
        }
        Err(error) => {
            data.flush()?;
            failed(beside, &error)
        }
    }
}

fn wall_clock() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn tell(data: &mut dyn Write, output: Output, report: &RepairReport, new: Option<&VerifyReport>) -> io::Result<()> {
    let walk = &report.walk;
    match output {
        Output::Json => {
            let line = json!({
                "line": "repair",
                "written": new.is_some(),
                "loses": report.loses(),
                "checkpoint": walk.base,
                "changes_saved": report.changes_saved,
                "changes_lost": walk.changes_lost,
                "holes_without_end": walk.holes_without_end,
                "changes_not_saved": walk.changes_not_saved,
                "events": report.events,
                "events_frozen": report.events_frozen,
                "position": report.position,
                "incarnation": report.incarnation,
                "log_time": moment_json(report.time.0),
                "state_hash": format!("{:016x}", walk.state_hash),
            });
            writeln!(data, "{line}")?;
        }
        Output::Table => {
            let base = walk.base.as_deref().unwrap_or("no checkpoint");
            writeln!(
                data,
                "saved: {} events, {base} and {} changes behind it",
                report.events,
                grouped(report.changes_saved)
            )?;
            let lost = grouped(walk.changes_lost + walk.changes_not_saved);
            if walk.holes_without_end > 0 {
                writeln!(data, "lost: {lost} changes, and those of a part of the log of which nobody knows how many")?;
            } else {
                writeln!(data, "lost: {lost} changes; {} events not saved to their last change", report.events_frozen)?;
            }
            if new.is_some() {
                let (position, incarnation) = (grouped(report.position), report.incarnation);
                writeln!(data, "new folder: incarnation {incarnation}, position {position}")?;
            }
        }
    }
    data.flush()
}

fn loss_json(loss: &Loss<'_>) -> Value {
    match loss {
        Loss::Change(change) => change_json(change, change.places().as_deref(), false),
        Loss::Hole(hole) => hole_json(hole),
        Loss::Damage(damage) => damage_json(damage),
        Loss::Event(event) => json!({
            "line": "event",
            "event": event.id.as_ref().map(inventory_core::ids::EventId::as_str),
            "slot": event.slot.0,
            "event_number": event.number.0,
            "saved_to": event.saved_to,
            "why": event.why.to_string(),
        }),
    }
}

fn loss_text(loss: &Loss<'_>) -> String {
    match loss {
        Loss::Change(change) => {
            let event = change.event.map_or_else(|| "an unknown event".to_owned(), |(id, _)| id.to_string());
            let json = change_json(change, change.places().as_deref(), false);
            let refs: Vec<&str> =
                json["hold_refs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let places: Vec<String> = json["places"].as_array().into_iter().flatten().map(place_text).collect();
            let mut words = vec![format!("not saved: position {}", change.position)];
            words.push(json["time"].as_str().unwrap_or_default().to_owned());
            words.push(format!("{event} change {} {}", change.record.event_seq, change.kind()));
            if !refs.is_empty() {
                words.push(format!("hold {}", refs.join(" ")));
            }
            if !places.is_empty() {
                words.push(places.join(" "));
            }
            if let Some(order) = change.order() {
                words.push(format!("order {}", order.as_str()));
            }
            if let Some(why) = &change.not_saved {
                words.push(why.to_string());
            }
            words.join(", ")
        }
        Loss::Hole(line) => {
            let hole = &line.hole;
            let positions = match hole.last_position {
                Some(last) if last < hole.first_position => "no change in them".to_owned(),
                Some(last) => format!("positions {} to {last}", hole.first_position),
                None => format!("positions from {} on", hole.first_position),
            };
            format!(
                "lost: batches {} to {}, {positions}: they should be at byte {} of {}, and {}",
                hole.first_batch_seq, hole.last_batch_seq, hole.offset, hole.file, hole.proof
            )
        }
        Loss::Damage(line) => {
            let place = &line.place;
            format!("damaged: {} byte {}: {}", place.file, place.offset, place.what)
        }
        Loss::Event(event) => {
            let saved = match event.saved_to {
                Some(seq) => format!("is saved to its change {seq}"),
                None => "is not saved".to_owned(),
            };
            format!("event {} {saved}: {}", event.name(), event.why)
        }
    }
}

fn place_text(place: &Value) -> String {
    let key = place["key"].as_str().map_or_else(|| format!("#{}", place["index"]), str::to_owned);
    match place["quantity"].as_u64() {
        Some(quantity) => format!("{quantity} of {key}"),
        None => key,
    }
}
