//! What becomes of sold places later: they come back, or are given for others.
//!
//! Not here: finding what an order has (`order.rs`).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    change::{Change, Confirmed, Exchanged, HoldState, Returned, SoldDirect, Taken},
    command::Remainder,
    decide::NAMED_MAX,
    digest::Hasher,
    direct_sale::{Freed, NamedPlaces, judge_places, take_named},
    event::Event,
    ids::{EventNumber, HoldId, OrderRef, RequestId, TimestampMs},
    kill::check_reason,
    limits::{PAID_TOMBSTONE_MS, RETURNED_ADMISSIONS_MAX, SEAT_RUNS_PER_CHANGE_MAX},
    place::{Admission, Admissions, Move, Moved, PlaceState, SeatIndexes},
    place_set::{PlaceSet, Places, runs_of},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    rules::Bundle,
    slot::{Decision, Slot, Touched, merged},
};

/// The reason of places that are killed when they come back to a cancelled event, and no other was given.
pub(crate) const RETURNED: &str = "returned";

/// Where returned places go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReturnTo {
    /// Where they came from.
    #[default]
    Origin = 0,
    /// General sale.
    General = 1,
    /// Out of sale.
    Killed = 2,
}

impl ReturnTo {
    /// The goal with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Origin),
            1 => Some(Self::General),
            2 => Some(Self::Killed),
            _ => None,
        }
    }
}

/// Sold places come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPlaces {
    /// Name of this request.
    pub request_id: RequestId,
    /// The order they were sold to.
    pub order: OrderRef,
    /// Which places; empty: all of the order.
    pub places: PlaceSet,
    /// Where they go.
    pub to: ReturnTo,
    /// Why, for people, when they are killed: at most 64 bytes; empty: `returned`.
    pub reason: Box<str>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// Some sold places for others, in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Name of this request, and of the new sale.
    pub request_id: RequestId,
    /// The order that gives and takes.
    pub order: OrderRef,
    /// What it gives.
    pub give: PlaceSet,
    /// What it takes.
    pub take: Take,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// What an exchange takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Take {
    /// Open places, or such as it gives.
    Places(NamedPlaces),
    /// All that a live hold has.
    Hold(HoldId),
}

impl ReturnPlaces {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.places.check()?;
        if self.reason.is_empty() { Ok(()) } else { check_reason(&self.reason) }
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(17);
        hasher.bytes(self.order.as_str().as_bytes());
        self.places.hash_into(&mut hasher);
        hasher.word(self.to as u64);
        hasher.bytes(self.reason.as_bytes());
        hasher.finish()
    }
}

impl Exchange {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.give.check()?;
        if self.give.is_empty() {
            return Err(Reject::invalid(Field::Give, "name places"));
        }
        match &self.take {
            Take::Places(places) => places.check(),
            Take::Hold(_) => Ok(()),
        }
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(18);
        hasher.bytes(self.order.as_str().as_bytes());
        self.give.hash_into(&mut hasher);
        match &self.take {
            Take::Places(places) => hasher.word(places.fingerprint()),
            Take::Hold(hold_id) => hasher.wide(hold_id.0),
        }
        hasher.finish()
    }
}

/// What an order gives: sorted seats, and admissions of its holds.
struct Given {
    seats: Vec<u32>,
    admissions: Vec<(HoldId, Admission)>,
}

impl Given {
    fn areas(&self) -> Vec<(u16, u32)> {
        merged(self.admissions.iter().map(|(_, admission)| (admission.area, u32::from(admission.quantity))))
    }
}

