//! Places that are set aside for those who bring a key: the commands, and what an event knows of them.
//!
//! Invariants:
//!
//! - A1. A seat has the tag of at most one allocation; `tagged` and the planes of the allocations say what `tags` says.
//! - A2. A quota is never below what is held and sold of it, and what is unused of all quotas of an area is open.
//! - A3. The openings of an allocation are those of its seats alone.
//!
//! Not here: what a command may take (`reach.rs`). Choices where the contract is silent: ADR-0033.

use alloc::{boxed::Box, vec, vec::Vec};

use smallvec::SmallVec;

use crate::{
    bitmap::Planes,
    change::{AllocationRemoved, AllocationSet, Change},
    decide::NAMED_MAX,
    digest::{Hasher, mix},
    event::{Counts, Event},
    ids::{EventNumber, RequestId, TimestampMs},
    kill::by_area,
    limits::{ALLOCATION_KEY_BYTES_MAX, ALLOCATION_KEYS_MAX, ALLOCATIONS_PER_EVENT_MAX, QUOTAS_PER_AREA_MAX},
    openings::Openings,
    place::{Admission, Move, Moved, PlaceState},
    place_set::{PlaceSet, check_runs},
    plan::Plan,
    policy::EventState,
    reject::{Field, PlaceInTheWay, Reject},
    slot::{Decision, Slot, Touched},
};

type Moves<'a> = Option<&'a mut Vec<Move>>;

/// The keys that a command brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationKeys {
    /// At most 16, each once.
    pub keys: Vec<Box<str>>,
    /// Best available may take places that are in no allocation too.
    pub include_unallocated: bool,
}

impl AllocationKeys {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        let is_twice = (0..self.keys.len()).any(|at| self.keys[..at].contains(&self.keys[at]));
        if self.keys.len() > ALLOCATION_KEYS_MAX || is_twice {
            return Err(Reject::invalid(Field::AllocationKeys, "must be at most 16, each once"));
        }
        if self.keys.iter().any(|key| !is_key(key)) {
            return Err(Reject::invalid(Field::AllocationKeys, KEY_MUST));
        }
        Ok(())
    }

    /// Nothing for a command that brings none, so that its hash is what it was before there were any.
    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        if self.keys.is_empty() && !self.include_unallocated {
            return;
        }
        hasher.word(self.keys.len() as u64 | u64::from(self.include_unallocated) << 32 | 1 << 40);
        self.keys.iter().for_each(|key| hasher.bytes(key.as_bytes()));
    }
}

const KEY_MUST: &str = "must be 1 to 64 printable ASCII characters without spaces";

/// Whether a text may be the key of an allocation.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=ALLOCATION_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Set places aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAllocation {
    /// Name of this request.
    pub request_id: RequestId,
    /// Key of the allocation, which is made if it is not there.
    pub key: Box<str>,
    /// Seats that get its tag, and the quotas of areas. Kinds of buyers do not matter.
    pub places: PlaceSet,
    /// New start of its window; zero: that of the event. Nothing: as it is.
    pub opens_at: Option<TimestampMs>,
    /// New end of its window; zero: that of the event. Nothing: as it is.
    pub closes_at: Option<TimestampMs>,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

/// Set places aside no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveAllocation {
    /// Name of this request.
    pub request_id: RequestId,
    /// Key of the allocation.
    pub key: Box<str>,
    /// Seats that lose its tag, and by how many quotas shrink; empty: all of it goes.
    pub places: PlaceSet,
    /// Refuse with `STATE_MISMATCH` when the event is in another state.
    pub expected_state: Option<EventState>,
    /// Only say what would be touched.
    pub validate_only: bool,
}

fn check_key(key: &str) -> Result<(), Reject> {
    if is_key(key) { Ok(()) } else { Err(Reject::invalid(Field::AllocationKey, KEY_MUST)) }
}

impl SetAllocation {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        check_key(&self.key)?;
        self.places.check()
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(27);
        hasher.bytes(self.key.as_bytes());
        self.places.hash_into(&mut hasher);
        for time in [self.opens_at, self.closes_at] {
            hasher.word(time.map_or(u64::MAX, |time| time.0));
        }
        hasher.finish()
    }
}

