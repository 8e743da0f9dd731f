//! What the house withdraws from sale, and gives back to it.
//!
//! Not here: places that were sold and are killed when they come back (`orders.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use inventory_core::{
    change::{HoldCause, HoldState},
    ids::{HoldId, TimestampMs},
    kill::{Kill, Unkill},
    limits::{HOLDS_PER_KILL_MAX, KILL_REASONS_PER_EVENT_MAX},
    place::{Moved, PlaceState},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    slot::Touched,
};

use crate::{
    Answer, content,
    event::{AreaCounts, EVIDENCE_MAX, Event},
    hold::{Fate, Hold},
};

/// Places withdrawn from sale, by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Killed {
    /// With the reason.
    pub(crate) seats: BTreeMap<String, String>,
    /// How many of an area.
    pub(crate) admissions: BTreeMap<String, u32>,
    /// Every reason there was.
    reasons: BTreeSet<String>,
}

impl Killed {
    pub(crate) fn check_reason(&self, reason: &str) -> Result<(), Reject> {
        // One is kept for places that come back.
        let others = self.reasons.iter().filter(|known| **known != *"returned").count();
        let fits = self.reasons.contains(reason) || reason == "returned" || others + 1 < KILL_REASONS_PER_EVENT_MAX;
        if fits { Ok(()) } else { Err(Reject::CapacityBudget) }
    }

    pub(crate) fn kill_seat(&mut self, key: &str, reason: &str) {
        self.reasons.insert(reason.to_owned());
        let before = self.seats.insert(key.to_owned(), reason.to_owned());
        assert_eq!(before, None, "killed once");
    }

    pub(crate) fn kill_admissions(&mut self, area: &str, quantity: u32, reason: &str) {
        self.reasons.insert(reason.to_owned());
        *self.admissions.entry(area.to_owned()).or_default() += quantity;
    }
}

