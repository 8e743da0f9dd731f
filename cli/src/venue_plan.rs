//! The venue plan of an event as the server sends it: names for indexes, rows for drawing.

use client::{Client, PlaceInTheWay};
use proto::inventory::v1::{GetPlanRequest, PlanChunk, PlanGaArea, PlanRow, PlanSection};

use crate::failure::{Failure, NamedPlace};
use crate::name::EventName;

/// A venue plan, put together from its chunks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct VenuePlan {
    /// Revision of the plan of this event.
    pub(crate) revision: u32,
    /// Groups of rows.
    pub(crate) sections: Vec<PlanSection>,
    /// Neighbours.
    pub(crate) rows: Vec<PlanRow>,
    /// Key of each seat.
    pub(crate) seat_keys: Vec<String>,
    /// General admission.
    pub(crate) areas: Vec<PlanGaArea>,
}

impl VenuePlan {
    /// Reads the plan of an event.
    pub(crate) async fn read(client: &Client, event: &EventName) -> Result<Self, Failure> {
        let request = GetPlanRequest { event_id: event.to_string(), ..GetPlanRequest::default() };
        Ok(Self::of_chunks(client.unary().get_plan(request).await?))
    }

    /// Puts chunks together.
    pub(crate) fn of_chunks(chunks: Vec<PlanChunk>) -> Self {
        let mut plan = VenuePlan::default();
        for chunk in chunks {
            plan.revision = chunk.plan_revision;
            plan.sections.extend(chunk.sections);
            plan.rows.extend(chunk.rows);
            plan.areas.extend(chunk.ga_areas);
            if let Some(seats) = chunk.seats {
                plan.seat_keys.extend(seats.keys);
            }
        }
        plan
    }

    /// Key of a seat.
    pub(crate) fn seat_key(&self, index: u32) -> Option<&str> {
        self.seat_keys.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    /// Key of an area.
    pub(crate) fn area_key(&self, index: u32) -> Option<&str> {
        self.areas.get(usize::try_from(index).ok()?).map(|area| area.key.as_str())
    }

    /// A place in the way by its key.
    pub(crate) fn named(&self, place: PlaceInTheWay) -> NamedPlace {
        let key = match place {
            PlaceInTheWay::Seat { index, .. } => self.seat_key(index),
            PlaceInTheWay::Area { area, .. } => self.area_key(area),
        };
        match key {
            Some(key) => NamedPlace { key: key.to_owned(), place },
            None => NamedPlace::unnamed(place),
        }
    }
}

/// Replaces the indexes of the places in the way of a command by their keys: a person has asked by key. Where the
/// plan cannot be read the indexes stay, as the refusal is what matters.
pub(crate) async fn name_places(client: &Client, event: &EventName, mut failure: Failure) -> Failure {
    if let Failure::Refused { refusal, places, .. } = &mut failure
        && !places.is_empty()
        && let Ok(plan) = VenuePlan::read(client, event).await
    {
        *places = refusal.places.iter().map(|&place| plan.named(place)).collect();
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::inventory::v1::{PlaceState, PlanSeats};

    #[test]
    fn chunks_are_put_one_after_the_other() {
        let chunk = |keys: &[&str], areas: &[&str]| PlanChunk {
            plan_revision: 3,
            seats: Some(PlanSeats { keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..PlanSeats::default() }),
            ga_areas: areas.iter().map(|key| PlanGaArea { key: (*key).to_owned(), ..PlanGaArea::default() }).collect(),
            ..PlanChunk::default()
        };
        let plan = VenuePlan::of_chunks(vec![chunk(&["A-1"], &[]), chunk(&["A-2", "A-3"], &["FLOOR"])]);
        assert_eq!((plan.revision, plan.seat_key(2), plan.seat_key(3)), (3, Some("A-3"), None));
        let held = |index| PlaceInTheWay::Seat { index, state: PlaceState::Held };
        assert_eq!(plan.named(held(1)).key, "A-2");
        assert_eq!(plan.named(held(9)).key, "seat 9");
        assert_eq!(plan.named(PlaceInTheWay::Area { area: 0, open: 1, missing: 0 }).key, "FLOOR");
    }
}
