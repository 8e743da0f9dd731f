//! A slot: the events whose key has one low byte, with their holds. What a shard owns, a run of the
//! log names, and a checkpoint writes.
//!
//! Invariants, checked by [`Slot::assert_valid`] beside those of `event.rs` and `holds.rs`:
//!
//! - S1. Event numbers are dense from 0 in order of creation and never reused. Of a retired event its number and its
//!   key are left.
//! - S2. `now` is the time of the last change; it never goes back.
//! - S3. Nothing outside `apply` changes state: `decide_*` reads, or moves wheels that only speed up
//!   finding what is due.
//!
//! Not here: threads, files, a clock.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use hashbrown::HashTable;

use crate::{
    allocation::AllocationView,
    best_available::Arrangement,
    cart::{Asking, DueCart, Verdict},
    change::{Change, Held, HoldView, ResumeCause, Resumed},
    digest::mix,
    event::Event,
    expiry::{NO_BUCKET, Wheel},
    hold::Entry,
    hold_view::view,
    holds::{Holds, NIL},
    ids::{CustomerKey, EventKey, EventNumber, HoldId, OrderRef, PlanDigest, SlotIndex, TimestampMs},
    limits::{EXPIRED_HOLDS_PER_CHANGE_MAX, ID_FLOOR_LAG_MS_MIN},
    place::{Admissions, PlaceState, SOLD, Seat, Seats},
    plan::Plan,
    reject::Reject,
    resting::Rest,
    retire::{Image, retired_hash},
};

/// Where `apply` finds the plans that changes name. The caller has loaded them before.
pub trait Plans {
    /// The plan with this digest. Panics when it was never loaded: a bug, plans are durable before
    /// the changes that name them.
    fn plan(&self, digest: &PlanDigest) -> Arc<Plan>;
}

/// Settings of a slot that are no part of its state.
#[derive(Clone, Copy, Debug)]
pub struct SlotConfig {
    /// Secret of the instance: seeds the tables whose keys callers choose.
    pub seed: u64,
    /// Ended holds remembered at most.
    pub tombstones_max: u32,
}

/// What a command would do.
#[derive(Clone, Debug)]
pub enum Decision {
    /// This change, to be logged and applied.
    Change(EventNumber, Change),
    /// Nothing: the command took effect before, or only reads. The hold as it is now.
    Hold {
        /// Its event.
        event: EventNumber,
        /// The hold.
        view: HoldView,
        /// Whether the command took effect before (false: it only reads).
        replayed: bool,
    },
    /// Nothing: ways to seat a party, best first.
    Suggested {
        /// The event.
        event: EventNumber,
        /// At least one.
        options: Vec<Suggestion>,
    },
    /// Nothing: what a hold would do.
    Explained {
        /// The event.
        event: EventNumber,
        /// What it would take, or the refusal.
        outcome: Result<Held, Reject>,
        /// Seats that the pick would leave alone, whether the event's rule minds or not.
        left_alone: Vec<u32>,
    },
    /// Nothing: what is sold to an order.
    Order {
        /// The event.
        event: EventNumber,
        /// By hold, in order of their ids; at least one.
        parts: Vec<SoldPart>,
    },
    /// Nothing: a page of a list.
    Page {
        /// The event.
        event: EventNumber,
        /// The page.
        page: Page,
    },
    /// Nothing: all allocations.
    Allocations {
        /// The event.
        event: EventNumber,
        /// In the order of their numbers.
        allocations: Vec<AllocationView>,
    },
    /// Nothing: what a command would touch, or that it took effect before.
    Touched {
        /// The event.
        event: EventNumber,
        /// What it would touch; nothing when it took effect before, which is not remembered.
        touched: Touched,
        /// Whether the command took effect before.
        replayed: bool,
    },
    /// Nothing: what the first part of a cart has decided.
    Verdict {
        /// The event.
        event: EventNumber,
        /// Nothing when it has not decided.
        verdict: Option<Verdict>,
    },
    /// Nothing: the image that is to be archived before its event may be retired.
    Image {
        /// The event.
        event: EventNumber,
        /// Its image.
        image: Image,
    },
    /// Nothing: the event is as asked already, or only validation was asked.
    Event {
        /// The event.
        event: EventNumber,
        /// Whether the command took effect before.
        replayed: bool,
    },
}

