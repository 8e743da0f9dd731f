//! Giving live holds the time back that the engine was away, whatever crashes in between.
//!
//! ```text
//! log of a start:   Resumed of some events | Resumed of others | ..      all at the log's last time L
//!                   HASH at the start's time S                           the start is complete
//! GIVEN section:    per event: slot u8, event u32, shift ms u64
//! ```
//!
//! The changes carry the time at which the engine was last there, and only the HASH behind them moves the
//! log's time to the start. So a start that follows one that was cut short measures the same gap from the
//! same L, sees what each event was given already, and gives the rest: never twice, never too little,
//! however many batches it takes. A checkpoint of a state from the middle of it lists what was given.

use std::collections::HashMap;

use inventory_core::{
    change::{Change, ResumeCause},
    codec,
    ids::{EventNumber, SlotIndex, TimestampMs},
    limits::{GROUP_BYTES_MAX, OUTAGE_GRACE_MS_MAX},
};
use wal::{BatchKind, LogWriter, WriteError};

use crate::{
    group::{GroupBuilder, RunView},
    plan_store::PlanStore,
    replay::State,
};

/// The section of a checkpoint with what was given.
pub(crate) const GIVEN_TAG: u32 = 257;
const GIVEN_BYTES: usize = 1 + 4 + 8;

/// What the last start in the log has given back, as long as it is not complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    /// L: the time of its changes.
    time: TimestampMs,
    shift_ms: HashMap<(SlotIndex, EventNumber), u64>,
}

impl Given {
    pub(crate) fn is_empty(&self) -> bool {
        self.shift_ms.is_empty()
    }

    /// Whether it is of a start that measured its gap from this time.
    pub(crate) fn is_of(&self, log_time: TimestampMs) -> bool {
        !self.is_empty() && self.time == log_time
    }

    /// Takes in a batch that was replayed. Whether it is one of a start.
    pub(crate) fn hear(&mut self, runs: &[RunView<'_>]) -> bool {
        let Some(shifts) = shifts_of(runs) else {
            *self = Given::default();
            return false;
        };
        for (time, event, shift_ms) in shifts {
            if time != self.time {
                *self = Given { time, shift_ms: HashMap::new() };
            }
            let sum = self.shift_ms.entry(event).or_default();
            *sum = sum.saturating_add(shift_ms);
        }
        true
    }

    fn of(&self, log_time: TimestampMs, slot: SlotIndex, event: EventNumber) -> u64 {
        let shift_ms = self.shift_ms.get(&(slot, event)).copied();
        shift_ms.filter(|_| self.time == log_time).unwrap_or(0)
    }

    /// As the section of a checkpoint.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut entries: Vec<_> = self.shift_ms.iter().collect();
        entries.sort_unstable_by_key(|&((slot, event), _)| (slot.0, event.0));
        let mut bytes = Vec::with_capacity(entries.len() * GIVEN_BYTES);
        for ((slot, event), shift_ms) in entries {
            bytes.push(slot.0);
            bytes.extend_from_slice(&event.0.to_le_bytes());
            bytes.extend_from_slice(&shift_ms.to_le_bytes());
        }
        bytes
    }

    /// From the section of a checkpoint of this time.
    pub(crate) fn decode(time: TimestampMs, bytes: &[u8]) -> Option<Given> {
        let (entries, []) = bytes.as_chunks::<GIVEN_BYTES>() else { return None };
        let entry = |&[slot, e0, e1, e2, e3, s0, s1, s2, s3, s4, s5, s6, s7]: &[u8; GIVEN_BYTES]| {
            let event = EventNumber(u32::from_le_bytes([e0, e1, e2, e3]));
            ((SlotIndex(slot), event), u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]))
        };
        Some(Given { time, shift_ms: entries.iter().map(entry).collect() })
    }
}

/// When an event was given how much.
type Shift = (TimestampMs, (SlotIndex, EventNumber), u64);

/// The shifts of a batch that holds nothing else.
fn shifts_of(runs: &[RunView<'_>]) -> Option<Vec<Shift>> {
    let mut shifts = Vec::new();
    for run in runs {
        let mut rest = run.records;
        while !rest.is_empty() {
            let (record, consumed) = codec::decode_record(rest).ok()?;
            let Change::Resumed(resumed) = record.change else { return None };
            shifts.push((run.time, (run.slot, record.event), resumed.shift_ms));
            rest = &rest[consumed..];
        }
    }
    Some(shifts)
}

/// The time in which the engine was away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The latest time in the log.
    pub(crate) log: TimestampMs,
    /// This start.
    pub(crate) start: TimestampMs,
    pub(crate) cause: ResumeCause,
}

impl Gap {
    /// How much of it is given back.
    fn shift_ms(&self) -> u64 {
        let gap_ms = self.start.since(self.log);
        match self.cause {
            ResumeCause::Outage => gap_ms.min(OUTAGE_GRACE_MS_MAX),
            ResumeCause::Restored => gap_ms,
        }
    }
}

/// Gives live holds the time back, as changes in the log. Durable when this returns. How many events it was.
pub(crate) fn resume(
    state: &mut State,
    writer: &mut LogWriter,
    plans: &PlanStore,
    gap: Gap,
) -> Result<usize, WriteError> {
    let given = std::mem::take(&mut state.given);
    let mut builder = GroupBuilder::new();
    let mut resumed = 0;
    for slot in &mut state.slots {
        let slot_index = slot.index();
        let EventNumber(end) = slot.next_event_number();
        for number in (0..end).map(EventNumber) {
            let shift_ms = gap.shift_ms().saturating_sub(given.of(gap.log, slot_index, number));
            let Some(change) = slot.decide_resumed(number, shift_ms, gap.cause) else { continue };
            let applied = slot.apply(gap.log, number, &change, plans, None);
            builder.push(slot_index, number, applied, &change);
            probe::sometimes!("start: live holds get the time away back");
            probe::sometimes!("start: the time away is capped", gap.start.since(gap.log) > gap.shift_ms());
            resumed += 1;
            if builder.bytes() >= GROUP_BYTES_MAX {
                append(&mut builder, writer, gap.log)?;
            }
        }
    }
    append(&mut builder, writer, gap.log)?;
    if resumed > 0 || !given.is_empty() || gap.cause == ResumeCause::Restored {
        writer.append(BatchKind::Hash, gap.start.0, 0, &[&state.hash().to_le_bytes()])?;
    }
    writer.sync()?;
    Ok(resumed)
}

fn append(builder: &mut GroupBuilder, writer: &mut LogWriter, time: TimestampMs) -> Result<(), WriteError> {
    let changes = builder.changes();
    if changes == 0 {
        return Ok(());
    }
    let mut payload = Vec::new();
    builder.finish(time, &mut payload, &mut Vec::new());
    writer.append(BatchKind::Data, time.0, changes, &[&payload])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_comes_back_from_its_section() {
        let shift_ms = HashMap::from([((SlotIndex(3), EventNumber(70_000)), 5), ((SlotIndex(0), EventNumber(1)), 9)]);
        let given = Given { time: TimestampMs(4), shift_ms };
        let bytes = given.encode();
        assert_eq!(bytes[..GIVEN_BYTES], [0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Given::decode(TimestampMs(4), &bytes), Some(given));
        assert_eq!(Given::decode(TimestampMs(4), &bytes[1..]), None);
    }
}
