//! `usherctl restore`: the state of any moment of a backup as a new data folder.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use backup::{Progress, RestorePlan, Wanted, plan_restore, rebuild};
use clap::Args;
use engine::{NewFolderError, Rebuild, TimestampMs, Until, VerifyReport, check_unused, in_a_new_folder};
use serde_json::json;

use crate::event_card::moment_json;
use crate::failure::Failure;
use crate::instant;
use crate::progress;
use crate::report::Report;
use crate::table::{counted, fields, grouped};

/// Make a new data folder of a backup: of all of it, or as it was at a moment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  usherctl restore --from /backup/usher --data-dir /var/lib/usher-restored --dry-run
  usherctl restore --from /backup/usher --data-dir NEW --to-time 2027-05-01T10:02:00Z
  usherctl restore --from s3://backups/usher --data-dir NEW --to-position 4711
  usherctl restore --from before-the-onsale.snapshot --data-dir NEW

Exit codes: 0 done, 1 that moment is not in the backup or the folder is used, 2 wrong usage, 65 the backup is damaged or
incomplete, 66 no backup there, 74 reading or writing failed. Never writes into a used folder.")]
pub(crate) struct RestoreOptions {
    /// The backup: a folder, a snapshot file, or a URL of an object store
    #[arg(long, value_name = "FOLDER|FILE|URL")]
    from: String,
    /// The new data folder: not there yet, or empty
    #[arg(long, value_name = "NEW")]
    data_dir: PathBuf,
    /// Up to and with this position
    #[arg(long, value_name = "POSITION", conflicts_with = "to_time")]
    to_position: Option<u64>,
    /// Up to the last change before the first one after this time
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    to_time: Option<prost_types::Timestamp>,
    /// Of this instance, where the backup is of several
    #[arg(long, value_name = "ID", value_parser = parse_instance)]
    instance: Option<[u8; 16]>,
    /// Of this incarnation; the newest when not given
    #[arg(long, value_name = "NUMBER")]
    incarnation: Option<u64>,
    /// Read and check everything, say what would be restored, write nothing
    #[arg(long)]
    dry_run: bool,
}

fn parse_instance(text: &str) -> Result<[u8; 16], String> {
    let wrong = || format!("`{text}` is no instance: write the 32 hexadecimal digits that `snapshot list` shows");
    if text.len() != 32 || !text.is_ascii() {
        return Err(wrong());
    }
    let number = u128::from_str_radix(text, 16).map_err(|_| wrong())?;
    let mut instance = [0; 16];
    // The first digits are the first byte.
    for (nth, byte) in instance.iter_mut().enumerate() {
        *byte = (number >> (120 - 8 * nth)) as u8;
    }
    Ok(instance)
}

/// Runs the command.
pub(crate) fn restore(options: &RestoreOptions) -> Result<Report, Failure> {
    let until = match (options.to_position, options.to_time) {
        (Some(0), _) => return Err(Failure::usage("--to-position begins at 1".to_owned())),
        (Some(position), _) => Until::Position(position),
        (None, Some(time)) => Until::Time(TimestampMs(instant::ms_of(time))),
        (None, None) => Until::End,
    };
    let source = backup::open_source(&options.from).map_err(|error| Failure::usage(error.to_string()))?;
    let store = source.store.as_ref();
    check_unused(&options.data_dir).map_err(of_new_folder)?;
    let wanted = Wanted { until, instance: options.instance, incarnation: options.incarnation };
    let plan = plan_restore(store, source.single.as_deref(), &wanted).map_err(Failure::of_restore)?;
    progress::say(&intention(options, &plan));
    let bar = progress::bytes("restore", plan.bytes());
    // Beside the new folder is room for it; a dry run leaves that place alone.
    let parent = options.data_dir.parent().filter(|parent| parent.is_dir() && !options.dry_run);
    let rebuilt = rebuild(store, &plan, parent, &mut |Progress { bytes, .. }| bar.set_position(bytes));
    bar.finish_and_clear();
    let rebuilt = rebuilt.map_err(Failure::of_restore)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let now = TimestampMs(u64::try_from(now).unwrap_or(u64::MAX));
    let verified = if options.dry_run {
        None
    } else {
        Some(in_a_new_folder(&options.data_dir, |storage| rebuilt.write(storage, now)).map_err(of_new_folder)?)
    };
    Ok(told(options, &plan, &rebuilt, verified.as_ref()))
}