impl Decision {
    /// A command of the house that took effect before.
    pub(crate) fn touched_before(event: &Event) -> Decision {
        Decision::Touched { event: event.number, touched: Touched::default(), replayed: true }
    }
}

/// What a command of the house touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Seats, sorted.
    pub seats: Vec<u32>,
    /// Admissions: area, how many.
    pub areas: Vec<(u16, u32)>,
    /// Holds whose places these were, in order of their ids.
    pub holds: Vec<HoldId>,
}

impl Touched {
    /// What a change names; `None`: it is no change of the house.
    fn of(change: &Change) -> Option<Touched> {
        Some(match change {
            Change::Killed(killed) => {
                Touched { seats: killed.seats.clone(), areas: killed.areas.clone(), holds: killed.holds.clone() }
            }
            Change::Unkilled(unkilled) => {
                Touched { seats: unkilled.seats.clone(), areas: unkilled.areas.clone(), holds: Vec::new() }
            }
            Change::AllocationSet(set) => {
                Touched { seats: set.seats.clone(), areas: set.areas.clone(), holds: Vec::new() }
            }
            Change::AllocationRemoved(removed) => {
                Touched { seats: removed.seats.clone(), areas: removed.areas.clone(), holds: Vec::new() }
            }
            Change::PriceLevelSet(set) => {
                Touched { seats: set.seats.clone(), areas: set.areas.clone(), holds: Vec::new() }
            }
            Change::Returned(returned) => {
                let areas = returned.admissions.iter().map(|(_, a)| (a.area, u32::from(a.quantity)));
                Touched { seats: returned.seats.clone(), areas: merged(areas), holds: Vec::new() }
            }
            _ => return None,
        })
    }
}

/// Admissions of each area once, in order.
pub(crate) fn merged(admissions: impl Iterator<Item = (u16, u32)>) -> Vec<(u16, u32)> {
    let mut areas: Vec<(u16, u32)> = Vec::new();
    for (area, quantity) in admissions {
        match areas.iter_mut().find(|(of, _)| *of == area) {
            Some((_, sum)) => *sum = sum.saturating_add(quantity),
            None => areas.push((area, quantity)),
        }
    }
    areas.sort_unstable();
    areas
}

/// What one hold sold to one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldPart {
    /// The hold.
    pub hold_id: HoldId,
    /// The order.
    pub order: OrderRef,
    /// Seats.
    pub seats: Seats,
    /// Admissions.
    pub admissions: Admissions,
}

/// One page of a list. One of the two is empty: a list is of holds or of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Holds.
    pub holds: Vec<HoldView>,
    /// What was sold.
    pub parts: Vec<SoldPart>,
    /// Where the next page begins; 0: this is the last.
    pub next: u32,
}

/// A way to seat a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Seats, in plan order; none: general admission.
    pub seats: Vec<u32>,
    /// General admission for the whole party.
    pub area: Option<u16>,
    /// How the seats lie.
    pub arrangement: Arrangement,
}

/// What applying gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Number of the change within its event.
    pub event_seq: u32,
    /// Low 32 bits of the event's hash after it.
    pub digest: u32,
}

/// Memory of a slot, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of events: places, owners, counters, customers.
    pub event_bytes: usize,
    /// Bytes of hold entries and their index.
    pub hold_bytes: usize,
    /// Hold entries in use: live, sold, remembered.
    pub hold_entries: u32,
    /// Of these, remembered only.
    pub tombstones: u32,
}

/// Events and holds of one slot.
#[derive(Debug)]
pub struct Slot {
    pub(crate) index: SlotIndex,
    pub(crate) config: SlotConfig,
    pub(crate) now: TimestampMs,
    /// By number. Nothing: retired.
    events: Vec<Option<Box<Event>>>,
    /// By number.
    keys: Vec<EventKey>,
    by_key: HashTable<u32>,
    retired: u32,
    /// XOR over the retired events.
    retired_hash: u64,
    pub(crate) holds: Holds,
    pub(crate) deadlines: Wheel,
    pub(crate) forgetting: Wheel,
    pub(crate) tombstones: u32,
    /// When something that rests wakes first, of each event in which something does.
    pub(crate) resting: BTreeSet<(TimestampMs, EventNumber)>,
    pub(crate) asking: Asking,
}

