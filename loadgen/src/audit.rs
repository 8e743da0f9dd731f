//! Judges a run: what was acknowledged against what the server says now. Pure, no network.

use std::collections::{BTreeMap, BTreeSet};

use client::HoldId;
use proto::inventory::v1::{GaItem, GetAvailabilityResponse, GetSeatMapResponse, Hold, HoldState, PlaceCounts};

use crate::board::{HELD, OPEN, SOLD, UNAVAILABLE};
use crate::house::unpack_states;
use crate::ledger::{ConfirmedFact, Entry, Ledger};

/// Problems told in words; the counters count all of them.
const PROBLEMS_TOLD_MAX: usize = 20;

/// The server's word on one hold of the ledger.
#[derive(Clone, Debug)]
pub(crate) enum HoldView {
    /// As it is, and the server's time then.
    Found(Box<Hold>),
    /// Never made, or forgotten.
    NotFound,
    /// No answer: nothing can be said.
    Unread(String),
}

/// The server's state after a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerView {
    pub(crate) seat_map: GetSeatMapResponse,
    pub(crate) availability: GetAvailabilityResponse,
    pub(crate) holds: BTreeMap<String, HoldView>,
}

/// What the audit found. The run is clean when every counter of a broken promise is zero and `sums` is too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Places acknowledged as sold to more than one order, or sold beyond capacity.
    pub(crate) oversold: u64,
    /// Places acknowledged to two live holds at once.
    pub(crate) double_held: u64,
    /// Acknowledged places that the server does not know as such.
    pub(crate) lost: u64,
    /// Holds that are alive though their end was acknowledged.
    pub(crate) undead: u64,
    /// Holds that ended before their deadline though nobody asked.
    pub(crate) early: u64,
    /// Places sold that nobody was told about: not in the ledger, not sold before the run.
    pub(crate) unexplained: u64,
    /// Sums that do not add up.
    pub(crate) sums: u64,
    /// Answers that were not what was asked for.
    pub(crate) wrong: u64,
    /// Grants told to two callers.
    pub(crate) granted_twice: u64,
    /// Single seats left alone by picks that should have been refused.
    pub(crate) stranded: u64,
    /// Picks refused for leaving somebody alone who would not have, or could not have sat elsewhere.
    pub(crate) strand_refusals_wrong: u64,
    /// Payments that are not settled as they must be: see `money`.
    pub(crate) money: u64,
    /// Carts that are sold in one of their events and not in another.
    pub(crate) half_carts: u64,
    /// Ledger entries the server gave no answer about.
    pub(crate) unread: u64,
    /// Holds compared.
    pub(crate) holds_checked: u64,
    /// Unknown outcomes that turned out to have been done, and not to have been.
    pub(crate) unknown_done: u64,
    pub(crate) unknown_not_done: u64,
    /// The first problems in words.
    pub(crate) problems: Vec<String>,
}

impl Findings {
    pub(crate) fn is_clean(&self) -> bool {
        let broken = [
            self.oversold,
            self.double_held,
            self.lost,
            self.undead,
            self.early,
            self.unexplained,
            self.sums,
            self.wrong,
            self.granted_twice,
            self.stranded,
            self.strand_refusals_wrong,
            self.money,
            self.half_carts,
            self.unread,
        ];
        broken.iter().all(|&count| count == 0)
    }

    pub(crate) fn problem(&mut self, text: impl FnOnce() -> String) {
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(text());
        }
    }

    fn sum(&mut self, text: impl FnOnce() -> String) {
        self.sums += 1;
        self.problem(text);
    }
}

/// Compares a ledger with the server. `others` says that somebody else sells the same event: then places the ledger
/// does not explain are theirs.
pub(crate) fn judge(ledger: &Ledger, view: &ServerView, others: bool) -> Findings {
    let mut findings = Findings::default();
    judge_sales(ledger, view, &mut findings);
    judge_overlaps(ledger, &mut findings);
    judge_repeats(ledger, &mut findings);
    let map = view.seat_map.seat_map.clone().unwrap_or_default();
    let codes = unpack_states(&map.states, map.seat_count);
    for (id, entry) in &ledger.entries {
        let name = &public_name(id);
        judge_end(name, entry, &mut findings);
        match view.holds.get(id) {
            Some(HoldView::Found(hold)) => judge_hold(name, entry, hold, &codes, view, &mut findings),
            Some(HoldView::NotFound) => judge_missing_hold(name, entry, &mut findings),
            Some(HoldView::Unread(problem)) => {
                findings.unread += 1;
                findings.problem(|| format!("hold {name}: no answer: {problem}"));
            }
            None => {
                findings.unread += 1;
                findings.problem(|| format!("hold {name}: not asked for"));
            }
        }
    }
    if !others {
        judge_unexplained(ledger, view, &codes, &mut findings);
        judge_unexplained_holds(ledger, view, &codes, &mut findings);
    }
    judge_sums(&view.seat_map, &view.availability, &mut findings);
    findings
}

