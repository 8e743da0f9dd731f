//! Following the log of a running engine: every durable change, with the places it moved and the plan they are named in,
//! for whoever derives something from it.
//!
//! A follower has a state of its own, which it brings forward as replay does: what a change moved is known from the state
//! before it. That is as much memory once more, and nothing that a shard or the committer has to do.
//!
//! Invariants:
//!
//! - F1. Only durable batches are looked at.
//! - F2. Changes come in order of their positions, each once, and each has proven itself: number and digest are those of the
//!   log.
//!
//! Not here: a log with holes (`salvage.rs`), copying it (crate `backup`).

use std::{fmt, sync::Arc};

use inventory_core::{change::Record, codec, ids::CustomerKey, place::Move, slot::Slot};
use wal::{BatchKind, BatchView, RecoverError, SegmentCursor, Storage, list_checkpoints};

use crate::{
    engine::{DurableLog, Engine},
    group::{RunView, read_runs},
    inspect::CONFIG,
    line::ChangeLine,
    replay::{PlanSource, StartError, State, load_checkpoint},
};

/// A follower cannot go on. Another may begin.
#[derive(Debug)]
pub enum FollowError {
    /// The log is not there from where it is needed, any more or at all.
    Gone,
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FollowError::Gone => f.write_str("the log behind it is gone: a checkpoint has covered it"),
            FollowError::Unreadable(what) => write!(f, "the log cannot be followed: {what}"),
        }
    }
}

impl std::error::Error for FollowError {}

/// A change that was followed.
#[derive(Debug)]
pub struct Followed<'a> {
    /// The change.
    pub line: ChangeLine<'a>,
    /// For whom its hold is, where it is about one and somebody was named.
    pub customer: CustomerKey,
}

/// Follows the log of one engine.
pub struct Follower {
    engine: Arc<Engine>,
    storage: Arc<dyn Storage>,
    slots: Vec<Slot>,
    cursor: Option<SegmentCursor>,
    /// The last batch that was taken in.
    batch_seq: u64,
    next_position: u64,
    moves: Vec<Move>,
}

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginAt {
    /// As far back as the log goes.
    Oldest,
    /// Behind this batch at the latest: as near to it as there is a state.
    Before {
        /// The batch.
        batch_seq: u64,
    },
}

impl Follower {
    /// Begins at a checkpoint, or with the first change. Reads it: slow.
    ///
    /// # Errors
    /// There is no state to begin with, or it cannot be read.
    pub fn begin(engine: Arc<Engine>, storage: Arc<dyn Storage>, at: BeginAt) -> Result<Follower, FollowError> {
        let unreadable = |error: &dyn fmt::Display| FollowError::Unreadable(error.to_string());
        // Before the checkpoints: what is removed meanwhile is missed when it is read, not here.
        let durable = engine.durable_log();
        let has_log_after = |batch_seq: u64| {
            let first = durable.segments.first();
            batch_seq >= durable.batch_seq || first.is_some_and(|first| first.first_batch_seq <= batch_seq + 1)
        };
        let may_begin = |batch_seq: u64| match at {
            BeginAt::Oldest => has_log_after(batch_seq),
            BeginAt::Before { batch_seq: wanted } => batch_seq <= wanted && has_log_after(batch_seq),
        };
        // Newest first.
        let mut names = list_checkpoints(storage.as_ref()).map_err(|error| unreadable(&error))?;
        if at == BeginAt::Oldest {
            names.reverse();
        }
        let begins_at_one = may_begin(0);
        if !(begins_at_one && at == BeginAt::Oldest) {
            for name in names {
                let loaded = match load_checkpoint(storage.as_ref(), &name, CONFIG, &engine.plans) {
                    Ok(loaded) => loaded,
                    // It may just have been removed, and it may be no good: another one.
                    Err(StartError::Checkpoint(_) | StartError::Io { .. }) => continue,
                    Err(error) => return Err(unreadable(&error)),
                };
                if may_begin(loaded.meta.batch_seq) {
                    let (batch_seq, next) = (loaded.meta.batch_seq, loaded.meta.next_position);
                    return Ok(Follower::new(engine, storage, loaded.state, batch_seq, next));
                }
            }
        }
        if begins_at_one {
            return Ok(Follower::new(engine, storage, State::empty(CONFIG), 0, 1));
        }
        Err(FollowError::Gone)
    }

    fn new(
        engine: Arc<Engine>,
        storage: Arc<dyn Storage>,
        state: State,
        batch_seq: u64,
        next_position: u64,
    ) -> Follower {
        Follower { engine, storage, slots: state.slots, cursor: None, batch_seq, next_position, moves: Vec::new() }
    }

    /// The last batch that was taken in.
    #[must_use]
    pub fn batch_seq(&self) -> u64 {
        self.batch_seq
    }

