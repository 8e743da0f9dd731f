//! Events that leave memory.

use inventory_core::{
    ids::TimestampMs,
    place::{Moved, PlaceState},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    retire::RetireEvent,
};

use crate::event::{EVIDENCE_MAX, Event};

impl Event {
    /// Whether the event may go. That its image was archived is not judged here.
    pub(crate) fn may_retire(&self, now: TimestampMs, command: &RetireEvent) -> Result<(), Reject> {
        if self.knows_request(command.request_id) {
            return Err(Reject::RequestIdReused);
        }
        self.check_age(now, command.request_id)?;
        self.check_requests_have_room()?;
        self.check_expected(command.expected_state)?;
        if self.state() != EventState::OffSale && self.state() != EventState::Cancelled {
            return Err(Reject::invalid(Field::State, "must be off sale or cancelled"));
        }
        // What was decided here of a cart may still be asked for.
        if self.live_holds().is_empty() && !self.holds.values().any(|hold| hold.is_unsettled()) {
            return Ok(());
        }
        let mut places = Vec::new();
        for (seat, state) in (0..).zip(self.seat_states(None)) {
            if state == PlaceState::Held {
                places.push(PlaceInTheWay { place: Moved::Seat(seat), state });
            }
        }
        for (area, counts) in (0..).zip(self.area_counts(None)) {
            if counts.held > 0 {
                places.push(PlaceInTheWay {
                    place: Moved::Area { area, quantity: counts.held },
                    state: PlaceState::Held,
                });
            }
        }
        places.truncate(EVIDENCE_MAX);
        Err(Reject::PlacesInUse { places })
    }
}