/// Acknowledged sales: no seat twice, no area beyond its capacity.
fn judge_sales(ledger: &Ledger, view: &ServerView, findings: &mut Findings) {
    let mut seller: BTreeMap<u32, (&str, &str)> = BTreeMap::new();
    let before: BTreeSet<u32> = ledger.event.sold_seats.iter().copied().collect();
    let mut by_area: BTreeMap<u32, u64> = BTreeMap::new();
    for (area, &sold) in ledger.event.sold_ga.iter().enumerate() {
        by_area.insert(u32::try_from(area).unwrap_or(u32::MAX), u64::from(sold));
    }
    for (id, entry) in &ledger.entries {
        for sale in &entry.confirmed {
            for &seat in &sale.seats {
                if before.contains(&seat) {
                    findings.oversold += 1;
                    findings.problem(|| format!("seat {seat} was sold before the run and again to {}", sale.order));
                }
                if let Some((other, order)) = seller.insert(seat, (id, &sale.order))
                    && other != id
                {
                    findings.oversold += 1;
                    let told = sale.order.clone();
                    findings.problem(|| format!("seat {seat} was acknowledged as sold to {order} and to {told}"));
                }
            }
            for &(area, quantity) in &sale.ga {
                *by_area.entry(area).or_default() += u64::from(quantity);
            }
        }
    }
    for (area, sold) in by_area {
        let capacity = area_counts(&view.availability, area).map_or(0, |counts| u64::from(counts.capacity));
        if sold > capacity {
            findings.oversold += sold - capacity;
            findings.problem(|| format!("area {area}: {sold} acknowledged as sold, {capacity} exist"));
        }
    }
}

/// No hold is granted twice, and no change is told to two callers as theirs.
fn judge_repeats(ledger: &Ledger, findings: &mut Findings) {
    let mut by_position = BTreeMap::<u64, &str>::new();
    for (id, entry) in &ledger.entries {
        if entry.granted_again > 0 {
            findings.granted_twice += entry.granted_again;
            findings.problem(|| format!("hold {} was granted {} times", public_name(id), entry.granted_again + 1));
        }
        let Some(held) = entry.held.as_ref().filter(|held| held.exact) else { continue };
        if let Some(other) = by_position.insert(held.position, id) {
            findings.granted_twice += 1;
            findings.problem(|| {
                let (id, other) = (public_name(id), public_name(other));
                format!("holds {other} and {id} were granted by one change, at {}", held.position)
            });
        }
    }
}

/// Acknowledged holds of one seat, by position: each must have ended before the next began. A sale that took the places
/// of an expired hold again counts as a hold of its own.
fn judge_overlaps(ledger: &Ledger, findings: &mut Findings) {
    // Position, hold, time, and whether it was taken again.
    let mut by_seat: BTreeMap<u32, Vec<(u64, &str, u64, bool)>> = BTreeMap::new();
    for (id, entry) in &ledger.entries {
        // The position of a repeated answer may be later than the change: it orders nothing.
        if let Some(held) = entry.held.as_ref().filter(|held| held.exact) {
            for &seat in &held.seats {
                by_seat.entry(seat).or_default().push((held.position, id, held.server_time_ms, false));
            }
        }
        for sale in entry.confirmed.iter().filter(|sale| sale.exact && entry.is_reclaimed(sale)) {
            for &seat in &sale.seats {
                by_seat.entry(seat).or_default().push((sale.position, id, sale.server_time_ms, true));
            }
        }
    }
    for (seat, mut holds) in by_seat {
        holds.sort_unstable();
        for pair in holds.windows(2) {
            let ((_, first, _, again), (second_position, second, later_time_ms, _)) = (pair[0], pair[1]);
            if first == second {
                continue;
            }
            let earlier = &ledger.entries[first];
            let has_seat = |sale: &&ConfirmedFact| sale.seats.contains(&seat);
            let sold = again || earlier.confirmed.iter().filter(has_seat).any(|sale| !earlier.is_reclaimed(sale));
            let released = earlier.released.flatten().is_some_and(|position| position < second_position);
            // A release at an unknown position may have come in time, as may one nobody saw an answer of.
            let maybe_released = earlier.released == Some(None) || earlier.unknown_release;
            let expired = later_time_ms >= earlier.expires_at_ms;
            if sold || !(released || maybe_released || expired) {
                findings.double_held += 1;
                findings.problem(|| {
                    let (first, second) = (public_name(first), public_name(second));
                    let how = if sold { "after it was sold to" } else { "while it was held by" };
                    format!("seat {seat} was given to hold {second} at {second_position}, {how} hold {first}")
                });
            }
        }
    }
}

