//! Replaying a log that may have holes: every change either proves itself, or is not saved and the reason
//! is named.
//!
//! A change carries the number it has within its event and the digest of the event after it. So the changes
//! of an event that lost nothing in a hole go on to prove themselves behind it: the number follows and the
//! digest is the one reached. An event whose numbers have a gap is frozen at its last proven change.
//!
//! Invariants:
//!
//! - V1. An event in the slots is in a state that the log proves: a checkpoint's, or one whose digest the log
//!   names.
//! - V2. Events are numbered anew where the creation of one before them is lost; numbers are no part of a
//!   hash.
//!
//! Not here: finding the batches (crate `wal`, `scan`), telling anybody (`inspect.rs`, `repair.rs`).

use std::{fmt, sync::Arc};

use inventory_core::{
    change::{Change, Record},
    codec,
    ids::{EventId, EventKey, EventNumber, SlotIndex, TimestampMs},
    image,
    limits::{EVENTS_PER_SERVER_MAX, SLOTS},
    place::Move,
    plan::Plan,
    slot::{Plans, Slot, SlotConfig},
};
use wal::{CheckpointMeta, CheckpointReader, Storage};

use crate::{
    group::RunView,
    line::FrozenEvent,
    plan_store::PlanFiles,
    replay::{PlanSource, StartError},
};

/// Why a change cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSaved {
    /// The change that made its event is lost: nothing is known of it.
    CreationLost,
    /// Changes of its event before it are lost: these numbers.
    Gap {
        /// The first lost one.
        first: u32,
        /// The last lost one.
        last: u32,
    },
    /// Its event needs a plan that is not there.
    NoPlan(String),
    /// It gives something else than it gave when it was made.
    Differs(String),
    /// It cannot be read.
    Unreadable(String),
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSaved::CreationLost => f.write_str("the change that made its event is lost"),
            NotSaved::Gap { first, last } if first == last => {
                write!(f, "change {first} of its event is lost")
            }
            NotSaved::Gap { first, last } => write!(f, "changes {first} to {last} of its event are lost"),
            NotSaved::NoPlan(what) => write!(f, "its event needs a plan, and {what}"),
            NotSaved::Differs(what) => write!(f, "it does not prove itself: {what}"),
            NotSaved::Unreadable(what) => write!(f, "it cannot be read: {what}"),
        }
    }
}

/// An event of the log, by its number there.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its name and key, where its creation was seen.
    pub(crate) name: Option<(EventId, EventKey)>,
    /// Its number in the slots, where it is saved.
    pub(crate) number: Option<EventNumber>,
    /// Why its changes are not saved from some point on.
    pub(crate) frozen: Option<NotSaved>,
    /// Its plan now, also when it is frozen later; nothing when it is not known.
    plan: Option<(Arc<Plan>, u32)>,
}

/// A change whose event came to another digest: the event must stop before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stop {
    pub(crate) slot: SlotIndex,
    pub(crate) event: EventNumber,
    pub(crate) event_seq: u32,
}

/// What became of one change.
pub(crate) struct Taken<'a> {
    pub(crate) record: &'a Record,
    pub(crate) event: Option<&'a (EventId, EventKey)>,
    pub(crate) plan: Option<&'a (Arc<Plan>, u32)>,
    /// What it moved, when it is saved.
    pub(crate) moves: &'a [Move],
    pub(crate) result: Result<(), NotSaved>,
}

/// The state that can be proven.
pub(crate) struct Salvage<'p> {
    plans: &'p PlanFiles,
    pub(crate) slots: Vec<Slot>,
    events: Vec<Vec<Known>>,
    /// Found in an earlier pass.
    stops: Vec<Stop>,
    /// Found in this pass: what was saved of these events is not proven, and the pass is to be done again.
    pub(crate) new_stops: Vec<Stop>,
    pub(crate) saved: u64,
    moves: Vec<Move>,
}

