//! What the public can see of every event, held against its model.

use inventory_core::{ids::EventKey, place::PlaceState};

use crate::{
    violation::{Violation, claim},
    world::World,
};

impl World {
    /// Every event as its view shows it is as its model says.
    pub(crate) fn compare_views(&mut self) -> Result<(), Violation> {
        let Some(running) = &self.running else { return Ok(()) };
        let events: Vec<EventKey> = self.reference.events().map(|(key, _)| key).collect();
        claim("every event is shown", running.engine.directory().event_count() == events.len(), || {
            format!("{} events of {}", running.engine.directory().event_count(), events.len())
        })?;
        for key in events {
            let Some(view) = running.engine.directory().find_key(key) else {
                return Err(Violation { claim: "every event is shown", seen: format!("not {key:?}") });
            };
            let snapshot = view.snapshot();
            let model = self.reference.model(key);
            let seats = model.public_seat_states(key);
            let shown = |seat: usize| snapshot.states[seat / 4] >> (2 * (seat % 4)) & 3;
            if let Some(seat) = (0..seats.len()).find(|&seat| shown(seat) != bits(seats[seat])) {
                return Err(Violation {
                    claim: "a seat is shown as it is",
                    seen: format!("seat {seat} of {key:?} is {:?} and shown as {:02b}", seats[seat], shown(seat)),
                });
            }
            let areas: Vec<(u32, u32, u32)> =
                snapshot.areas.iter().map(|area| (area.held, area.sold, area.killed)).collect();
            claim("areas are shown as they are", areas == model.public_area_counts(key), || {
                format!("{areas:?}, and they are {:?}", model.public_area_counts(key))
            })?;
            let counts = view.counts();
            let capacity = view.info().plan.capacity();
            let sum = counts.open + counts.held + counts.sold + counts.killed;
            claim("open, held, sold and killed are all there is", sum == capacity, || {
                format!("{counts:?} of {capacity} in {key:?}")
            })?;
            let count = |state| seats.iter().filter(|seat| **seat == state).count() as u32;
            let held = count(PlaceState::Held) + areas.iter().map(|area| area.0).sum::<u32>();
            let sold = count(PlaceState::Sold) + areas.iter().map(|area| area.1).sum::<u32>();
            let killed = count(PlaceState::Killed) + areas.iter().map(|area| area.2).sum::<u32>();
            let all = (counts.held, counts.sold, counts.killed);
            claim("counts are those of the places", all == (held, sold, killed), || {
                format!("{counts:?}, and {held} are held, {sold} sold and {killed} unavailable")
            })?;
            self.reference.model(key).assert_valid();
        }
        Ok(())
    }
}

fn bits(state: PlaceState) -> u8 {
    match state {
        PlaceState::Open => 0b00,
        PlaceState::Held => 0b01,
        PlaceState::Sold => 0b10,
        PlaceState::Killed => 0b11,
    }
}