impl Slot {
    /// The places of a set that are sold to an order; an empty set: all that is.
    fn given(&self, event: &Event, order: &OrderRef, set: &PlaceSet) -> Result<Given, Reject> {
        let holds = self.holds_of_order(event, order);
        if holds.is_empty() {
            return Err(Reject::OrderNotFound);
        }
        let has = |at: u32| self.holds[at].sold_to(order);
        let mut given = Given { seats: Vec::new(), admissions: Vec::new() };
        if set.is_empty() {
            for &at in &holds {
                let (seats, admissions) = has(at);
                given.seats.extend(seats);
                let hold_id = self.holds[at].hold_id();
                given.admissions.extend(admissions.into_iter().map(|admission| (hold_id, admission)));
            }
            given.seats.sort_unstable();
        } else {
            let Places { seats, admissions } = set.resolve(event)?;
            let mut of_order: Vec<u32> = holds.iter().flat_map(|&at| has(at).0).collect();
            of_order.sort_unstable();
            let foreign = seats.iter().filter(|seat| of_order.binary_search(seat).is_err());
            let mut foreign: Vec<PlaceInTheWay> = foreign
                .map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: event.public_state(seat) })
                .collect();
            for (area, ticket_type, quantity) in admissions {
                let mut missing = quantity;
                for &at in &holds {
                    if missing == 0 {
                        break;
                    }
                    for admission in has(at).1 {
                        if (admission.area, admission.ticket_type) == (area, ticket_type) && missing > 0 {
                            let quantity = u32::from(admission.quantity).min(missing);
                            missing -= quantity;
                            // No more than the admission's own.
                            let part = Admission { quantity: quantity as u8, ..admission };
                            given.admissions.push((self.holds[at].hold_id(), part));
                        }
                    }
                }
                if missing > 0 {
                    let place = Moved::Area { area, quantity: missing };
                    foreign.push(PlaceInTheWay { place, state: PlaceState::Sold });
                }
            }
            if !foreign.is_empty() {
                foreign.truncate(NAMED_MAX);
                return Err(Reject::NotThisOrder { places: foreign });
            }
            given.seats = seats;
            given.admissions.sort_by_key(|(hold_id, _)| *hold_id);
        }
        let too_many = runs_of(&given.seats).count() > SEAT_RUNS_PER_CHANGE_MAX;
        if too_many || given.admissions.len() > RETURNED_ADMISSIONS_MAX {
            return Err(Reject::invalid(Field::Seats, "the order has too many places for one command: name some"));
        }
        Ok(given)
    }

    pub(crate) fn decide_return(
        &self,
        now: TimestampMs,
        event: &Event,
        command: &ReturnPlaces,
    ) -> Result<Decision, Reject> {
        let fingerprint = command.fingerprint();
        if self.judge_request(now, event, command.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(command.expected_state)?;
        let given = self.given(event, &command.order, &command.places)?;
        let killed = command.to == ReturnTo::Killed || event.settings.state == EventState::Cancelled;
        let to = if killed { ReturnTo::Killed } else { command.to };
        let reason: &str = if command.reason.is_empty() { RETURNED } else { &command.reason };
        let reason: Box<str> = if killed { reason.into() } else { "".into() };
        if killed {
            event.judge_reason(&reason)?;
        }
        if command.validate_only {
            let touched = self.touched(event, &given);
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let request = Some((command.request_id, fingerprint));
        let order = command.order.clone();
        let Given { seats, admissions } = given;
        let returned = Returned { request, order, to, reason, seats, admissions };
        Ok(Decision::Change(event.number, Change::Returned(Box::new(returned))))
    }

    fn touched(&self, event: &Event, given: &Given) -> Touched {
        let of_seats = given.seats.iter().map(|&seat| self.holds[event.owner[seat as usize]].hold_id());
        let mut holds: Vec<HoldId> = of_seats.chain(given.admissions.iter().map(|(hold_id, _)| *hold_id)).collect();
        holds.sort_unstable();
        holds.dedup();
        Touched { seats: given.seats.clone(), areas: given.areas(), holds }
    }

    pub(crate) fn decide_exchange(
        &self,
        now: TimestampMs,
        event: &Event,
        exchange: &Exchange,
    ) -> Result<Decision, Reject> {
        let fingerprint = exchange.fingerprint();
        let sale = HoldId(exchange.request_id.0);
        if self.judge_request(now, event, exchange.request_id, fingerprint)? {
            // What was taken then may have been given back since.
            let taken = match &exchange.take {
                Take::Places(_) => sale,
                Take::Hold(hold_id) => *hold_id,
            };
            return Ok(match self.remembered(now, event, taken) {
                Some(entry) => self.known(event, entry, true),
                None => Decision::touched_before(event),
            });
        }
        // The name of the sale that it would make.
        if matches!(exchange.take, Take::Places(_)) && self.remembered(now, event, sale).is_some() {
            return Err(Reject::RequestIdReused);
        }
        event.judge_state(exchange.expected_state)?;
        if event.settings.state == EventState::Cancelled {
            return Err(Reject::EventCancelled);
        }
        let given = self.given(event, &exchange.order, &exchange.give)?;
        if given.seats.is_empty() && given.admissions.is_empty() {
            return Err(Reject::invalid(Field::Give, "means no place"));
        }
        let touched = self.touched(event, &given);
        let taken = match &exchange.take {
            Take::Places(places) => {
                let freed = Freed { seats: &given.seats, admissions: &given.admissions };
                let (seats, admissions) = take_named(event, places, freed)?;
                let first = touched.holds.first().and_then(|&id| self.remembered(now, event, id));
                let customer = first.map_or_else(Default::default, |entry| entry.customer);
                let more = seats.len() as u32 + admissions.iter().map(|a| u32::from(a.quantity)).sum::<u32>();
                let (given_seats, given_admissions) = self.given_by(event, &given, customer);
                let less = given_seats.len() as u32
                    + given_admissions.iter().map(|admission| u32::from(admission.quantity)).sum::<u32>();
                let indexes: Vec<u32> = seats.iter().map(|seat| seat.index).collect();
                let taken = Bundle { seats: &indexes, admissions: &admissions };
                let all: Vec<Admission> = given.admissions.iter().map(|(_, admission)| *admission).collect();
                event.judge_quotas(taken, Bundle { seats: &given.seats, admissions: &all })?;
                judge_places(event, customer, more, less)?;
                let less = Bundle { seats: &given_seats, admissions: &given_admissions };
                event.judge_levels(customer, taken, less)?;
                let order = exchange.order.clone();
                Taken::Sale(SoldDirect { hold_id: sale, fingerprint, customer, order, seats, admissions })
            }
            Take::Hold(hold_id) => Taken::Hold(self.take_hold(now, event, *hold_id, &exchange.order)?),
        };
        if exchange.validate_only {
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let Given { seats, admissions } = given;
        let returned = Returned {
            request: Some((exchange.request_id, fingerprint)),
            order: exchange.order.clone(),
            to: ReturnTo::Origin,
            reason: "".into(),
            seats,
            admissions,
        };
        Ok(Decision::Change(event.number, Change::Exchanged(Box::new(Exchanged { returned, taken }))))
    }

    /// Places that a customer gives.
    fn given_by(&self, event: &Event, given: &Given, customer: crate::ids::CustomerKey) -> (Vec<u32>, Vec<Admission>) {
        let seats = given.seats.iter().filter(|&&seat| self.holds[event.owner[seat as usize]].customer == customer);
        let admissions = given.admissions.iter().filter(|(hold_id, _)| {
            let found = self.holds.find(event.number, *hold_id);
            found.is_some_and(|at| self.holds[at].customer == customer)
        });
        (seats.copied().collect(), admissions.map(|(_, admission)| *admission).collect())
    }

    /// All of a live hold is sold to the order.
    fn take_hold(&self, now: TimestampMs, event: &Event, id: HoldId, order: &OrderRef) -> Result<Confirmed, Reject> {
        let entry = self.remembered(now, event, id).ok_or(Reject::HoldNotFound)?;
        self.must_sell_whole(now, event, entry)?;
        Ok(Confirmed {
            hold_id: id,
            request: None,
            order: order.clone(),
            seats: SeatIndexes::new(),
            admissions: Admissions::new(),
            remainder: Remainder::Keep,
            reclaimed: false,
            // What is being paid for it is the difference of the prices.
            attempt_id: entry.open_attempt(),
            expires_at: None,
        })
    }

    pub(crate) fn give_back(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        returned: &Returned,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let event = self.event_mut(number);
        if let Some(request) = returned.request {
            event.remember_request(now, request);
        }
        let reason = (returned.to == ReturnTo::Killed).then(|| event.reason_number(&returned.reason));
        let event = self.event(number).expect("the event is there");
        let of_seats = returned.seats.iter().map(|&seat| (self.holds[event.owner[seat as usize]].hold_id(), seat));
        let mut seats: Vec<(HoldId, u32)> = of_seats.collect();
        seats.sort_unstable();
        let mut ids: Vec<HoldId> = seats.iter().map(|(id, _)| *id).collect();
        ids.extend(returned.admissions.iter().map(|(id, _)| *id));
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            let from = seats.partition_point(|(of, _)| *of < id);
            let of_hold: Vec<u32> =
                seats[from..].iter().take_while(|(of, _)| *of == id).map(|(_, seat)| *seat).collect();
            let from = returned.admissions.partition_point(|(of, _)| *of < id);
            let admissions = returned.admissions[from..].iter().take_while(|(of, _)| *of == id);
            let admissions: Vec<Admission> = admissions.map(|(_, admission)| *admission).collect();
            self.unsell(now, number, id, &returned.order, &of_hold, &admissions, moves);
        }
        let event = self.event_mut(number);
        if returned.to != ReturnTo::Origin {
            returned.admissions.iter().for_each(|(_, admission)| event.free_of_quota(*admission, moves));
        }
        if returned.to == ReturnTo::General {
            event.free_of_tags(&returned.seats, moves);
        }
        self.free_emptied(number, moves);
        let event = self.event_mut(number);
        let Some(reason) = reason else { return };
        event.move_seats(returned.seats.iter().copied(), PlaceState::Open, PlaceState::Killed, reason, moves);
        for (_, admission) in &returned.admissions {
            let quantity = u32::from(admission.quantity);
            event.move_area(admission.area, quantity, PlaceState::Open, PlaceState::Killed, moves);
        }
    }

    /// Sold places of a hold are open again.
    #[expect(clippy::too_many_arguments, reason = "one hold's part of a return, in one place")]
    fn unsell(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        id: HoldId,
        order: &OrderRef,
        seats: &[u32],
        admissions: &[Admission],
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let at = self.holds.find(number, id).expect("a hold with places sold is remembered");
        let entry = &mut self.holds[at];
        let (before, customer) = (entry.hash(), entry.customer);
        entry.unsell(order, seats, admissions);
        let event = self.event_mut(number);
        event.move_seats(seats.iter().copied(), PlaceState::Sold, PlaceState::Open, at, moves);
        for &admission in admissions {
            event.move_admission(admission, PlaceState::Sold, PlaceState::Open, moves);
        }
        let places = seats.len() + admissions.iter().map(|a| usize::from(a.quantity)).sum::<usize>();
        // At most 64 of one hold.
        event.count_customer(customer, -(places as i32), 0);
        event.count_levels(customer, Bundle { seats, admissions }, false);
        event.hash ^= before;
        let window = event.settings.policies.retry_window_ms();
        let entry = &mut self.holds[at];
        if entry.is_tombstone() {
            probe::sometimes!("return: nothing of an ended hold is sold any more");
            entry.set_state(HoldState::Confirmed, entry.cause());
            entry.set_words(&[], &[]);
            let window = if entry.ever_paid() { PAID_TOMBSTONE_MS } else { window };
            let forget_at = entry.ended_at.max(entry.hold_id().time()).plus_ms(window);
            entry.until = forget_at;
            if forget_at <= now {
                // Its time has passed while places of it were sold.
                self.holds.remove(at);
                return;
            }
            self.forgetting.insert(&mut self.holds, at, forget_at);
            self.tombstones += 1;
            self.event_mut(number).tombstones += 1;
        } else {
            let after = entry.hash();
            self.event_mut(number).hash ^= after;
        }
    }
}
