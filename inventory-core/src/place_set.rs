//! Places as the house names them: by index, by key, and by selectors that mean many.
//!
//! Not here: what is done to them (`kill.rs`, `giving_back.rs`).

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use crate::{
    command::AreaName,
    decide::check_revision,
    digest::Hasher,
    event::Event,
    limits::{PLAN_TEXT_BYTES_MAX, SEAT_RUNS_PER_CHANGE_MAX},
    plan::{Plan, Row},
    reject::{Field, Reject},
};

/// Seats that one set names by index and key.
const NAMES_MAX: usize = 4_096;
/// Slashes and dashes of a selector: each is tried as the end of a name.
const SEPARATORS_MAX: usize = 12;
/// Selectors, and areas, of one set.
const SELECTORS_MAX: usize = 64;

/// Places that a command names. What several names mean is meant once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceSet {
    /// Plan revision the indexes were read at; 0: the first, while there is no other.
    pub plan_revision: u32,
    /// Seats by index.
    pub seats: Vec<u32>,
    /// Seats by key.
    pub seat_keys: Vec<Box<str>>,
    /// `SECTION`, `SECTION/ROW`, `SECTION/ROW/SEAT` or `SECTION/ROW/FIRST-LAST`.
    pub selectors: Vec<Box<str>>,
    /// Admissions of areas.
    pub admissions: Vec<AdmissionsNamed>,
}

/// Admissions of one area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionsNamed {
    /// Which area.
    pub area: AreaName,
    /// Kind of buyer, where it matters; else 0.
    pub ticket_type: u8,
    /// How many, at least 1.
    pub quantity: u32,
}

/// Places of a plan, each once, in plan order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) seats: Vec<u32>,
    /// Area, kind of buyer, how many: each pair of the first two once, in order.
    pub(crate) admissions: Vec<(u16, u8, u32)>,
}

impl PlaceSet {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.seat_keys.is_empty() && self.selectors.is_empty() && self.admissions.is_empty()
    }

    /// Check what needs no state.
    ///
    /// # Errors
    /// The first refusal, naming the field.
    pub fn check(&self) -> Result<(), Reject> {
        if self.seats.len() + self.seat_keys.len() > NAMES_MAX {
            return Err(Reject::invalid(Field::Seats, "must be at most 4096 with seat_keys; use selectors for more"));
        }
        if self.seat_keys.iter().any(|key| key.len() > PLAN_TEXT_BYTES_MAX) {
            return Err(Reject::invalid(Field::SeatKeys, "must be at most 128 bytes each"));
        }
        let parts = |text: &str| text.bytes().filter(|byte| matches!(byte, b'/' | b'-')).count();
        let fits = |text: &str| (1..=4 * PLAN_TEXT_BYTES_MAX).contains(&text.len()) && parts(text) <= SEPARATORS_MAX;
        if self.selectors.len() > SELECTORS_MAX || !self.selectors.iter().all(|text| fits(text)) {
            return Err(Reject::invalid(
                Field::Selectors,
                "must be at most 64 of 1 to 512 bytes with at most 12 slashes and dashes",
            ));
        }
        if self.admissions.len() > SELECTORS_MAX || self.admissions.iter().any(|a| a.quantity == 0) {
            return Err(Reject::invalid(Field::Ga, "must be at most 64 with a quantity of at least 1"));
        }
        Ok(())
    }

    pub(crate) fn hash_into(&self, hasher: &mut Hasher) {
        hasher.word(u64::from(self.plan_revision) << 32 | self.seats.len() as u64);
        self.seats.iter().for_each(|&seat| hasher.word(u64::from(seat)));
        for texts in [&self.seat_keys, &self.selectors] {
            hasher.word(texts.len() as u64);
            texts.iter().for_each(|text| hasher.bytes(text.as_bytes()));
        }
        for named in &self.admissions {
            match &named.area {
                AreaName::Index(index) => hasher.word(u64::from(*index)),
                AreaName::Key(key) => hasher.bytes(key.as_bytes()),
            }
            hasher.word(u64::from(named.quantity) | u64::from(named.ticket_type) << 32 | 1 << 40);
        }
    }

    /// The places of the event's plan that are meant.
    pub(crate) fn resolve(&self, event: &Event) -> Result<Places, Reject> {
        self.resolve_in(&event.plan, event.plan_revision)
    }

    /// The places of a plan that are meant, when it is an event's plan of this revision.
    pub(crate) fn resolve_in(&self, plan: &Plan, plan_revision: u32) -> Result<Places, Reject> {
        let by_index = !self.seats.is_empty() || self.admissions.iter().any(|a| matches!(a.area, AreaName::Index(_)));
        check_revision(plan_revision, self.plan_revision, by_index)?;
        let unknown = |field, at: usize| Reject::UnknownPlace { field, position: at as u32 };
        let mut places = Places::default();
        for (at, &seat) in self.seats.iter().enumerate() {
            if seat >= plan.seat_count() {
                return Err(unknown(Field::Seats, at));
            }
            places.seats.push(seat);
        }
        for (at, key) in self.seat_keys.iter().enumerate() {
            places.seats.push(plan.find_seat(key).ok_or(unknown(Field::SeatKeys, at))?);
        }
        let mut selected = Vec::with_capacity(self.selectors.len());
        for (at, selector) in self.selectors.iter().enumerate() {
            let ranges = select(plan, selector);
            if ranges.is_empty() {
                return Err(unknown(Field::Selectors, at));
            }
            selected.extend(ranges);
        }
        // Selectors may all mean the same large section: no seat is written down more than twice.
        selected.sort_unstable_by_key(|range| range.start);
        let mut covered = 0;
        for range in selected {
            places.seats.extend(range.start.max(covered)..range.end);
            covered = covered.max(range.end);
        }
        places.seats.sort_unstable();
        places.seats.dedup();
        for (at, named) in self.admissions.iter().enumerate() {
            let area = match &named.area {
                AreaName::Index(index) => (usize::from(*index) < plan.areas().len()).then_some(*index),
                AreaName::Key(key) => plan.find_area(key),
            };
            let area = area.ok_or(unknown(Field::Ga, at))?;
            let same = |have: &&mut (u16, u8, u32)| (have.0, have.1) == (area, named.ticket_type);
            match places.admissions.iter_mut().find(same) {
                Some(have) => have.2 = have.2.saturating_add(named.quantity),
                None => places.admissions.push((area, named.ticket_type, named.quantity)),
            }
        }
        places.admissions.sort_unstable();
        check_runs(&places.seats)?;
        Ok(places)
    }
}

