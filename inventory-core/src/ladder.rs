//! The ladder of best available: rung by rung from adjacent seats to general admission, the first that fits wins.
//!
//! Not here: finding adjacent seats (`best_available.rs`), what strands a seat (`orphan.rs`). What the contract leaves
//! open is decided in ADR-0030.

use alloc::vec::Vec;

use crate::{
    best_available::{Arrangement, Best, Search, Taken, Wanted, Window},
    openings::Openings,
    plan::Plan,
    policy::OrphanRule,
};

/// The best adjacent seats of one row (rungs 1 and 2), in plan order, or `None`.
///
/// `openings` are those of the planes and the reach of `taken`, if they are known.
#[must_use]
pub fn adjacent(
    plan: &Plan,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    wanted: &Wanted,
    rule: OrphanRule,
) -> Option<(Vec<u32>, Arrangement)> {
    if wanted.quantity == 0 || wanted.accessible_count > wanted.quantity {
        return None;
    }
    let search = Search::new(plan, openings, taken, wanted);
    let size = wanted.quantity;
    let spare_singles = rule != OrphanRule::Off;
    let (window, arrangement) = match search.best_window(size, spare_singles) {
        Some(window) => (window, Arrangement::Contiguous),
        None if spare_singles => (search.best_window(size, false)?, Arrangement::Stranding),
        None => return None,
    };
    Some(((window.first..window.first + size).collect(), arrangement))
}

/// Whether there are adjacent seats in a row that strand none.
pub(crate) fn has_adjacent(plan: &Plan, openings: Option<&Openings>, taken: Taken<'_>, wanted: &Wanted) -> bool {
    Search::new(plan, openings, taken, wanted).best_window(wanted.quantity, true).is_some()
}

/// Seats in several pieces (rung 3), in plan order, or `None`. Pieces are as large as they can be and leave no one
/// person over where that can be helped; a table may serve as a piece, or for all.
///
/// `openings` are those of the planes and the reach of `taken`, if they are known.
#[must_use]
pub fn split(plan: &Plan, openings: Option<&Openings>, taken: Taken<'_>, wanted: &Wanted) -> Option<Vec<u32>> {
    if wanted.quantity == 0 || wanted.accessible_count > wanted.quantity {
        return None;
    }
    let mut wanted = wanted.clone();
    let mut also = taken.also.to_vec();
    let mut chosen: Vec<u32> = Vec::with_capacity(wanted.quantity as usize);
    let (mut persons, mut accessible) = (wanted.quantity, wanted.accessible_count);
    let mut none_from = u32::MAX;
    while persons > 0 {
        let is_first = chosen.is_empty();
        let taken_now = Taken { also: &also, ..taken };
        let piece = best_piece(plan, openings, taken_now, &mut wanted, persons, accessible, &mut none_from)?;
        if is_first {
            let section = plan.rows()[plan.row_of(piece.seats[0]) as usize].section;
            wanted.accessible_count = accessible;
            if Search::new(plan, openings, taken, &wanted).open_in_section(section) >= persons {
                wanted.sections = [section].into();
            }
        }
        persons -= piece.seats.len() as u32;
        accessible -= piece.accessible;
        also.extend(&piece.seats);
        also.sort_unstable();
        chosen.extend(piece.seats);
    }
    chosen.sort_unstable();
    Some(chosen)
}

/// A part of a party on adjacent seats.
struct Piece {
    seats: Vec<u32>,
    /// So many of them.
    accessible: u32,
}

/// The best piece of the size that comes first, of rows and tables. `wanted` is used for its filters. `none_from`: there
/// are no so many adjacent seats, nor more, and picking makes no room.
fn best_piece(
    plan: &Plan,
    openings: Option<&Openings>,
    taken: Taken<'_>,
    wanted: &mut Wanted,
    persons: u32,
    accessible: u32,
    none_from: &mut u32,
) -> Option<Piece> {
    let is_plain = accessible == 0;
    for size in sizes(persons) {
        if is_plain && size >= *none_from {
            continue;
        }
        let mut best: Option<(Window, u32)> = None;
        // While accessible seats are missing a piece has some, and leaves no more missing than persons.
        let least = u32::from(accessible > 0).max(accessible.saturating_sub(persons - size));
        for count in least..=accessible.min(size) {
            wanted.accessible_count = count;
            let search = Search::new(plan, openings, taken, wanted);
            let mut found = Best(search.best_window(size, false));
            search.best_at_tables(size, &mut found);
            if let Some(window) = found.0
                && best.is_none_or(|(best, _)| window < best)
            {
                best = Some((window, count));
            }
        }
        if let Some((window, count)) = best {
            let search = Search::new(plan, openings, taken, wanted);
            return Some(Piece { seats: search.seats_of(window, size).collect(), accessible: count });
        }
        if is_plain {
            *none_from = (*none_from).min(size);
        }
    }
    None
}

/// Sizes of a piece in the order they are tried: those that leave one person over come last.
fn sizes(persons: u32) -> impl Iterator<Item = u32> {
    let leaves_one = persons.checked_sub(1).filter(|&size| size > 0);
    (1..=persons).rev().filter(move |&size| Some(size) != leaves_one).chain(leaves_one)
}

/// The nearest area that passes the filters and `fits` the party (rung 4).
#[must_use]
pub fn nearest_area(plan: &Plan, wanted: &Wanted, fits: impl Fn(u16) -> bool) -> Option<u16> {
    let distances = plan.area_distances(wanted.zone.is_some());
    let areas = plan.areas().iter().zip(distances).zip(0_u16..);
    let passing = areas.filter(|((area, _), number)| {
        (wanted.levels.is_empty() || wanted.levels.contains(&area.level))
            && (wanted.zone.is_none() || area.zone == wanted.zone)
            && fits(*number)
    });
    passing.min_by_key(|((_, distance), number)| (**distance, *number)).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_leaves_one_person_over_only_in_the_end() {
        let tried = |persons| sizes(persons).collect::<Vec<u32>>();
        assert_eq!(tried(5), [5, 3, 2, 1, 4]);
        assert_eq!((tried(2), tried(1), tried(0)), ([2, 1].into(), [1].into(), Vec::new()));
    }
}
