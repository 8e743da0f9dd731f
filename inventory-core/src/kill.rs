//! Places that the house withdraws from sale, and gives back to it.
//!
//! The owner of a killed seat is the number of its reason among those of its event.
//!
//! Not here: places that were sold and are killed when they come back (`giving_back.rs`).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use crate::{
    change::{Change, HoldCause, HoldState, Killed, Unkilled},
    decide::NAMED_MAX,
    digest::Hasher,
    event::Event,
    hold::{mark, unsold_count},
    ids::{EventNumber, HoldId, RequestId, TimestampMs},
    limits::{HOLDS_PER_KILL_MAX, KILL_REASON_BYTES_MAX},
    place::{Move, Moved, PlaceState},
    place_set::{PlaceSet, Places, check_runs},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    rules::Bundle,
    slot::{Decision, Slot, Touched, merged},
};

/// Withdraw places from sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Name of this request.
    pub request_id: RequestId,
    /// Which places. Kinds of buyers do not matter.
    pub places: PlaceSet,
    /// Why, for people: 1 to 64 bytes.
    pub reason: Box<str>,
    /// Take seats out of holds too.
    pub force: bool,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// Open withdrawn places again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unkill {
    /// Name of this request.
    pub request_id: RequestId,
    /// Which places. Kinds of buyers do not matter.
    pub places: PlaceSet,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// Check a reason of a kill.
pub(crate) fn check_reason(reason: &str) -> Result<(), Reject> {
    let fits = (1..=KILL_REASON_BYTES_MAX).contains(&reason.len()) && !reason.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Reject::invalid(Field::Reason, "must be 1 to 64 bytes without control characters")) }
}

impl Kill {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.places.check()?;
        if self.places.is_empty() {
            return Err(Reject::invalid(Field::Seats, "name places"));
        }
        check_reason(&self.reason)
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(14);
        self.places.hash_into(&mut hasher);
        hasher.bytes(self.reason.as_bytes());
        hasher.word(u64::from(self.force));
        hasher.finish()
    }
}

impl Unkill {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.places.check()?;
        if self.places.is_empty() {
            return Err(Reject::invalid(Field::Seats, "name places"));
        }
        Ok(())
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(15);
        self.places.hash_into(&mut hasher);
        hasher.finish()
    }
}

/// Admissions of each area, whatever kind of buyer was named.
pub(crate) fn by_area(places: &Places) -> Vec<(u16, u32)> {
    merged(places.admissions.iter().map(|&(area, _, quantity)| (area, quantity)))
}

