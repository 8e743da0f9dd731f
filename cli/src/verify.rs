//! `usherctl verify`: whether a data folder is whole, without a server and without writing to it.

use std::path::PathBuf;

use clap::Args;
use engine::{FoundDamage, Verdict, VerifyError, VerifyReport};
use serde_json::{Value, json};
use wal::{FileStorage, OpenError, TailReport};

use crate::event_card::moment_json;
use crate::instant;
use crate::report::Report;
use crate::table::{fields, grouped};
use crate::verify_backup;

/// What wrong arguments of `verify` end with: 2 would say that acknowledged data is damaged.
pub(crate) const USAGE_EXIT: u8 = 3;

const EXAMPLES: &str = "Examples:
  usherctl verify /var/lib/usher
  usherctl verify /backup/usher --output json
  usherctl verify before-the-onsale.snapshot

Exit codes: 0 clean, 1 a torn tail that was never acknowledged, 2 acknowledged data is damaged or missing,
3 not readable or wrong usage, 4 written by a newer program. Nothing is ever written.";

/// Check a data folder or a backup without a server and without writing to it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyOptions {
    /// The data folder of a server, or a backup: a folder, a snapshot file, a URL of an object store
    #[arg(value_name = "DIR|BACKUP")]
    dir: PathBuf,
}

/// Runs the command.
pub(crate) fn verify(options: &VerifyOptions) -> Report {
    match verify_backup::backup_at(&options.dir) {
        Some(Ok(location)) => return verify_backup::verify(&options.dir, &location),
        Some(Err(problem)) => return verify_backup::unreadable(&options.dir, problem),
        None => {}
    }
    let dir = options.dir.display().to_string();
    let storage = match FileStorage::open_read_only(&options.dir) {
        Ok(storage) => storage,
        Err(error) => return failed(&dir, Verdict::Io, &error.to_string()),
    };
    // A server that writes on meanwhile makes files grow under the reader. The lock is only looked at: keeping it
    // would keep a server from starting.
    let in_use = matches!(storage.lock(), Err(OpenError::Locked { .. }));
    let mut report = match engine::verify(&storage) {
        // An empty folder has nothing wrong with it, but whoever asked meant another one.
        Ok(found) if found.verdict == Verdict::Clean && found.segments == 0 && found.checkpoints == 0 => {
            failed(&dir, Verdict::Io, "no data of a server in this folder")
        }
        Ok(found) => whole(&dir, &found),
        Err(VerifyError { verdict, message }) => failed(&dir, verdict, &message),
    };
    if report.exit_code == Verdict::Damaged.exit_code() {
        // The sentence names what a start meets first; the list goes to the end of the folder.
        let found = engine::damages(&storage).unwrap_or_default();
        report.text.extend(found.iter().map(damage_text));
        report.json["damage"] = found.iter().map(damage_json).collect::<Vec<_>>().into();
    }
    if in_use {
        return report.note("a server is using this folder: what it is just writing may look torn");
    }
    report
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "clean",
        Verdict::TornTail => "torn_tail",
        Verdict::Damaged => "damaged",
        Verdict::Io => "unreadable",
        Verdict::NewerFormat => "newer_format",
    }
}

fn verdict_sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clean => "clean: everything checks",
        Verdict::TornTail => "torn tail: everything acknowledged checks; a write that never was acknowledged is cut",
        Verdict::Damaged => "damaged: acknowledged data is damaged or missing",
        Verdict::Io => "not readable",
        Verdict::NewerFormat => "newer format: written by a newer program",
    }
}

fn whole(dir: &str, found: &VerifyReport) -> Report {
    let tail = match &found.tail {
        TailReport::Clean => String::new(),
        TailReport::Torn { file, offset, bytes, batches } => format!(
            "{file} from byte {}: {} bytes, {batches} whole batches disregarded",
            grouped(*offset),
            grouped(*bytes)
        ),
    };
    let sentence = match found.verdict {
        // With a report there is a state: the damage lies in what was meant to protect it.
        Verdict::Damaged => "damaged: the state is whole, but a copy beside it is not",
        verdict => verdict_sentence(verdict),
    };
    let mut text = format!("{dir}: {sentence}\n");
    text.push_str(&fields(&[
        ("position", grouped(found.position)),
        ("log time", instant::text_of_ms(found.time.0)),
        ("events", grouped(found.events as u64)),
        ("live holds", grouped(found.live_holds)),
        ("segments", grouped(found.segments as u64)),
        ("checkpoints", grouped(found.checkpoints as u64)),
        (
            "from checkpoint",
            if found.checkpoint_position == 0 { String::new() } else { grouped(found.checkpoint_position) },
        ),
        ("last stop", if found.sealed { "clean" } else { "not clean: killed, or still running" }.to_owned()),
        ("state hash", format!("{:016x}", found.state_hash)),
        ("torn tail", tail),
    ]));
    for warning in &found.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let json = json!({
        "dir": dir,
        "verdict": verdict_word(found.verdict),
        "exit_code": found.verdict.exit_code(),
        "message": null,
        "position": found.position,
        "log_time": moment_json(found.time.0),
        "events": found.events,
        "live_holds": found.live_holds,
        "segments": found.segments,
        "checkpoints": found.checkpoints,
        "checkpoint_position": found.checkpoint_position,
        "sealed": found.sealed,
        // A number of 64 bits does not survive every JSON reader.
        "state_hash": format!("{:016x}", found.state_hash),
        "torn_tail": tail_json(&found.tail),
        "warnings": found.warnings,
        "damage": [],
    });
    Report::new(text, json).exit(found.verdict.exit_code())
}

