//! Places are set aside and are set aside no longer: deciding and applying, and what the public sees of them.
//!
//! Not here: the commands (`allocation.rs`), what is known of allocations and its invariants (`allocations.rs`).

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use crate::{
    allocation::{AllocationView, QuotaView, RemoveAllocation, SetAllocation},
    allocations::{Allocation, Allocations, Quota},
    change::{AllocationRemoved, AllocationSet, Change},
    decide::NAMED_MAX,
    event::{Counts, Event},
    ids::{EventNumber, TimestampMs},
    kill::by_area,
    place::{Admission, Move, Moved, PlaceState},
    place_set::check_runs,
    reject::{Field, PlaceInTheWay, Reject},
    slot::{Decision, Slot, Touched},
};

type Moves<'a> = Option<&'a mut Vec<Move>>;

impl Event {
    /// Number of the allocation of a seat; 0: none.
    pub(crate) fn tag(&self, seat: u32) -> u8 {
        self.allocations.as_ref().map_or(0, |all| all.tag(seat))
    }

    /// What is set aside of an area and neither held nor sold.
    pub(crate) fn area_unused(&self, area: u16) -> u32 {
        self.allocations.as_ref().map_or(0, |all| all.unused(area))
    }

    /// Whether the quota that admissions were drawn from is there and has them unused. There is always general sale.
    pub(crate) fn has_room_for(&self, admission: Admission) -> bool {
        let quota = |all: &Allocations| {
            let mut quotas = all.quotas(admission.area);
            let of_source = quotas.find(|(source, _)| *source == admission.source);
            of_source.is_some_and(|(_, quota)| quota.unused() >= u32::from(admission.quantity))
        };
        admission.source == 0 || self.allocations.as_deref().is_some_and(quota)
    }

    /// What general sale may take of an area.
    #[must_use]
    pub fn area_room(&self, area: u16) -> u32 {
        self.area_open(area) - self.area_unused(area)
    }

    /// What the public is told of admissions that are not to be had.
    pub(crate) fn area_state(&self, area: u16) -> PlaceState {
        let counts = self.area_counts(area);
        if (counts.held, counts.sold) == (0, 0) && self.area_unused(area) > 0 {
            return PlaceState::Killed;
        }
        counts.state_of_taken()
    }

    /// State of a seat as the public sees it: one that is set aside is no open one.
    #[must_use]
    pub fn public_state(&self, seat: u32) -> PlaceState {
        let state = self.seat_state(seat);
        if state == PlaceState::Open && self.tag(seat) != 0 { PlaceState::Killed } else { state }
    }

    /// The seats `64 * word..` as the public sees them: the words of both planes.
    #[must_use]
    pub fn public_words(&self, word: usize) -> (u64, u64) {
        let (held, sold) = (self.planes.held()[word], self.planes.sold()[word]);
        let tagged = self.allocations.as_ref().map_or(0, |all| all.tagged()[word]);
        let set_aside = tagged & !(held | sold);
        (held | set_aside, sold | set_aside)
    }

    /// Counts of an area as the public sees them.
    #[must_use]
    pub fn public_area_counts(&self, area: u16) -> crate::event::AreaCounts {
        let mut counts = self.area_counts(area);
        counts.killed += self.area_unused(area);
        counts
    }

    /// Seats and admissions by state as the public sees it.
    #[must_use]
    pub fn public_counts(&self) -> Counts {
        let mut counts = self.counts();
        let Some(all) = &self.allocations else { return counts };
        let of_word = |word: usize| {
            let taken = self.planes.held()[word] | self.planes.sold()[word];
            (all.tagged()[word] & !taken).count_ones()
        };
        let seats: u32 = (0..all.tagged().len()).map(of_word).sum();
        let areas: u32 = (0..self.areas.len() as u16).map(|area| all.unused(area)).sum();
        counts.open -= seats + areas;
        counts.killed += seats + areas;
        counts
    }

    /// Give sorted seats another tag.
    fn set_tags(&mut self, seats: &[u32], tag: u8, moves: &mut Moves<'_>) {
        let plan = alloc::sync::Arc::clone(&self.plan);
        let ranking = plan.ranking(false);
        let all = self.allocations.as_mut().expect("whoever sets tags has made them");
        let mut at = 0;
        while at < seats.len() {
            let rank = ranking.rank_of(seats[at]);
            let there = ranking.stretches()[rank as usize].seats();
            let mut before: SmallVec<[u8; 4]> = SmallVec::new();
            while let Some(&seat) = seats.get(at).filter(|seat| there.contains(seat)) {
                let old = all.tag(seat);
                if old != 0 && !before.contains(&old) {
                    before.push(old);
                }
                self.hash ^= all.set_tag(seat, tag);
                let is_open = self.planes.state(seat) == PlaceState::Open;
                if let Some(moves) = moves
                    && is_open
                    && (old == 0) != (tag == 0)
                {
                    let public = |tag: u8| if tag == 0 { PlaceState::Open } else { PlaceState::Killed };
                    let (what, state) = (Moved::Seat(seat), PlaceState::Open);
                    moves.push(Move { what, from: public(old), to: public(tag), state });
                }
                at += 1;
            }
            all.update_openings(&plan, &self.planes, &mut self.openings, rank);
            // Those that have no seat left there would not be found.
            before.into_iter().for_each(|number| all.update_openings_of(number, &plan, &self.planes, rank));
        }
    }

