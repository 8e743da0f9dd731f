//! Limits by price level and shared quotas, as numbers: what they count, and whether more fits.
//!
//! Invariants:
//!
//! - L1. What is counted is what the holds and planes of the event say with the plan of now.
//!
//! Not here: the settings they are made of (`policy.rs`), the other limits of a customer (`event.rs`). Choices:
//! ADR-0037.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use crate::{
    event::Event,
    hold::Entry,
    ids::{CustomerKey, EventNumber},
    place::{Admission, PlaceState, SOLD, Seat},
    plan::Plan,
    policy::{self, LevelLimit, Limits},
    reject::{Field, Reject},
    slot::Slot,
};

/// One shared quota, with its names resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SharedQuota {
    levels: [u64; 4],
    /// By index, sorted.
    areas: Vec<u16>,
    places_max: u32,
    held: u32,
    sold: u32,
}

impl SharedQuota {
    fn has_level(&self, level: u8) -> bool {
        self.levels[usize::from(level / 64)] >> (level % 64) & 1 == 1
    }

    fn has_area(&self, plan: &Plan, area: u16) -> bool {
        self.areas.binary_search(&area).is_ok() || self.has_level(plan.areas()[usize::from(area)].level)
    }

    fn count(&mut self, quantity: u32, from: PlaceState, to: PlaceState) {
        match from {
            PlaceState::Held => self.held -= quantity,
            PlaceState::Sold => self.sold -= quantity,
            PlaceState::Open | PlaceState::Killed => {}
        }
        match to {
            PlaceState::Held => self.held += quantity,
            PlaceState::Sold => self.sold += quantity,
            PlaceState::Open | PlaceState::Killed => {}
        }
    }
}

/// The rules of an event that has any, with what they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Price level and how many places of it a customer may have, in the order of the settings.
    level_limits: Vec<(u8, u32)>,
    /// Places held and owned, by customer and level with a limit; none is zero.
    by_customer: BTreeMap<(CustomerKey, u8), u32>,
    /// In the order of the settings.
    quotas: Vec<SharedQuota>,
}

/// Places that a command takes or gives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bundle<'a> {
    pub(crate) seats: &'a [u32],
    pub(crate) admissions: &'a [Admission],
}

impl Bundle<'_> {
    /// How many of them pass.
    fn count(self, plan: &Plan, seat: impl Fn(u8) -> bool, area: impl Fn(u16) -> bool) -> u32 {
        let seats = self.seats.iter().filter(|&&of| seat(plan.seat_level(of))).count() as u32;
        let admissions = self.admissions.iter().filter(|admission| area(admission.area));
        seats + admissions.map(|admission| u32::from(admission.quantity)).sum::<u32>()
    }
}

impl Rules {
    /// Those of these settings with this plan, counting nothing yet. A name that the plan does not have counts nothing.
    fn new(limits: &Limits, plan: &Plan) -> Option<Box<Self>> {
        if limits.is_empty() {
            return None;
        }
        let level_limits = limits.by_level.iter();
        let level_limits = level_limits.filter_map(|limit| Some((plan.find_level(&limit.level)?, limit.places_max)));
        let quota = |quota: &crate::policy::SharedQuota| {
            let mut resolved = SharedQuota { places_max: quota.places_max, ..SharedQuota::default() };
            for level in quota.levels.iter().filter_map(|name| plan.find_level(name)) {
                resolved.levels[usize::from(level / 64)] |= 1 << (level % 64);
            }
            resolved.areas = quota.areas.iter().filter_map(|key| plan.find_area(key)).collect();
            resolved.areas.sort_unstable();
            resolved
        };
        let rules = Self {
            level_limits: level_limits.collect(),
            by_customer: BTreeMap::new(),
            quotas: limits.quotas.iter().map(quota).collect(),
        };
        Some(Box::new(rules))
    }

    /// A seat moved from one state to another.
    pub(crate) fn move_seat(&mut self, plan: &Plan, seat: u32, from: PlaceState, to: PlaceState) {
        let level = plan.seat_level(seat);
        self.quotas.iter_mut().filter(|quota| quota.has_level(level)).for_each(|quota| quota.count(1, from, to));
    }

    /// Admissions moved from one state to another.
    pub(crate) fn move_area(&mut self, plan: &Plan, area: u16, quantity: u32, from: PlaceState, to: PlaceState) {
        let of_area = self.quotas.iter_mut().filter(|quota| quota.has_area(plan, area));
        of_area.for_each(|quota| quota.count(quantity, from, to));
    }

    /// A customer has more places, or less.
    fn count(&mut self, plan: &Plan, customer: CustomerKey, places: Bundle<'_>, is_more: bool) {
        for &(level, _) in &self.level_limits {
            let of_area = |area: u16| plan.areas()[usize::from(area)].level == level;
            let quantity = places.count(plan, |of| of == level, of_area);
            if quantity == 0 {
                continue;
            }
            let has = self.by_customer.entry((customer, level)).or_default();
            *has = if is_more {
                *has + quantity
            } else {
                has.checked_sub(quantity).expect("a customer's places of a level are counted")
            };
            if *has == 0 {
                self.by_customer.remove(&(customer, level));
            }
        }
    }
}