/// An acknowledged hold that a later answer called ended: was its time up?
fn judge_end(name: &str, entry: &Entry, findings: &mut Findings) {
    let (Some(held), Some((reason, at))) = (&entry.held, &entry.ended) else { return };
    // A release or a confirm of ours whose answer was lost ends a hold before its time.
    let asked = entry.unknown_release || !entry.unknown_orders.is_empty() || !entry.confirmed.is_empty();
    if *at > 0 && *at < entry.expires_at_ms && !asked && entry.released.is_none() {
        findings.lost += held.seats.len() as u64 + quantity(&held.ga);
        let left = entry.expires_at_ms - at;
        findings.problem(|| format!("hold {name} was answered {reason} {left} ms before its deadline"));
    }
}

/// A hold the server knows: does it say what was acknowledged?
fn judge_hold(name: &str, entry: &Entry, hold: &Hold, codes: &[u8], view: &ServerView, findings: &mut Findings) {
    findings.holds_checked += 1;
    let state = HoldState::try_from(hold.state).unwrap_or(HoldState::Unspecified);
    for sale in &entry.confirmed {
        let lost_seats = sale.seats.iter().filter(|&seat| {
            !hold.sold_seats.contains(seat) || codes.get(*seat as usize).is_some_and(|&code| code != SOLD)
        });
        let order_missing = !hold.order_refs.contains(&sale.order);
        let lost = if order_missing { sale.seats.len() as u64 } else { lost_seats.count() as u64 };
        let lost_ga = if order_missing { quantity(&sale.ga) } else { missing_ga(&sale.ga, &hold.sold_ga) };
        if lost + lost_ga > 0 {
            findings.lost += lost + lost_ga;
            findings.problem(|| {
                format!(
                    "hold {name}: {} places acknowledged as sold to {} are not; the hold is {state:?} with orders {:?}",
                    lost + lost_ga,
                    sale.order,
                    hold.order_refs
                )
            });
        }
    }
    if entry.unknown_hold || !entry.unknown_orders.is_empty() || entry.unknown_release {
        let done = entry.unknown_hold || state == HoldState::Confirmed || state == HoldState::Released;
        *(if done { &mut findings.unknown_done } else { &mut findings.unknown_not_done }) += 1;
    }
    let alive = matches!(state, HoldState::Active | HoldState::Paying);
    if entry.released.is_some() || entry.ended.is_some() || !entry.confirmed.is_empty() {
        if alive {
            findings.undead += 1;
            findings.problem(|| format!("hold {name} is {state:?}, and its end was acknowledged"));
        }
        return;
    }
    let Some(held) = &entry.held else { return };
    match state {
        HoldState::Active | HoldState::Paying => {
            let lost = held.seats.iter().filter(|seat| {
                // The map was read before the holds: a seat it shows as open was lost, or the hold is past its end.
                !hold.seats.contains(seat)
                    || (codes.get(**seat as usize) == Some(&OPEN)
                        && view.seat_map.server_time_ms < hold.expires_at_ms.max(entry.expires_at_ms))
            });
            let lost = lost.count() as u64 + missing_ga(&held.ga, &hold.ga);
            if lost > 0 {
                findings.lost += lost;
                findings.problem(|| format!("hold {name}: {lost} of its places are not held"));
            }
        }
        HoldState::Expired if hold.ended_at_ms > 0 && hold.ended_at_ms < entry.expires_at_ms => {
            findings.early += 1;
            let (ended, due) = (hold.ended_at_ms, entry.expires_at_ms);
            findings.problem(|| format!("hold {name} expired at {ended}, {} ms before its deadline", due - ended));
        }
        HoldState::Expired => {}
        HoldState::Released if entry.unknown_release => {}
        HoldState::Confirmed if !entry.unknown_orders.is_empty() => {}
        HoldState::Released | HoldState::Confirmed | HoldState::Unspecified => {
            findings.lost += held.seats.len() as u64 + quantity(&held.ga);
            findings.problem(|| format!("hold {name} is {state:?}, and nobody asked for that"));
        }
    }
}

