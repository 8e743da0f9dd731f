//! A group: the changes of one turn, as the bytes of the log.
//!
//! ```text
//! payload of a batch = groups = runs
//! run    | slot: u8 | count: u32 | time: u64 | len: u32 | records: len bytes |
//! HASH   | state hash: u64 |
//! ```
//!
//! All integers are little-endian. A run holds the changes of one slot in the order they were made, all
//! at one time. Runs of different slots do not depend on each other, so replay may deal them to threads.
//! Changes are numbered in the order of the bytes.

use std::fmt;

use inventory_core::{
    change::Change,
    codec,
    ids::{EventNumber, SlotIndex, TimestampMs},
    limits::SLOTS,
    slot::Applied,
};

pub(crate) const RUN_HEADER_BYTES: usize = 1 + 4 + 8 + 4;

/// Where a change stands in a group that is still being built: its run, and its number within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) run: u16,
    pub(crate) at: u32,
}

struct Run {
    slot: SlotIndex,
    count: u32,
    records: Vec<u8>,
}

/// The changes of one turn while it lasts.
pub(crate) struct GroupBuilder {
    runs: Vec<Run>,
    /// The run of each slot.
    run_of: Box<[Option<u16>; SLOTS]>,
    bytes: usize,
    changes: u32,
    /// Record buffers of earlier turns.
    spare: Vec<Vec<u8>>,
}

impl GroupBuilder {
    pub(crate) fn new() -> GroupBuilder {
        GroupBuilder { runs: Vec::new(), run_of: Box::new([None; SLOTS]), bytes: 0, changes: 0, spare: Vec::new() }
    }

    /// Adds a change behind those of its slot.
    pub(crate) fn push(&mut self, slot: SlotIndex, event: EventNumber, applied: Applied, change: &Change) -> Place {
        let run = match self.run_of[usize::from(slot.0)] {
            Some(run) => run,
            None => {
                // At most one run for each of the 256 slots.
                let run = self.runs.len() as u16;
                self.run_of[usize::from(slot.0)] = Some(run);
                self.runs.push(Run { slot, count: 0, records: self.spare.pop().unwrap_or_default() });
                self.bytes += RUN_HEADER_BYTES;
                run
            }
        };
        let Run { count, records, .. } = &mut self.runs[usize::from(run)];
        let before = records.len();
        codec::encode_change(event, applied.event_seq, applied.digest, change, records);
        self.bytes += records.len() - before;
        let place = Place { run, at: *count };
        *count += 1;
        self.changes += 1;
        place
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn changes(&self) -> u32 {
        self.changes
    }

    /// Writes the runs behind each other and empties the builder. `starts` becomes how many changes stand before
    /// each run.
    pub(crate) fn finish(&mut self, time: TimestampMs, payload: &mut Vec<u8>, starts: &mut Vec<u32>) {
        payload.reserve(self.bytes);
        let mut before = 0;
        starts.clear();
        for mut run in self.runs.drain(..) {
            self.run_of[usize::from(run.slot.0)] = None;
            starts.push(before);
            before += run.count;
            payload.push(run.slot.0);
            payload.extend_from_slice(&run.count.to_le_bytes());
            payload.extend_from_slice(&time.0.to_le_bytes());
            // A group is far shorter than 4 GiB.
            payload.extend_from_slice(&(run.records.len() as u32).to_le_bytes());
            payload.extend_from_slice(&run.records);
            run.records.clear();
            self.spare.push(run.records);
        }
        self.bytes = 0;
        self.changes = 0;
    }
}

/// The bytes of a batch are not what this engine writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunError {
    /// The payload ends inside a run.
    Short,
    /// A run without changes.
    Empty,
    /// The runs do not hold as many changes as the batch says.
    Count,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RunError::Short => "the batch ends inside a run of changes",
            RunError::Empty => "a run holds no change",
            RunError::Count => "the runs hold another number of changes than the batch says",
        })
    }
}