fn damage_text(damage: &FoundDamage) -> String {
    // An event that ends early is in no one file.
    let mut text = match damage.file.as_str() {
        "" => return format!("damage: {}; lost: {}\n", damage.what, damage.lost),
        file => format!("damage: {file} byte {}", damage.offset),
    };
    if let Some(batch) = damage.batch_seq {
        text.push_str(&format!(", batch {batch}"));
    }
    match (damage.first_position, damage.last_position) {
        (Some(first), Some(last)) if first <= last => text.push_str(&format!(", positions {first} to {last}")),
        (Some(first), _) => text.push_str(&format!(", from position {first}")),
        (None, Some(last)) => text.push_str(&format!(", position {last}")),
        (None, None) => {}
    }
    text.push_str(&format!(": {}", damage.what));
    if !damage.lost.is_empty() {
        text.push_str(&format!("; lost: {}", damage.lost));
    }
    text.push('\n');
    text
}

fn damage_json(damage: &FoundDamage) -> Value {
    json!({
        "file": damage.file,
        "offset": damage.offset,
        "batch": damage.batch_seq,
        "first_position": damage.first_position,
        "last_position": damage.last_position,
        "what": damage.what,
        "lost": damage.lost,
    })
}

fn tail_json(tail: &TailReport) -> Value {
    match tail {
        TailReport::Clean => Value::Null,
        TailReport::Torn { file, offset, bytes, batches } => {
            json!({ "file": file, "offset": offset, "bytes": bytes, "batches": batches })
        }
    }
}

fn failed(dir: &str, verdict: Verdict, message: &str) -> Report {
    let text = format!("{dir}: {}\n{message}\n", verdict_sentence(verdict));
    let json = json!({
        "dir": dir,
        "verdict": verdict_word(verdict),
        "exit_code": verdict.exit_code(),
        "message": message,
        "position": null,
        "log_time": null,
        "events": null,
        "live_holds": null,
        "segments": null,
        "checkpoints": null,
        "checkpoint_position": null,
        "sealed": null,
        "state_hash": null,
        "torn_tail": null,
        "warnings": [],
        "damage": [],
    });
    Report::new(text, json).exit(verdict.exit_code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inventory_core::ids::TimestampMs;

    fn found(verdict: Verdict, tail: TailReport) -> VerifyReport {
        VerifyReport {
            verdict,
            position: 12_345,
            state_hash: 0xabc,
            time: TimestampMs(1_809_079_200_000),
            events: 2,
            live_holds: 1,
            segments: 3,
            checkpoints: 1,
            checkpoint_position: 12_000,
            sealed: true,
            unfinished_start: false,
            tail,
            warnings: vec!["WATERMARK: missing".into()],
        }
    }

    #[test]
    fn a_clean_folder_is_reported_in_words_and_keys() {
        let report = whole("data", &found(Verdict::Clean, TailReport::Clean));
        assert_eq!(report.exit_code, 0);
        assert!(
            report.text.starts_with("data: clean: everything checks\nposition         12,345\n"),
            "{}",
            report.text
        );
        assert!(report.text.ends_with("warning: WATERMARK: missing\n") && !report.text.contains("torn"));
        assert_eq!(report.json["state_hash"], "0000000000000abc");
        assert_eq!(report.json["torn_tail"], Value::Null);
    }

    #[test]
    fn a_torn_tail_says_where() {
        let tail = TailReport::Torn { file: "wal-0-1-0.seg".into(), offset: 8_192, bytes: 4_096, batches: 0 };
        let report = whole("data", &found(Verdict::TornTail, tail));
        assert_eq!(report.exit_code, 1);
        assert!(report.text.contains("wal-0-1-0.seg from byte 8,192: 4,096 bytes"), "{}", report.text);
        assert_eq!(report.json["torn_tail"]["offset"], 8_192);
    }

    #[test]
    fn every_way_to_fail_has_its_code_and_the_same_keys() {
        let clean = whole("data", &found(Verdict::Clean, TailReport::Clean));
        let keys = |report: &Report| report.json.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        for (verdict, code) in [(Verdict::Damaged, 2), (Verdict::Io, 3), (Verdict::NewerFormat, 4)] {
            let report = failed("data", verdict, "wal-0-1-0.seg: byte 4096 does not check");
            assert_eq!(report.exit_code, code);
            assert!(report.text.ends_with("wal-0-1-0.seg: byte 4096 does not check\n"));
            assert_eq!(keys(&report), keys(&clean));
        }
    }
}
