//! `usherctl status`: how the server is.

use client::Client;
use proto::admin::v1::{
    ArchiveStatus, PartitionStatus, ServerState, ServerStatusRequest, ServerStatusResponse, TurnsWithin,
};
use serde_json::{Value, json};

use crate::duration;
use crate::failure::Failure;
use crate::report::Report;
use crate::table::{Side, columns, fields, grouped};

/// Runs the command.
pub(crate) async fn status(client: &Client) -> Result<Report, Failure> {
    let answer = client.unary().server_status(ServerStatusRequest {}).await?;
    Ok(Report::new(text(&answer), json(&answer)))
}

fn state_word(state: ServerState) -> &'static str {
    match state {
        ServerState::Unspecified => "unknown",
        ServerState::Recovering => "recovering",
        ServerState::Serving => "serving",
        ServerState::StorageLow => "storage_low",
        ServerState::Draining => "draining",
    }
}

/// `1.5 GiB` for people.
fn bytes_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS.iter().find(|(unit, _)| bytes >= *unit).map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| {
            // Tenths in whole numbers: a float has no place in a count.
            let tenths = u64::try_from(u128::from(bytes) * 10 / u128::from(*unit)).unwrap_or(u64::MAX);
            format!("{}.{} {name}", grouped(tenths / 10), tenths % 10)
        },
    )
}

