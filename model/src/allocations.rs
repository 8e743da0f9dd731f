//! What is set aside for those who bring a key: tags of seats, quotas of areas, windows, and what a command reaches.
//!
//! How much of a quota is used is not kept but counted over the holds. An allocation that was removed and made again is
//! another one, though its key is the same.
//!
//! Not here: what is picked among the places that are reached (`pick.rs`), drawing in the order of judgement (`judging.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use inventory_core::{
    allocation::{AllocationKeys, AllocationView, QuotaView, RemoveAllocation, SetAllocation},
    event::Counts,
    ids::{HoldId, TimestampMs},
    limits::{ALLOCATIONS_PER_EVENT_MAX, QUOTAS_PER_AREA_MAX},
    place::{Moved, PlaceState},
    plan::Plan,
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    slot::Touched,
};

use crate::{
    Answer, content,
    event::{EVIDENCE_MAX, Event},
    house::touched_before,
    judging::Asked,
};

/// Which allocation, for ever.
pub(crate) type AllocationId = u64;

/// What places are taken from: an allocation, or general sale.
pub(crate) type Source = Option<AllocationId>;

/// A number of admissions of an area that is an allocation's own.
#[derive(Clone, Copy, Debug)]
struct Quota {
    quantity: u32,
    /// Among those of the area, from 1; the lowest that is free when it is made.
    number: usize,
}

#[derive(Clone, Debug)]
struct Allocation {
    key: String,
    /// Its place in the list.
    number: usize,
    /// Zero: that of the event.
    opens_at: TimestampMs,
    /// Zero: that of the event.
    closes_at: TimestampMs,
    /// Keys of its seats.
    seats: BTreeSet<String>,
    /// By key of the area. One of which nothing is left is none.
    quotas: BTreeMap<String, Quota>,
}

/// All that is set aside in an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allocations {
    all: BTreeMap<AllocationId, Allocation>,
    /// Allocations that were ever made.
    made: u64,
}

/// Admissions by what they were drawn from: those of allocations in the order they were drawn, then those of general sale.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draws(Vec<(Source, u32)>);

impl Draws {
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|(_, quantity)| quantity).sum()
    }

    pub(crate) fn of(&self, source: Source) -> u32 {
        self.0.iter().filter(|(of, _)| *of == source).map(|(_, quantity)| quantity).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Source, u32)> {
        self.0.iter().copied()
    }

    pub(crate) fn add(&mut self, source: Source, quantity: u32) {
        match self.0.iter_mut().find(|(of, _)| *of == source) {
            _ if quantity == 0 => {}
            Some((_, has)) => *has += quantity,
            None => self.0.push((source, quantity)),
        }
        // General sale is last; of the others each stays where it is.
        self.0.sort_by_key(|(source, _)| source.is_none());
    }

    pub(crate) fn add_all(&mut self, other: &Draws) {
        other.iter().for_each(|(source, quantity)| self.add(source, quantity));
    }

    /// The first of them.
    pub(crate) fn take(&mut self, quantity: u32) -> Draws {
        let mut taken = Draws::default();
        for (source, has) in &mut self.0 {
            let takes = (*has).min(quantity - taken.count());
            *has -= takes;
            taken.add(*source, takes);
        }
        assert_eq!(taken.count(), quantity, "checked before");
        self.0.retain(|(_, has)| *has > 0);
        taken
    }

    /// What was drawn from this one is of general sale.
    fn make_general(&mut self, id: AllocationId) {
        let quantity = self.of(Some(id));
        self.0.retain(|(source, _)| *source != Some(id));
        self.add(None, quantity);
    }
}

/// How much there is to be drawn, in the order of drawing.
pub(crate) struct Rooms(Vec<(Source, u32)>);

impl Rooms {
    pub(crate) fn count(&self) -> u32 {
        self.0.iter().map(|(_, room)| room).sum()
    }

    pub(crate) fn draw(&mut self, quantity: u32) -> Draws {
        let mut drawn = Draws::default();
        for (source, room) in &mut self.0 {
            let takes = (*room).min(quantity - drawn.count());
            *room -= takes;
            drawn.add(*source, takes);
        }
        drawn
    }