impl Slot {
    /// Without events.
    #[must_use]
    pub fn new(index: SlotIndex, config: SlotConfig) -> Self {
        Self {
            index,
            config,
            now: TimestampMs(0),
            events: Vec::new(),
            keys: Vec::new(),
            by_key: HashTable::new(),
            retired: 0,
            retired_hash: 0,
            holds: Holds::new(config.seed),
            deadlines: Wheel::new(),
            forgetting: Wheel::new(),
            tombstones: 0,
            resting: BTreeSet::new(),
            asking: Asking::default(),
        }
    }

    /// Which slot.
    #[must_use]
    pub fn index(&self) -> SlotIndex {
        self.index
    }

    /// Time of the last change.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        self.now
    }

    /// Whether there never was an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number the next event gets.
    #[must_use]
    pub fn next_event_number(&self) -> EventNumber {
        // EVENTS_PER_SERVER_MAX is far below 2^32.
        EventNumber(self.events.len() as u32)
    }

    /// The event with this key, unless it was retired.
    #[inline]
    #[must_use]
    pub fn find(&self, key: EventKey) -> Option<EventNumber> {
        self.number_of(key).filter(|&number| self.event(number).is_some())
    }

    /// Whether a change of this event can come next: the event is there, or is the next one to be made.
    #[must_use]
    pub fn has_place_for(&self, event: EventNumber, change: &Change) -> bool {
        match change {
            Change::EventCreated(created) => event == self.next_event_number() && !self.is_retired(created.key),
            _ => self.event(event).is_some(),
        }
    }

    /// Whether an event with this key was retired.
    #[must_use]
    pub fn is_retired(&self, key: EventKey) -> bool {
        self.number_of(key).is_some_and(|number| self.event(number).is_none())
    }

    fn number_of(&self, key: EventKey) -> Option<EventNumber> {
        let found = self.by_key.find(mix(key.0), |&number| self.keys[number as usize] == key);
        found.map(|&number| EventNumber(number))
    }

    /// Numbers and keys of the retired events, by number.
    pub fn retired(&self) -> impl Iterator<Item = (EventNumber, EventKey)> {
        let all = (0..).map(EventNumber).zip(self.events.iter().zip(&self.keys));
        all.filter(|(_, (event, _))| event.is_none()).map(|(number, (_, &key))| (number, key))
    }

    /// How many events were retired.
    #[must_use]
    pub fn retired_count(&self) -> u32 {
        self.retired
    }

    /// What the retired events add to the slot's hash.
    #[must_use]
    pub fn retired_hash(&self) -> u64 {
        self.retired_hash
    }

    /// The event with this number, unless it was retired.
    #[must_use]
    pub fn event(&self, number: EventNumber) -> Option<&Event> {
        self.events.get(number.0 as usize)?.as_deref()
    }

    pub(crate) fn event_mut(&mut self, number: EventNumber) -> &mut Event {
        self.events[number.0 as usize].as_deref_mut().expect("a retired event is not changed")
    }

    /// All events by number, without the retired ones.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().flatten().map(Box::as_ref)
    }

    /// How many events there are, without the retired ones.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.events.len() - self.retired as usize
    }

    pub(crate) fn add_event(&mut self, event: Event) {
        assert_eq!(event.key.slot(), self.index, "an event belongs to the slot of its key");
        assert!(self.number_of(event.key).is_none(), "an event is made once");
        self.add_key(event.key);
        self.events.push(Some(Box::new(event)));
    }

    fn add_key(&mut self, key: EventKey) {
        let EventNumber(number) = self.next_event_number();
        self.keys.push(key);
        let keys = &self.keys;
        self.by_key.insert_unique(mix(key.0), number, |&other| mix(keys[other as usize].0));
    }

    /// The next number is that of an event that was retired. Its key must be new.
    pub(crate) fn add_retired(&mut self, key: EventKey) {
        assert!(self.number_of(key).is_none(), "an event is retired once");
        self.add_key(key);
        self.events.push(None);
        self.note_retired(key);
    }

    /// Takes an event out; its number and its key stay. Its holds must be forgotten.
    pub(crate) fn take_out(&mut self, number: EventNumber) -> Box<Event> {
        let event = self.events[number.0 as usize].take().expect("an event is retired once");
        self.note_retired(event.key);
        event
    }

    fn note_retired(&mut self, key: EventKey) {
        self.retired += 1;
        self.retired_hash ^= retired_hash(key);
    }

    /// A hold as its caller may see it, unless it is not known (forgotten counts as not known).
    #[must_use]
    pub fn hold_view(&self, number: EventNumber, id: HoldId) -> Option<HoldView> {
        let event = self.event(number)?;
        Some(view(event, self.remembered(self.now, event, id)?))
    }

    /// For whom a hold is, live or remembered; nobody where none was named.
    #[must_use]
    pub fn customer_of(&self, number: EventNumber, id: HoldId) -> Option<CustomerKey> {
        self.holds.find(number, id).map(|at| self.holds[at].customer)
    }

    /// The next `Expired`, `PaymentsLapsed`, `CartReleased` or `Rested` change that is due at `now`: up to 64 holds, or
    /// places, of one event, or one cart. Apply it, then ask again until there is none, then for [`Slot::take_due_parts`].
    pub fn decide_due(&mut self, now: TimestampMs) -> Option<(EventNumber, Change)> {
        let by = if probe::planted!(ConfirmAtDeadline) { now.minus_ms(1) } else { now };
        let mut at = loop {
            let Some(at) = self.deadlines.due(&mut self.holds, by) else { return self.decide_rested(now) };
            match self.decide_due_cart(at, now) {
                DueCart::Hold => break at,
                DueCart::Decides(change) => return Some((self.holds[at].event, change)),
                DueCart::Asks => {}
            }
        };
        let number = self.holds[at].event;
        // A payment that was open too long leaves the hold what it has left.
        let lapses = |entry: &Entry| entry.expires_at() > now;
        let first_lapses = lapses(&self.holds[at]);
        let mut ids = Vec::new();
        while at != NIL && ids.len() < EXPIRED_HOLDS_PER_CHANGE_MAX {
            let entry = &self.holds[at];
            if entry.event == number && entry.cart().is_none() && lapses(entry) == first_lapses {
                ids.push(entry.hold_id());
            }
            at = entry.next;
        }
        Some((number, if first_lapses { Change::PaymentsLapsed(ids) } else { Change::Expired(ids) }))
    }

    /// What a change of an event touches, before it is applied; `None`: it is no change of the house.
    #[must_use]
    pub fn touched_by(&self, number: EventNumber, change: &Change) -> Option<Touched> {
        match change {
            Change::AllocationRemoved(removed) if removed.whole => self.event(number)?.touched_whole(&removed.key),
            _ => Touched::of(change),
        }
    }

    /// A time before which `decide_due` and `take_due_parts` have nothing.
    #[must_use]
    pub fn next_due(&self) -> Option<TimestampMs> {
        let first_rested = self.resting.first().map(|(until, _)| *until);
        self.deadlines.next_due().into_iter().chain(first_rested).chain(self.asking.next()).min()
    }

    /// Ended holds that are remembered.
    #[must_use]
    pub fn tombstones(&self) -> u32 {
        self.tombstones
    }

    /// Sets how many ended holds may be remembered. No part of the state: what is over it goes by floors.
    pub fn set_tombstones_max(&mut self, tombstones_max: u32) {
        self.config.tombstones_max = tombstones_max;
    }

    /// Whether the memory of ended holds is full, so that [`Slot::decide_floor`] looks at all of them.
    #[must_use]
    pub fn needs_floor(&self) -> bool {
        self.tombstones >= self.config.tombstones_max
    }

    /// When the memory of ended holds is full: forget an eighth of them, lowest id time first, by raising
    /// the id floor of the event that has most of these, though never above now - 5 s. Apply it, then ask
    /// again.
    #[must_use]
    pub fn decide_floor(&self, now: TimestampMs) -> Option<(EventNumber, Change)> {
        if !self.needs_floor() {
            return None;
        }
        let all = || self.holds.iter().map(|(_, entry)| entry).filter(|entry| entry.is_tombstone());
        let eighth = all().count() / 8;
        // Those that ever were paying go last: late payments need their places.
        let mut times: Vec<TimestampMs> =
            all().filter(|entry| !entry.ever_paid()).map(|entry| entry.hold_id().time()).collect();
        let also_paid = times.len() <= eighth;
        if also_paid {
            times = all().map(|entry| entry.hold_id().time()).collect();
        }
        if times.is_empty() {
            return None;
        }
        let remembered = || all().filter(|entry| also_paid || !entry.ever_paid());
        let (_, &mut highest, _) = times.select_nth_unstable(eighth);
        let floor = highest.min(now.minus_ms(ID_FLOOR_LAG_MS_MIN));
        let mut dropped = alloc::vec![0_u32; self.events.len()];
        for entry in remembered().filter(|entry| entry.hold_id().time() <= floor) {
            dropped[entry.event.0 as usize] += 1;
        }
        let most = (0..dropped.len()).max_by_key(|&at| dropped[at]).filter(|&at| dropped[at] > 0)?;
        let change = if also_paid { Change::PaidForgotten(floor) } else { Change::FloorRaised(floor) };
        Some((EventNumber(most as u32), change))
    }

    /// Whether a hold must be refused because what ends cannot be remembered any more. An eighth above
    /// the budget: holds that live now must still be able to end. Where some are due to be forgotten, the
    /// next change makes room.
    pub(crate) fn memory_is_full(&self, now: TimestampMs) -> bool {
        self.forgetting.next_due().is_none_or(|due| due > now)
            && self.tombstones >= self.config.tombstones_max.saturating_add(self.config.tombstones_max / 8)
    }

    /// The change that moves every live deadline of an event; `None` when it has no live hold.
    #[must_use]
    pub fn decide_resumed(&self, number: EventNumber, shift_ms: u64, cause: ResumeCause) -> Option<Change> {
        let lives = self.event(number)?.live_holds > 0;
        (lives && shift_ms > 0).then_some(Change::Resumed(Resumed { shift_ms, cause }))
    }

    /// XOR over the events of a hash that includes their names, and over the keys of retired ones: the slot's part of the
    /// state hash.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.events().fold(self.retired_hash, |sum, event| sum ^ event.slot_hash())
    }

    /// Memory of the slot.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        Footprint {
            event_bytes: self.events().map(Event::allocated_bytes).sum(),
            hold_bytes: self.holds.allocated_bytes(),
            hold_entries: self.holds.len(),
            tombstones: self.tombstones,
        }
    }

    /// Walk the whole state and panic on a contradiction.
    pub fn assert_valid(&self) {
        for event in self.events() {
            self.assert_event_valid(event);
        }
        let retired = self.retired().fold((0, 0), |(count, hash), (_, key)| (count + 1, hash ^ retired_hash(key)));
        assert_eq!(retired, (self.retired, self.retired_hash), "retired events are counted");
        let of_nobody = self.holds.iter().find(|(_, entry)| self.event(entry.event).is_none());
        assert!(of_nobody.is_none(), "no hold is of a retired event");
        let tombstones = self.holds.iter().filter(|(_, entry)| entry.is_tombstone()).count();
        assert_eq!(tombstones as u32, self.tombstones, "tombstones are counted");
        self.assert_carts_valid();
        for (at, entry) in self.holds.iter() {
            // Without the index there is nothing to contradict, and every look would read all holds.
            for order in entry.orders().filter(|_| self.holds.has_order_index()) {
                let found = self.holds.of_order(entry.event, order).into_iter().filter(|&of| of == at).count();
                assert_eq!(found, 1, "every order of an entry is indexed, once");
            }
            assert!(entry.sales().is_none() || entry.sales_fit(), "what is remembered of sales is what is sold");
            let sold = entry.orders().flat_map(|order| entry.sold_to(order).0).count();
            let words = entry.seat_words().iter().filter(|&&word| word & SOLD != 0).count();
            assert_eq!(sold, words, "every seat sold is sold to one order");
            assert_eq!(self.holds.find(entry.event, entry.hold_id()), Some(at), "every entry is indexed");
            let timed = entry.is_live() || entry.is_tombstone();
            assert_eq!(entry.bucket != NO_BUCKET, timed, "live holds and tombstones are in a wheel");
        }
    }

    fn assert_event_valid(&self, event: &Event) {
        let mut owned = 0;
        // Held and sold, by area and source.
        let mut drawn: BTreeMap<(u16, u8), (u32, u32)> = BTreeMap::new();
        let mut areas = alloc::vec![crate::event::AreaCounts::default(); event.areas.len()];
        let mut hash = event.settings_hash() ^ event.places_hash();
        for (at, entry) in self.holds.iter().filter(|(_, entry)| entry.event == event.number) {
            hash ^= entry.hash();
            for &word in entry.seat_words() {
                let seat = Seat::from_word(word).index;
                let state = match (word & SOLD != 0, entry.is_live()) {
                    (true, _) => PlaceState::Sold,
                    (false, true) => PlaceState::Held,
                    (false, false) => continue,
                };
                assert_eq!(event.seat_state(seat), state, "seat {seat} of {}", event.id);
                assert_eq!(event.owner[seat as usize], at, "owner of seat {seat} of {}", event.id);
                owned += 1;
            }
            for &word in entry.admission_words() {
                let admission = crate::place::Admission::from_word(word);
                let counts = &mut areas[usize::from(admission.area)];
                let of_source = drawn.entry((admission.area, admission.source)).or_default();
                match (word & SOLD != 0, entry.is_live()) {
                    (true, _) => of_source.1 += u32::from(admission.quantity),
                    (false, true) => of_source.0 += u32::from(admission.quantity),
                    (false, false) => {}
                }
                match (word & SOLD != 0, entry.is_live()) {
                    (true, _) => counts.sold += u32::from(admission.quantity),
                    (false, true) => counts.held += u32::from(admission.quantity),
                    (false, false) => {}
                }
            }
        }
        let taken = (0..event.plan.seat_count()).filter(|&seat| event.seat_state(seat) != PlaceState::Open).count();
        let mut resting = 0;
        for (&(until, what), &count) in &event.resting {
            match what {
                Rest::Seat(seat) => {
                    assert!(event.is_resting(seat), "seat {seat} of {} rests until {until:?}", event.id);
                    assert_eq!(event.seat_state(seat), PlaceState::Held, "seat {seat} of {}", event.id);
                    resting += 1;
                }
                Rest::Admissions(admission) => {
                    let quantity = u32::from(admission.quantity) * count;
                    areas[usize::from(admission.area)].held += quantity;
                    drawn.entry((admission.area, admission.source)).or_default().0 += quantity;
                }
            }
        }
        let said = (0..event.plan.seat_count()).filter(|&seat| event.is_resting(seat)).count();
        assert_eq!(resting, said, "seats of {} rest once each", event.id);
        hash ^= event.resting_hash();
        let first = event.resting.keys().next().map(|(until, _)| *until);
        let noted = self.resting.iter().find(|(_, number)| *number == event.number).map(|(until, _)| *until);
        assert_eq!(first, noted, "when something of {} wakes", event.id);
        assert_eq!(event.rules, self.rules_anew(event.number), "what the rules of {} count", event.id);
        let mut killed = 0;
        for seat in (0..event.plan.seat_count()).filter(|&seat| event.seat_state(seat) == PlaceState::Killed) {
            let reason = event.owner[seat as usize] as usize;
            assert!(reason < event.kill_reasons.len(), "seat {seat} of {} was killed for a reason", event.id);
            killed += 1;
        }
        assert_eq!(owned + killed + resting, taken, "every taken seat of {} has its hold, or was killed", event.id);
        areas.iter_mut().zip(&event.areas).for_each(|(counted, area)| counted.killed = area.killed);
        assert_eq!(areas, event.areas, "areas of {}", event.id);
        if let Some(all) = &event.allocations {
            all.assert_valid(event);
            hash ^= all.hash();
            for (area, source, quota) in
                (0..event.areas.len() as u16).flat_map(|area| all.quotas(area).map(move |(n, quota)| (area, n, quota)))
            {
                let drawn = drawn.get(&(area, source)).copied().unwrap_or_default();
                assert_eq!((quota.held, quota.sold), drawn, "what is drawn on a quota of {}", event.id);
            }
        }
        assert!(event.openings_anew() == event.openings, "the openings of {} are what its planes say", event.id);
        assert_eq!(hash, event.hash, "hash of {}", event.id);
        let counts = event.counts();
        assert_eq!(
            counts.open + counts.held + counts.sold + counts.killed,
            event.plan.capacity(),
            "places of {} are conserved",
            event.id
        );
        let live = self.holds.iter().filter(|(_, entry)| entry.event == event.number && entry.is_live()).count();
        assert_eq!(live as u32, event.live_holds, "live holds of {}", event.id);
    }
}