impl<'p> Salvage<'p> {
    /// From nothing.
    pub(crate) fn empty(config: SlotConfig, plans: &'p PlanFiles, stops: Vec<Stop>) -> Salvage<'p> {
        Salvage {
            plans,
            slots: (0..=u8::MAX).map(|index| Slot::new(SlotIndex(index), config)).collect(),
            events: (0..SLOTS).map(|_| Vec::new()).collect(),
            stops,
            new_stops: Vec::new(),
            saved: 0,
            moves: Vec::new(),
        }
    }

    /// From a checkpoint, without the events whose plan is not there.
    pub(crate) fn from_checkpoint(
        storage: &dyn Storage,
        name: &str,
        config: SlotConfig,
        plans: &'p PlanFiles,
        stops: Vec<Stop>,
    ) -> Result<(Salvage<'p>, CheckpointMeta), StartError> {
        let reader = CheckpointReader::open(storage, name).map_err(StartError::Checkpoint)?;
        let mut salvage = Salvage::empty(config, plans, stops);
        let mut sections = reader.read_all().map_err(StartError::Checkpoint)?;
        let mut bytes = Vec::new();
        while let Some(tag) = sections.next(&mut bytes).map_err(StartError::Checkpoint)? {
            let Some(slot) = u8::try_from(tag).ok().map(SlotIndex) else { continue };
            let has = |digest: &_| plans.plans.contains_key(digest);
            let (decoded, list) = image::decode_slot_partly(&bytes, slot, config, plans, &has)
                .map_err(|error| StartError::Image { file: name.to_owned(), slot: slot.0, what: error.to_string() })?;
            let known = list.into_iter().map(|event| {
                // Of a retired event nothing more may come.
                let plan = event.number.and_then(|number| decoded.event(number));
                Known {
                    plan: plan.map(|event| (Arc::clone(event.plan()), event.plan_revision())),
                    frozen: event.plan.and_then(|plan| plans.lacks(&plan)).map(NotSaved::NoPlan),
                    name: event.id.map(|id| (id, event.key)),
                    number: event.number,
                }
            });
            salvage.events[usize::from(slot.0)] = known.collect();
            salvage.slots[usize::from(slot.0)] = decoded;
        }
        sections.finish().map_err(StartError::Checkpoint)?;
        Ok((salvage, *reader.meta()))
    }

    /// XOR of the slots' hashes.
    pub(crate) fn hash(&self) -> u64 {
        self.slots.iter().fold(0, |hash, slot| hash ^ slot.hash())
    }

    /// Whether every event of the log so far is saved to its last change.
    pub(crate) fn is_whole(&self) -> bool {
        self.events.iter().flatten().all(|known| known.frozen.is_none() && known.number.is_some())
    }

    /// The events of the log that are not saved to their last change.
    pub(crate) fn frozen(&self) -> Vec<FrozenEvent> {
        let mut found = Vec::new();
        for (slot, events) in (0..=u8::MAX).zip(&self.events) {
            for (number, known) in (0..).zip(events) {
                let Some(why) = &known.frozen else { continue };
                let saved = known.number.and_then(|number| self.slots[usize::from(slot)].event(number));
                found.push(FrozenEvent {
                    slot: SlotIndex(slot),
                    number: EventNumber(number),
                    id: known.name.as_ref().map(|(id, _)| id.clone()),
                    saved_to: saved.map(inventory_core::event::Event::seq),
                    why: why.clone(),
                });
            }
        }
        found
    }

    /// Takes in the changes of one run and tells what became of each. What cannot be read ends the run, with
    /// the number of changes that are left of it.
    pub(crate) fn take(&mut self, run: &RunView<'_>, visit: &mut dyn FnMut(Taken<'_>)) -> Result<(), (u32, NotSaved)> {
        let mut rest = run.records;
        for left in (1..=run.count).rev() {
            let (record, consumed) =
                codec::decode_record(rest).map_err(|error| (left, NotSaved::Unreadable(error.to_string())))?;
            rest = &rest[consumed..];
            self.moves.clear();
            let result = self.change(run.slot, run.time, &record);
            let known = self.events[usize::from(run.slot.0)].get(record.event.0 as usize);
            visit(Taken {
                record: &record,
                event: known.and_then(|known| known.name.as_ref()),
                plan: known.and_then(|known| known.plan.as_ref()),
                moves: &self.moves,
                result,
            });
        }
        if rest.is_empty() { Ok(()) } else { Err((0, NotSaved::Unreadable("bytes behind the last change".to_owned()))) }
    }