    /// It is drawn already.
    pub(crate) fn without(mut self, drawn: &Draws) -> Rooms {
        for (source, room) in &mut self.0 {
            *room = room.checked_sub(drawn.of(*source)).expect("never more than there is");
        }
        self
    }
}

/// What the keys of a command bring, and what of it is in its window.
pub(crate) struct Reach {
    /// In the order of the keys.
    pub(crate) brought: Vec<AllocationId>,
    /// What named places may be of: what is brought, then general sale.
    pub(crate) named: Vec<Source>,
    /// What best available searches.
    pub(crate) best: Vec<Source>,
}

impl Event {
    // ---- What a command reaches ----

    fn brought(&self, keys: &AllocationKeys) -> Vec<AllocationId> {
        keys.keys.iter().filter_map(|key| self.find_allocation(key)).collect()
    }

    fn find_allocation(&self, key: &str) -> Option<AllocationId> {
        self.allocations.all.iter().find(|(_, allocation)| allocation.key == key).map(|(&id, _)| id)
    }

    /// Without a time no window matters.
    pub(crate) fn reach(&self, now: Option<TimestampMs>, keys: &AllocationKeys) -> Reach {
        let in_window = |source: &Source| now.is_none_or(|now| self.is_in_window(now, *source));
        let brought = self.brought(keys);
        let of_brought = || brought.iter().map(|&id| Some(id));
        let named = of_brought().chain([None]).filter(in_window).collect();
        let best = self.sources_of_best(keys).into_iter().filter(in_window).collect();
        Reach { brought, named, best }
    }

    fn sources_of_best(&self, keys: &AllocationKeys) -> Vec<Source> {
        let mut sources: Vec<Source> = self.brought(keys).into_iter().map(Some).collect();
        if keys.keys.is_empty() || keys.include_unallocated {
            sources.push(None);
        }
        sources
    }

    /// A bound that an allocation does not set is the event's.
    fn window(&self, source: Source) -> (TimestampMs, TimestampMs) {
        let (opens_at, closes_at) = (self.settings.opens_at, self.settings.closes_at);
        let Some(id) = source else { return (opens_at, closes_at) };
        let own = &self.allocations.all[&id];
        let or = |own: TimestampMs, event| if own.0 == 0 { event } else { own };
        (or(own.opens_at, opens_at), or(own.closes_at, closes_at))
    }

    fn is_in_window(&self, now: TimestampMs, source: Source) -> bool {
        let (opens_at, closes_at) = self.window(source);
        now >= opens_at && (closes_at.0 == 0 || now < closes_at)
    }

    /// The event is on sale, and every part of the command has a source in its window.
    pub(crate) fn check_on_sale(&self, now: TimestampMs, keys: &AllocationKeys, asked: &Asked) -> Result<(), Reject> {
        match self.settings.state {
            EventState::Draft => return Err(Reject::SaleNotOpen { opens_at: self.settings.opens_at }),
            EventState::Paused => return Err(Reject::SalePaused),
            EventState::OffSale => return Err(Reject::SaleClosed),
            EventState::Cancelled => return Err(Reject::EventCancelled),
            EventState::OnSale => {}
        }
        let brought = self.brought(keys);
        for &seat in &asked.seats {
            self.check_one_in_window(now, &[self.tag(seat).filter(|id| brought.contains(id))])?;
        }
        for &area in &asked.areas {
            let with_quota = brought.iter().filter(|id| self.quota(area, **id) > 0).map(|&id| Some(id));
            self.check_one_in_window(now, &with_quota.chain([None]).collect::<Vec<Source>>())?;
        }
        if asked.best.is_some() {
            let mut sources = self.sources_of_best(keys);
            if sources.is_empty() {
                // There is nothing to draw on; the event's window is judged all the same.
                sources.push(None);
            }
            self.check_one_in_window(now, &sources)?;
        }
        Ok(())
    }

    fn check_one_in_window(&self, now: TimestampMs, sources: &[Source]) -> Result<(), Reject> {
        if sources.iter().any(|&source| self.is_in_window(now, source)) {
            return Ok(());
        }
        let later = sources.iter().map(|&source| self.window(source).0).filter(|&opens_at| opens_at > now);
        Err(later.min().map_or(Reject::SaleClosed, |opens_at| Reject::SaleNotOpen { opens_at }))
    }

