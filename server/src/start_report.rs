//! The first lines: what was recovered, where the server listens, and, while there are no events, how to make a first
//! hold.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use engine::StartReport;

/// The lines for people.
pub(crate) fn lines(report: &StartReport, address: SocketAddr, folder: &Path) -> String {
    let mut text = String::new();
    let StartReport { events, position, batches, changes, downtime_ms, resumed_events, .. } = report;
    let folder = folder.display();
    // Writing to a String cannot fail.
    let _ = if *position == 0 {
        writeln!(text, "usherd: a new inventory in {folder}")
    } else {
        let from = report.checkpoint.as_deref().unwrap_or("the beginning of the log");
        writeln!(
            text,
            "usherd: recovered {events} events at position {position} from {folder}: {from}, then {changes} changes \
             in {batches} batches"
        )
    };
    if report.restored {
        let _ = writeln!(
            text,
            "usherd: the first start after a restore; the live holds of {resumed_events} events were given the whole \
             time since then ({:.1} s) back",
            std::time::Duration::from_millis(*downtime_ms).as_secs_f64()
        );
    } else if *resumed_events > 0 {
        let _ = writeln!(
            text,
            "usherd: was away for {:.1} s; the live holds of {resumed_events} events were given later deadlines",
            std::time::Duration::from_millis(*downtime_ms).as_secs_f64()
        );
    }
    for warning in &report.warnings {
        let _ = writeln!(text, "usherd: warning: {warning}");
    }
    let _ = writeln!(text, "usherd: listening on http://{address} (gRPC)");
    let endpoint = if address.port() == 7700 { String::new() } else { format!(" --endpoint http://{address}") };
    if *events == 0 {
        let _ = writeln!(text, "usherd: make a first hold:");
        let _ = writeln!(text, "  cargo usherctl{endpoint} event create demo --plan plans/theatre-300.json");
        let _ = writeln!(text, "  cargo usherctl{endpoint} hold demo --best 2");
    }
    text
}