/// The seats that a selector means, in plan order; none: nothing. Halves of a row may be rows of one label: all of that
/// label are meant.
fn select(plan: &Plan, selector: &str) -> Vec<Range<u32>> {
    if let Some(section) = plan.find_section(selector) {
        return alloc::vec![plan.sections()[usize::from(section)].seats.clone()];
    }
    // Keys and labels may have a slash themselves: every way to read it is tried, the longest section first.
    for (section, rest) in cuts(selector, '/').rev() {
        let Some(section) = plan.find_section(section) else { continue };
        let section = &plan.sections()[usize::from(section)];
        let rows = || section.rows.clone().map(|row| &plan.rows()[row as usize]);
        let of_label = |label: &str| -> Vec<&Row> { rows().filter(|row| *row.label == *label).collect() };
        let whole: Vec<Range<u32>> = of_label(rest).into_iter().map(Row::seats).collect();
        if !whole.is_empty() {
            return whole;
        }
        for (row, seats) in cuts(rest, '/').rev() {
            let rows = of_label(row);
            let named = |row: &Row, label: &str| row.seats().find(|&seat| plan.seat_label(seat) == label);
            let each: Vec<Range<u32>> =
                rows.iter().filter_map(|row| named(row, seats)).map(|seat| seat..seat + 1).collect();
            if !each.is_empty() {
                return each;
            }
            for (first, last) in cuts(seats, '-').rev() {
                // From either end: a row may be numbered against the order of the plan.
                let between = |row: &&Row| {
                    let (one, other) = (named(row, first)?, named(row, last)?);
                    Some(one.min(other)..one.max(other) + 1)
                };
                let each: Vec<Range<u32>> = rows.iter().filter_map(between).collect();
                if !each.is_empty() {
                    return each;
                }
            }
        }
    }
    Vec::new()
}

/// Every way to cut a text in two at a sign.
fn cuts(text: &str, at: char) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    let signs: Vec<usize> = text.match_indices(at).map(|(place, _)| place).collect();
    signs.into_iter().map(move |place| (&text[..place], &text[place + at.len_utf8()..]))
}

/// Whether sorted seats fit one change.
pub(crate) fn check_runs(seats: &[u32]) -> Result<(), Reject> {
    if runs_of(seats).count() > SEAT_RUNS_PER_CHANGE_MAX {
        return Err(Reject::invalid(Field::Seats, "must lie in at most 3000 separate stretches: use several commands"));
    }
    Ok(())
}

/// Sorted seats as stretches of neighbours: the first, and how many.
pub(crate) fn runs_of(seats: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    seats.chunk_by(|one, next| *next == one + 1).map(|run| (run[0], run.len() as u32))
}