    /// No seat is of an allocation that was not brought. `public` is the event as those see it who are told.
    pub(crate) fn check_in_allocation(
        &self,
        seats: &[u32],
        brought: &[AllocationId],
        given: &BTreeSet<u32>,
        public: &Event,
    ) -> Result<(), Reject> {
        let states = public.public_states();
        let foreign = |seat: &&u32| self.tag(**seat).is_some_and(|id| !brought.contains(&id)) && !given.contains(*seat);
        let named = |&seat: &u32| PlaceInTheWay { place: Moved::Seat(seat), state: states[seat as usize] };
        let places: Vec<PlaceInTheWay> = seats.iter().filter(foreign).map(named).take(EVIDENCE_MAX).collect();
        if places.is_empty() { Ok(()) } else { Err(Reject::NotInAllocation { places }) }
    }

    /// The allocation of a seat.
    pub(crate) fn tag(&self, seat: u32) -> Source {
        let key = self.plan.seat_key(seat);
        self.allocations.all.iter().find(|(_, allocation)| allocation.seats.contains(key)).map(|(&id, _)| id)
    }

    /// Whether each seat is open and of one of the sources, as if the hold `without` were not there.
    pub(crate) fn open_seats(&self, sources: &[Source], without: Option<HoldId>) -> Vec<bool> {
        let states = self.seat_states(without);
        let is_open =
            |(seat, state): (u32, &PlaceState)| *state == PlaceState::Open && sources.contains(&self.tag(seat));
        (0..).zip(&states).map(is_open).collect()
    }

    /// As the public sees them: what is open and set aside is unavailable.
    pub(crate) fn public_states(&self) -> Vec<PlaceState> {
        let public = |(seat, state): (u32, PlaceState)| match state {
            PlaceState::Open if self.tag(seat).is_some() => PlaceState::Killed,
            state => state,
        };
        (0..).zip(self.seat_states(None)).map(public).collect()
    }

    // ---- Admissions ----

    fn quota(&self, area: u16, id: AllocationId) -> u32 {
        let area = &*self.plan.areas()[usize::from(area)].key;
        self.allocations.all[&id].quotas.get(area).map_or(0, |quota| quota.quantity)
    }

    /// Held and sold admissions of an area that were drawn from a source. What rests is held.
    pub(crate) fn used(&self, area: u16, source: Source, without: Option<HoldId>) -> (u32, u32) {
        let area = &*self.plan.areas()[usize::from(area)].key;
        let (mut held, mut sold) = (self.resting.of_area(area).of(source), 0);
        for hold in self.holds.values().filter(|hold| Some(hold.id) != without) {
            for ((of, _), admitted) in &hold.admissions {
                if of == area {
                    held += if hold.is_live() { admitted.held.of(source) } else { 0 };
                    sold += admitted.sold.values().map(|draws| draws.of(source)).sum::<u32>();
                }
            }
        }
        (held, sold)
    }

    /// What of a quota is neither held nor sold.
    fn unused(&self, area: u16, id: AllocationId, without: Option<HoldId>) -> u32 {
        let (held, sold) = self.used(area, Some(id), without);
        self.quota(area, id).checked_sub(held + sold).expect("a quota covers what was drawn from it")
    }

    /// What of all quotas of an area is neither held nor sold.
    pub(crate) fn unused_of_all(&self, area: u16, without: Option<HoldId>) -> u32 {
        self.allocations.all.keys().map(|&id| self.unused(area, id, without)).sum()
    }

    /// What may be drawn from each source.
    pub(crate) fn rooms(&self, area: u16, sources: &[Source], without: Option<HoldId>) -> Rooms {
        let room = |source: &Source| match source {
            Some(id) => self.unused(area, *id, without),
            None => self.area_counts(without)[usize::from(area)].room(),
        };
        Rooms(sources.iter().map(|source| (*source, room(source))).collect())
    }

