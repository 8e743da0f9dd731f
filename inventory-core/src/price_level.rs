//! Another price level for places that are not sold: a plan of its own that differs in levels alone.
//!
//! Not here: making that plan (whoever sends the command). Choices: ADR-0037.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use crate::{
    change::{Change, PriceLevelSet},
    decide::NAMED_MAX,
    digest::Hasher,
    event::Event,
    ids::{EventNumber, PlanDigest, RequestId, TimestampMs},
    kill::by_area,
    limits::{PLAN_TEXT_BYTES_MAX, PRICE_LEVELS_PER_PLAN_MAX},
    place::{Move, Moved, PlaceState},
    place_set::{PlaceSet, check_runs},
    plan::{Plan, PlanSpec},
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    slot::{Decision, Plans, Slot, Touched},
};

/// Give places another price level.
#[derive(Clone, Debug)]
pub struct SetPriceLevel {
    /// Name of this request.
    pub request_id: RequestId,
    /// Which places. Areas change as a whole; how many admissions are named does not matter.
    pub places: PlaceSet,
    /// Name of the level.
    pub level: Box<str>,
    /// The plan that `plan` was made of.
    pub from: PlanDigest,
    /// The plan with the levels, already durable as a file; nothing when `level` would be one too many.
    pub plan: Option<Arc<Plan>>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

impl SetPriceLevel {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        self.places.check()?;
        if self.places.is_empty() {
            return Err(Reject::invalid(Field::Seats, "name places"));
        }
        let fits = (1..=PLAN_TEXT_BYTES_MAX).contains(&self.level.len()) && !self.level.chars().any(char::is_control);
        if fits {
            Ok(())
        } else {
            Err(Reject::invalid(Field::PriceLevel, "must be 1 to 128 bytes without control characters"))
        }
    }

    /// Hash of the content beside the request id, the conditions and the plan, which is made of the content.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(31);
        self.places.hash_into(&mut hasher);
        hasher.bytes(self.level.as_bytes());
        hasher.finish()
    }
}

/// The places of a set whose level is another than this: seats, sorted, and areas.
///
/// # Errors
/// Why the event has no such places.
pub fn changed_by(places: &PlaceSet, event: &Event, level: &str) -> Result<(Vec<u32>, Vec<u16>), Reject> {
    changed_in(places, &event.plan, event.plan_revision, level)
}

/// The same of a plan, for whoever makes the new one of it without the event's places.
///
/// # Errors
/// Why the plan has no such places, or indexes of another revision are named.
pub fn changed_in(
    places: &PlaceSet,
    plan: &Plan,
    plan_revision: u32,
    level: &str,
) -> Result<(Vec<u32>, Vec<u16>), Reject> {
    let places_meant = places.resolve_in(plan, plan_revision)?;
    let differs = |of: u8| *plan.price_levels()[usize::from(of)] != *level;
    let areas = by_area(&places_meant).into_iter().map(|(area, _)| area);
    let areas = areas.filter(|&area| differs(plan.areas()[usize::from(area)].level)).collect();
    let mut seats = places_meant.seats;
    seats.retain(|&seat| differs(plan.seat_level(seat)));
    // One stretch may be many now.
    check_runs(&seats)?;
    Ok((seats, areas))
}

/// Gives seats, sorted, and areas of a plan the level `name`, by indexes. Whether there is room for it beside the other
/// levels; nothing is done when there is not.
pub fn give_level(spec: &mut PlanSpec, seats: &[u32], areas: &[u16], name: &str) -> bool {
    let known = spec.price_levels.iter().position(|level| **level == *name);
    let Ok(number) = u8::try_from(known.unwrap_or(spec.price_levels.len())) else { return false };
    if usize::from(number) >= PRICE_LEVELS_PER_PLAN_MAX {
        return false;
    }
    if known.is_none() {
        spec.price_levels.push(name.into());
    }
    let mut named = seats.iter().peekable();
    let all = spec.sections.iter_mut().flat_map(|section| &mut section.rows).flat_map(|row| &mut row.seats);
    for (at, seat) in (0..).zip(all) {
        if named.next_if(|&&index| index == at).is_some() {
            seat.level = number;
        }
    }
    for &area in areas {
        if let Some(area) = spec.areas.get_mut(usize::from(area)) {
            area.level = number;
        }
    }
    true
}