/// A hold the server does not know: it may be forgotten once it has ended unsold, never before.
fn judge_missing_hold(name: &str, entry: &Entry, findings: &mut Findings) {
    findings.holds_checked += 1;
    let sold: u64 = entry.confirmed.iter().map(|sale| sale.seats.len() as u64 + quantity(&sale.ga)).sum();
    if sold > 0 {
        findings.lost += sold;
        findings
            .problem(|| format!("hold {name}: {sold} places acknowledged as sold, and the server does not know it"));
    } else if entry.held.is_none() {
        findings.unknown_not_done += 1;
    }
}

/// Sold places nobody was told about: a sale that was done twice, or under a wrong name.
fn judge_unexplained(ledger: &Ledger, view: &ServerView, codes: &[u8], findings: &mut Findings) {
    let mut explained: BTreeSet<u32> = ledger.event.sold_seats.iter().copied().collect();
    let mut ga_explained = BTreeMap::<u32, u64>::new();
    for (area, &sold) in ledger.event.sold_ga.iter().enumerate() {
        ga_explained.insert(u32::try_from(area).unwrap_or(u32::MAX), u64::from(sold));
    }
    for (id, entry) in &ledger.entries {
        let mut seats: Vec<u32> = entry.confirmed.iter().flat_map(|sale| &sale.seats).copied().collect();
        let mut ga: Vec<(u32, u32)> = entry.confirmed.iter().flat_map(|sale| &sale.ga).copied().collect();
        // A confirm without an answer may have sold; the hold says what.
        if let Some(HoldView::Found(hold)) = view.holds.get(id)
            && entry.confirmed.is_empty()
            && hold.order_refs.iter().any(|order| entry.unknown_orders.contains(order))
        {
            seats.extend(&hold.sold_seats);
            ga.extend(hold.sold_ga.iter().map(|item| (item.area, item.quantity)));
        }
        explained.extend(seats);
        for (area, quantity) in ga {
            *ga_explained.entry(area).or_default() += u64::from(quantity);
        }
    }
    for (seat, _) in codes.iter().enumerate().filter(|(_, code)| **code == SOLD) {
        if !explained.contains(&u32::try_from(seat).unwrap_or(u32::MAX)) {
            findings.unexplained += 1;
            findings.problem(|| format!("seat {seat} is sold, and no order was acknowledged"));
        }
    }
    for area in &view.availability.ga_areas {
        let sold = area.counts.map_or(0, |counts| u64::from(counts.sold));
        let told = ga_explained.get(&area.area).copied().unwrap_or(0);
        if sold > told {
            findings.unexplained += sold - told;
            findings.problem(|| format!("area {}: {sold} are sold, {told} were acknowledged", area.area));
        }
        if sold < told {
            findings.lost += told - sold;
            findings.problem(|| format!("area {}: {told} were acknowledged as sold, {sold} are", area.area));
        }
    }
}

/// Held places that no hold of the ledger can have.
fn judge_unexplained_holds(ledger: &Ledger, view: &ServerView, codes: &[u8], findings: &mut Findings) {
    // What a hold without an answer took is known from the hold alone, and no more when it has ended since.
    if ledger.entries.values().any(|entry| entry.unknown_hold && entry.held.is_none()) {
        return;
    }
    let may_hold = |entry: &&Entry| entry.released.is_none() && entry.confirmed.is_empty();
    let mut explained: BTreeSet<u32> = ledger.event.held_seats.iter().copied().collect();
    let mut ga_explained = BTreeMap::<u32, u64>::new();
    for (area, &held) in ledger.event.held_ga.iter().enumerate() {
        ga_explained.insert(u32::try_from(area).unwrap_or(u32::MAX), u64::from(held));
    }
    for held in ledger.entries.values().filter(may_hold).filter_map(|entry| entry.held.as_ref()) {
        explained.extend(&held.seats);
        for &(area, quantity) in &held.ga {
            *ga_explained.entry(area).or_default() += u64::from(quantity);
        }
    }
    for (seat, _) in codes.iter().enumerate().filter(|(_, code)| **code == HELD) {
        if !explained.contains(&u32::try_from(seat).unwrap_or(u32::MAX)) {
            findings.unexplained += 1;
            findings.problem(|| format!("seat {seat} is held, and by no hold that was acknowledged and lives"));
        }
    }
    for area in &view.availability.ga_areas {
        let held = area.counts.map_or(0, |counts| u64::from(counts.held));
        let told = ga_explained.get(&area.area).copied().unwrap_or(0);
        if held > told {
            findings.unexplained += held - told;
            findings.problem(|| format!("area {}: {held} are held, {told} were acknowledged", area.area));
        }
    }
}