    /// These come back to general sale: the quotas they were drawn from shrink.
    pub(crate) fn shrink_quotas(&mut self, area: &str, draws: &Draws) {
        for (source, quantity) in draws.iter() {
            let Some(id) = source else { continue };
            self.shrink_quota(area, id, quantity);
        }
    }

    fn shrink_quota(&mut self, area: &str, id: AllocationId, by: u32) {
        let quotas = &mut self.allocations.all.get_mut(&id).expect("it was not removed").quotas;
        let quota = quotas.get_mut(area).expect("some were drawn from it");
        quota.quantity = quota.quantity.checked_sub(by).expect("checked before");
        if quota.quantity == 0 {
            // A quota of nothing is none: what ended holds had drawn from it is of general sale.
            quotas.remove(area);
            self.resting.make_general(id, Some(area));
            for hold in self.holds.values_mut() {
                for (_, admitted) in hold.admissions.iter_mut().filter(|((of, _), _)| of == area) {
                    admitted.held.make_general(id);
                    admitted.sold.values_mut().for_each(|draws| draws.make_general(id));
                }
            }
        }
    }

    /// The seat has no tag any more.
    pub(crate) fn drop_tag(&mut self, key: &str) {
        self.allocations.all.values_mut().for_each(|allocation| _ = allocation.seats.remove(key));
    }

    // ---- SetAllocation, RemoveAllocation, ListAllocations ----