impl std::error::Error for RunError {}

/// One run of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunView<'a> {
    pub(crate) slot: SlotIndex,
    pub(crate) count: u32,
    pub(crate) time: TimestampMs,
    pub(crate) records: &'a [u8],
}

/// Reads the runs of a batch that holds `count` changes.
pub(crate) fn read_runs(payload: &[u8], count: u32) -> Result<Vec<RunView<'_>>, RunError> {
    let mut runs = Vec::new();
    let mut rest = payload;
    let mut left = count;
    while !rest.is_empty() {
        let (header, behind) = rest.split_first_chunk::<RUN_HEADER_BYTES>().ok_or(RunError::Short)?;
        let [slot, c0, c1, c2, c3, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let records = behind.get(..len).ok_or(RunError::Short)?;
        let run = RunView {
            slot: SlotIndex(slot),
            count: u32::from_le_bytes([c0, c1, c2, c3]),
            time: TimestampMs(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            records,
        };
        if run.count == 0 {
            return Err(RunError::Empty);
        }
        left = left.checked_sub(run.count).ok_or(RunError::Count)?;
        runs.push(run);
        rest = &behind[len..];
    }
    if left == 0 { Ok(runs) } else { Err(RunError::Count) }
}

/// What a shard gives the committer.
pub(crate) struct Group {
    pub(crate) shard: usize,
    /// Counts the groups of the shard from 1.
    pub(crate) number: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) changes: u32,
    pub(crate) time: TimestampMs,
    /// XOR over the shard's slots after this group.
    pub(crate) hash: u64,
    pub(crate) live_holds: u64,
}

/// What the committer gives back when a group is durable.
pub(crate) struct Finished {
    pub(crate) number: u64,
    pub(crate) first_position: u64,
    /// Emptied, for its allocation.
    pub(crate) payload: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use inventory_core::change::Record;

    use super::*;

    const EVENT: EventNumber = EventNumber(4);

    fn change(seq: u32) -> Change {
        Change::FloorRaised(TimestampMs(u64::from(seq)))
    }

    fn push(builder: &mut GroupBuilder, slot: u8, seq: u32) -> Place {
        builder.push(SlotIndex(slot), EVENT, Applied { event_seq: seq, digest: 7 }, &change(seq))
    }

    fn record(seq: u32) -> Record {
        Record { event: EVENT, event_seq: seq, digest: 7, change: change(seq) }
    }

    #[test]
    fn runs_come_back_as_they_were_pushed() {
        let mut builder = GroupBuilder::new();
        assert_eq!(push(&mut builder, 9, 1), Place { run: 0, at: 0 });
        assert_eq!(push(&mut builder, 3, 1), Place { run: 1, at: 0 });
        assert_eq!(push(&mut builder, 9, 2), Place { run: 0, at: 1 });
        let bytes = builder.bytes();
        let mut payload = Vec::new();
        let mut starts = Vec::new();
        builder.finish(TimestampMs(5), &mut payload, &mut starts);
        assert_eq!(starts, [0, 2]);
        assert_eq!(payload.len(), bytes);

        let runs = read_runs(&payload, 3).expect("reads what was written");
        let shape: Vec<_> = runs.iter().map(|run| (run.slot.0, run.count, run.time.0)).collect();
        assert_eq!(shape, [(9, 2, 5), (3, 1, 5)]);
        let (first, consumed) = codec::decode_record(runs[0].records).expect("decodes");
        assert_eq!(first, record(1));
        assert_eq!(codec::decode_record(&runs[0].records[consumed..]).expect("decodes").0, record(2));

        assert_eq!(read_runs(&payload, 2), Err(RunError::Count));
        assert_eq!(read_runs(&payload, 4), Err(RunError::Count));
        for cut in 1..payload.len() {
            assert!(read_runs(&payload[..cut], 3).is_err(), "cut at {cut}");
        }
    }
}