    /// Set a quota to a number, which general room covers.
    fn set_quota(&mut self, area: u16, source: u8, quota: u32, moves: &mut Moves<'_>) {
        let all = self.allocations.as_mut().expect("whoever sets quotas has made them");
        let before = all.quota(area, source).quota;
        self.hash ^= all.change_quota(area, source, |one| one.quota = quota);
        let (quantity, from, to) = if quota >= before {
            (quota - before, PlaceState::Open, PlaceState::Killed)
        } else {
            (before - quota, PlaceState::Killed, PlaceState::Open)
        };
        if let Some(moves) = moves
            && quantity > 0
        {
            moves.push(Move { what: Moved::Area { area, quantity }, from, to, state: PlaceState::Open });
        }
    }

    /// Move admissions of a hold from one state to another: those of an allocation come out of its quota.
    pub(crate) fn move_admission(
        &mut self,
        admission: Admission,
        from: PlaceState,
        to: PlaceState,
        moves: &mut Moves<'_>,
    ) {
        let quantity = u32::from(admission.quantity);
        if admission.source == 0 {
            self.move_area(admission.area, quantity, from, to, moves);
            return;
        }
        let all = self.allocations.as_mut().expect("admissions of a quota are of an event that has some");
        self.hash ^= all.change_quota(admission.area, admission.source, |quota| {
            match from {
                PlaceState::Held => quota.held = quota.held.checked_sub(quantity).expect("held admissions are counted"),
                PlaceState::Sold => quota.sold = quota.sold.checked_sub(quantity).expect("sold admissions are counted"),
                PlaceState::Open | PlaceState::Killed => {}
            }
            match to {
                PlaceState::Held => quota.held += quantity,
                PlaceState::Sold => quota.sold += quantity,
                PlaceState::Open | PlaceState::Killed => {}
            }
            assert!(quota.used() <= quota.quota, "a quota is over its number");
        });
        self.move_area(admission.area, quantity, from, to, &mut None);
        let public = |state| if state == PlaceState::Open { PlaceState::Killed } else { state };
        if let Some(moves) = moves {
            let what = Moved::Area { area: admission.area, quantity };
            moves.push(Move { what, from: public(from), to: public(to), state: to });
        }
    }

    /// Open admissions of a quota are of it no longer.
    pub(crate) fn free_of_quota(&mut self, admission: Admission, moves: &mut Moves<'_>) {
        if admission.source != 0 {
            let all = self.allocations.as_ref().expect("admissions of a quota are of an event that has some");
            let quota = all.quota(admission.area, admission.source).quota;
            self.set_quota(admission.area, admission.source, quota - u32::from(admission.quantity), moves);
        }
    }

    /// Sorted seats are of no allocation any more.
    pub(crate) fn free_of_tags(&mut self, seats: &[u32], moves: &mut Moves<'_>) {
        if self.allocations.is_some() {
            let tagged: Vec<u32> = seats.iter().copied().filter(|&seat| self.tag(seat) != 0).collect();
            self.set_tags(&tagged, 0, moves);
        }
    }

    /// All places of an allocation.
    pub(crate) fn touched_whole(&self, key: &str) -> Option<Touched> {
        let all = self.allocations.as_deref()?;
        let number = all.find(key)?;
        let seats = (0..self.plan.seat_count()).filter(|&seat| all.tag(seat) == number).collect();
        let quota = |area| Some((area, all.quota(area, all.source_of(area, number)?).quota));
        let areas = (0..self.areas.len() as u16).filter_map(quota).collect();
        Some(Touched { seats, areas, holds: Vec::new() })
    }

    /// All allocations, by number.
    fn allocation_views(&self) -> Vec<AllocationView> {
        let Some(all) = &self.allocations else { return Vec::new() };
        let view = |(number, one): (u8, &Allocation)| {
            let areas = 0..self.areas.len() as u16;
            let of_area = |area| {
                let mut quotas = all.quotas(area).filter(|(_, quota)| quota.allocation == number);
                quotas.next().map(|(_, quota)| QuotaView {
                    area,
                    quota: quota.quota,
                    held: quota.held,
                    sold: quota.sold,
                })
            };
            AllocationView {
                key: one.key.clone(),
                opens_at: one.opens_at,
                closes_at: one.closes_at,
                seats: self.planes.count_within(one.plane()),
                quotas: areas.filter_map(of_area).collect(),
            }
        };
        all.iter().map(view).collect()
    }
}

