//! What a command may take: general sale, the allocations whose keys it brings, each in its window.
//!
//! Not here: what allocations are (`allocations.rs`), what of it is taken (`decide.rs`). Choices: ADR-0033.

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use crate::{
    allocation::AllocationKeys,
    allocations::Allocations,
    best_available::{Reach, Taken},
    decide::NAMED_MAX,
    event::Event,
    ids::TimestampMs,
    openings::Openings,
    place::{Admission, Admissions, Moved, Seat},
    policy::EventState,
    reject::{PlaceInTheWay, Reject},
};

/// Numbers of allocations, or sources of an area.
type Numbers = SmallVec<[u8; 4]>;

/// General sale among the sources of an area.
pub(crate) const GENERAL: u8 = 0;

/// What a command brings, looked up.
pub(crate) struct Access<'a> {
    event: &'a Event,
    all: Option<&'a Allocations>,
    /// Allocations of its keys.
    keyed: Option<Box<Keyed>>,
    /// General sale is in its window.
    general: bool,
    /// Best available draws on general sale too.
    best_general: bool,
}

/// Allocations whose keys a command brings, in their order: most bring none.
struct Keyed {
    all: Numbers,
    /// Those in their window.
    usable: Numbers,
}

impl<'a> Access<'a> {
    /// Of a command that no window stops.
    pub(crate) fn without_window(event: &'a Event, keys: &AllocationKeys) -> Self {
        let all = event.allocations.as_deref();
        let brought: Numbers = match all {
            Some(all) => keys.keys.iter().filter_map(|key| all.find(key)).collect(),
            None => Numbers::new(),
        };
        let best_general = keys.keys.is_empty() || keys.include_unallocated;
        let keyed = (!brought.is_empty()).then(|| Box::new(Keyed { usable: brought.clone(), all: brought }));
        Self { event, all, keyed, general: true, best_general }
    }

    /// Of a command at this time.
    #[inline]
    pub(crate) fn at(event: &'a Event, keys: &AllocationKeys, now: TimestampMs) -> Self {
        let settings = &event.settings;
        let general = is_open((settings.opens_at, settings.closes_at), now);
        if event.allocations.is_none() {
            let best_general = keys.keys.is_empty() || keys.include_unallocated;
            return Self { event, all: None, keyed: None, general, best_general };
        }
        let mut access = Self::without_window(event, keys);
        access.general = general;
        access.close_windows(now);
        access
    }

    fn close_windows(&mut self, now: TimestampMs) {
        let Some(mut keyed) = self.keyed.take() else { return };
        keyed.usable.retain(|number| is_open(self.window(*number), now));
        self.keyed = Some(keyed);
    }

    /// Allocations whose keys were brought.
    fn brought(&self) -> &[u8] {
        self.keyed.as_ref().map_or(&[], |keyed| &keyed.all)
    }

    /// Those in their window.
    fn usable(&self) -> &[u8] {
        self.keyed.as_ref().map_or(&[], |keyed| &keyed.usable)
    }