fn of_new_folder(error: NewFolderError) -> Failure {
    match error {
        NewFolderError::Used { .. } | NewFolderError::Empty => Failure::backup_refused(error.to_string()),
        NewFolderError::Io { .. } | NewFolderError::Checkpoint(_) => Failure::backup_unwritten(error.to_string()),
        NewFolderError::Verify(_) | NewFolderError::Differs { .. } => Failure::backup_damaged(error.to_string()),
    }
}

/// What is going to be done.
fn intention(options: &RestoreOptions, plan: &RestorePlan) -> String {
    let begin = plan.snapshot.as_ref().map_or_else(
        || "the first change".to_owned(),
        |entry| {
            format!("the snapshot at position {} ({})", grouped(entry.position), instant::text_of_ms(entry.time_ms))
        },
    );
    let moment = match plan.until {
        Until::End => "the end".to_owned(),
        Until::Position(position) => format!("position {}", grouped(position)),
        Until::Time(time) => instant::text_of_ms(time.0),
    };
    let log = if plan.logs.is_empty() {
        String::new()
    } else {
        format!(", then at most {} of the log", counted(plan.logs.len() as u64, "part", "parts"))
    };
    let what = if options.dry_run { "would restore" } else { "restoring" };
    format!(
        "{what} {} of incarnation {} up to {moment} into {}: {begin}{log}, {} bytes",
        options.from,
        plan.identity.incarnation,
        options.data_dir.display(),
        grouped(plan.bytes())
    )
}

fn told(options: &RestoreOptions, plan: &RestorePlan, rebuilt: &Rebuild, verified: Option<&VerifyReport>) -> Report {
    let state = rebuilt.state();
    let folder = options.data_dir.display().to_string();
    let incarnation = plan.identity.incarnation + 1;
    let snapshot = plan.snapshot.as_ref();
    let text = fields(&[
        (if verified.is_some() { "restored to" } else { "would go to" }, folder.clone()),
        ("position", grouped(state.position)),
        ("time", instant::text_of_ms(state.time.0)),
        ("events", grouped(state.events as u64)),
        ("live holds", grouped(state.live_holds)),
        ("state hash", format!("{:016x}", state.state_hash)),
        ("instance", backup::instance_text(&plan.identity.instance)),
        ("incarnation", format!("{incarnation}, after {}", plan.identity.incarnation)),
        ("verified", if verified.is_some() { "every byte was read back" } else { "" }.to_owned()),
    ]);
    let json = json!({
        "data_dir": folder,
        "dry_run": options.dry_run,
        "position": state.position,
        "time": moment_json(state.time.0),
        "events": state.events,
        "live_holds": state.live_holds,
        "state_hash": format!("{:016x}", state.state_hash),
        "instance_id": backup::instance_text(&plan.identity.instance),
        "incarnation": incarnation,
        "from_incarnation": plan.identity.incarnation,
        "snapshot_position": snapshot.map(|entry| entry.position),
        "log_parts": plan.logs.len(),
    });
    let report = Report::new(text, json);
    if verified.is_some() {
        report.next(format!("usherd --data-dir {folder}"))
    } else {
        report.note("nothing was written; leave --dry-run out to restore")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_read_as_it_is_shown() {
        let instance = [0xa7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff];
        assert_eq!(parse_instance(&backup::instance_text(&instance)), Ok(instance));
        assert!(parse_instance("a7").is_err() && parse_instance(&"z".repeat(32)).is_err());
    }
}