impl Slot {
    pub(crate) fn decide_list_allocations(&self, event: &Event) -> Decision {
        Decision::Allocations { event: event.number, allocations: event.allocation_views() }
    }

    pub(crate) fn decide_set_allocation(
        &self,
        now: TimestampMs,
        event: &Event,
        command: &SetAllocation,
    ) -> Result<Decision, Reject> {
        let fingerprint = command.fingerprint();
        if self.judge_request(now, event, command.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(command.expected_state)?;
        let places = command.places.resolve(event)?;
        let mut areas = by_area(&places);
        let mut seats = places.seats;
        let all = event.allocations.as_deref();
        let number = all.and_then(|all| all.find(&command.key));
        seats.retain(|&seat| number != Some(event.tag(seat)));
        check_runs(&seats)?;
        let capacity = |area: u16| event.plan.areas()[usize::from(area)].capacity;
        if areas.iter().any(|&(area, quota)| quota > capacity(area)) {
            return Err(Reject::CapacityInvalid);
        }
        let source = |area| number.and_then(|number| all?.source_of(area, number));
        let before =
            |area| source(area).map_or(Quota::default(), |source| all.expect("found in it").quota(area, source));
        let mut in_the_way = Vec::new();
        for &(area, quota) in &areas {
            let before = before(area);
            let over = before.used().saturating_sub(quota);
            let missing = quota.saturating_sub(before.quota).saturating_sub(event.area_room(area));
            if over + missing > 0 {
                // One of the two is zero.
                let place = Moved::Area { area, quantity: over + missing };
                in_the_way.push(PlaceInTheWay { place, state: event.area_state(area) });
            }
        }
        if !in_the_way.is_empty() {
            in_the_way.truncate(NAMED_MAX);
            return Err(Reject::PlacesInUse { places: in_the_way });
        }
        let has_number = number.is_some() || all.is_none_or(Allocations::has_number);
        let has_source = |area| source(area).is_some() || all.is_none_or(|all| all.has_source(area));
        if !has_number || !areas.iter().all(|&(area, _)| has_source(area)) {
            return Err(Reject::CapacityBudget);
        }
        let window = number.map(|number| all.expect("found in it").get(number));
        let (opens_at, closes_at) =
            window.map_or((TimestampMs(0), TimestampMs(0)), |one| (one.opens_at, one.closes_at));
        let (opens_at, closes_at) = (command.opens_at.unwrap_or(opens_at), command.closes_at.unwrap_or(closes_at));
        if opens_at.0 != 0 && closes_at.0 != 0 && closes_at <= opens_at {
            return Err(Reject::invalid(Field::ClosesAt, "must be later than opens_at"));
        }
        areas.retain(|&(area, quota)| before(area).quota != quota);
        if command.validate_only {
            let touched = Touched { seats, areas, holds: Vec::new() };
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let (request, key) = ((command.request_id, fingerprint), command.key.clone());
        let set = AllocationSet { request, key, opens_at, closes_at, seats, areas };
        Ok(Decision::Change(event.number, Change::AllocationSet(Box::new(set))))
    }

    pub(crate) fn decide_remove_allocation(
        &self,
        now: TimestampMs,
        event: &Event,
        command: &RemoveAllocation,
    ) -> Result<Decision, Reject> {
        let fingerprint = command.fingerprint();
        if self.judge_request(now, event, command.request_id, fingerprint)? {
            return Ok(Decision::touched_before(event));
        }
        event.judge_state(command.expected_state)?;
        let found = event.allocations.as_deref().and_then(|all| Some((all, all.find(&command.key)?)));
        let (all, number) = found.ok_or(Reject::invalid(Field::AllocationKey, "is that of no allocation"))?;
        let places = command.places.resolve(event)?;
        let (whole, areas) = (command.places.is_empty(), by_area(&places));
        let mut seats = places.seats;
        seats.retain(|&seat| event.tag(seat) == number);
        check_runs(&seats)?;
        let quota = |area| all.source_of(area, number).map_or(Quota::default(), |source| all.quota(area, source));
        let mut in_the_way = Vec::new();
        for &(area, less) in &areas {
            let over = less.saturating_sub(quota(area).unused());
            if over > 0 {
                let place = Moved::Area { area, quantity: over };
                in_the_way.push(PlaceInTheWay { place, state: event.area_state(area) });
            }
        }
        if !in_the_way.is_empty() {
            in_the_way.truncate(NAMED_MAX);
            return Err(Reject::PlacesInUse { places: in_the_way });
        }
        if command.validate_only {
            let touched = match whole {
                true => event.touched_whole(&command.key).unwrap_or_default(),
                false => Touched { seats, areas, holds: Vec::new() },
            };
            return Ok(Decision::Touched { event: event.number, touched, replayed: false });
        }
        let (request, key) = ((command.request_id, fingerprint), command.key.clone());
        let removed = AllocationRemoved { request, key, whole, seats, areas };
        Ok(Decision::Change(event.number, Change::AllocationRemoved(Box::new(removed))))
    }

    pub(crate) fn set_allocation(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        set: &AllocationSet,
        moves: &mut Moves<'_>,
    ) {
        let event = self.event_mut(number);
        event.remember_request(now, set.request);
        let plan = alloc::sync::Arc::clone(&event.plan);
        let all = event.allocations.get_or_insert_with(|| Box::new(Allocations::new(&plan)));
        let (one, hash) = all.set(&plan, &set.key, set.opens_at, set.closes_at);
        event.hash ^= hash;
        event.set_tags(&set.seats, one, moves);
        for &(area, quota) in &set.areas {
            let all = event.allocations.as_mut().expect("made above");
            let source = all.source_of(area, one).unwrap_or_else(|| {
                let source = all.make_quota(area, one);
                event.hash ^= all.quota(area, source).hash(area, source);
                source
            });
            event.set_quota(area, source, quota, moves);
        }
    }

    pub(crate) fn remove_allocation(
        &mut self,
        now: TimestampMs,
        number: EventNumber,
        removed: &AllocationRemoved,
        moves: &mut Moves<'_>,
    ) {
        let event = self.event_mut(number);
        event.remember_request(now, removed.request);
        let all = event.allocations.as_ref().expect("a removed allocation is there");
        let one = all.find(&removed.key).expect("a removed allocation is there");
        let sources = (0..event.areas.len() as u16).filter_map(|area| Some((area, all.source_of(area, one)?)));
        let sources: Vec<(u16, u8)> = sources.collect();
        if !removed.whole {
            event.set_tags(&removed.seats, 0, moves);
            for &(area, less) in &removed.areas {
                let Some(&(_, source)) = sources.iter().find(|(of, _)| *of == area) else { continue };
                let quota = event.allocations.as_ref().expect("it is there").quota(area, source).quota;
                event.set_quota(area, source, quota - less, moves);
            }
            return self.free_emptied(number, moves);
        }
        let seats: Vec<u32> = (0..event.plan.seat_count()).filter(|&seat| all.tag(seat) == one).collect();
        event.set_tags(&seats, 0, moves);
        self.free_sources(number, one, &sources, moves);
        let event = self.event_mut(number);
        let all = event.allocations.as_mut().expect("it is there");
        event.hash ^= all.remove(one);
        if all.is_empty() {
            event.allocations = None;
        }
    }

    /// Quotas of nothing go.
    pub(crate) fn free_emptied(&mut self, number: EventNumber, moves: &mut Moves<'_>) {
        let Some(event) = self.event(number) else { return };
        let Some(all) = event.allocations.as_deref() else { return };
        let of_area = |area: u16| {
            let emptied = all.quotas(area).filter(|(_, quota)| quota.quota == 0);
            emptied.map(move |(source, _)| (area, source))
        };
        let emptied: Vec<(u16, u8)> = (0..event.areas.len() as u16).flat_map(of_area).collect();
        self.free_sources(number, 0, &emptied, moves);
    }

    /// Quotas (areas and sources) are gone: their holds and sales are of general sale now. Allocation `number` is gone
    /// from what holds remember; 0: none is.
    fn free_sources(&mut self, event_number: EventNumber, number: u8, sources: &[(u16, u8)], moves: &mut Moves<'_>) {
        if number == 0 && sources.is_empty() {
            return;
        }
        let of_event: Vec<u32> =
            self.holds.iter().filter(|(_, entry)| entry.event == event_number).map(|(at, _)| at).collect();
        for at in of_event {
            let entry = &mut self.holds[at];
            let before = entry.hash();
            entry.forget_allocation(number, sources);
            let after = entry.hash();
            self.event_mut(event_number).hash ^= before ^ after;
        }
        let event = self.event_mut(event_number);
        event.rest_in_general(sources);
        for &(area, source) in sources {
            let all = event.allocations.as_mut().expect("it has quotas");
            let unused = all.quota(area, source).unused();
            event.hash ^= all.change_quota(area, source, |quota| *quota = Quota::default());
            if let Some(moves) = moves
                && unused > 0
            {
                let what = Moved::Area { area, quantity: unused };
                let state = PlaceState::Open;
                moves.push(Move { what, from: PlaceState::Killed, to: state, state });
            }
        }
    }
}
