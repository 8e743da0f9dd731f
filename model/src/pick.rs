//! Best available by trying everything: every window of every row, every piece at every place, every area.
//!
//! Not here: when a rung is tried (`judging.rs`), the orphan rule for explicit seats (`orphans.rs`).

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
    /// None of these seats, though they are as open as they are.
    pub avoid: BTreeSet<u32>,
    /// None of these areas.
    pub avoid_areas: BTreeSet<u16>,
}

impl Wanted {
    /// Whether the filters let this seat be picked, whatever its attributes.
    #[must_use]
    pub fn admits(&self, plan: &Plan, seat: u32) -> bool {
        let section = plan.rows()[plan.row_of(seat) as usize].section;
        !self.avoid.contains(&seat)
            && (self.levels.is_empty() || self.levels.contains(&plan.seat_level(seat)))
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

/// Rung 3: the seats of several pieces, in plan order. Each piece is the largest that leaves nobody
/// alone, and the nearest of its size; what it takes, the next ones do not find. `open[seat]`: this
/// command could hold the seat.
#[must_use]
pub fn split(plan: &Plan, open: &[bool], wanted: &Wanted) -> Option<Vec<u32>> {
    let mut still_open = open.to_vec();
    let mut only_section = None;
    let mut chosen: Vec<u32> = Vec::new();
    while chosen.len() < wanted.quantity {
        let need = Need {
            persons: wanted.quantity - chosen.len(),
            accessible: wanted.accessible_count - count_of(plan, &chosen, ACCESSIBLE),
            section: only_section,
        };
        let mut sizes = need.sizes().into_iter();
        let piece = sizes.find_map(|size| nearest_piece(plan, &still_open, wanted, &need, size))?;
        if chosen.is_empty() {
            // The best first piece decides the section, if that has room for all.
            let section = section_of(plan, piece[0]);
            if room(plan, open, wanted, section) >= wanted.quantity {
                only_section = Some(section);
            }
        }
        piece.iter().for_each(|&seat| still_open[seat as usize] = false);
        chosen.extend(piece);
    }
    chosen.sort_unstable();
    Some(chosen)
}

/// What the pieces so far have not found.
struct Need {
    /// Persons without a seat, at least one.
    persons: usize,
    /// Accessible seats that are missing among theirs.
    accessible: usize,
    /// Only here, once that is decided.
    section: Option<u16>,
}

impl Need {
    /// Sizes of a piece in the order in which they are tried: the one that leaves one person over last.
    fn sizes(&self) -> Vec<usize> {
        let leaves_one = self.persons - 1;
        let mut sizes: Vec<usize> = (1..=self.persons).rev().filter(|&size| size != leaves_one).collect();
        if leaves_one > 0 {
            sizes.push(leaves_one);
        }
        sizes
    }
}

/// Of all pieces of `size` the one with the smallest sum of distances; the first such by first seat.
fn nearest_piece(plan: &Plan, open: &[bool], wanted: &Wanted, need: &Need, size: usize) -> Option<Vec<u32>> {
    let mut best: Option<(u128, Vec<u32>)> = None;
    for first in 0..plan.seat_count() {
        let Some(piece) = piece_from(plan, first, size) else {
            continue;
        };
        let here = need.section.is_none_or(|section| section == section_of(plan, first));
        let free = piece.iter().all(|&seat| open[seat as usize] && wanted.admits(plan, seat));
        if !(here && free && piece_fits(plan, &piece, need)) {
            continue;
        }
        let sum = piece.iter().map(|&seat| u128::from(distance(plan, seat, wanted.zone))).sum();
        if best.as_ref().is_none_or(|(least, _)| sum < *least) {
            best = Some((sum, piece));
        }
    }
    best.map(|(_, piece)| piece)
}

/// `size` seats, each the neighbour of the next; none twice, also around a table.
fn piece_from(plan: &Plan, first: u32, size: usize) -> Option<Vec<u32>> {
    let mut piece = vec![first];
    while piece.len() < size {
        let next = next_neighbour(plan, piece[piece.len() - 1])?;
        if next == first {
            return None;
        }
        piece.push(next);
    }
    Some(piece)
}

/// The neighbour that follows a seat: none over an aisle nor at the end of a row. At a table the first
/// seat follows the last one.
fn next_neighbour(plan: &Plan, seat: u32) -> Option<u32> {
    let row = &plan.rows()[plan.row_of(seat) as usize];
    if plan.aisle_after(seat) {
        None
    } else if seat + 1 < row.seats().end {
        Some(seat + 1)
    } else {
        (row.kind == RowKind::Table).then_some(row.first)
    }
}

/// Some of the missing accessible seats, not more, and not so few that the persons left could not have
/// the rest; none when none is missing. No companion seat but beside an accessible one of the piece.
fn piece_fits(plan: &Plan, piece: &[u32], need: &Need) -> bool {
    let accessible = count_of(plan, piece, ACCESSIBLE);
    let persons_after = need.persons - piece.len();
    let accessible_fit = if need.accessible == 0 {
        accessible == 0
    } else {
        accessible >= 1 && accessible <= need.accessible && need.accessible - accessible <= persons_after
    };
    let is = |seat: u32, attribute: u8| plan.seat_attributes(seat) & attribute != 0;
    let beside =
        |one: u32, other: u32| next_neighbour(plan, one) == Some(other) || next_neighbour(plan, other) == Some(one);
    let companions_fit = piece
        .iter()
        .filter(|&&seat| is(seat, COMPANION) && !is(seat, ACCESSIBLE))
        .all(|&companion| piece.iter().any(|&other| is(other, ACCESSIBLE) && beside(companion, other)));
    accessible_fit && companions_fit
}

/// Open seats of the section that the filters let through.
fn room(plan: &Plan, open: &[bool], wanted: &Wanted, section: u16) -> usize {
    let attribute_passes =
        |seat: u32| wanted.accessible_count > 0 || plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) == 0;
    (0..plan.seat_count())
        .filter(|&seat| section_of(plan, seat) == section && open[seat as usize])
        .filter(|&seat| wanted.admits(plan, seat) && attribute_passes(seat))
        .count()
}

/// How many of the seats have the attribute.
fn count_of(plan: &Plan, seats: &[u32], attribute: u8) -> usize {
    seats.iter().filter(|&&seat| plan.seat_attributes(seat) & attribute != 0).count()
}

fn section_of(plan: &Plan, seat: u32) -> u16 {
    plan.rows()[plan.row_of(seat) as usize].section
}

/// Rung 4: of the areas that the filters let through and that the party `fits`, the one with the nearest
/// centre; of equally near ones the first.
#[must_use]
pub fn nearest_area(plan: &Plan, wanted: &Wanted, fits: impl Fn(u16) -> bool) -> Option<u16> {
    let mut best: Option<(u64, u16)> = None;
    for (number, area) in (0..).zip(plan.areas()) {
        if wanted.avoid_areas.contains(&number) || !wanted.admits_area(area) || !fits(number) {
            continue;
        }
        let away = distance_of(plan, area.centre, area.zone, wanted.zone);
        if best.is_none_or(|(least, _)| away < least) {
            best = Some((away, number));
        }
    }
    best.map(|(_, number)| number)
}

fn distance(plan: &Plan, seat: u32, zone_asked: Option<u8>) -> u64 {
    let own_zone = plan.sections()[usize::from(section_of(plan, seat))].zone;
    distance_of(plan, plan.seat_at(seat), own_zone, zone_asked)
}

/// How far a place is from where "best" is measured: the focal point of the zone asked for; else the
/// plan's; else that of the place's own zone; else the middle of the top edge of the plan.
fn distance_of(plan: &Plan, at: Point, own_zone: Option<u8>, zone_asked: Option<u8>) -> u64 {
    let zone_focal = |zone: Option<u8>| zone.and_then(|zone| plan.zones()[usize::from(zone)].focal_point);
    let focal = zone_focal(zone_asked)
        .or(plan.focal_point())
        .or(zone_focal(own_zone))
        .unwrap_or_else(|| middle_of_top_edge(plan));
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

#[cfg(test)]
mod tests {
    use inventory_core::plan::Zone;

    use super::*;
    use crate::drawn::{area, build, drawn};

    fn wanted(quantity: usize) -> Wanted {
        Wanted {
            quantity,
            levels: Vec::new(),
            sections: Vec::new(),
            zone: None,
            accessible_count: 0,
            avoid: BTreeSet::new(),
            avoid_areas: BTreeSet::new(),
        }
    }

    fn accessible(quantity: usize, accessible_count: usize) -> Wanted {
        Wanted { accessible_count, ..wanted(quantity) }
    }

    #[track_caller]
    fn check_split(text: &str, wanted: &Wanted, expected: Option<&[u32]>) {
        let (spec, open) = drawn(text);
        assert_eq!(split(&build(&spec), &open, wanted).as_deref(), expected, "{wanted:?} in\n{text}");
    }

    #[test]
    fn a_party_is_split_so_that_nobody_sits_alone() {
        // Not three and one, but two and two: 0,1 are nearest, then 3,4 of the second row.
        check_split("hall\n  ...\n  ...", &wanted(4), Some(&[0, 1, 3, 4]));
        // Five: three and two.
        check_split("hall\n  ...\n  ...", &wanted(5), Some(&[0, 1, 2, 3, 4]));
    }

    #[test]
    fn a_size_that_leaves_one_over_is_tried_last() {
        // Two as one and one: there is no pair.
        check_split("hall\n  .x.", &wanted(2), Some(&[0, 2]));
        // Three is not two and one but, as one is the largest that leaves more, one and two.
        check_split("hall\n  ..\n  ..", &wanted(3), Some(&[0, 2, 3]));
    }

    #[test]
    fn the_largest_piece_wins_over_the_nearest() {
        check_split("hall\n  ..x..\n  ....", &wanted(6), Some(&[0, 1, 5, 6, 7, 8]));
    }

    #[test]
    fn an_aisle_ends_a_piece() {
        check_split("hall\n  ..|..\n  xxxx..", &wanted(4), Some(&[0, 1, 2, 3]));
        // Six: no four; three leaves three, but there is no three either; two, two, two.
        check_split("hall\n  ..|..\n  ..", &wanted(6), Some(&[0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn the_first_piece_decides_the_section_if_all_fit_there() {
        // 10,11 are nearer than 8,9, but the front has room for all four.
        check_split("front\n  ..xxxxxx..\nback\n  ..", &wanted(4), Some(&[0, 1, 8, 9]));
        check_split("front\n  ..xxxxxxx.\nback\n  ..", &wanted(4), Some(&[0, 1, 10, 11]));
    }

    #[test]
    fn a_section_has_room_as_far_as_the_filters_let_through() {
        let text = "front\n  ..xxxxxx::\nback\n  ..";
        check_split(text, &wanted(4), Some(&[0, 1, 8, 9]));
        check_split(text, &Wanted { levels: vec![0], ..wanted(4) }, Some(&[0, 1, 10, 11]));
        // Nobody asked for the accessible seats: they are no room.
        check_split("front\n  ..xxxxxxaa\nback\n  ..", &wanted(4), Some(&[0, 1, 10, 11]));
    }

    #[test]
    fn no_piece_is_outside_the_filters() {
        let text = "front\n  ..xx..\nback\n  ..x..";
        check_split(text, &Wanted { sections: vec![1], ..wanted(4) }, Some(&[6, 7, 9, 10]));
        check_split(text, &Wanted { sections: vec![1], ..wanted(5) }, None);
        check_split(text, &wanted(8), Some(&[0, 1, 4, 5, 6, 7, 9, 10]));
        check_split(text, &wanted(9), None);
    }

    #[test]
    fn a_table_is_a_ring() {
        // Around the end: 4,5,0,1.
        check_split("hall\n  (..xx..)", &wanted(4), Some(&[0, 1, 4, 5]));
        // All of a table is one piece; the row is nearer, but has only three.
        check_split("hall\n  ...\n  (....)", &wanted(4), Some(&[3, 4, 5, 6]));
        check_split("hall\n  (.)", &wanted(1), Some(&[0]));
        // A row is none: nothing but ones.
        check_split("hall\n  .xx.\n  ..", &wanted(2), Some(&[4, 5]));
        // An aisle parts neighbours at a table too.
        check_split("hall\n  (.x.|)\n  xxxx..", &wanted(2), Some(&[7, 8]));
    }

    #[test]
    fn of_equally_near_pieces_the_one_that_begins_first_wins() {
        let (mut spec, open) = drawn("hall\n  (.x...)");
        for seat in &mut spec.sections[0].rows[0].seats {
            seat.at = Point { x: 0, y: 0 };
        }
        // 2,3 and 3,4 and 4,0.
        assert_eq!(split(&build(&spec), &open, &wanted(2)), Some(vec![2, 3]));
    }

    #[test]
    fn every_piece_has_of_the_accessible_seats_that_are_missing() {
        // 0,1 would leave one accessible seat to nobody.
        check_split("hall\n  a.x..a", &accessible(2, 2), Some(&[0, 5]));
        check_split("hall\n  a.x.a", &accessible(3, 2), Some(&[0, 3, 4]));
        // When none is missing, a piece has none: not 4,5.
        check_split("hall\n  a.xx.ax..", &accessible(3, 1), Some(&[0, 7, 8]));
        check_split("hall\n  aaa", &accessible(2, 1), None);
    }

    #[test]
    fn a_section_without_the_accessible_seats_fails_the_rung() {
        // All three could sit in the front, so it is not left for the back.
        check_split("front\n  ..a\nback\n  xxxaa", &accessible(3, 2), None);
        // Four could not: 1,2, then one of the back, as two would be too many, then the last in the front.
        check_split("front\n  ..a\nback\n  xxxaa", &accessible(4, 2), Some(&[0, 1, 2, 6]));
        // Five: 0,1,2, then 6; none is missing for the last, and nothing else is open.
        check_split("front\n  ..a\nback\n  xxxaa", &accessible(5, 2), None);
    }

    #[test]
    fn a_companion_sits_beside_an_accessible_seat_of_the_piece() {
        check_split("hall\n  c.xca", &accessible(2, 1), Some(&[3, 4]));
        check_split("hall\n  .cx.", &wanted(2), Some(&[0, 3]));
        // Around the table: 2,0 is nearer than 1,2.
        check_split("hall\n  (c.a)", &accessible(2, 1), Some(&[0, 2]));
        check_split("hall\n  c|a.", &accessible(2, 1), Some(&[1, 2]));
        // Marked both ways: accessible.
        check_split("hall\n  bx.", &accessible(2, 1), Some(&[0, 2]));
        check_split("hall\n  bx.", &wanted(1), Some(&[2]));
    }

    fn point(x: i32, y: i32) -> Point {
        Point { x, y }
    }

    #[test]
    fn the_nearest_area_that_fits_wins() {
        let (mut spec, _) = drawn("hall\n  .");
        spec.areas = vec![area("far", 9, point(9, 9)), area("near", 9, point(3, 4)), area("as near", 9, point(4, 3))];
        let plan = build(&spec);
        assert_eq!(nearest_area(&plan, &wanted(2), |_| true), Some(1));
        assert_eq!(nearest_area(&plan, &wanted(2), |area| area != 1), Some(2));
        assert_eq!(nearest_area(&plan, &wanted(2), |area| area == 0), Some(0));
        assert_eq!(nearest_area(&plan, &wanted(2), |_| false), None);
    }

    #[test]
    fn an_area_passes_by_price_level_and_zone_and_is_measured_from_the_zone_asked() {
        let (mut spec, _) = drawn("hall\n  .");
        let zone = |key: &str, focal_point| Zone { key: key.into(), label: "".into(), focal_point };
        spec.zones = vec![zone("east", Some(point(100, 0))), zone("west", None)];
        let mut areas = vec![area("a", 9, point(10, 0)), area("b", 9, point(60, 0)), area("c", 9, point(1, 0))];
        areas[0].zone = Some(0);
        areas[1].zone = Some(0);
        areas[2].level = 1;
        spec.areas = areas;
        let plan = build(&spec);
        let in_zone = |zone| Wanted { zone: Some(zone), ..wanted(2) };
        let of_level = |level| Wanted { levels: vec![level], ..wanted(2) };
        assert_eq!(nearest_area(&plan, &wanted(2), |_| true), Some(2));
        assert_eq!(nearest_area(&plan, &of_level(0), |_| true), Some(0));
        assert_eq!(nearest_area(&plan, &of_level(1), |_| true), Some(2));
        assert_eq!(nearest_area(&plan, &in_zone(0), |_| true), Some(1));
        assert_eq!(nearest_area(&plan, &in_zone(1), |_| true), None);
    }
}