impl Slot {
    pub(crate) fn decide_kill(&self, now: TimestampMs, event: &Event, kill: &Kill) -> Result<Decision, Reject> {
        let fingerprint = kill.fingerprint();
        if self.judge_request(now, event, kill.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(kill.expected_state)?;
        let mut places = kill.places.resolve(event)?;
        let areas = by_area(&places);
        places.seats.retain(|&seat| event.seat_state(seat) != PlaceState::Killed);
        // What is killed already may have cut a stretch into many.
        check_runs(&places.seats)?;
        let mut in_the_way: Vec<PlaceInTheWay> = Vec::new();
        let mut holds: BTreeSet<HoldId> = BTreeSet::new();
        for &seat in &places.seats {
            let state = event.seat_state(seat);
            // No more than what is needed to refuse it.
            if state == PlaceState::Held && !event.is_resting(seat) && holds.len() <= HOLDS_PER_KILL_MAX {
                holds.insert(self.holds[event.owner[seat as usize]].hold_id());
            }
            let is_in_the_way = state == PlaceState::Sold || state == PlaceState::Held && !kill.force;
            if is_in_the_way && in_the_way.len() < NAMED_MAX {
                in_the_way.push(PlaceInTheWay { place: Moved::Seat(seat), state });
            }
        }
        for &(area, quantity) in &areas {
            let open = event.area_room(area);
            if open < quantity {
                let state = event.area_state(area);
                in_the_way.push(PlaceInTheWay { place: Moved::Area { area, quantity: quantity - open }, state });
            }
        }
        if !in_the_way.is_empty() {
            in_the_way.truncate(NAMED_MAX);
            return Err(Reject::PlacesInUse { places: in_the_way });
        }
        if holds.len() > HOLDS_PER_KILL_MAX {
            return Err(Reject::invalid(Field::Seats, "must be of at most 2000 holds"));
        }
        let paying = |&id: &HoldId| {
            let found = self.holds.find(event.number, id);
            found.is_some_and(|at| self.holds[at].state() == HoldState::Paying)
        };
        if holds.iter().any(paying) {
            return Err(Reject::PaymentInProgress);
        }
        event.judge_reason(&kill.reason)?;
        let holds: Vec<HoldId> = holds.into_iter().collect();
        if kill.validate_only {
            let touched = Touched { seats: places.seats, areas, holds };
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let request = (kill.request_id, fingerprint);
        let killed = Killed { request, reason: kill.reason.clone(), seats: places.seats, areas, holds };
        Ok(Decision::Change(event.number, Change::Killed(Box::new(killed))))
    }

    pub(crate) fn decide_unkill(&self, now: TimestampMs, event: &Event, unkill: &Unkill) -> Result<Decision, Reject> {
        let fingerprint = unkill.fingerprint();
        if self.judge_request(now, event, unkill.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(unkill.expected_state)?;
        let mut places = unkill.places.resolve(event)?;
        let areas = by_area(&places);
        places.seats.retain(|&seat| event.seat_state(seat) == PlaceState::Killed);
        check_runs(&places.seats)?;
        if areas.iter().any(|&(area, quantity)| event.area_counts(area).killed < quantity) {
            return Err(Reject::CapacityInvalid);
        }
        if unkill.validate_only {
            let touched = Touched { seats: places.seats, areas, holds: Vec::new() };
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let request = (unkill.request_id, fingerprint);
        let unkilled = Unkilled { request, seats: places.seats, areas };
        Ok(Decision::Change(event.number, Change::Unkilled(Box::new(unkilled))))
    }

    pub(crate) fn kill(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        killed: &Killed,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        self.event_mut(number).remember_request(now, killed.request);
        self.wake_seats(number, &killed.seats, moves);
        for &id in &killed.holds {
            self.lose(now, number, id, &killed.seats, moves);
        }
        let event = self.event_mut(number);
        let reason = event.reason_number(&killed.reason);
        event.move_seats(killed.seats.iter().copied(), PlaceState::Open, PlaceState::Killed, reason, moves);
        for &(area, quantity) in &killed.areas {
            event.move_area(area, quantity, PlaceState::Open, PlaceState::Killed, moves);
        }
    }

    /// A hold loses what it has of these seats, which are open after it.
    fn lose(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        id: HoldId,
        seats: &[u32],
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let at = self.live(number, id);
        let entry = &self.holds[at];
        let lost: Vec<u32> =
            entry.unsold_seats().map(|seat| seat.index).filter(|seat| seats.binary_search(seat).is_ok()).collect();
        let (before, customer, unsold) = (entry.hash(), entry.customer, unsold_count(entry));
        self.event_mut(number).hash ^= before;
        let entry = &mut self.holds[at];
        entry.add_lost(lost.iter().copied());
        if lost.len() as u32 == unsold {
            probe::sometimes!("kill: a hold lost its last place");
            self.end_taken_out(now, at, HoldState::Released, HoldCause::Killed, moves);
            return;
        }
        probe::sometimes!("kill: a hold lost places");
        mark(entry, &lost, &[], false);
        let after = entry.hash();
        let event = self.event_mut(number);
        event.move_seats(lost.iter().copied(), PlaceState::Held, PlaceState::Open, at, moves);
        // At most 64 of one hold.
        event.count_customer(customer, -(lost.len() as i32), 0);
        event.count_levels(customer, Bundle { seats: &lost, admissions: &[] }, false);
        event.hash ^= after;
    }

    pub(crate) fn unkill(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        unkilled: &Unkilled,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let event = self.event_mut(number);
        event.remember_request(now, unkilled.request);
        let mut seats = &*unkilled.seats;
        while let Some(&first) = seats.first() {
            let reason = event.owner[first as usize];
            let same = seats.iter().take_while(|&&seat| event.owner[seat as usize] == reason).count();
            let (run, rest) = seats.split_at(same);
            event.move_seats(run.iter().copied(), PlaceState::Killed, PlaceState::Open, reason, moves);
            seats = rest;
        }
        for &(area, quantity) in &unkilled.areas {
            event.move_area(area, quantity, PlaceState::Killed, PlaceState::Open, moves);
        }
    }
}
