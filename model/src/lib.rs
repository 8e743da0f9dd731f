//! The seat inventory once more, slow and plainly right: what the contract says, written down with
//! maps and scans, by another hand than the core's. Tests drive both and compare every answer.
//!
//! What a place is, is not kept but read off the holds: a seat is held when a live hold has it or it rests,
//! sold when a hold has sold it, killed when the house keeps a note of it, open otherwise. Places are kept by key, so a new plan moves
//! nothing here.
//!
//! Not here: what several events make of a cart together, the budget of tombstones (a floor is told, see
//! [`Model::raise_floor`]).

mod allocations;
mod carts;
mod content;
mod contract;
mod event;
mod hold;
mod place_set;
mod retired;
mod price_level;
mod resting;
mod judging;
mod settling;
mod rules;
mod house;
mod orders;
pub mod orphans;
pub mod pick;

#[cfg(test)]
mod drawn;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use inventory_core::{
    allocation::AllocationView,
    best_available::Arrangement,
    cart::{CartStep, Decided, Verdict},
    change::{HoldView, Rested, ResumeCause},
    command::{Command, CreateEvent},
    ids::{EventKey, HoldId, TimestampMs},
    place::{Admissions, PlaceState, Seats},
    plan::Plan,
    policy::EventState,
    reject::{Field, Reject},
    slot::{SoldPart, Suggestion, Touched},
};

pub use crate::contract::{normal, normal_view};
use crate::event::Event;
pub use crate::resting::woke_at_once;

/// What a command that was not refused answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A hold as it is now.
    Hold {
        /// The hold.
        view: HoldView,
        /// Whether the command took effect before.
        replayed: bool,
    },
    /// The event is as asked.
    Event {
        /// Whether the command took effect before.
        replayed: bool,
    },
    /// What a command of the house touched, or would.
    Touched {
        /// Nothing when the command took effect before.
        touched: Touched,
        /// Whether the command took effect before.
        replayed: bool,
    },
    /// What is sold to an order.
    Order {
        /// By hold, in the order of their ids.
        parts: Vec<SoldPart>,
    },
    /// All allocations, in the order they were made: a number that is free again is used first.
    Allocations {
        /// As the house sees them.
        allocations: Vec<AllocationView>,
    },
    /// All that is listed. One of the two is empty: a list is of holds or of orders.
    Page {
        /// Live holds.
        holds: Vec<HoldView>,
        /// What is sold, by hold and order.
        parts: Vec<SoldPart>,
    },
    /// What the first part of a cart has decided.
    Verdict {
        /// Nothing when it has not.
        verdict: Option<Verdict>,
    },
    /// Ways to seat a party.
    Suggested {
        /// At least one, best first.
        options: Vec<Suggestion>,
    },
    /// What a hold would do.
    Explained {
        /// What it would take, or the refusal.
        outcome: Result<Grant, Reject>,
        /// Seats that the pick would leave alone, in plan order.
        left_alone: Vec<u32>,
    },
}

/// What a hold would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Seats: explicit in request order, then chosen in plan order.
    pub seats: Seats,
    /// Admissions.
    pub admissions: Admissions,
    /// How the chosen seats lie.
    pub arrangement: Arrangement,
}

/// All events with their holds.
#[derive(Clone, Debug, Default)]
pub struct Model {
    events: BTreeMap<EventKey, Event>,
    /// Keys of events that were retired.
    retired: BTreeSet<EventKey>,
}