    /// The event.
    pub(crate) fn event(&self) -> &'a Event {
        self.event
    }

    /// Whether best available searches all seats.
    pub(crate) fn best_reaches_all(&self) -> bool {
        self.all.is_none() && self.general && self.best_general
    }

    /// When an allocation, or general sale, opens and closes; zero: never.
    fn window(&self, number: u8) -> (TimestampMs, TimestampMs) {
        let settings = &self.event.settings;
        let of_event = (settings.opens_at, settings.closes_at);
        let Some(all) = self.all.filter(|_| number != GENERAL) else { return of_event };
        let one = all.get(number);
        let or = |own: TimestampMs, of_event| if own.0 == 0 { of_event } else { own };
        (or(one.opens_at, of_event.0), or(one.closes_at, of_event.1))
    }

    /// Whether the event is on sale, and what each part of the command may draw on is in its window.
    #[inline]
    pub(crate) fn judge_windows(
        &self,
        now: TimestampMs,
        seats: &[Seat],
        areas: &[u16],
        has_best: bool,
    ) -> Result<(), Reject> {
        let is_plainly_open = self.all.is_none() && self.general && self.event.settings.state == EventState::OnSale;
        if is_plainly_open { Ok(()) } else { self.judge_each_window(now, seats, areas, has_best) }
    }

    fn judge_each_window(&self, now: TimestampMs, seats: &[Seat], areas: &[u16], has_best: bool) -> Result<(), Reject> {
        let settings = &self.event.settings;
        match settings.state {
            EventState::Draft => return Err(Reject::SaleNotOpen { opens_at: settings.opens_at }),
            EventState::Paused => return Err(Reject::SalePaused),
            EventState::OffSale => return Err(Reject::SaleClosed),
            EventState::Cancelled => return Err(Reject::EventCancelled),
            EventState::OnSale => {}
        }
        let Some(all) = self.all else { return self.judge_sources(now, &[GENERAL]) };
        for seat in seats {
            let tag = all.tag(seat.index);
            self.judge_sources(now, &[if self.brought().contains(&tag) { tag } else { GENERAL }])?;
        }
        for &area in areas {
            let with_quota = |number: &u8| all.source_of(area, *number).is_some();
            let mut sources: Numbers = self.brought().iter().copied().filter(with_quota).collect();
            sources.push(GENERAL);
            self.judge_sources(now, &sources)?;
        }
        if has_best {
            let mut sources = Numbers::from_slice(self.brought());
            // With keys of no allocation there is nothing to draw on; the window of the event is judged all the same.
            if self.best_general || sources.is_empty() {
                sources.push(GENERAL);
            }
            self.judge_sources(now, &sources)?;
        }
        Ok(())
    }

    /// Whether one of these allocations, or general sale, is in its window.
    fn judge_sources(&self, now: TimestampMs, numbers: &[u8]) -> Result<(), Reject> {
        let is_usable = |number: &u8| if *number == GENERAL { self.general } else { self.usable().contains(number) };
        if numbers.iter().any(is_usable) {
            return Ok(());
        }
        let opens_later = numbers.iter().map(|&number| self.window(number).0).filter(|&opens_at| now < opens_at);
        Err(opens_later.min().map_or(Reject::SaleClosed, |opens_at| Reject::SaleNotOpen { opens_at }))
    }

    /// Whether every seat is of general sale or of an allocation whose key was brought, but for those in the sorted list
    /// `except`.
    #[inline]
    pub(crate) fn judge_tags(&self, seats: &[Seat], except: &[u32]) -> Result<(), Reject> {
        self.all.map_or(Ok(()), |all| self.judge_tags_of(all, seats, except))
    }

    fn judge_tags_of(&self, all: &Allocations, seats: &[Seat], except: &[u32]) -> Result<(), Reject> {
        let foreign = seats.iter().map(|seat| seat.index).filter(|&seat| {
            let tag = all.tag(seat);
            tag != 0 && !self.brought().contains(&tag) && except.binary_search(&seat).is_err()
        });
        let named = |seat| PlaceInTheWay { place: Moved::Seat(seat), state: self.event.public_state(seat) };
        let places: Vec<PlaceInTheWay> = foreign.map(named).take(NAMED_MAX).collect();
        if places.is_empty() { Ok(()) } else { Err(Reject::NotInAllocation { places }) }
    }

    /// Sources of an area that named admissions draw on, in their order.
    pub(crate) fn sources(&self, area: u16) -> Numbers {
        self.with_general(area, self.general)
    }

    /// Sources of an area that best available draws on, in their order.
    pub(crate) fn sources_of_best(&self, area: u16) -> Numbers {
        self.with_general(area, self.general && self.best_general)
    }

    fn with_general(&self, area: u16, general: bool) -> Numbers {
        let mut sources = Numbers::new();
        if let Some(all) = self.all {
            sources.extend(self.usable().iter().filter_map(|&number| all.source_of(area, number)));
        }
        if general {
            sources.push(GENERAL);
        }
        sources
    }

    /// Admissions of a source that are to be had.
    pub(crate) fn room(&self, area: u16, source: u8) -> u32 {
        match self.all {
            Some(all) if source != GENERAL => all.quota(area, source).unused(),
            _ => self.event.area_room(area),
        }
    }

    /// Admissions of a source in live holds.
    pub(crate) fn held(&self, area: u16, source: u8) -> u32 {
        match self.all {
            Some(all) if source != GENERAL => all.quota(area, source).held,
            Some(all) => self.event.area_counts(area).held - all.quotas(area).map(|(_, quota)| quota.held).sum::<u32>(),
            None => self.event.area_counts(area).held,
        }
    }

    /// The seats that named picks reach.
    pub(crate) fn reached(&self) -> Reached<'a> {
        self.seats_of(self.general)
    }

    /// The seats that best available reaches.
    pub(crate) fn reached_by_best(&self) -> Reached<'a> {
        if probe::planted!(AllocationIgnored) {
            return Reached { event: self.event, planes: Vec::new(), outside: None, is_every: true, index: None };
        }
        self.seats_of(self.general && self.best_general)
    }

    #[inline]
    fn seats_of(&self, general: bool) -> Reached<'a> {
        let event = self.event;
        let Some(all) = self.all else {
            let index = general.then_some(&event.openings);
            return Reached { event, planes: Vec::new(), outside: None, is_every: general, index };
        };
        let planes: Vec<&'a [u64]> = self.usable().iter().map(|&number| all.get(number).plane()).collect();
        let index = match (self.usable(), general) {
            ([], true) => Some(&event.openings),
            ([one], false) => Some(all.get(*one).openings()),
            // The openings of each alone are not those of all together.
            _ => None,
        };
        Reached { event, planes, outside: general.then_some(all.tagged()), is_every: false, index }
    }
}