/// Everything that must add up, in the counts and between the counts and the map.
pub(crate) fn judge_sums(map: &GetSeatMapResponse, availability: &GetAvailabilityResponse, findings: &mut Findings) {
    let totals = availability.totals.unwrap_or_default();
    let named = std::iter::once(("all places".to_owned(), Some(totals)))
        .chain(availability.sections.iter().map(|one| (format!("section {}", one.key), one.counts)))
        .chain(availability.price_levels.iter().map(|one| (format!("price level {}", one.key), one.counts)))
        .chain(availability.ga_areas.iter().map(|one| (format!("area {}", one.key), one.counts)));
    for (name, counts) in named {
        let Some(counts) = counts else {
            findings.sum(|| format!("{name}: no counts"));
            continue;
        };
        let states = columns(&counts);
        if states[..4].iter().sum::<u64>() != states[4] {
            findings.sum(|| format!("{name}: open + held + sold + killed is not the capacity: {counts:?}"));
        }
    }
    let add = |sum: [u64; 5], counts: Option<PlaceCounts>| -> [u64; 5] {
        let one = columns(&counts.unwrap_or_default());
        std::array::from_fn(|nth| sum[nth] + one[nth])
    };
    let areas = availability.ga_areas.iter().fold([0; 5], |sum, one| add(sum, one.counts));
    let places = availability.sections.iter().fold(areas, |sum, one| add(sum, one.counts));
    let levels = availability.price_levels.iter().fold([0; 5], |sum, one| add(sum, one.counts));
    let all = columns(&totals);
    if places != all {
        findings.sum(|| format!("sections and areas add up to {places:?}, the event says {all:?}"));
    }
    if levels != all {
        findings.sum(|| format!("price levels add up to {levels:?}, the event says {all:?}"));
    }
    let Some(map) = &map.seat_map else {
        findings.sum(|| "no seat map".to_owned());
        return;
    };
    // Two readings at different positions may differ by what happened between them.
    if map.position != availability.position {
        return;
    }
    let codes = unpack_states(&map.states, map.seat_count);
    let count = |code: u8| codes.iter().filter(|&&one| one == code).count() as u64;
    let seats: [u64; 5] = std::array::from_fn(|nth| all[nth] - areas[nth].min(all[nth]));
    // Killed seats and open ones of an allocation are the same to the public, in both.
    let mapped = [count(OPEN), count(HELD), count(SOLD), count(UNAVAILABLE), codes.len() as u64];
    if mapped != seats {
        findings.sum(|| format!("the seat map has {mapped:?}, the counts {seats:?}"));
    }
    for (of_map, counted) in map.ga.iter().zip(&availability.ga_areas) {
        if of_map.counts != counted.counts {
            findings.sum(|| format!("area {}: the map has {of_map:?}, the counts {counted:?}", counted.key));
        }
    }
}

fn columns(counts: &PlaceCounts) -> [u64; 5] {
    [counts.open, counts.held, counts.sold, counts.killed, counts.capacity].map(u64::from)
}

fn area_counts(availability: &GetAvailabilityResponse, area: u32) -> Option<PlaceCounts> {
    availability.ga_areas.iter().find(|one| one.area == area).and_then(|one| one.counts)
}

fn quantity(items: &[(u32, u32)]) -> u64 {
    items.iter().map(|&(_, quantity)| u64::from(quantity)).sum()
}

/// Admissions of `told` that `known` does not have.
fn missing_ga(told: &[(u32, u32)], known: &[GaItem]) -> u64 {
    let of_area = |area: u32| known.iter().filter(|item| item.area == area).map(|item| u64::from(item.quantity)).sum();
    let mut by_area = BTreeMap::<u32, u64>::new();
    told.iter().for_each(|&(area, quantity)| *by_area.entry(area).or_default() += u64::from(quantity));
    by_area.iter().map(|(&area, &quantity)| quantity.saturating_sub(of_area(area))).sum()
}