impl RemoveAllocation {
    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        check_key(&self.key)?;
        self.places.check()
    }

    /// Hash of the content beside the request id and the conditions.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Hasher::new(28);
        hasher.bytes(self.key.as_bytes());
        self.places.hash_into(&mut hasher);
        hasher.finish()
    }
}

/// An allocation as the house sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocationView {
    /// Its key.
    pub key: Box<str>,
    /// Start of its window; zero: that of the event.
    pub opens_at: TimestampMs,
    /// End of its window; zero: that of the event.
    pub closes_at: TimestampMs,
    /// Its seats by state.
    pub seats: Counts,
    /// Its quotas, by area.
    pub quotas: Vec<QuotaView>,
}

/// Admissions of an area that are set aside for an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaView {
    /// The area.
    pub area: u16,
    /// How many in all.
    pub quota: u32,
    /// Of these in live holds.
    pub held: u32,
    /// Of these sold.
    pub sold: u32,
}

/// An allocation of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) key: Box<str>,
    pub(crate) opens_at: TimestampMs,
    pub(crate) closes_at: TimestampMs,
    /// One bit a seat.
    plane: Box<[u64]>,
    openings: Openings,
}

impl Allocation {
    pub(crate) fn plane(&self) -> &[u64] {
        &self.plane
    }

    pub(crate) fn openings(&self) -> &Openings {
        &self.openings
    }

    fn hash(&self, number: u8) -> u64 {
        let mut hasher = Hasher::new(26);
        hasher.word(u64::from(number));
        hasher.bytes(self.key.as_bytes());
        hasher.word(self.opens_at.0);
        hasher.word(self.closes_at.0);
        hasher.finish()
    }
}

/// Admissions of an area that an allocation has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Number of the allocation; 0: this quota is free to be used.
    pub(crate) allocation: u8,
    pub(crate) quota: u32,
    pub(crate) held: u32,
    pub(crate) sold: u32,
}

impl Quota {
    pub(crate) fn used(self) -> u32 {
        self.held + self.sold
    }

    pub(crate) fn unused(self) -> u32 {
        self.quota - self.used()
    }

    fn hash(self, area: u16, source: u8) -> u64 {
        if self.allocation == 0 {
            return 0;
        }
        let mut hasher = Hasher::new(25);
        hasher.word(u64::from(area) << 32 | u64::from(source) << 8 | u64::from(self.allocation));
        hasher.word(u64::from(self.quota));
        hasher.word(u64::from(self.held) << 32 | u64::from(self.sold));
        hasher.finish()
    }
}

/// Quotas of an area: the one of source `n` is at `n - 1`.
type Quotas = SmallVec<[Quota; 1]>;

/// All allocations of an event that has or had some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allocations {
    /// The one of number `n` is at `n - 1`.
    all: Vec<Option<Allocation>>,
    /// Number of the allocation of each seat; 0: none.
    tags: Box<[u8]>,
    /// One bit a seat that has a tag.
    tagged: Box<[u64]>,
    /// By area.
    quotas: Vec<Quotas>,
}

fn tag_hash(seat: u32, tag: u8) -> u64 {
    if tag == 0 { 0 } else { mix(u64::from(seat) << 8 | u64::from(tag) | 1 << 61) }
}

impl Allocations {
    pub(crate) fn new(plan: &Plan) -> Self {
        let seats = plan.seat_count();
        Self {
            all: Vec::new(),
            tags: vec![0; seats as usize].into(),
            tagged: vec![0; seats.div_ceil(64) as usize].into(),
            quotas: vec![Quotas::new(); plan.areas().len()],
        }
    }

    /// The number of the allocation with this key.
    pub(crate) fn find(&self, key: &str) -> Option<u8> {
        let found = self.all.iter().position(|one| one.as_ref().is_some_and(|one| *one.key == *key))?;
        // At most 255 of them.
        Some(found as u8 + 1)
    }

    /// The allocation of a number that is in use.
    pub(crate) fn get(&self, number: u8) -> &Allocation {
        self.all[usize::from(number) - 1].as_ref().expect("a number in use has its allocation")
    }

