//! Looking ahead: asking for the memory that the next commands will need, and changing nothing.
//!
//! A command waits for memory some ten times when a slot is larger than the caches, one wait after the other, because
//! each tells where the next is. Of several commands the waits can run side by side: look ahead at all of them step by
//! step, each step for all before the next, and then judge them. Some sixteen are enough; a processor has no more loads
//! under way.
//!
//! Everything here may be left out without any difference but in time.

use crate::{
    change::Change,
    command::Command,
    ids::{CustomerKey, EventKey, EventNumber, HoldId, OrderRef},
    slot::Slot,
};

/// Steps of looking ahead, to be taken in this order: [`Slot::look_ahead`] begins, [`Slot::look_on`] is the others.
pub const STEPS: u32 = 4;

/// How many to look ahead at: a processor has no more loads under way.
pub const AHEAD_MAX: usize = 16;

/// What is looked ahead at: a command that will be judged, or a change that will be applied again.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// A command.
    Command(&'a Command),
    /// A change.
    Change(&'a Change),
}

/// How far looking ahead at one is.
#[derive(Clone, Copy, Debug)]
pub struct Ahead<'a> {
    event: EventNumber,
    next: Next<'a>,
    /// Of its hold.
    hash: u32,
    /// The entry of its hold, when it has one.
    at: Option<u32>,
}

impl Next<'_> {
    fn hold_id(self) -> Option<HoldId> {
        Some(match self {
            Next::Command(Command::Hold(hold)) => hold.hold_id,
            Next::Command(Command::Extend(extend)) => extend.hold_id,
            Next::Command(Command::Confirm(confirm)) => confirm.hold_id,
            Next::Command(Command::Release(release)) => release.hold_id,
            Next::Command(Command::BeginPayment(begin)) => begin.hold_id,
            Next::Command(Command::EndPayment(end)) => end.hold_id,
            Next::Command(Command::GetHold(hold_id)) => *hold_id,
            Next::Change(Change::Held(held)) => held.hold_id,
            Next::Change(Change::Extended(extended)) => extended.hold_id,
            Next::Change(Change::Confirmed(confirmed)) => confirmed.hold_id,
            Next::Change(Change::Released(released)) => released.hold_id,
            Next::Change(Change::PaymentBegan(began)) => began.hold_id,
            Next::Change(Change::PaymentEnded(ended)) => ended.hold_id,
            Next::Command(_) | Next::Change(_) => return None,
        })
    }

    /// The order that places will be sold to.
    fn order(&self) -> Option<&OrderRef> {
        match self {
            Next::Command(Command::Confirm(confirm)) => Some(&confirm.order),
            Next::Change(Change::Confirmed(confirmed)) => Some(&confirmed.order),
            Next::Command(_) | Next::Change(_) => None,
        }
    }

    /// Who will hold, and the first of the seats: the others are neighbours, mostly.
    fn new_hold(self) -> Option<(CustomerKey, Option<u32>)> {
        match self {
            Next::Command(Command::Hold(hold)) => Some((hold.customer, hold.seats.first().copied())),
            Next::Change(Change::Held(held)) => Some((held.customer, held.seats.first().map(|seat| seat.index))),
            Next::Command(_) | Next::Change(_) => None,
        }
    }
}

impl Slot {
    /// The first step for a command. `None`: it needs nothing that can be known ahead.
    #[must_use]
    pub fn look_ahead<'a>(&self, key: EventKey, command: &'a Command) -> Option<Ahead<'a>> {
        let next = Next::Command(command);
        let hold_id = next.hold_id()?;
        Some(self.look_ahead_at(self.find(key)?, next, hold_id))
    }

    /// The first step for a change of an event.
    #[must_use]
    pub fn look_ahead_to_change<'a>(&self, event: EventNumber, change: &'a Change) -> Option<Ahead<'a>> {
        let next = Next::Change(change);
        let hold_id = next.hold_id()?;
        self.event(event)?;
        Some(self.look_ahead_at(event, next, hold_id))
    }

    fn look_ahead_at<'a>(&self, event: EventNumber, next: Next<'a>, hold_id: HoldId) -> Ahead<'a> {
        if let Some(event) = self.event(event) {
            prefetch::lines_of(event);
        }
        Ahead { event, next, hash: self.holds.prefetch_table(event, hold_id), at: None }
    }

    /// The step of this number, from 1 to [`STEPS`] - 1.
    pub fn look_on(&self, ahead: &mut Ahead<'_>, step: u32) {
        match (step, ahead.next.new_hold()) {
            (1, new) => {
                self.holds.prefetch_cell(ahead.hash);
                if let Some((customer, seat)) = new {
                    self.prefetch_places(ahead.event, customer, seat);
                    self.holds.prefetch_free();
                }
            }
            (2, None) => {
                ahead.at = self.holds.prefetch_found(ahead.hash);
                if let Some(order) = ahead.next.order() {
                    self.holds.prefetch_order(ahead.event, order);
                }
            }
            (3, None) => {
                if let Some(at) = ahead.at {
                    let entry = &self.holds[at];
                    self.holds.prefetch_neighbours(at);
                    self.prefetch_places(
                        ahead.event,
                        entry.customer,
                        entry.unsold_seats().next().map(|seat| seat.index),
                    );
                }
            }
            _ => {}
        }
    }

    /// All steps for holds of an event that will end, at most [`AHEAD_MAX`].
    pub(crate) fn look_ahead_to_ends(&self, event: EventNumber, hold_ids: &[HoldId]) {
        let mut hashes = [0; AHEAD_MAX];
        for (hash, &hold_id) in hashes.iter_mut().zip(hold_ids) {
            *hash = self.holds.prefetch_table(event, hold_id);
        }
        let hashes = &hashes[..hold_ids.len()];
        hashes.iter().for_each(|&hash| self.holds.prefetch_cell(hash));
        let mut found = [None; AHEAD_MAX];
        for (found, &hash) in found.iter_mut().zip(hashes) {
            *found = self.holds.prefetch_found(hash);
        }
        for at in found.into_iter().flatten() {
            let entry = &self.holds[at];
            self.holds.prefetch_neighbours(at);
            self.prefetch_places(event, entry.customer, entry.unsold_seats().next().map(|seat| seat.index));
        }
    }

    fn prefetch_places(&self, event: EventNumber, customer: CustomerKey, seat: Option<u32>) {
        let Some(event) = self.event(event) else { return };
        event.prefetch_customer(customer);
        if let Some(seat) = seat {
            event.prefetch_seat(seat);
        }
    }
}