/// How a problem names a hold: a report may be read by those who must not confirm it.
pub(crate) fn public_name(id: &str) -> String {
    id.parse::<HoldId>().map_or_else(|_| id.to_owned(), |id| id.hold_ref().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{ConfirmedFact, EventFact, Fact, HeldFact};
    use proto::inventory::v1::{GaAreaAvailability, PriceLevelAvailability, SeatMap, SectionAvailability};

    /// A house of eight seats and an area of ten, as a run left it.
    struct Story {
        ledger: Ledger,
        view: ServerView,
    }

    fn counts(open: u32, held: u32, sold: u32) -> Option<PlaceCounts> {
        Some(PlaceCounts { open, held, sold, killed: 0, capacity: open + held + sold })
    }

    /// Seats by letter: `.` open, `h` held, `S` sold.
    fn story(seats: &str, ga_sold: u32) -> Story {
        let codes: Vec<u8> = seats.chars().map(|c| ".hSx".find(c).expect("a state") as u8).collect();
        let mut states = vec![0u8; codes.len().div_ceil(4)];
        codes.iter().enumerate().for_each(|(seat, code)| states[seat / 4] |= code << (2 * (seat % 4)));
        let of = |code: u8| codes.iter().filter(|&&one| one == code).count() as u32;
        let area = GaAreaAvailability { area: 0, key: "G".to_owned(), counts: counts(10 - ga_sold, 0, ga_sold) };
        let totals = counts(of(0) + 10 - ga_sold, of(1), of(2) + ga_sold);
        let availability = GetAvailabilityResponse {
            totals,
            sections: vec![SectionAvailability {
                section: 0,
                key: "S".to_owned(),
                counts: counts(of(0), of(1), of(2)),
            }],
            price_levels: vec![PriceLevelAvailability { price_level: 0, key: "P".to_owned(), counts: totals }],
            ga_areas: vec![area.clone()],
            position: 100,
            ..GetAvailabilityResponse::default()
        };
        let seat_map = SeatMap {
            position: 100,
            states: states.into(),
            ga: vec![area],
            seat_count: codes.len() as u32,
            ..SeatMap::default()
        };
        let seat_map =
            GetSeatMapResponse { seat_map: Some(seat_map), server_time_ms: 1_000, ..GetSeatMapResponse::default() };
        let event = EventFact { event_id: "e".to_owned(), ..EventFact::default() };
        Story { ledger: Ledger::new(event), view: ServerView { seat_map, availability, holds: BTreeMap::new() } }
    }

    impl Story {
        fn held(mut self, hold: &str, seats: &[u32], position: u64, time: u64, expires: u64) -> Self {
            self.ledger.note(Fact::Held(HeldFact {
                hold: hold.to_owned(),
                seats: seats.to_vec(),
                ga: vec![],
                position,
                exact: true,
                server_time_ms: time,
                expires_at_ms: expires,
                best: None,
                presale: false,
            }));
            self
        }

        fn sold(mut self, hold: &str, order: &str, seats: &[u32], ga: u32, position: u64) -> Self {
            self.ledger.note(Fact::Confirmed(ConfirmedFact {
                hold: hold.to_owned(),
                order: order.to_owned(),
                seats: seats.to_vec(),
                ga: if ga > 0 { vec![(0, ga)] } else { vec![] },
                position,
                exact: true,
                ..ConfirmedFact::default()
            }));
            self
        }

        fn fact(mut self, fact: Fact) -> Self {
            self.ledger.note(fact);
            self
        }

        fn server(mut self, hold: &str, state: HoldState, seats: &[u32], sold: &[u32], order: &str) -> Self {
            let sold_ga = if order.is_empty() {
                vec![]
            } else {
                let told = self
                    .ledger
                    .entries
                    .get(hold)
                    .map_or(0, |entry| entry.confirmed.iter().map(|sale| quantity(&sale.ga)).sum());
                vec![GaItem { area: 0, quantity: told as u32, ..GaItem::default() }]
            };
            let hold_view = Hold {
                state: state as i32,
                seats: seats.to_vec(),
                sold_seats: sold.to_vec(),
                sold_ga,
                order_refs: if order.is_empty() { vec![] } else { vec![order.to_owned()] },
                expires_at_ms: 5_000,
                ..Hold::default()
            };
            self.view.holds.insert(hold.to_owned(), HoldView::Found(Box::new(hold_view)));
            self
        }

        fn unknown_to_server(mut self, hold: &str) -> Self {
            self.view.holds.insert(hold.to_owned(), HoldView::NotFound);
            self
        }

        fn judge(&self) -> Findings {
            judge(&self.ledger, &self.view, false)
        }
    }

    #[test]
    fn a_run_that_kept_its_word_is_clean() {
        let findings = story("SS.hh...", 3)
            .held("a", &[0, 1], 1, 10, 5_000)
            .sold("a", "o1", &[0, 1], 0, 2)
            .server("a", HoldState::Confirmed, &[], &[0, 1], "o1")
            .held("b", &[3, 4], 3, 20, 5_000)
            .server("b", HoldState::Active, &[3, 4], &[], "")
            .held("c", &[5], 4, 30, 900)
            .unknown_to_server("c")
            .sold("d", "o2", &[], 3, 6)
            .server("d", HoldState::Confirmed, &[], &[], "o2")
            .judge();
        assert!(findings.is_clean(), "{:?}", findings.problems);
        assert_eq!(findings.holds_checked, 4);
    }

    #[test]
    fn a_seat_sold_to_two_orders_is_oversold() {
        let findings = story("S.......", 0)
            .sold("a", "o1", &[0], 0, 2)
            .server("a", HoldState::Confirmed, &[], &[0], "o1")
            .sold("b", "o2", &[0], 0, 4)
            .server("b", HoldState::Confirmed, &[], &[0], "o2")
            .judge();
        assert_eq!((findings.oversold, findings.lost, findings.is_clean()), (1, 0, false));
    }

    #[test]
    fn admissions_beyond_capacity_are_oversold() {
        let findings = story("........", 10)
            .sold("a", "o1", &[], 8, 2)
            .server("a", HoldState::Confirmed, &[], &[], "o1")
            .sold("b", "o2", &[], 5, 3)
            .server("b", HoldState::Confirmed, &[], &[], "o2")
            .judge();
        assert_eq!(findings.oversold, 3);
    }

    #[test]
    fn an_acknowledged_sale_the_server_forgot_is_lost() {
        let forgotten = story("........", 0).sold("a", "o1", &[0, 1], 0, 2).unknown_to_server("a").judge();
        assert_eq!(forgotten.lost, 2);
        let expired = story("........", 0)
            .held("a", &[0, 1], 1, 10, 5_000)
            .sold("a", "o1", &[0, 1], 0, 2)
            .server("a", HoldState::Expired, &[], &[], "")
            .judge();
        assert_eq!(expired.lost, 2);
        let open_on_map = story(".S......", 0)
            .sold("a", "o1", &[0, 1], 0, 2)
            .server("a", HoldState::Confirmed, &[], &[0, 1], "o1")
            .judge();
        assert_eq!(open_on_map.lost, 1, "the hold says sold and the map says open");
    }

    #[test]
    fn an_acknowledged_hold_that_vanished_before_its_time_is_lost_or_early() {
        let vanished = story("........", 0)
            .held("a", &[0, 1], 1, 10, 5_000)
            .server("a", HoldState::Released, &[], &[], "")
            .judge();
        assert_eq!(vanished.lost, 2);
        let open_on_map = story("h.......", 0)
            .held("a", &[0, 1], 1, 10, 5_000)
            .server("a", HoldState::Active, &[0, 1], &[], "")
            .judge();
        assert_eq!(open_on_map.lost, 1);
        let mut early =
            story("........", 0).held("a", &[0], 1, 10, 5_000).server("a", HoldState::Expired, &[], &[], "");
        let Some(HoldView::Found(hold)) = early.view.holds.get_mut("a") else { panic!("found") };
        hold.ended_at_ms = 4_000;
        assert_eq!(early.judge().early, 1);
    }

    #[test]
    fn two_holds_of_a_seat_at_once_are_told_apart_from_one_after_the_other() {
        let two = |released_at: Option<u64>, second_time: u64| {
            let mut story = story("........", 0)
                .held("a", &[0], 1, 10, 500)
                .held("b", &[0], 5, second_time, 900)
                .unknown_to_server("a")
                .unknown_to_server("b");
            if let Some(position) = released_at {
                story = story.fact(Fact::Released { hold: "a".to_owned(), position, exact: true });
            }
            story.judge().double_held
        };
        assert_eq!(two(None, 400), 1, "the first still lived");
        assert_eq!(two(None, 500), 0, "at its deadline it had expired");
        assert_eq!(two(Some(4), 400), 0, "released before");
        assert_eq!(two(Some(6), 400), 1, "released after");
        let sold_first = story("S.......", 0)
            .held("a", &[0], 1, 10, 500)
            .sold("a", "o1", &[0], 0, 2)
            .server("a", HoldState::Confirmed, &[], &[0], "o1")
            .held("b", &[0], 5, 700, 900)
            .unknown_to_server("b")
            .judge();
        assert_eq!(sold_first.double_held, 1, "sold seats are not held again");
    }

    #[test]
    fn a_hold_called_ended_before_its_deadline_is_lost() {
        let ended = |server_time_ms| {
            let fact = Fact::Ended { hold: "a".to_owned(), reason: "HOLD_NOT_FOUND".to_owned(), server_time_ms };
            story("........", 0).held("a", &[0, 1], 1, 10, 500).fact(fact).unknown_to_server("a").judge().lost
        };
        assert_eq!((ended(499), ended(500), ended(0)), (2, 0, 0));
    }

    #[test]
    fn a_released_hold_that_lives_is_undead() {
        let findings = story("h.......", 0)
            .held("a", &[0], 1, 10, 5_000)
            .fact(Fact::Released { hold: "a".to_owned(), position: 2, exact: true })
            .server("a", HoldState::Active, &[0], &[], "")
            .judge();
        assert_eq!(findings.undead, 1);
    }

    #[test]
    fn unknown_outcomes_are_whatever_the_server_says() {
        let asked = |hold: &str, command: &str, order: Option<&str>| Fact::Unknown {
            hold: hold.to_owned(),
            command: command.to_owned(),
            order: order.map(ToOwned::to_owned),
            attempt: None,
        };
        let findings = story("S.h.....", 0)
            .held("a", &[0], 1, 10, 5_000)
            .fact(asked("a", "confirm", Some("o1")))
            .server("a", HoldState::Confirmed, &[], &[0], "o1")
            .fact(asked("b", "hold", None))
            .unknown_to_server("b")
            .fact(asked("c", "hold", None))
            .server("c", HoldState::Active, &[2], &[], "")
            .judge();
        assert!(findings.is_clean(), "{:?}", findings.problems);
        assert_eq!((findings.unknown_done, findings.unknown_not_done), (2, 1));
    }

    #[test]
    fn a_sale_nobody_was_told_of_is_unexplained_unless_others_sell_too() {
        let story = story("S.......", 2);
        assert_eq!(story.judge().unexplained, 3);
        assert!(judge(&story.ledger, &story.view, true).is_clean());
    }

    #[test]
    fn a_seat_held_by_nobody_is_unexplained() {
        let mut story = story("h.......", 0);
        assert_eq!(story.judge().unexplained, 1);
        story = story.held("a", &[0], 1, 10, 5_000).server("a", HoldState::Active, &[0], &[], "");
        assert!(story.judge().is_clean());
        let released = Fact::Released { hold: "a".to_owned(), position: 2, exact: true };
        assert_eq!(story.fact(released).unknown_to_server("a").judge().unexplained, 1);
    }

    #[test]
    fn a_grant_told_twice_is_found() {
        let told = |second: &str, position: u64, seat: u32| {
            let story = story("........", 0).held("a", &[0], 1, 10, 500).held(second, &[seat], position, 20, 500);
            story.unknown_to_server("a").unknown_to_server(second).judge().granted_twice
        };
        assert_eq!(told("b", 2, 1), 0);
        assert_eq!(told("b", 1, 1), 1, "one change for two holds");
        assert_eq!(told("a", 2, 1), 1, "one hold by two changes");
    }

    #[test]
    fn a_sale_of_an_expired_hold_must_find_its_seats_open() {
        // Hold a expires at 500, b has the seat until it is released at position 6, and a is paid late.
        let late = |position: u64, released: bool| {
            let mut story = story("S.......", 0)
                .held("a", &[0], 1, 10, 500)
                .held("b", &[0], 5, 600, 5_000)
                .fact(Fact::Confirmed(ConfirmedFact {
                    hold: "a".to_owned(),
                    order: "o".to_owned(),
                    seats: vec![0],
                    position,
                    exact: true,
                    reclaim: true,
                    server_time_ms: 900,
                    ..ConfirmedFact::default()
                }))
                .server("a", HoldState::Confirmed, &[], &[0], "o")
                .unknown_to_server("b");
            if released {
                story = story.fact(Fact::Released { hold: "b".to_owned(), position: 6, exact: true });
            }
            story.judge().double_held
        };
        assert_eq!(late(7, true), 0);
        assert_eq!(late(7, false), 1, "b had it still");
        assert_eq!(late(4, true), 1, "b came when it was sold");
    }

    #[test]
    fn sums_that_do_not_add_up_are_told() {
        let mut story = story("S.......", 0).sold("a", "o", &[0], 0, 1);
        story = story.server("a", HoldState::Confirmed, &[], &[0], "o");
        assert!(story.judge().is_clean());
        let mut broken = story.view.availability.clone();
        broken.sections[0].counts = counts(8, 0, 0);
        let mut findings = Findings::default();
        judge_sums(&story.view.seat_map, &broken, &mut findings);
        assert_eq!(findings.sums, 1, "{:?}", findings.problems);
        let mut findings = Findings::default();
        broken.totals = Some(PlaceCounts { open: 1, capacity: 18, ..PlaceCounts::default() });
        judge_sums(&story.view.seat_map, &broken, &mut findings);
        assert!(findings.sums >= 3);
    }

    #[test]
    fn a_hold_without_an_answer_leaves_the_audit_open() {
        let mut story = story("........", 0).held("a", &[0], 1, 10, 500);
        story.view.holds.insert("a".to_owned(), HoldView::Unread("away".to_owned()));
        let findings = story.judge();
        assert_eq!((findings.unread, findings.is_clean()), (1, false));
    }
}