    /// Whether there is none any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.iter().all(Option::is_none)
    }

    /// Those there are, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, &Allocation)> {
        (1..=u8::MAX).zip(&self.all).filter_map(|(number, one)| Some((number, one.as_ref()?)))
    }

    /// Number of the allocation of a seat; 0: none.
    pub(crate) fn tag(&self, seat: u32) -> u8 {
        self.tags[seat as usize]
    }

    /// One bit a seat that has a tag.
    pub(crate) fn tagged(&self) -> &[u64] {
        &self.tagged
    }

    /// Quotas of an area with their sources.
    pub(crate) fn quotas(&self, area: u16) -> impl Iterator<Item = (u8, Quota)> {
        let quotas = self.quotas[usize::from(area)].iter().copied();
        (1..).zip(quotas).filter(|(_, quota)| quota.allocation != 0)
    }

    /// The quota of a source that is in use.
    pub(crate) fn quota(&self, area: u16, source: u8) -> Quota {
        self.quotas[usize::from(area)][usize::from(source) - 1]
    }

    /// The source of an area that is the quota of this allocation.
    pub(crate) fn source_of(&self, area: u16, allocation: u8) -> Option<u8> {
        self.quotas(area).find(|(_, quota)| quota.allocation == allocation).map(|(source, _)| source)
    }

    /// Whether admissions may say that they are of this source.
    pub(crate) fn has_quota(&self, area: u16, source: u8) -> bool {
        self.quotas(area).any(|(of, _)| of == source)
    }

    /// What is set aside of an area and neither held nor sold.
    pub(crate) fn unused(&self, area: u16) -> u32 {
        self.quotas(area).map(|(_, quota)| quota.unused()).sum()
    }

    /// Whether one more allocation has a number.
    fn has_number(&self) -> bool {
        self.all.len() < ALLOCATIONS_PER_EVENT_MAX || self.all.iter().any(Option::is_none)
    }

    /// Whether one more quota of an area has a source.
    fn has_source(&self, area: u16) -> bool {
        let quotas = &self.quotas[usize::from(area)];
        quotas.len() < QUOTAS_PER_AREA_MAX || quotas.iter().any(|quota| quota.allocation == 0)
    }

    /// The lowest free number, for an allocation with this key and no places.
    fn make(&mut self, plan: &Plan, key: &str) -> u8 {
        let free = self.all.iter().position(Option::is_none).unwrap_or(self.all.len());
        let made = Allocation {
            key: key.into(),
            opens_at: TimestampMs(0),
            closes_at: TimestampMs(0),
            plane: vec![0; self.tagged.len()].into(),
            openings: Openings::new(plan, |_| 0),
        };
        if free == self.all.len() {
            self.all.push(Some(made));
        } else {
            self.all[free] = Some(made);
        }
        // At most 255 of them.
        free as u8 + 1
    }

    /// The lowest free source of an area, for a quota of nothing.
    fn make_quota(&mut self, area: u16, allocation: u8) -> u8 {
        let quotas = &mut self.quotas[usize::from(area)];
        let free = quotas.iter().position(|quota| quota.allocation == 0).unwrap_or(quotas.len());
        let made = Quota { allocation, ..Quota::default() };
        if free == quotas.len() {
            quotas.push(made);
        } else {
            quotas[free] = made;
        }
        // At most 15 of them.
        free as u8 + 1
    }

    /// Change a quota. The difference of what it adds to the hash of the event.
    fn change_quota(&mut self, area: u16, source: u8, change: impl FnOnce(&mut Quota)) -> u64 {
        let quota = &mut self.quotas[usize::from(area)][usize::from(source) - 1];
        let before = quota.hash(area, source);
        change(quota);
        before ^ quota.hash(area, source)
    }

    /// Seats of the stretch of this rank were opened, taken, or set aside: the openings of general sale and of those
    /// allocations that have seats there.
    pub(crate) fn update_openings(&mut self, plan: &Plan, planes: &Planes, general: &mut Openings, rank: u32) {
        let (held, sold) = (planes.held(), planes.sold());
        let tagged = &self.tagged;
        let open = |word: u32| !(held[word as usize] | sold[word as usize]);
        general.update(plan, |word| open(word) & !tagged[word as usize], rank);
        let seats = plan.ranking(false).stretches()[rank as usize].seats();
        let mut seen: SmallVec<[u8; 8]> = SmallVec::new();
        for &tag in &self.tags[seats.start as usize..seats.end as usize] {
            if tag != 0 && seen.last() != Some(&tag) && !seen.contains(&tag) {
                seen.push(tag);
            }
        }
        for tag in seen {
            self.update_openings_of(tag, plan, planes, rank);
        }
    }

    fn update_openings_of(&mut self, number: u8, plan: &Plan, planes: &Planes, rank: u32) {
        let (held, sold) = (planes.held(), planes.sold());
        let one = self.all[usize::from(number) - 1].as_mut().expect("a number in use has its allocation");
        let plane = &one.plane;
        one.openings.update(plan, |word| plane[word as usize] & !(held[word as usize] | sold[word as usize]), rank);
    }

    /// Look at all seats of all allocations anew.
    pub(crate) fn index_openings(&mut self, plan: &Plan, planes: &Planes) {
        let (held, sold) = (planes.held(), planes.sold());
        for one in self.all.iter_mut().flatten() {
            let plane = &one.plane;
            one.openings =
                Openings::new(plan, |word| plane[word as usize] & !(held[word as usize] | sold[word as usize]));
        }
    }

    /// Give a seat another tag. The difference of what it adds to the hash of the event; openings are for the caller.
    fn set_tag(&mut self, seat: u32, tag: u8) -> u64 {
        let (word, bit) = (seat as usize / 64, 1_u64 << (seat % 64));
        let before = core::mem::replace(&mut self.tags[seat as usize], tag);
        for (number, is_set) in [(before, false), (tag, true)] {
            if number != 0 {
                let one = self.all[usize::from(number) - 1].as_mut().expect("a number in use has its allocation");
                one.plane[word] = if is_set { one.plane[word] | bit } else { one.plane[word] & !bit };
            }
        }
        self.tagged[word] = if tag == 0 { self.tagged[word] & !bit } else { self.tagged[word] | bit };
        tag_hash(seat, before) ^ tag_hash(seat, tag)
    }

    /// What all of it adds to the hash of the event, from scratch.
    pub(crate) fn hash(&self) -> u64 {
        let mut sum = self.iter().fold(0, |sum, (number, one)| sum ^ one.hash(number));
        sum ^= (0..).zip(&self.tags).fold(0, |sum, (seat, &tag)| sum ^ tag_hash(seat, tag));
        for area in 0..self.quotas.len() as u16 {
            sum = self.quotas(area).fold(sum, |sum, (source, quota)| sum ^ quota.hash(area, source));
        }
        sum
    }

    /// Bytes allocated.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let of_one = |one: &Allocation| one.plane.len() * 8 + one.openings.allocated_bytes();
        self.tags.len()
            + self.tagged.len() * 8
            + self.all.capacity() * size_of::<Option<Allocation>>()
            + self.quotas.capacity() * size_of::<Quotas>()
            + self.iter().map(|(_, one)| of_one(one)).sum::<usize>()
    }

    /// The same for a new plan: tags follow the seats' keys and quotas those of areas, as far as `room` of an area,
    /// which is what is neither held, sold nor killed there, lets them. Openings are for the caller.
    pub(crate) fn revised(&self, old: &Plan, new: &Plan, room: impl Fn(u16) -> u32) -> Self {
        let mut revised = Self::new(new);
        revised.all = self
            .all
            .iter()
            .map(|one| {
                let plane = vec![0; revised.tagged.len()].into();
                one.as_ref().map(|one| Allocation { plane, openings: Openings::new(new, |_| 0), ..one.clone() })
            })
            .collect();
        for seat in (0..old.seat_count()).filter(|&seat| self.tag(seat) != 0) {
            if let Some(there) = new.find_seat(old.seat_key(seat)) {
                revised.set_tag(there, self.tag(seat));
            }
        }
        for (area, quotas) in (0..).zip(&mut revised.quotas) {
            let Some(before) = old.find_area(&new.areas()[usize::from(area)].key) else { continue };
            quotas.clone_from(&self.quotas[usize::from(before)]);
            let mut over = quotas.iter().map(|quota| quota.unused()).sum::<u32>().saturating_sub(room(area));
            for quota in quotas.iter_mut().rev() {
                let less = over.min(quota.unused());
                quota.quota -= less;
                over -= less;
            }
        }
        revised
    }

    /// What an image has of it, read back: allocations by number, tags by seat, quotas by area. `None`: it contradicts
    /// itself.
    pub(crate) fn restored(
        plan: &Plan,
        all: Vec<Option<(Box<str>, TimestampMs, TimestampMs)>>,
        tags: &[u8],
        quotas: &[Vec<(u8, u32)>],
    ) -> Option<Self> {
        let mut restored = Self::new(plan);
        if tags.len() != restored.tags.len() || quotas.len() != restored.quotas.len() {
            return None;
        }
        for one in all {
            restored.all.push(one.map(|(key, opens_at, closes_at)| Allocation {
                key,
                opens_at,
                closes_at,
                plane: vec![0; restored.tagged.len()].into(),
                openings: Openings::new(plan, |_| 0),
            }));
        }
        let is_used = |restored: &Self, number: u8| {
            number == 0 || restored.all.get(usize::from(number) - 1).is_some_and(Option::is_some)
        };
        for (seat, &tag) in (0..).zip(tags) {
            if !is_used(&restored, tag) {
                return None;
            }
            restored.set_tag(seat, tag);
        }
        for (area, of_area) in quotas.iter().enumerate() {
            for &(allocation, quota) in of_area {
                let most = if allocation == 0 { 0 } else { plan.areas()[area].capacity };
                if !is_used(&restored, allocation) || quota > most {
                    return None;
                }
                restored.quotas[area].push(Quota { allocation, quota, ..Quota::default() });
            }
        }
        Some(restored)
    }

    /// What an image keeps: keys and windows by number, tags by seat, quotas by area.
    pub(crate) fn parts(&self) -> (&[Option<Allocation>], &[u8], &[Quotas]) {
        (&self.all, &self.tags, &self.quotas)
    }

    /// Panic on a contradiction.
    pub(crate) fn assert_valid(&self, event: &Event) {
        let mut expected = Self::new(&event.plan);
        expected.all = self
            .all
            .iter()
            .map(|one| one.as_ref().map(|one| Allocation { plane: vec![0; self.tagged.len()].into(), ..one.clone() }))
            .collect();
        (0..).zip(&self.tags).for_each(|(seat, &tag)| {
            expected.set_tag(seat, tag);
        });
        expected.quotas.clone_from(&self.quotas);
        expected.index_openings(&event.plan, &event.planes);
        assert!(expected == *self, "planes and openings of the allocations of {} are what its tags say", event.id);
        for area in 0..self.quotas.len() as u16 {
            let fits = |(_, quota): (u8, Quota)| quota.quota > 0 && quota.used() <= quota.quota;
            assert!(self.quotas(area).all(fits), "quotas of {}", event.id);
            assert!(self.unused(area) <= event.area_open(area), "what is unused of quotas of {} is open", event.id);
        }
    }
}

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
        let one = match all.find(&set.key) {
            Some(one) => {
                event.hash ^= all.get(one).hash(one);
                one
            }
            None => all.make(&plan, &set.key),
        };
        let allocation = all.all[usize::from(one) - 1].as_mut().expect("it is there");
        (allocation.opens_at, allocation.closes_at) = (set.opens_at, set.closes_at);
        event.hash ^= allocation.hash(one);
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
        event.hash ^= all.get(one).hash(one);
        all.all[usize::from(one) - 1] = None;
        if all.is_empty() {
            event.allocations = None;
        }
    }

    /// Quotas of nothing go.
    pub(crate) fn free_emptied(&mut self, number: EventNumber, moves: &mut Moves<'_>) {
        let Some(all) = self.event(number).and_then(|event| event.allocations.as_deref()) else { return };
        let of_area = |area: u16| {
            let emptied = all.quotas(area).filter(|(_, quota)| quota.quota == 0);
            emptied.map(move |(source, _)| (area, source))
        };
        let emptied: Vec<(u16, u8)> = (0..all.quotas.len() as u16).flat_map(of_area).collect();
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