/// Whether the names in limits and quotas that are set are those of the plan.
pub(crate) fn check_names(by_level: &[LevelLimit], quotas: &[policy::SharedQuota], plan: &Plan) -> Result<(), Reject> {
    if !by_level.iter().all(|limit| plan.find_level(&limit.level).is_some()) {
        return Err(Reject::invalid(Field::Setting("level_limits"), "must name price levels of the plan"));
    }
    let known = |quota: &policy::SharedQuota| {
        quota.levels.iter().all(|name| plan.find_level(name).is_some())
            && quota.areas.iter().all(|key| plan.find_area(key).is_some())
    };
    if !quotas.iter().all(known) {
        return Err(Reject::invalid(Field::Setting("quotas"), "must name price levels and areas of the plan"));
    }
    Ok(())
}

impl Event {
    /// Whether a customer may have `more` places when `less` of theirs go.
    pub(crate) fn judge_levels(&self, customer: CustomerKey, more: Bundle<'_>, less: Bundle<'_>) -> Result<(), Reject> {
        let Some(rules) = self.rules.as_ref().filter(|_| customer.is_some()) else { return Ok(()) };
        for &(level, places_max) in &rules.level_limits {
            let of_area = |area: u16| self.plan.areas()[usize::from(area)].level == level;
            let count = |places: Bundle<'_>| places.count(&self.plan, |of| of == level, of_area);
            let has = rules.by_customer.get(&(customer, level)).copied().unwrap_or(0);
            let more = count(more);
            if more > 0 && has + more - count(less) > places_max {
                let level = Some(self.plan.price_levels()[usize::from(level)].clone());
                return Err(Reject::CustomerLimit { places_max, level });
            }
        }
        Ok(())
    }

    /// Whether shared quotas cover `more` places when `less` go.
    pub(crate) fn judge_quotas(&self, more: Bundle<'_>, less: Bundle<'_>) -> Result<(), Reject> {
        let Some(rules) = &self.rules else { return Ok(()) };
        for (quota, set) in rules.quotas.iter().zip(&self.settings.limits.quotas) {
            let count = |places: Bundle<'_>| {
                places.count(&self.plan, |level| quota.has_level(level), |area| quota.has_area(&self.plan, area))
            };
            let more = count(more);
            if more > 0 && quota.held + quota.sold + more - count(less) > quota.places_max {
                let none = quota.held == 0 && quota.sold >= quota.places_max;
                return Err(Reject::nothing_fits(none, quota.held, Some(set.name.clone())));
            }
        }
        Ok(())
    }

    /// A customer has more places, or less, of the levels that are limited.
    pub(crate) fn count_levels(&mut self, customer: CustomerKey, places: Bundle<'_>, is_more: bool) {
        if let Some(rules) = self.rules.as_mut().filter(|_| customer.is_some()) {
            rules.count(&self.plan, customer, places, is_more);
        }
    }
}

impl Slot {
    /// The settings or the plan of an event changed: its rules count anew.
    pub(crate) fn set_rules(&mut self, number: EventNumber) {
        self.event_mut(number).rules = self.rules_anew(number);
    }

    /// The rules of an event with what they count, from scratch.
    pub(crate) fn rules_anew(&self, number: EventNumber) -> Option<Box<Rules>> {
        let event = self.event(number).expect("the event is there");
        let mut rules = Rules::new(&event.settings.limits, &event.plan)?;
        for seat in 0..event.plan.seat_count() {
            rules.move_seat(&event.plan, seat, PlaceState::Open, event.seat_state(seat));
        }
        for (area, counts) in (0..).zip(&event.areas) {
            rules.move_area(&event.plan, area, counts.held, PlaceState::Open, PlaceState::Held);
            rules.move_area(&event.plan, area, counts.sold, PlaceState::Open, PlaceState::Sold);
        }
        if !rules.level_limits.is_empty() {
            let of_event = self.holds.iter().map(|(_, entry)| entry).filter(|entry| entry.event == number);
            for entry in of_event.filter(|entry| entry.customer.is_some()) {
                let (seats, admissions) = counted(entry);
                rules.count(&event.plan, entry.customer, Bundle { seats: &seats, admissions: &admissions }, true);
            }
        }
        Some(rules)
    }
}

/// The places of a hold that count for its customer: held while it lives, and sold.
fn counted(entry: &Entry) -> (Vec<u32>, Vec<Admission>) {
    let counts = |word: &&u32| entry.is_live() || **word & SOLD != 0;
    let seats = entry.seat_words().iter().filter(counts).map(|&word| Seat::from_word(word).index);
    let admissions = entry.admission_words().iter().filter(counts).map(|&word| Admission::from_word(word));
    (seats.collect(), admissions.collect())
}
