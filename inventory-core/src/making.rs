//! Events are made, and changed by their owners.
//!
//! Not here: how they leave (`retire.rs`), what the house does to places (`kill.rs`, `setting_aside.rs`, `price_level.rs`).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    change::{Change, EventCreated, EventUpdated},
    command::{CreateEvent, UpdateEvent},
    decide::NAMED_MAX,
    event::Event,
    ids::TimestampMs,
    place::{Moved, PlaceState},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    rules::check_names,
    slot::{Decision, Slot},
};

impl Slot {
    pub(crate) fn decide_create(&self, create: &CreateEvent) -> Result<Decision, Reject> {
        create.settings.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        let limits = &create.settings.limits;
        check_names(&limits.by_level, &limits.quotas, &create.plan)?;
        if !matches!(create.settings.state, EventState::Draft | EventState::OnSale) {
            return Err(Reject::invalid(Field::State, "a new event is a draft or on sale"));
        }
        if let Some(event) = self.find(create.key).and_then(|number| self.event(number)) {
            let same = event.id == create.id && event.fingerprint == create.fingerprint();
            return if same {
                Ok(Decision::Event { event: event.number, replayed: true })
            } else {
                Err(Reject::EventExists)
            };
        }
        if self.is_retired(create.key) {
            return Err(Reject::EventExists);
        }
        let created = EventCreated {
            id: create.id.clone(),
            key: create.key,
            plan: create.plan.digest(),
            fingerprint: create.fingerprint(),
            settings: create.settings.clone(),
        };
        Ok(Decision::Change(self.next_event_number(), Change::EventCreated(Box::new(created))))
    }

    pub(crate) fn decide_update(
        &self,
        now: TimestampMs,
        event: &Event,
        update: &UpdateEvent,
    ) -> Result<Decision, Reject> {
        let fingerprint = update.fingerprint();
        if let Some(id) = update.request_id
            && self.judge_request(now, event, id, fingerprint)?
        {
            return Ok(Decision::Event { event: event.number, replayed: true });
        }
        let etag_differs = update.etag.is_some_and(|etag| etag != event.etag());
        let state_differs = update.expected_state.is_some_and(|state| state != event.settings.state);
        if etag_differs || state_differs {
            return Err(Reject::StateMismatch { etag: event.etag(), state: event.settings.state });
        }
        let settings = update.over(&event.settings);
        settings.check().map_err(|(field, problem)| Reject::invalid(Field::Setting(field), problem))?;
        if !event.settings.state.may_become(settings.state) {
            return Err(Reject::invalid(Field::State, "the event cannot go to this state from the one it is in"));
        }
        let plan = update.plan.as_ref().filter(|plan| plan.digest() != event.plan.digest());
        // What is not set may name what a later plan has dropped.
        let (by_level, quotas) = (update.level_limits.as_deref(), update.quotas.as_deref());
        check_names(by_level.unwrap_or_default(), quotas.unwrap_or_default(), plan.unwrap_or(&event.plan))?;
        if let Some(plan) = plan {
            let in_use = places_without(event, plan);
            if !in_use.is_empty() {
                return Err(Reject::PlacesInUse { places: in_use });
            }
        }
        if update.validate_only {
            return Ok(Decision::Event { event: event.number, replayed: false });
        }
        let updated = EventUpdated {
            request: update.request_id.map(|id| (id, fingerprint)),
            plan: plan.map(|plan| plan.digest()),
            settings,
        };
        Ok(Decision::Change(event.number, Change::EventUpdated(Box::new(updated))))
    }
}

/// Held and sold places of the event that `plan` does not have, at most 64.
fn places_without(event: &Event, plan: &crate::plan::Plan) -> Vec<PlaceInTheWay> {
    let old = &event.plan;
    let seats = (0..old.seat_count())
        .map(|seat| (seat, event.seat_state(seat)))
        // What is killed may go with the plan.
        .filter(|(_, state)| matches!(state, PlaceState::Held | PlaceState::Sold))
        .filter(|(seat, _)| plan.find_seat(old.seat_key(*seat)).is_none())
        .map(|(seat, state)| PlaceInTheWay { place: Moved::Seat(seat), state });
    let areas = old.areas().iter().zip(&event.areas).enumerate().filter_map(|(at, (area, counts))| {
        let capacity = plan.find_area(&area.key).map_or(0, |new| plan.areas()[usize::from(new)].capacity);
        let over = (counts.held + counts.sold).saturating_sub(capacity);
        let state = counts.state_of_taken();
        (over > 0).then_some(PlaceInTheWay { place: Moved::Area { area: at as u16, quantity: over }, state })
    });
    seats.chain(areas).take(NAMED_MAX).collect()
}