impl Event {
    pub(crate) fn kill(&mut self, now: TimestampMs, command: &Kill) -> Result<Answer, Reject> {
        let content = content::of_kill(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let named = self.find_named(&command.places)?;
        let states = self.seat_states(None);
        let in_the_way = |seat: &&u32| match states[**seat as usize] {
            PlaceState::Sold => true,
            PlaceState::Held => !command.force,
            PlaceState::Open | PlaceState::Killed => false,
        };
        let in_the_way = named.seats.iter().filter(in_the_way);
        let mut in_the_way: Vec<PlaceInTheWay> =
            in_the_way.map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] }).collect();
        let counts = self.area_counts(None);
        for (area, quantity) in named.by_area() {
            let counts = counts[usize::from(area)];
            if quantity > counts.room() {
                let place = Moved::Area { area, quantity: quantity - counts.room() };
                in_the_way.push(PlaceInTheWay { place, state: counts.state_of_taken() });
            }
        }
        if !in_the_way.is_empty() {
            in_the_way.truncate(EVIDENCE_MAX);
            return Err(Reject::PlacesInUse { places: in_the_way });
        }

        let areas: Vec<(u16, u32)> = named.by_area().into_iter().collect();
        let seats: Vec<u32> =
            named.seats.into_iter().filter(|&seat| states[seat as usize] != PlaceState::Killed).collect();
        let keys: BTreeSet<&str> = seats.iter().map(|&seat| self.plan.seat_key(seat)).collect();
        let loses = |hold: &&Hold| hold.is_live() && hold.held_seats().any(|seat| keys.contains(&*seat.key));
        let losers: Vec<&Hold> = self.holds.values().filter(loses).collect();
        if losers.iter().any(|hold| hold.state == HoldState::Paying) {
            return Err(Reject::PaymentInProgress);
        }
        if losers.len() > HOLDS_PER_KILL_MAX {
            return Err(Reject::invalid(Field::Seats, "are of too many holds"));
        }
        self.killed.check_reason(&command.reason)?;
        self.check_requests_have_room()?;
        let holds: Vec<HoldId> = losers.iter().map(|hold| hold.id).collect();
        let touched = Touched { seats, areas, holds };
        if !command.validate_only {
            self.withdraw(now, &touched, &command.reason);
            self.note_request(now, command.request_id, content);
        }
        Ok(Answer::Touched { touched, replayed: false })
    }

    fn withdraw(&mut self, now: TimestampMs, touched: &Touched, reason: &str) {
        let plan = Arc::clone(&self.plan);
        let window_ms = self.settings.policies.retry_window_ms();
        let keys: BTreeSet<&str> = touched.seats.iter().map(|&seat| plan.seat_key(seat)).collect();
        for &id in &touched.holds {
            let hold = self.hold_mut(id);
            let before = hold.lost_seats().count() as u32;
            let held = hold.seats.iter_mut().filter(|seat| seat.fate == Fate::Held);
            held.filter(|seat| keys.contains(&*seat.key)).for_each(|seat| seat.fate = Fate::Lost(before));
            if hold.held_count() == 0 {
                hold.end(now, HoldState::Released, HoldCause::Killed, window_ms);
            }
        }
        for key in keys {
            self.resting.kill_seat(key);
            self.killed.kill_seat(key, reason);
        }
        for &(area, quantity) in &touched.areas {
            self.killed.kill_admissions(&plan.areas()[usize::from(area)].key, quantity, reason);
        }
    }

    pub(crate) fn unkill(&mut self, now: TimestampMs, command: &Unkill) -> Result<Answer, Reject> {
        let content = content::of_unkill(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let named = self.find_named(&command.places)?;
        let (states, counts) = (self.seat_states(None), self.area_counts(None));
        let areas: Vec<(u16, u32)> = named.by_area().into_iter().collect();
        if areas.iter().any(|&(area, quantity)| quantity > counts[usize::from(area)].killed) {
            return Err(Reject::CapacityInvalid);
        }
        self.check_requests_have_room()?;
        let seats: Vec<u32> =
            named.seats.into_iter().filter(|&seat| states[seat as usize] == PlaceState::Killed).collect();
        if !command.validate_only {
            for &seat in &seats {
                self.killed.seats.remove(self.plan.seat_key(seat));
            }
            for &(area, quantity) in &areas {
                let key = &*self.plan.areas()[usize::from(area)].key;
                *self.killed.admissions.get_mut(key).expect("some are killed") -= quantity;
            }
            self.note_request(now, command.request_id, content);
        }
        Ok(Answer::Touched { touched: Touched { seats, areas, holds: Vec::new() }, replayed: false })
    }

    /// The plan is another: what it does not have is not killed either, also if a later one has it again.
    pub(crate) fn drop_killed(&mut self) {
        let plan = Arc::clone(&self.plan);
        self.killed.seats.retain(|key, _| plan.find_seat(key).is_some());
        let all = std::mem::take(&mut self.killed.admissions);
        let left: Vec<u32> = self.area_counts(None).iter().map(AreaCounts::open).collect();
        for (area, left) in plan.areas().iter().zip(left) {
            // They shrink with their area, before what is set aside does.
            if let Some(&killed) = all.get(&*area.key) {
                let index = plan.find_area(&area.key).expect("it is of this plan");
                let left = left.saturating_sub(self.unused_of_all(index, None));
                self.killed.admissions.insert(area.key.to_string(), killed.min(left));
            }
        }
    }

    pub(crate) fn check_expected(&self, state: Option<EventState>) -> Result<(), Reject> {
        if state.is_none_or(|state| state == self.settings.state) {
            Ok(())
        } else {
            Err(Reject::StateMismatch { etag: self.etag(), state: self.state() })
        }
    }

    /// A hold whose places were withdrawn is sold only as what it still has.
    pub(crate) fn check_nothing_lost(&self, hold: &Hold) -> Result<(), Reject> {
        let states = self.public_states();
        let named = |index: u32| PlaceInTheWay { place: Moved::Seat(index), state: states[index as usize] };
        let mut lost: Vec<u32> = hold.lost_seats().filter_map(|seat| self.plan.find_seat(&seat.key)).collect();
        lost.sort_unstable();
        if hold.lost_seats().next().is_none() {
            Ok(())
        } else {
            Err(Reject::PlacesUnavailable { places: lost.into_iter().map(named).collect() })
        }
    }
}

/// A command of the house that was done before: what it touched then is not remembered.
pub(crate) fn touched_before() -> Answer {
    Answer::Touched { touched: Touched::default(), replayed: true }
}
