//! For fuzzing: the payload of a batch that checks. No part of the interface.

use crate::group::{RUN_HEADER_BYTES, read_runs};

/// Reads the runs of a batch. Those that are believed lie behind each other, fill the payload, and hold as many
/// changes as the batch says. Gives back their records.
pub fn runs(payload: &[u8], count: u32) -> Vec<&[u8]> {
    let Ok(runs) = read_runs(payload, count) else { return Vec::new() };
    let bytes: usize = runs.iter().map(|run| RUN_HEADER_BYTES + run.records.len()).sum();
    assert_eq!(bytes, payload.len());
    assert_eq!(runs.iter().map(|run| u64::from(run.count)).sum::<u64>(), u64::from(count));
    runs.into_iter().map(|run| run.records).collect()
}