/// Whether a window is open.
fn is_open((opens_at, closes_at): (TimestampMs, TimestampMs), now: TimestampMs) -> bool {
    now >= opens_at && (closes_at.0 == 0 || now < closes_at)
}

/// Seats that a command, or a part of it, reaches.
pub(crate) struct Reached<'a> {
    event: &'a Event,
    planes: Vec<&'a [u64]>,
    outside: Option<&'a [u64]>,
    is_every: bool,
    index: Option<&'a Openings>,
}

impl Reached<'_> {
    /// Which seats could not be taken. `also`, `except`: sorted.
    pub(crate) fn taken<'b>(&'b self, also: &'b [u32], except: &'b [u32]) -> Taken<'b> {
        let reach = match self.outside {
            _ if self.is_every => Reach::Every,
            outside => Reach::Of { planes: &self.planes, outside },
        };
        Taken { held: self.event.planes.held(), sold: self.event.planes.sold(), also, except, reach }
    }

    /// Where there is room for it, if that is known.
    pub(crate) fn openings(&self) -> Option<&Openings> {
        self.index
    }

    /// All that is open of it, and held.
    pub(crate) fn count(&self, seats: core::ops::Range<u32>) -> (u32, u32) {
        let taken = self.taken(&[], &[]);
        self.event.planes.count(seats, |word| taken.reach.word(word))
    }
}

/// Draw admissions on sources in their order, `quantity` in all, of what `room` says they have.
pub(crate) fn draw(admissions: &mut Admissions, wanted: Admission, sources: &[u8], room: impl Fn(u16, u8) -> u32) {
    let mut left = wanted.quantity;
    for &source in sources {
        let granted = admissions.iter().filter(|has| (has.area, has.source) == (wanted.area, source));
        let granted: u32 = granted.map(|has| u32::from(has.quantity)).sum();
        // No more than what is left, which is at most 64.
        let quantity = (room(wanted.area, source) - granted).min(u32::from(left)) as u8;
        if quantity > 0 {
            add(admissions, Admission { source, quantity, ..wanted });
            left -= quantity;
        }
    }
    assert_eq!(left, 0, "whoever draws has seen that there is room");
}

/// One entry for each area, ticket type and source.
fn add(admissions: &mut Admissions, more: Admission) {
    let same =
        |has: &&mut Admission| (has.area, has.ticket_type, has.source) == (more.area, more.ticket_type, more.source);
    match admissions.iter_mut().find(same) {
        Some(has) => has.quantity += more.quantity,
        None => admissions.push(more),
    }
}
