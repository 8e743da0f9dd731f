//! The latencies of a run as an HdrHistogram log: one interval for each kind of command, tagged with its name.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::measure::{Kind, Measure};

/// Writes the log. The run began at `started`, as the wall clock has it, and was measured for `length`.
pub(crate) fn write(path: &Path, measure: &Measure, started: SystemTime, length: Duration) -> anyhow::Result<()> {
    let bytes = encode(measure, started, length)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

fn encode(measure: &Measure, started: SystemTime, length: Duration) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latencies of loadgen in microseconds, one interval for each kind of command")
        .with_start_time(started)
        .with_base_time(started)
        // The column with the highest value is in milliseconds, as readers expect it.
        .with_max_value_divisor(1_000.0)
        .begin_log_with(&mut bytes, &mut serializer)?;
    for kind in Kind::ALL {
        let one = measure.kind(kind);
        if one.count > 0 {
            log.write_histogram(one.latency_us(), Duration::ZERO, length, Tag::new(kind.name()))
                .map_err(|error| anyhow::anyhow!("cannot encode the latencies of {}: {error:?}", kind.name()))?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn a_reader_of_such_logs_finds_every_kind_that_was_measured() {
        let mut measure = Measure::new();
        measure.done(Kind::Hold, Duration::from_micros(200));
        measure.done(Kind::Release, Duration::from_micros(900));
        let bytes = encode(&measure, SystemTime::UNIX_EPOCH, Duration::from_secs(3)).expect("bytes in memory");
        let found: Vec<_> = IntervalLogIterator::new(&bytes)
            .filter_map(|entry| match entry.expect("a log that reads") {
                LogEntry::Interval(interval) => {
                    Some((interval.tag().map(|tag| tag.as_str().to_owned()), interval.duration()))
                }
                _ => None,
            })
            .collect();
        let three = Duration::from_secs(3);
        assert_eq!(found, [(Some("hold".to_owned()), three), (Some("release".to_owned()), three)]);
    }
}
