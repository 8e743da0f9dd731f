//! Places as the house names them: a set of names, and the places of the plan that it means.

use std::collections::{BTreeMap, BTreeSet};

use inventory_core::{
    command::AreaName,
    limits::SEAT_RUNS_PER_CHANGE_MAX,
    place_set::PlaceSet,
    plan::Plan,
    reject::{Field, Reject},
};

use crate::event::Event;

/// What a set means, each place once.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) seats: BTreeSet<u32>,
    /// By area and kind of buyer.
    pub(crate) admissions: BTreeMap<(u16, u8), u32>,
}

impl Named {
    /// Admissions whatever their kind of buyer.
    pub(crate) fn by_area(&self) -> BTreeMap<u16, u32> {
        let mut areas = BTreeMap::new();
        for (&(area, _), quantity) in &self.admissions {
            *areas.entry(area).or_default() += quantity;
        }
        areas
    }
}

impl Event {
    /// Plan revision, and from names to places.
    pub(crate) fn find_named(&self, set: &PlaceSet) -> Result<Named, Reject> {
        let by_index = set.admissions.iter().any(|named| matches!(named.area, AreaName::Index(_)));
        if !set.seats.is_empty() || by_index || set.plan_revision != 0 {
            self.check_revision(set.plan_revision)?;
        }
        let unknown = |field, position: usize| Reject::UnknownPlace { field, position: position as u32 };
        let mut named = Named::default();
        for (at, &seat) in set.seats.iter().enumerate() {
            if seat >= self.plan.seat_count() {
                return Err(unknown(Field::Seats, at));
            }
            named.seats.insert(seat);
        }
        for (at, key) in set.seat_keys.iter().enumerate() {
            named.seats.insert(self.plan.find_seat(key).ok_or(unknown(Field::SeatKeys, at))?);
        }
        for (at, selector) in set.selectors.iter().enumerate() {
            let selected = selected(&self.plan, selector);
            if selected.is_empty() {
                return Err(unknown(Field::Selectors, at));
            }
            named.seats.extend(selected);
        }
        for (at, one) in set.admissions.iter().enumerate() {
            let area = match &one.area {
                AreaName::Index(index) => (usize::from(*index) < self.plan.areas().len()).then_some(*index),
                AreaName::Key(key) => self.plan.find_area(key),
            };
            let area = area.ok_or(unknown(Field::Ga, at))?;
            let sum = named.admissions.entry((area, one.ticket_type)).or_default();
            *sum = sum.saturating_add(one.quantity);
        }
        check_stretches(&named.seats)?;
        Ok(named)
    }
}

/// Not too many stretches of neighbours for one change.
pub(crate) fn check_stretches(seats: &BTreeSet<u32>) -> Result<(), Reject> {
    let begins = |seat: &&u32| seat.checked_sub(1).is_none_or(|before| !seats.contains(&before));
    if seats.iter().filter(begins).count() > SEAT_RUNS_PER_CHANGE_MAX {
        return Err(Reject::invalid(Field::Seats, "must be fewer stretches of neighbours"));
    }
    Ok(())
}

/// Seats that a selector means: by any way to cut it into labels, for labels may have its signs themselves.
fn selected(plan: &Plan, selector: &str) -> BTreeSet<u32> {
    if let Some(section) = plan.find_section(selector) {
        return plan.sections()[usize::from(section)].seats.clone().collect();
    }
    for (section, rest) in cuts(selector, '/') {
        let Some(section) = plan.find_section(section) else { continue };
        let section = &plan.sections()[usize::from(section)];
        let rows = || section.rows.clone().map(|row| &plan.rows()[row as usize]);
        let row: BTreeSet<u32> = rows().filter(|row| *row.label == *rest).flat_map(|row| row.seats()).collect();
        if !row.is_empty() {
            return row;
        }
        let by_label = |row: &str, label: &str| -> BTreeSet<u32> {
            let seats = rows().filter(|other| *other.label == *row).flat_map(|row| row.seats());
            seats.filter(|&seat| plan.seat_label(seat) == label).collect()
        };
        for (row, seats) in cuts(rest, '/') {
            let one = by_label(row, seats);
            if !one.is_empty() {
                return one;
            }
            for (first, last) in cuts(seats, '-') {
                // In each row of the label that has both, from whichever end.
                let mut between = BTreeSet::new();
                for of_label in rows().filter(|other| *other.label == *row) {
                    let has = |label: &str| of_label.seats().find(|&seat| plan.seat_label(seat) == label);
                    if let (Some(first), Some(last)) = (has(first), has(last)) {
                        between
                            .extend(of_label.seats().filter(|seat| (first.min(last)..=first.max(last)).contains(seat)));
                    }
                }
                if !between.is_empty() {
                    return between;
                }
            }
        }
    }
    BTreeSet::new()
}

/// Every way to cut a text in two at a sign, the longest first part first.
fn cuts(text: &str, at: char) -> impl Iterator<Item = (&str, &str)> {
    text.rmatch_indices(at).map(|(place, _)| (&text[..place], &text[place + 1..]))
}