/// Whether `new` is `old` with the level `name` for these seats and areas, and nothing else of levels or of sizes.
fn differs_in_levels(old: &Plan, new: &Plan, seats: &[u32], areas: &[u16], name: &str) -> bool {
    if old.seat_count() != new.seat_count() || old.areas().len() != new.areas().len() {
        return false;
    }
    let name_of = |plan: &Plan, level: u8| -> Box<str> { plan.price_levels()[usize::from(level)].clone() };
    // Levels of the new plan by those of the old one: at most 255.
    let same: Vec<Option<u8>> = old.price_levels().iter().map(|name| new.find_level(name)).collect();
    let level = new.find_level(name);
    let mut named = seats.iter().peekable();
    let seats_fit = (0..old.seat_count()).all(|seat| {
        let expected =
            if named.next_if(|&&of| of == seat).is_some() { level } else { same[usize::from(old.seat_level(seat))] };
        expected == Some(new.seat_level(seat))
    });
    seats_fit
        && (0..).zip(old.areas().iter().zip(new.areas())).all(|(area, (before, after))| {
            let expected = if areas.contains(&area) { name.into() } else { name_of(old, before.level) };
            name_of(new, after.level) == expected && before.capacity == after.capacity && before.key == after.key
        })
}

impl Slot {
    pub(crate) fn decide_set_price_level(
        &self,
        now: TimestampMs,
        event: &Event,
        command: &SetPriceLevel,
    ) -> Result<Decision, Reject> {
        let fingerprint = command.fingerprint();
        if self.judge_request(now, event, command.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(command.expected_state)?;
        let (seats, areas) = changed_by(&command.places, event, &command.level)?;
        let in_use = |state| matches!(state, PlaceState::Held | PlaceState::Sold);
        let of_seats = seats.iter().map(|&seat| (seat, event.seat_state(seat))).filter(|(_, state)| in_use(*state));
        let of_seats = of_seats.map(|(seat, state)| PlaceInTheWay { place: Moved::Seat(seat), state });
        let of_areas = areas.iter().filter_map(|&area| {
            let counts = event.area_counts(area);
            let quantity = counts.held + counts.sold;
            let place = Moved::Area { area, quantity };
            (quantity > 0).then_some(PlaceInTheWay { place, state: event.area_state(area) })
        });
        let in_the_way: Vec<PlaceInTheWay> = of_seats.chain(of_areas).take(NAMED_MAX).collect();
        if !in_the_way.is_empty() {
            return Err(Reject::PlacesInUse { places: in_the_way });
        }
        // Also when there is no plan: it was the other one that had no room for the level, or no such places.
        let stale = || Reject::StateMismatch { etag: event.etag(), state: event.settings.state };
        if command.from != event.plan.digest() {
            return Err(stale());
        }
        let plan = command.plan.as_ref().ok_or(Reject::CapacityBudget)?;
        if !differs_in_levels(&event.plan, plan, &seats, &areas, &command.level) {
            return Err(stale());
        }
        let quantity = |area: u16| event.plan.areas()[usize::from(area)].capacity;
        let touched =
            Touched { seats, areas: areas.into_iter().map(|area| (area, quantity(area))).collect(), holds: Vec::new() };
        if command.validate_only {
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let request = (command.request_id, fingerprint);
        let set = PriceLevelSet { request, plan: plan.digest(), seats: touched.seats, areas: touched.areas };
        Ok(Decision::Change(event.number, Change::PriceLevelSet(Box::new(set))))
    }

    pub(crate) fn set_price_level(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        set: &PriceLevelSet,
        plans: &dyn Plans,
        moves: &mut Option<&mut Vec<Move>>,
    ) {
        let plan = plans.plan(&set.plan);
        let event = self.event_mut(number);
        probe::sometimes!("price level: places have another", event.plan.digest() != set.plan);
        event.remember_request(now, set.request);
        event.hash ^= event.settings_hash();
        // Seats, areas and what lies where are as before: only levels differ, of which openings know nothing.
        event.plan = plan;
        event.hash ^= event.settings_hash();
        // Each stays what it is, and is told all the same, for its history.
        if let Some(moves) = moves {
            let stays = |what, seen, state| Move { what, from: seen, to: seen, state };
            let of_seat = |&seat: &u32| stays(Moved::Seat(seat), event.public_state(seat), event.seat_state(seat));
            moves.extend(set.seats.iter().map(of_seat));
            let of_area = |&(area, quantity): &(u16, u32)| {
                stays(Moved::Area { area, quantity }, PlaceState::Open, PlaceState::Open)
            };
            moves.extend(set.areas.iter().map(of_area));
        }
        self.set_rules(number);
    }
}