impl Model {
    /// No events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judge `command` at `now` and make it true. Nothing changes when it is refused. Whoever calls
    /// has called [`Model::advance`] with the same time.
    ///
    /// # Errors
    /// The first refusal in the contract's order of judgement.
    pub fn execute(&mut self, now: TimestampMs, key: EventKey, command: &Command) -> Result<Answer, Reject> {
        match command {
            Command::CreateEvent(create) => return self.create(key, create),
            Command::Hold(hold) | Command::Explain(hold) => {
                event::check_ttl(hold.ttl_ms)?;
                hold.check()?;
            }
            Command::Extend(extend) => event::check_ttl(extend.ttl_ms)?,
            Command::Confirm(confirm) => confirm.check()?,
            Command::Release(release) => release.check()?,
            Command::Suggest(suggest) => suggest.check()?,
            Command::SellDirect(sell) => sell.places.check()?,
            Command::ReturnPlaces(command) => command.check()?,
            Command::Exchange(exchange) => exchange.check()?,
            Command::Kill(kill) => kill.check()?,
            Command::Unkill(unkill) => unkill.check()?,
            Command::BeginPayment(_) | Command::EndPayment(_) | Command::GetHold(_) | Command::UpdateEvent(_) => {}
            Command::SetAllocation(set) => set.check()?,
            Command::RemoveAllocation(remove) => remove.check()?,
            Command::SetPriceLevel(set) => set.check()?,
            Command::GetOrder(_) | Command::List(_) | Command::ListAllocations | Command::RetireEvent(_) => {}
            Command::HoldMany(many) => many.check()?,
            Command::Cart(CartStep::Prepare(prepare)) => prepare.hold.check()?,
            Command::ConfirmMany(_) | Command::ReleaseMany(_) | Command::Cart(_) => {}
        }
        let event = self.events.get_mut(&key).ok_or(Reject::EventNotFound)?;
        match command {
            Command::CreateEvent(_) => unreachable!("answered above"),
            Command::HoldMany(many) => event.hold_many(now, many),
            Command::ConfirmMany(confirm) => event.confirm_many(now, confirm),
            Command::ReleaseMany(cart_id) => event.release_many(now, *cart_id),
            Command::Cart(step) => event.cart_step(now, step),
            Command::Hold(hold) => event.hold(now, hold),
            Command::Extend(extend) => event.extend(now, extend),
            Command::Confirm(confirm) => event.confirm(now, confirm),
            Command::Release(release) => event.release(now, release),
            Command::BeginPayment(begin) => event.begin_payment(now, begin),
            Command::EndPayment(end) => event.end_payment(now, end),
            Command::GetHold(id) => event.get_hold(*id),
            Command::Suggest(suggest) => event.suggest(now, suggest),
            Command::Explain(hold) => Ok(event.explain(now, hold)),
            Command::SellDirect(sell) => event.sell_direct(now, sell),
            Command::ReturnPlaces(command) => event.return_places(now, command),
            Command::Exchange(exchange) => event.exchange(now, exchange),
            Command::GetOrder(order) => event.get_order(order),
            Command::List(list) => Ok(event.list(list.what)),
            Command::Kill(kill) => event.kill(now, kill),
            Command::Unkill(unkill) => event.unkill(now, unkill),
            Command::SetAllocation(set) => event.set_allocation(now, set),
            Command::RemoveAllocation(remove) => event.remove_allocation(now, remove),
            Command::ListAllocations => Ok(event.list_allocations()),
            Command::SetPriceLevel(set) => event.set_price_level(now, set),
            Command::UpdateEvent(update) => event.update(now, update),
            Command::RetireEvent(retire) => {
                event.may_retire(now, retire)?;
                // With a number the image is archived, which is true in whoever calls.
                if !retire.validate_only && retire.archived_seq.is_some() {
                    self.events.remove(&key);
                    self.retired.insert(key);
                }
                Ok(Answer::Event { replayed: false })
            }
        }
    }

    fn create(&mut self, key: EventKey, create: &CreateEvent) -> Result<Answer, Reject> {
        create.settings.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        rules::check_names(&create.settings.limits, &create.plan, true, true)?;
        if !matches!(create.settings.state, EventState::Draft | EventState::OnSale) {
            return Err(Reject::invalid(Field::State, "must be draft or on sale"));
        }
        let content = content::of_create(create);
        match self.events.get(&key) {
            Some(event) if event.is_made_of(&content) => Ok(Answer::Event { replayed: true }),
            Some(_) => Err(Reject::EventExists),
            None if self.retired.contains(&key) => Err(Reject::EventExists),
            None => {
                self.events.insert(key, Event::new(create, content));
                Ok(Answer::Event { replayed: false })
            }
        }
    }

    /// End every payment and every hold whose deadline `now` has reached, and forget what is past its time.
    pub fn advance(&mut self, now: TimestampMs) {
        for event in self.events.values_mut() {
            event.advance(now);
        }
    }

    /// These places have rested, told in the order of the log, and no others that were to wake by `now`. Called after
    /// each [`Model::advance`], also with none.
    ///
    /// # Panics
    /// When one of them does not rest, or it wakes at another time than it may, or one sleeps longer.
    pub fn wake(&mut self, now: TimestampMs, told: &[(EventKey, Rested)]) {
        for (&key, event) in &mut self.events {
            let of_event = told.iter().filter(|(of, _)| *of == key);
            event.wake(now, &of_event.map(|(_, rested)| rested).collect::<Vec<_>>());
        }
    }

    /// Every live deadline moves by `shift_ms`, also that of an open payment, whatever the cause.
    pub fn resume(&mut self, shift_ms: u64, _cause: ResumeCause) {
        for event in self.events.values_mut() {
            event.resume(shift_ms);
        }
    }

