//! What a simulation is told of a turn and sees nowhere else: commands as they were judged, the steps of carts among
//! them, and places that woke.
//!
//! Not here: numbers that code tells in passing (`probe::tell!`).

use inventory_core::{
    change::{Change, HoldState, Rested},
    command::Command,
    event::Event,
    ids::{EventKey, EventNumber, HoldId},
    place::{Admission, Move},
    slot::Slot,
};

use crate::answer::{Done, Refused};

/// A command that was judged, and what it came to.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its event.
    pub key: EventKey,
    /// The command.
    pub command: Command,
    /// Its answer; nothing when nobody wanted one.
    pub result: Option<Result<Done, Refused>>,
}

/// Places of one event that woke, by one change.
#[derive(Clone, Debug)]
pub enum Woke {
    /// They had rested until now.
    Rested(Rested),
    /// Their hold expired, and they rest for no time at all: of that the log has no change of its own.
    AtOnce {
        /// What admissions the holds had that expired together.
        admissions: Vec<Admission>,
        /// What opened of it, and what stays held and rests.
        moves: Vec<Move>,
    },
}

impl Woke {
    /// What a change wakes that is to be applied, without what it opens.
    pub(crate) fn by(slot: &Slot, number: EventNumber, change: &Change) -> Option<(EventKey, Woke)> {
        let event = slot.event(number)?;
        let woke = match change {
            Change::Rested(rested) => Woke::Rested(rested.clone()),
            Change::Expired(ids) => Woke::at_once(slot, event, ids)?,
            Change::CartReleased(part) if part.cause.ends().0 == HoldState::Expired => {
                Woke::at_once(slot, event, &[part.cart_id])?
            }
            _ => return None,
        };
        Some((event.key(), woke))
    }

    fn at_once(slot: &Slot, event: &Event, ended: &[HoldId]) -> Option<Woke> {
        let views = ended.iter().filter_map(|&id| slot.hold_view(event.number(), id));
        let rests = event.settings().policies.cooling_s_max > 0;
        rests.then(|| Woke::AtOnce { admissions: views.flat_map(|view| view.admissions).collect(), moves: Vec::new() })
    }

    /// The change was applied, and moved this.
    pub(crate) fn then(self, moves: &[Move]) -> Woke {
        match self {
            Woke::Rested(rested) => Woke::Rested(rested),
            Woke::AtOnce { admissions, .. } => Woke::AtOnce { admissions, moves: moves.to_vec() },
        }
    }
}

/// What one turn has to tell.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    judged: Vec<Judged>,
    woke: Vec<(EventKey, Woke)>,
}

impl Witness {
    pub(crate) fn begin_turn(&mut self) {
        self.judged.clear();
        self.woke.clear();
    }

    pub(crate) fn judged(&mut self, key: EventKey, command: Command) {
        self.judged.push(Judged { key, command, result: None });
    }

    pub(crate) fn answered(&mut self, result: &Result<Done, Refused>) {
        if let Some(judged) = self.judged.last_mut().filter(|judged| judged.result.is_none()) {
            judged.result = Some(result.clone());
        }
    }

    pub(crate) fn woke(&mut self, key: EventKey, woke: Woke) {
        self.woke.push((key, woke));
    }

    pub(crate) fn take_judged(&mut self) -> Vec<Judged> {
        std::mem::take(&mut self.judged)
    }

    pub(crate) fn take_woke(&mut self) -> Vec<(EventKey, Woke)> {
        std::mem::take(&mut self.woke)
    }
}