    /// The position of the last change that was taken in.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next_position - 1
    }

    /// Takes in what is durable and new, about so many bytes of it at most, and tells `sink` each change. Whether there
    /// was anything. After an error another follower must begin.
    ///
    /// # Errors
    /// The log is gone, or contradicts the state.
    pub fn turn(&mut self, bytes: u64, sink: &mut dyn FnMut(&Followed<'_>)) -> Result<bool, FollowError> {
        let durable = self.engine.durable_log();
        if self.batch_seq >= durable.batch_seq {
            return Ok(false);
        }
        let (mut cursor, last) = self.cursor_at(&durable)?;
        let before = cursor.next_batch_seq();
        let storage = Arc::clone(&self.storage);
        let read = cursor.read(storage.as_ref(), last, bytes, &mut |batch| {
            if batch.batch_seq <= self.batch_seq {
                return Ok(());
            }
            self.take(&batch, sink).map_err(Into::into)
        });
        match read {
            Ok(()) => {}
            Err(RecoverError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(FollowError::Gone);
            }
            Err(error) => return Err(FollowError::Unreadable(error.to_string())),
        }
        if cursor.next_batch_seq() == before {
            // Whoever turns until there is nothing would turn for ever.
            let what = format!("batch {before} is durable and not in {}", cursor.segment().name);
            return Err(FollowError::Unreadable(what));
        }
        self.cursor = Some(cursor);
        Ok(true)
    }

    /// The cursor of the segment with the next batch, and the last batch there; of two that hold a copy the later one
    /// counts.
    fn cursor_at(&mut self, durable: &DurableLog) -> Result<(SegmentCursor, u64), FollowError> {
        let next = self.batch_seq + 1;
        let segment = durable.segments.iter().rev().find(|segment| segment.first_batch_seq <= next);
        let segment = segment.cloned().ok_or(FollowError::Gone)?;
        let is_live = durable.segments.last().is_some_and(|last| last.name == segment.name);
        // As it is now: what the cursor knows of its segment is from when that was begun.
        let last = if is_live { durable.batch_seq } else { segment.last_batch_seq.min(durable.batch_seq) };
        let cursor = match self.cursor.take() {
            Some(cursor) if cursor.segment().name == segment.name && cursor.next_batch_seq() <= next => cursor,
            _ => SegmentCursor::new(segment),
        };
        Ok((cursor, last))
    }

    fn take(&mut self, batch: &BatchView<'_>, sink: &mut dyn FnMut(&Followed<'_>)) -> Result<(), String> {
        if batch.batch_seq != self.batch_seq + 1 {
            return Err(format!("batch {} follows {}", batch.batch_seq, self.batch_seq));
        }
        if batch.kind == BatchKind::Data {
            if batch.first_position != self.next_position {
                return Err(format!("position {} follows {}", batch.first_position, self.position()));
            }
            let runs = read_runs(batch.payload, batch.count).map_err(|error| error.to_string())?;
            runs.iter().try_for_each(|run| self.run(run, batch.batch_seq, sink))?;
        }
        self.batch_seq = batch.batch_seq;
        Ok(())
    }

    fn run(&mut self, run: &RunView<'_>, batch_seq: u64, sink: &mut dyn FnMut(&Followed<'_>)) -> Result<(), String> {
        let mut rest = run.records;
        for _ in 0..run.count {
            let (record, consumed) = codec::decode_record(rest).map_err(|error| error.to_string())?;
            rest = &rest[consumed..];
            self.change(run, &record, batch_seq, sink)?;
            self.next_position += 1;
        }
        if rest.is_empty() { Ok(()) } else { Err("a run is longer than its changes".to_owned()) }
    }

    fn change(
        &mut self,
        run: &RunView<'_>,
        record: &Record,
        batch_seq: u64,
        sink: &mut dyn FnMut(&Followed<'_>),
    ) -> Result<(), String> {
        let plans = &self.engine.plans;
        let slot = &mut self.slots[usize::from(run.slot.0)];
        if let Some(missing) = record.change.plan_named().and_then(|digest| plans.lacks(digest)) {
            return Err(missing);
        }
        if !slot.has_place_for(record.event, &record.change) || run.time < slot.now() {
            return Err(format!("position {} does not follow what is before it", self.next_position));
        }
        // Of what the change takes out of memory.
        let before = slot.event(record.event).map(|event| (event.id().clone(), event.key(), Arc::clone(event.plan())));
        let revision_before = slot.event(record.event).map(inventory_core::event::Event::plan_revision);
        self.moves.clear();
        let applied = slot.apply(run.time, record.event, &record.change, plans, Some(&mut self.moves));
        if (applied.event_seq, applied.digest) != (record.event_seq, record.digest) {
            return Err(format!("position {} does not prove itself", self.next_position));
        }
        let after = slot.event(record.event);
        let event = after.map(|event| (event.id(), event.key()));
        let event = event.or(before.as_ref().map(|(id, key, _)| (id, *key)));
        let plan = after.map(inventory_core::event::Event::plan).or(before.as_ref().map(|(_, _, plan)| plan));
        let line = ChangeLine {
            position: self.next_position,
            incarnation: self.engine.incarnation(),
            time: run.time,
            batch_seq,
            slot: run.slot,
            record,
            event,
            plan,
            plan_revision: after.map(inventory_core::event::Event::plan_revision).or(revision_before),
            moves: Some(&self.moves),
            not_saved: None,
        };
        let hold = line.holds().first().copied();
        let customer = hold.and_then(|id| slot.customer_of(record.event, id)).unwrap_or(CustomerKey::NONE);
        sink(&Followed { line, customer });
        Ok(())
    }
}
