//! What an event knows of the places that are set aside in it.
//!
//! Invariants:
//!
//! - A1. A seat has the tag of at most one allocation; `tagged` and the planes of the allocations say what `tags` says.
//! - A2. A quota is never below what is held and sold of it, and what is unused of all quotas of an area is open.
//! - A3. The openings of an allocation are those of its seats alone.
//!
//! Not here: the commands (`allocation.rs`), how they change it (`setting_aside.rs`).

use alloc::{boxed::Box, vec, vec::Vec};

use smallvec::SmallVec;

use crate::{
    bitmap::Planes,
    digest::{Hasher, mix},
    event::Event,
    ids::TimestampMs,
    limits::{ALLOCATIONS_PER_EVENT_MAX, QUOTAS_PER_AREA_MAX},
    openings::Openings,
    plan::Plan,
};

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

    pub(crate) fn hash(self, area: u16, source: u8) -> u64 {
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
    pub(crate) fn has_number(&self) -> bool {
        self.all.len() < ALLOCATIONS_PER_EVENT_MAX || self.all.iter().any(Option::is_none)
    }

    /// Whether one more quota of an area has a source.
    pub(crate) fn has_source(&self, area: u16) -> bool {
        let quotas = &self.quotas[usize::from(area)];
        quotas.len() < QUOTAS_PER_AREA_MAX || quotas.iter().any(|quota| quota.allocation == 0)
    }

    /// The allocation of this key has this window from now on, and is made if it was not there. Its number, and what
    /// the hash of the event changes by.
    pub(crate) fn set(&mut self, plan: &Plan, key: &str, opens_at: TimestampMs, closes_at: TimestampMs) -> (u8, u64) {
        let found = self.find(key);
        let before = found.map_or(0, |one| self.get(one).hash(one));
        let one = found.unwrap_or_else(|| self.make(plan, key));
        let allocation = self.all[usize::from(one) - 1].as_mut().expect("found or made");
        (allocation.opens_at, allocation.closes_at) = (opens_at, closes_at);
        (one, before ^ allocation.hash(one))
    }

    /// The allocation of this number is gone, its seats and quotas before it. What the hash of the event changes by.
    pub(crate) fn remove(&mut self, number: u8) -> u64 {
        let removed = self.all[usize::from(number) - 1].take();
        removed.expect("an allocation that is removed is there").hash(number)
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
    pub(crate) fn make_quota(&mut self, area: u16, allocation: u8) -> u8 {
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
    pub(crate) fn change_quota(&mut self, area: u16, source: u8, change: impl FnOnce(&mut Quota)) -> u64 {
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

    pub(crate) fn update_openings_of(&mut self, number: u8, plan: &Plan, planes: &Planes, rank: u32) {
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
    pub(crate) fn set_tag(&mut self, seat: u32, tag: u8) -> u64 {
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