    /// The memory of tombstones was full: ids of the event at or below `floor` are forgotten, those of
    /// holds that ever were paying only when `also_paid`.
    pub fn raise_floor(&mut self, key: EventKey, floor: TimestampMs, also_paid: bool) {
        if let Some(event) = self.events.get_mut(&key) {
            event.raise_floor(floor, also_paid);
        }
    }

    /// Tombstones of all events: ended holds with nothing sold.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.events.values().map(Event::tombstones).sum()
    }

    /// Those of them that never were paying.
    #[must_use]
    pub fn tombstones_never_paid(&self) -> usize {
        self.events.values().map(Event::tombstones_never_paid).sum()
    }

    /// The events there are.
    #[must_use]
    pub fn events(&self) -> Vec<EventKey> {
        self.events.keys().copied().collect()
    }

    /// How many events were retired.
    #[must_use]
    pub fn retired_count(&self) -> usize {
        self.retired.len()
    }

    /// State of every seat of the event, by index; empty when there is no such event.
    #[must_use]
    pub fn seat_states(&self, key: EventKey) -> Vec<PlaceState> {
        self.events.get(&key).map_or_else(Vec::new, |event| event.seat_states(None))
    }

    /// The same as the public sees it: what is open and set aside is unavailable, as what is killed.
    #[must_use]
    pub fn public_seat_states(&self, key: EventKey) -> Vec<PlaceState> {
        self.events.get(&key).map_or_else(Vec::new, Event::public_states)
    }

    /// Times after `now` at which something ends or is forgotten, in order. That a hold would end at
    /// without its payment is among them.
    #[must_use]
    pub fn times_ahead(&self, now: TimestampMs) -> Vec<TimestampMs> {
        let mut times: Vec<_> = self.events.values().flat_map(Event::times).filter(|&time| time > now).collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Held, sold and killed admissions of every area of the event, by index.
    #[must_use]
    pub fn area_counts(&self, key: EventKey) -> Vec<(u32, u32, u32)> {
        let counts = self.events.get(&key).map_or_else(Vec::new, |event| event.area_counts(None));
        counts.into_iter().map(|area| (area.held, area.sold, area.killed)).collect()
    }

    /// The same as the public sees it: what is unused of quotas counts as killed.
    #[must_use]
    pub fn public_area_counts(&self, key: EventKey) -> Vec<(u32, u32, u32)> {
        let counts = self.events.get(&key).map_or_else(Vec::new, |event| event.area_counts(None));
        counts.into_iter().map(|area| (area.held, area.sold, area.killed + area.unused)).collect()
    }

    /// Live holds of the event.
    #[must_use]
    pub fn live_holds(&self, key: EventKey) -> Vec<HoldId> {
        self.events.get(&key).map_or_else(Vec::new, Event::live_holds)
    }

    /// How many live holds of the event are being paid for.
    #[must_use]
    pub fn paying_holds(&self, key: EventKey) -> usize {
        self.events.get(&key).map_or(0, Event::paying_holds)
    }

    /// First parts of carts that have decided, while other events may not know how.
    #[must_use]
    pub fn unsettled(&self, key: EventKey) -> Vec<Decided> {
        self.events.get(&key).map_or_else(Vec::new, |event| event.unsettled(key))
    }

    /// The hold, live or remembered.
    #[must_use]
    pub fn hold_view(&self, key: EventKey, id: HoldId) -> Option<HoldView> {
        self.events.get(&key)?.hold_view(id)
    }

    /// Plan revision of the event; 0: there is no such event.
    #[must_use]
    pub fn plan_revision(&self, key: EventKey) -> u32 {
        self.events.get(&key).map_or(0, Event::plan_revision)
    }

    /// The event's plan.
    #[must_use]
    pub fn plan(&self, key: EventKey) -> Option<&Arc<Plan>> {
        self.events.get(&key).map(Event::plan)
    }

    /// Whether the event sells.
    #[must_use]
    pub fn state(&self, key: EventKey) -> Option<EventState> {
        self.events.get(&key).map(Event::state)
    }

    /// What stands for the etag of the event here: which of the contents it ever had it has now.
    #[must_use]
    pub fn etag(&self, key: EventKey) -> u64 {
        self.events.get(&key).map_or(0, Event::etag)
    }

    /// What always holds: no place in two holds, no more admissions than there are.
    ///
    /// # Panics
    /// When one of them does not.
    pub fn assert_valid(&self) {
        self.events.values().for_each(Event::assert_valid);
    }
}