    pub(crate) fn set_allocation(&mut self, now: TimestampMs, command: &SetAllocation) -> Result<Answer, Reject> {
        let content = content::of_set_allocation(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let named = self.find_named(&command.places)?;
        let id = self.find_allocation(&command.key);
        let seats: Vec<u32> =
            named.seats.iter().copied().filter(|&seat| id.is_none() || self.tag(seat) != id).collect();
        let areas: Vec<(u16, u32)> = named.by_area().into_iter().collect();
        let mut in_use = Vec::new();
        for &(area, quantity) in &areas {
            in_use.extend(self.check_quota(area, id, quantity)?);
        }
        check_none(in_use)?;
        let differs = |&(area, quantity): &(u16, u32)| id.is_none_or(|id| self.quota(area, id) != quantity);
        let areas: Vec<(u16, u32)> = areas.into_iter().filter(differs).collect();
        if id.is_none() && self.allocations.all.len() >= ALLOCATIONS_PER_EVENT_MAX {
            return Err(Reject::CapacityBudget);
        }
        for &(area, _) in &areas {
            if self.quota_number(area, id) > QUOTAS_PER_AREA_MAX {
                return Err(Reject::CapacityBudget);
            }
        }
        self.check_requests_have_room()?;
        let old = id.map(|id| &self.allocations.all[&id]);
        let opens_at = command.opens_at.or(old.map(|old| old.opens_at)).unwrap_or_default();
        let closes_at = command.closes_at.or(old.map(|old| old.closes_at)).unwrap_or_default();
        if opens_at.0 != 0 && closes_at.0 != 0 && closes_at <= opens_at {
            return Err(Reject::invalid(Field::ClosesAt, "must be later than opens_at"));
        }
        if !command.validate_only {
            let id = id.unwrap_or_else(|| self.make_allocation(&command.key));
            let plan = Arc::clone(&self.plan);
            for &seat in &seats {
                self.drop_tag(plan.seat_key(seat));
            }
            let numbers: Vec<usize> = areas.iter().map(|&(area, _)| self.quota_number(area, Some(id))).collect();
            let allocation = self.allocations.all.get_mut(&id).expect("made if it was not there");
            allocation.seats.extend(seats.iter().map(|&seat| plan.seat_key(seat).to_owned()));
            for (&(area, quantity), number) in areas.iter().zip(numbers) {
                let area = plan.areas()[usize::from(area)].key.to_string();
                allocation.quotas.insert(area, Quota { quantity, number });
            }
            (allocation.opens_at, allocation.closes_at) = (opens_at, closes_at);
            self.note_request(now, command.request_id, content);
        }
        Ok(Answer::Touched { touched: Touched { seats, areas, holds: Vec::new() }, replayed: false })
    }

    /// What is in the way when the quota shall become so many.
    fn check_quota(&self, area: u16, id: Source, quantity: u32) -> Result<Option<PlaceInTheWay>, Reject> {
        let counts = self.area_counts(None)[usize::from(area)];
        let (held, sold) = id.map_or((0, 0), |id| self.used(area, Some(id), None));
        if quantity < held + sold {
            return Ok(Some(in_the_way(area, held + sold - quantity, counts.state_of_taken())));
        }
        if quantity > self.plan.areas()[usize::from(area)].capacity {
            return Err(Reject::CapacityInvalid);
        }
        let room = counts.room() + id.map_or(0, |id| self.quota(area, id));
        Ok((quantity > room).then(|| in_the_way(area, quantity - room, counts.state_of_taken())))
    }

    /// The number of its quota, which it may not have yet.
    fn quota_number(&self, area: u16, id: Source) -> usize {
        let area = &*self.plan.areas()[usize::from(area)].key;
        let own = id.and_then(|id| self.allocations.all[&id].quotas.get(area));
        let all = self.allocations.all.values().filter_map(|allocation| allocation.quotas.get(area));
        let taken: BTreeSet<usize> = all.map(|quota| quota.number).collect();
        let free = || (1..).find(|number| !taken.contains(number)).expect("there are numbers enough");
        own.map_or_else(free, |quota| quota.number)
    }

    /// What has this number among the quotas of an area; 0: general sale.
    pub(crate) fn source_numbered(&self, area: u16, number: usize) -> Source {
        let key = &*self.plan.areas()[usize::from(area)].key;
        let has = |allocation: &Allocation| allocation.quotas.get(key).is_some_and(|quota| quota.number == number);
        self.allocations.all.iter().find(|(_, allocation)| has(allocation)).map(|(&id, _)| id)
    }

    fn make_allocation(&mut self, key: &str) -> AllocationId {
        let taken: BTreeSet<usize> = self.allocations.all.values().map(|allocation| allocation.number).collect();
        let number = (0..).find(|number| !taken.contains(number)).expect("there are numbers enough");
        self.allocations.made += 1;
        let id = self.allocations.made;
        let allocation = Allocation {
            key: key.to_owned(),
            number,
            opens_at: TimestampMs(0),
            closes_at: TimestampMs(0),
            seats: BTreeSet::new(),
            quotas: BTreeMap::new(),
        };
        self.allocations.all.insert(id, allocation);
        id
    }

    pub(crate) fn remove_allocation(&mut self, now: TimestampMs, command: &RemoveAllocation) -> Result<Answer, Reject> {
        let content = content::of_remove_allocation(command);
        if self.is_done(command.request_id, &content)? {
            return Ok(touched_before());
        }
        self.check_age(now, command.request_id)?;
        self.check_expected(command.expected_state)?;
        let missing = Reject::invalid(Field::AllocationKey, "must be that of an allocation");
        let id = self.find_allocation(&command.key).ok_or(missing)?;
        let named = self.find_named(&command.places)?;
        let whole = command.places.is_empty();
        let (seats, areas): (Vec<u32>, Vec<(u16, u32)>) = if whole {
            let seats = (0..self.plan.seat_count()).filter(|&seat| self.tag(seat) == Some(id));
            let areas = (0..self.plan.areas().len() as u16).map(|area| (area, self.quota(area, id)));
            (seats.collect(), areas.filter(|(_, quantity)| *quantity > 0).collect())
        } else {
            let seats = named.seats.iter().copied().filter(|&seat| self.tag(seat) == Some(id));
            (seats.collect(), named.by_area().into_iter().collect())
        };
        if !whole {
            let mut in_use = Vec::new();
            for &(area, quantity) in &areas {
                let unused = self.unused(area, id, None);
                if quantity > unused {
                    let state = self.area_counts(None)[usize::from(area)].state_of_taken();
                    in_use.push(in_the_way(area, quantity - unused, state));
                }
            }
            check_none(in_use)?;
        }
        self.check_requests_have_room()?;
        if !command.validate_only {
            let plan = Arc::clone(&self.plan);
            if whole {
                self.allocations.all.remove(&id);
                self.resting.make_general(id, None);
                for hold in self.holds.values_mut() {
                    for admitted in hold.admissions.values_mut() {
                        admitted.held.make_general(id);
                        admitted.sold.values_mut().for_each(|draws| draws.make_general(id));
                    }
                }
            } else {
                seats.iter().for_each(|&seat| self.drop_tag(plan.seat_key(seat)));
                for &(area, quantity) in &areas {
                    self.shrink_quota(&plan.areas()[usize::from(area)].key, id, quantity);
                }
            }
            self.note_request(now, command.request_id, content);
        }
        Ok(Answer::Touched { touched: Touched { seats, areas, holds: Vec::new() }, replayed: false })
    }

    pub(crate) fn list_allocations(&self) -> Answer {
        let states = self.seat_states(None);
        let mut all: Vec<(&AllocationId, &Allocation)> = self.allocations.all.iter().collect();
        all.sort_by_key(|(_, allocation)| allocation.number);
        let view = |(&id, allocation): (&AllocationId, &Allocation)| {
            let in_state = |state: PlaceState| {
                (0..).zip(&states).filter(|(seat, is)| **is == state && self.tag(*seat) == Some(id)).count() as u32
            };
            let quota = |area: u16| {
                let (held, sold) = self.used(area, Some(id), None);
                QuotaView { area, quota: self.quota(area, id), held, sold }
            };
            AllocationView {
                key: allocation.key.as_str().into(),
                opens_at: allocation.opens_at,
                closes_at: allocation.closes_at,
                seats: Counts {
                    open: in_state(PlaceState::Open),
                    held: in_state(PlaceState::Held),
                    sold: in_state(PlaceState::Sold),
                    killed: in_state(PlaceState::Killed),
                },
                quotas: (0..self.plan.areas().len() as u16).map(quota).filter(|quota| quota.quota > 0).collect(),
            }
        };
        Answer::Allocations { allocations: all.into_iter().map(view).collect() }
    }

    // ---- A new plan ----

    /// Tags and quotas of what the plan does not have are gone, also if a later one has it again.
    pub(crate) fn drop_set_aside(&mut self, plan: &Plan) {
        for allocation in self.allocations.all.values_mut() {
            allocation.seats.retain(|key| plan.find_seat(key).is_some());
            allocation.quotas.retain(|key, _| plan.find_area(key).is_some());
        }
    }

    /// Areas have become smaller and nothing is killed there any more: what is unused goes, of the quota with
    /// the highest number first.
    pub(crate) fn shrink_to_capacity(&mut self) {
        let plan = Arc::clone(&self.plan);
        for (index, area) in (0_u16..).zip(plan.areas()) {
            let quotas =
                self.allocations.all.iter().filter_map(|(&id, of)| Some((of.quotas.get(&*area.key)?.number, id)));
            let mut latest: Vec<(usize, AllocationId)> = quotas.collect();
            latest.sort_unstable();
            while self.area_counts(None)[usize::from(index)].is_over() {
                let (_, id) = latest.pop().expect("held and sold fit");
                let over = self.area_counts(None)[usize::from(index)].over();
                let by = self.unused(index, id, None).min(over);
                self.shrink_quota(&area.key, id, by);
            }
        }
    }

    pub(crate) fn assert_set_aside(&self) {
        for seat in 0..self.plan.seat_count() {
            let key = self.plan.seat_key(seat);
            let tags = self.allocations.all.values().filter(|allocation| allocation.seats.contains(key)).count();
            assert!(tags <= 1, "seat {key} has one tag at most");
        }
        for (index, counts) in (0..).zip(self.area_counts(None)) {
            assert!(!counts.is_over(), "what is unused of quotas is open in area {index}");
        }
    }
}

fn in_the_way(area: u16, quantity: u32, state: PlaceState) -> PlaceInTheWay {
    PlaceInTheWay { place: Moved::Area { area, quantity }, state }
}

fn check_none(mut places: Vec<PlaceInTheWay>) -> Result<(), Reject> {
    places.truncate(EVIDENCE_MAX);
    if places.is_empty() { Ok(()) } else { Err(Reject::PlacesInUse { places }) }
}