    /// Names the changes of a run that the checkpoint covers: nothing is done with them.
    pub(crate) fn name(&self, run: &RunView<'_>, visit: &mut dyn FnMut(Taken<'_>)) -> Result<(), (u32, NotSaved)> {
        let mut rest = run.records;
        for left in (1..=run.count).rev() {
            let (record, consumed) =
                codec::decode_record(rest).map_err(|error| (left, NotSaved::Unreadable(error.to_string())))?;
            rest = &rest[consumed..];
            let known = self.events[usize::from(run.slot.0)].get(record.event.0 as usize);
            let event = known.and_then(|known| known.name.as_ref());
            // Its first plan is the one it had all the time before.
            let plan = known.and_then(|known| known.plan.as_ref()).filter(|(_, revision)| *revision == 1);
            visit(Taken { record: &record, event, plan, moves: &[], result: Ok(()) });
        }
        Ok(())
    }

    fn change(&mut self, slot: SlotIndex, time: TimestampMs, record: &Record) -> Result<(), NotSaved> {
        let at = record.event.0 as usize;
        let index = usize::from(slot.0);
        if let Change::EventCreated(created) = &record.change {
            let name = (created.id.clone(), created.key);
            if self.events[index].get(at).is_some_and(|known| known.name.is_some()) {
                return Err(NotSaved::Differs(format!("event {at} of slot {index} is there already")));
            }
            self.know(index, at)?;
            let number = self.slots[index].next_event_number();
            let known = &mut self.events[index][at];
            known.name = Some(name);
            let fits = created.key.slot() == slot
                && self.slots[index].find(created.key).is_none()
                && !self.slots[index].is_retired(created.key);
            let stop = Stop { slot, event: record.event, event_seq: record.event_seq };
            let result = match self.plans.lacks(&created.plan) {
                Some(what) => Err(NotSaved::NoPlan(what)),
                None if self.stops.contains(&stop) => {
                    Err(NotSaved::Differs("the event comes to another digest".to_owned()))
                }
                None if !fits => Err(NotSaved::Differs("its event is of another slot, or there already".to_owned())),
                None => Ok(()),
            };
            known.frozen = result.as_ref().err().cloned();
            result?;
            known.plan = Some((self.plans.plan(&created.plan), 1));
            known.number = Some(number);
            return self.apply(slot, time, number, record);
        }
        self.know(index, at)?;
        let known = &mut self.events[index][at];
        if let Some(why) = &known.frozen {
            return Err(why.clone());
        }
        let Some((number, event)) = known.number.and_then(|n| Some((n, self.slots[index].event(n)?))) else {
            return Err(NotSaved::CreationLost);
        };
        let updated = record.change.plan_named();
        let next = event.seq() + 1;
        let why = if record.event_seq > next {
            Some(NotSaved::Gap { first: next, last: record.event_seq - 1 })
        } else if record.event_seq < next {
            Some(NotSaved::Differs(format!("it is change {} again", record.event_seq)))
        } else if let Some(missing) = updated.and_then(|digest| self.plans.lacks(digest)) {
            Some(NotSaved::NoPlan(missing))
        } else if time < self.slots[index].now() {
            Some(NotSaved::Differs("it is older than the change before it".to_owned()))
        } else if self.stops.contains(&Stop { slot, event: record.event, event_seq: record.event_seq }) {
            Some(NotSaved::Differs("the event comes to another digest".to_owned()))
        } else {
            None
        };
        if let Some(why) = why {
            known.frozen = Some(why.clone());
            return Err(why);
        }
        if let Some(digest) = updated {
            // Another price level is no new revision.
            let more = u32::from(matches!(record.change, Change::EventUpdated(_)));
            let revision = event.plan_revision() + more;
            known.plan = Some((self.plans.plan(digest), revision));
        }
        self.apply(slot, time, number, record)
    }

    /// Makes a place for an event of the log. What stands before it, and was not seen, lost its creation.
    fn know(&mut self, index: usize, at: usize) -> Result<(), NotSaved> {
        if at >= EVENTS_PER_SERVER_MAX as usize {
            return Err(NotSaved::Differs(format!("there are never {at} events in a slot")));
        }
        let events = &mut self.events[index];
        while events.len() <= at {
            events.push(Known { name: None, number: None, frozen: Some(NotSaved::CreationLost), plan: None });
        }
        Ok(())
    }

    fn apply(
        &mut self,
        slot: SlotIndex,
        time: TimestampMs,
        number: EventNumber,
        record: &Record,
    ) -> Result<(), NotSaved> {
        let index = usize::from(slot.0);
        let time = time.max(self.slots[index].now());
        let applied = self.slots[index].apply(time, number, &record.change, self.plans, Some(&mut self.moves));
        if (applied.event_seq, applied.digest) == (record.event_seq, record.digest) {
            self.saved += 1;
            return Ok(());
        }
        let why = NotSaved::Differs("the event comes to another digest".to_owned());
        self.events[index][record.event.0 as usize].frozen = Some(why.clone());
        self.new_stops.push(Stop { slot, event: record.event, event_seq: record.event_seq });
        self.moves.clear();
        Err(why)
    }
}
