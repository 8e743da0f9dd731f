//! Another price level for places that are not sold.

use std::sync::Arc;

use inventory_core::{
    ids::TimestampMs,
    place::{Moved, PlaceState},
    plan::Plan,
    price_level::SetPriceLevel,
    reject::{PlaceInTheWay, Reject},
    slot::Touched,
};

use crate::{
    Answer, content,
    event::{EVIDENCE_MAX, Event},
    house::touched_before,
    place_set::check_stretches,
};

impl Event {
    pub(crate) fn set_price_level(&mut self, now: TimestampMs, command: &SetPriceLevel) -> Result<Answer, Reject> {
        let content = content::of_set_price_level(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let named = self.find_named(&command.places)?;
        let differs = |level: u8| *self.plan.price_levels()[usize::from(level)] != *command.level;
        let seats: Vec<u32> = named.seats.iter().copied().filter(|&seat| differs(self.plan.seat_level(seat))).collect();
        check_stretches(&seats.iter().copied().collect())?;
        let areas = named.by_area().into_keys().filter(|&area| differs(self.plan.areas()[usize::from(area)].level));
        let areas: Vec<u16> = areas.collect();
        let (states, counts) = (self.seat_states(None), self.area_counts(None));
        let mut in_the_way: Vec<PlaceInTheWay> = seats
            .iter()
            .map(|&seat| PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] })
            .filter(|place| matches!(place.state, PlaceState::Held | PlaceState::Sold))
            .collect();
        for &area in &areas {
            let counts = counts[usize::from(area)];
            if counts.held + counts.sold > 0 {
                let place = Moved::Area { area, quantity: counts.held + counts.sold };
                in_the_way.push(PlaceInTheWay { place, state: counts.state_of_taken() });
            }
        }
        if !in_the_way.is_empty() {
            in_the_way.truncate(EVIDENCE_MAX);
            return Err(Reject::PlacesInUse { places: in_the_way });
        }
        // It is made anew, which changes nothing about what was refused above.
        if command.from != self.plan.digest() {
            return Err(Reject::StateMismatch { etag: self.etag(), state: self.state() });
        }
        let Some(plan) = &command.plan else {
            // A level too many.
            return Err(Reject::CapacityBudget);
        };
        if !self.is_with_level(plan, &seats, &areas, &command.level) {
            return Err(Reject::StateMismatch { etag: self.etag(), state: self.state() });
        }
        self.check_requests_have_room()?;
        let whole = |area: u16| (area, self.plan.areas()[usize::from(area)].capacity);
        let touched = Touched { areas: areas.into_iter().map(whole).collect(), seats, holds: Vec::new() };
        if !command.validate_only {
            self.plan = Arc::clone(plan);
            self.note_content();
            self.note_request(now, command.request_id, content);
        }
        Ok(Answer::Touched { touched, replayed: false })
    }

    /// Whether a plan is the event's with this level for these places, and nothing else of levels and sizes.
    fn is_with_level(&self, plan: &Plan, seats: &[u32], areas: &[u16], level: &str) -> bool {
        let name = |plan: &Plan, level: u8| plan.price_levels()[usize::from(level)].to_string();
        let of_seat = |seat: u32| {
            let should =
                if seats.contains(&seat) { level.to_owned() } else { name(&self.plan, self.plan.seat_level(seat)) };
            name(plan, plan.seat_level(seat)) == should
        };
        let of_area = |area: u16| {
            let (old, new) = (&self.plan.areas()[usize::from(area)], &plan.areas()[usize::from(area)]);
            let should = if areas.contains(&area) { level.to_owned() } else { name(&self.plan, old.level) };
            name(plan, new.level) == should && (&old.key, old.capacity) == (&new.key, new.capacity)
        };
        let sizes = |plan: &Plan| (plan.seat_count(), plan.areas().len());
        sizes(plan) == sizes(&self.plan)
            && (0..plan.seat_count()).all(of_seat)
            && (0..plan.areas().len() as u16).all(of_area)
    }
}
