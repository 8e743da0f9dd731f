//! `usherctl verify` of a backup: every object read, everything replayed, gaps named.

use std::path::Path;

use backup::{Catalog, CheckReport, Location, check, instance_text, open_source};
use engine::Verdict;
use serde_json::json;

use crate::event_card::moment_json;
use crate::instant;
use crate::progress;
use crate::report::Report;
use crate::table::{fields, grouped};

/// The backup at this place; nothing when it is not one, but perhaps a data folder.
pub(crate) fn backup_at(place: &Path) -> Option<Result<Location, String>> {
    let text = place.to_str()?;
    let is_url = text.contains("://");
    if !is_url && !place.exists() {
        return None;
    }
    let location = match open_source(text) {
        Ok(location) => location,
        Err(error) => return Some(Err(error.to_string())),
    };
    if is_url || location.single.is_some() {
        return Some(Ok(location));
    }
    // A store that cannot be listed is told about by whoever reads it as a data folder.
    let catalog = Catalog::read(location.store.as_ref()).ok()?;
    (!catalog.futures.is_empty()).then_some(Ok(location))
}

/// Checks it.
pub(crate) fn verify(place: &Path, location: &Location) -> Report {
    let bar = progress::bytes("verify", 0);
    let report = check(location.store.as_ref(), location.single.as_deref(), None, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    told(&place.display().to_string(), &report)
}

/// A place that cannot be opened.
pub(crate) fn unreadable(place: &Path, problem: String) -> Report {
    let mut report = told(&place.display().to_string(), &CheckReport::default());
    report.text = format!("{}: not readable\n{problem}\n", place.display());
    report.json["verdict"] = "unreadable".into();
    report.json["exit_code"] = Verdict::Io.exit_code().into();
    report.json["problems"] = json!([problem]);
    report.exit(Verdict::Io.exit_code())
}

fn told(place: &str, report: &CheckReport) -> Report {
    let verdict = report.verdict();
    let (word, sentence) = match verdict {
        Verdict::Clean | Verdict::TornTail => {
            ("clean", "clean: every object checks, and everything in it was replayed")
        }
        Verdict::Damaged => ("damaged", "damaged: objects are damaged or missing"),
        Verdict::Io => ("unreadable", "not readable"),
        Verdict::NewerFormat => ("newer_format", "newer format: written by a newer program"),
    };
    let mut text = format!("{place}: {sentence}\n");
    for problem in &report.problems {
        text.push_str(&format!("{problem}\n"));
    }
    text.push_str(&fields(&[("objects", grouped(report.objects)), ("bytes", grouped(report.bytes))]));
    let mut futures = Vec::new();
    for future in &report.futures {
        let mut spans = Vec::new();
        for span in &future.spans {
            let first = instant::text_of_ms(span.first_time.0);
            text.push_str(&format!(
                "incarnation {}: every moment from position {}{} to {} ({})\n",
                future.identity.incarnation,
                grouped(span.first_position),
                if first.is_empty() { String::new() } else { format!(" ({first})") },
                grouped(span.last.position),
                instant::text_of_ms(span.last.time.0)
            ));
            spans.push(json!({
                "first_position": span.first_position,
                "first_time": moment_json(span.first_time.0),
                "last_position": span.last.position,
                "last_time": moment_json(span.last.time.0),
                "events": span.last.events,
                "live_holds": span.last.live_holds,
                "state_hash": format!("{:016x}", span.last.state_hash),
            }));
        }
        futures.push(json!({
            "instance_id": instance_text(&future.identity.instance),
            "incarnation": future.identity.incarnation,
            "snapshots": future.snapshots,
            "log_parts": future.logs,
            "spans": spans,
        }));
    }
    let json = json!({
        "backup": place,
        "verdict": word,
        "exit_code": verdict.exit_code(),
        "objects": report.objects,
        "bytes": report.bytes,
        "problems": report.problems,
        "notes": report.notes,
        "incarnations": futures,
    });
    let told = Report::new(text, json).exit(verdict.exit_code());
    report.notes.iter().fold(told, |told, note| told.note(note.clone()))
}
