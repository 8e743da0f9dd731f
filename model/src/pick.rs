//! Choosing seats by trying every window of every row.

use std::collections::BTreeSet;

use inventory_core::{
    best_available::Arrangement,
    plan::{ACCESSIBLE, Area, COMPANION, Plan, Point, RowKind},
    policy::OrphanRule,
};

/// What is asked, with names resolved to numbers.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How many seats.
    pub quantity: usize,
    /// Only these price levels; empty: any.
    pub levels: Vec<u8>,
    /// Only these sections; empty: any.
    pub sections: Vec<u16>,
    /// Only this zone, measured from its focal point.
    pub zone: Option<u8>,
    /// Exactly so many accessible seats.
    pub accessible_count: usize,
}

impl Wanted {
    /// Whether the filters let this seat be picked, whatever its attributes.
    #[must_use]
    pub fn admits(&self, plan: &Plan, seat: u32) -> bool {
        let section = plan.rows()[plan.row_of(seat) as usize].section;
        (self.levels.is_empty() || self.levels.contains(&plan.seat_level(seat)))
            && (self.sections.is_empty() || self.sections.contains(&section))
            && (self.zone.is_none() || self.zone == plan.sections()[usize::from(section)].zone)
    }

    /// Whether the filters let this area serve instead of seats.
    #[must_use]
    pub fn admits_area(&self, area: &Area) -> bool {
        (self.levels.is_empty() || self.levels.contains(&area.level)) && (self.zone.is_none() || self.zone == area.zone)
    }
}

/// Rungs 1 and 2: adjacent seats of one row with the smallest sum of distances; the first such in
/// plan order. `open[seat]`: this command could hold the seat.
#[must_use]
pub fn pick(plan: &Plan, open: &[bool], wanted: &Wanted, rule: OrphanRule) -> Option<(Vec<u32>, Arrangement)> {
    let best = |may_strand: bool| {
        let mut best: Option<(u128, Vec<u32>)> = None;
        for window in windows(plan, open, wanted) {
            if !may_strand && strands(plan, open, &window) {
                continue;
            }
            let sum = window.iter().map(|&seat| u128::from(distance(plan, seat, wanted.zone))).sum();
            if best.as_ref().is_none_or(|(least, _)| sum < *least) {
                best = Some((sum, window));
            }
        }
        best.map(|(_, window)| window)
    };
    let first = best(rule == OrphanRule::Off).map(|window| (window, Arrangement::Contiguous));
    first.or_else(|| best(true).map(|window| (window, Arrangement::Stranding)))
}

/// Every run of `quantity` neighbours that may be picked, in plan order.
fn windows(plan: &Plan, open: &[bool], wanted: &Wanted) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    for row in plan.rows().iter().filter(|row| row.kind == RowKind::Row) {
        let seats: Vec<u32> = row.seats().collect();
        for window in seats.windows(wanted.quantity) {
            let adjacent = window.windows(2).all(|pair| !plan.aisle_after(pair[0]));
            let free = window.iter().all(|&seat| open[seat as usize] && wanted.admits(plan, seat));
            if adjacent && free && attributes_fit(plan, window, wanted) {
                found.push(window.to_vec());
            }
        }
    }
    found
}

/// Exactly so many accessible seats, and no companion seat but beside one of them.
fn attributes_fit(plan: &Plan, window: &[u32], wanted: &Wanted) -> bool {
    let has = |at: usize, attribute: u8| plan.seat_attributes(window[at]) & attribute != 0;
    let accessible = (0..window.len()).filter(|&at| has(at, ACCESSIBLE)).count();
    let companions_fit = (0..window.len()).filter(|&at| has(at, COMPANION) && !has(at, ACCESSIBLE)).all(|at| {
        let before = at > 0 && has(at - 1, ACCESSIBLE);
        let after = at + 1 < window.len() && has(at + 1, ACCESSIBLE);
        before || after
    });
    accessible == wanted.accessible_count && companions_fit
}

/// Whether taking `window` leaves a single open seat that was not single before.
fn strands(plan: &Plan, open: &[bool], window: &[u32]) -> bool {
    let row = plan.row_of(window[0]);
    let mut after = open.to_vec();
    window.iter().for_each(|&seat| after[seat as usize] = false);
    !singles(plan, row, &after).is_subset(&singles(plan, row, open))
}

/// Open seats of the row with no open neighbour.
fn singles(plan: &Plan, row: u32, open: &[bool]) -> BTreeSet<u32> {
    let seats = plan.rows()[row as usize].seats();
    let is_single = |seat: u32| {
        let open_before = seat > seats.start && !plan.aisle_after(seat - 1) && open[seat as usize - 1];
        let open_after = seat + 1 < seats.end && !plan.aisle_after(seat) && open[seat as usize + 1];
        open[seat as usize] && !open_before && !open_after
    };
    seats.clone().filter(|&seat| is_single(seat)).collect()
}

/// How far a seat is from where "best" is measured: the focal point of the zone asked for; else the
/// plan's; else that of the seat's own zone; else the middle of the top edge of the plan.
fn distance(plan: &Plan, seat: u32, zone_asked: Option<u8>) -> u64 {
    let zone_focal = |zone: Option<u8>| zone.and_then(|zone| plan.zones()[usize::from(zone)].focal_point);
    let section = usize::from(plan.rows()[plan.row_of(seat) as usize].section);
    let focal = zone_focal(zone_asked)
        .or(plan.focal_point())
        .or(zone_focal(plan.sections()[section].zone))
        .unwrap_or_else(|| middle_of_top_edge(plan));
    let at = plan.seat_at(seat);
    let dx = u128::from(at.x.abs_diff(focal.x));
    let dy = u128::from(at.y.abs_diff(focal.y));
    let root = ((dx * dx + dy * dy) << 20).isqrt();
    u64::try_from(root).expect("a root of less than 2^86 is less than 2^43")
}

fn middle_of_top_edge(plan: &Plan) -> Point {
    let mut points: Vec<Point> = (0..plan.seat_count()).map(|seat| plan.seat_at(seat)).collect();
    points.extend(plan.areas().iter().map(|area| area.centre));
    let left = points.iter().map(|point| i64::from(point.x)).min().expect("a plan has a place");
    let right = points.iter().map(|point| i64::from(point.x)).max().expect("a plan has a place");
    let top = points.iter().map(|point| point.y).min().expect("a plan has a place");
    Point { x: i32::try_from(i64::midpoint(left, right)).expect("between two i32"), y: top }
}