fn text(answer: &ServerStatusResponse) -> String {
    let moment = |at: Option<prost_types::Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    // A budget of 0 is none.
    let memory = match answer.memory_budget_bytes {
        0 => bytes_text(answer.memory_bytes),
        budget => format!("{} of {}", bytes_text(answer.memory_bytes), bytes_text(budget)),
    };
    let serving_ms = duration::wire_millis(answer.serving_for.as_ref());
    let serving_for = std::time::Duration::from_secs(serving_ms / 1_000);
    let mut text = fields(&[
        ("state", state_word(answer.state()).replace('_', " ")),
        ("version", answer.version.clone()),
        ("serving for", duration::short(serving_for)),
        ("started at", moment(answer.started_at)),
        ("server time", moment(answer.server_time)),
        ("events", grouped(answer.events)),
        ("live holds", grouped(answer.live_holds)),
        ("sessions", grouped(u64::from(answer.sessions))),
        ("memory", memory),
        ("disk free", bytes_text(answer.disk_free_bytes)),
        ("instance", answer.instance_id.clone()),
        ("incarnation", answer.incarnation.to_string()),
    ]);
    if !answer.partitions.is_empty() {
        let header = [
            ("PARTITION", Side::Right),
            ("EPOCH", Side::Right),
            ("DURABLE", Side::Right),
            ("CHECKPOINT", Side::Right),
            ("LOG", Side::Right),
            ("SHARDS", Side::Right),
        ];
        let rows: Vec<Vec<String>> = answer
            .partitions
            .iter()
            .map(|one| {
                vec![
                    one.partition.to_string(),
                    one.epoch.to_string(),
                    grouped(one.durable_position),
                    grouped(one.checkpoint_position),
                    bytes_text(one.log_bytes),
                    one.shards.to_string(),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&columns(&header, &rows));
    }
    for one in &answer.partitions {
        text.push_str(&turns_text(one));
        if let Some(archive) = &one.archive {
            text.push_str(&archive_text(one.partition, archive));
        }
    }
    text
}

/// One line a partition: its longest turn.
fn turns_text(partition: &PartitionStatus) -> String {
    let longest = |counts: fn(&TurnsWithin) -> u64| {
        partition.turns.iter().rfind(|turns| counts(turns) > 0).map(within).unwrap_or_default()
    };
    let (wall, processor) = (longest(|turns| turns.turns), longest(|turns| turns.processor_turns));
    if wall.is_zero() {
        return String::new();
    }
    let turns: u64 = partition.turns.iter().map(|turns| turns.turns).sum();
    format!(
        "turns of partition {}: {}, the longest took {wall:.1?}; on the processor {processor:.1?}\n",
        partition.partition,
        grouped(turns)
    )
}

fn within(turns: &TurnsWithin) -> std::time::Duration {
    turns.within.and_then(|within| within.try_into().ok()).unwrap_or_default()
}

fn turns_json(turns: &TurnsWithin) -> Value {
    json!({
        "within_ns": u64::try_from(within(turns).as_nanos()).unwrap_or(u64::MAX),
        "turns": turns.turns,
        "processor_turns": turns.processor_turns,
    })
}

/// One line a partition, and why the last try failed.
fn archive_text(partition: u32, archive: &ArchiveStatus) -> String {
    let lag_ms = duration::wire_millis(archive.lag.as_ref());
    let behind = if lag_ms == 0 {
        "with everything in it".to_owned()
    } else {
        format!("{} behind", duration::short(std::time::Duration::from_millis(lag_ms)))
    };
    let snapshot = match archive.snapshot_position {
        0 => "no snapshot".to_owned(),
        position => format!("newest snapshot at {}", grouped(position)),
    };
    let mut text =
        format!("archive of partition {partition}: at {}, {behind}, {snapshot}\n", grouped(archive.position));
    if !archive.failure.is_empty() {
        text.push_str(&format!("archive of partition {partition}: the last try failed: {}\n", archive.failure));
    }
    text
}

fn archive_json(archive: &ArchiveStatus) -> Value {
    json!({
        "position": archive.position,
        "time": archive.time.map(|at| at.to_string()),
        "lag_ms": duration::wire_millis(archive.lag.as_ref()),
        "snapshot_position": archive.snapshot_position,
        "failure": if archive.failure.is_empty() { Value::Null } else { archive.failure.clone().into() },
    })
}

fn json(answer: &ServerStatusResponse) -> Value {
    let moment = |at: Option<prost_types::Timestamp>| at.map(|at| at.to_string());
    let partitions = answer.partitions.iter().map(|one| {
        json!({
            "partition": one.partition,
            "epoch": one.epoch,
            "durable_position": one.durable_position,
            "checkpoint_position": one.checkpoint_position,
            "log_bytes": one.log_bytes,
            "shards": one.shards,
            "archive": one.archive.as_ref().map(archive_json),
            "turns": one.turns.iter().map(turns_json).collect::<Vec<_>>(),
        })
    });
    json!({
        "state": state_word(answer.state()),
        "version": answer.version,
        "incarnation": answer.incarnation,
        "instance_id": answer.instance_id,
        "started_at": moment(answer.started_at),
        "server_time": moment(answer.server_time),
        "serving_for_ms": duration::wire_millis(answer.serving_for.as_ref()),
        "events": answer.events,
        "live_holds": answer.live_holds,
        "sessions": answer.sessions,
        "memory_bytes": answer.memory_bytes,
        "memory_budget_bytes": answer.memory_budget_bytes,
        "disk_free_bytes": answer.disk_free_bytes,
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_023 << 10, "1,023.0 KiB"),
            (1_024, "1.0 KiB"),
            (1_536 << 20, "1.5 GiB"),
            (64 << 20, "64.0 MiB"),
            (5_000 << 30, "5,000.0 GiB"),
        ] {
            assert_eq!(bytes_text(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn the_longest_turn_is_told_by_both_clocks() {
        let class = |nanos, turns, processor_turns| TurnsWithin {
            within: Some(prost_types::Duration { seconds: 0, nanos }),
            turns,
            processor_turns,
        };
        let turns = vec![class(90_000, 1_000, 1_003), class(1_310_720, 2, 1), class(8_388_608, 2, 0)];
        let one = PartitionStatus { turns, ..Default::default() };
        let said = "turns of partition 0: 1,004, the longest took 8.4ms; on the processor 1.3ms\n";
        assert_eq!(turns_text(&one), said);
        assert_eq!(turns_json(&one.turns[1]), json!({ "within_ns": 1_310_720, "turns": 2, "processor_turns": 1 }));
        assert_eq!(turns_text(&PartitionStatus::default()), "", "no turn was made");
    }

    #[test]
    fn the_state_comes_first() {
        let answer = ServerStatusResponse { state: ServerState::StorageLow as i32, ..Default::default() };
        assert!(text(&answer).starts_with("state        storage low\n"), "{}", text(&answer));
        assert_eq!(json(&answer)["state"], "storage_low");
    }
}
