//! The orphan rule for explicit seats, by trying every other pick there is.
//!
//! Not here: what best available strands (`pick.rs`): its rungs judge themselves.

use std::collections::BTreeSet;

use inventory_core::{
    plan::{ACCESSIBLE, COMPANION, Plan, RowKind},
    policy::OrphanRule,
};

/// Whether `rule` refuses this pick. `open[seat]`: the command could hold the seat, before it; all
/// `picked` seats are open, none stands twice.
#[must_use]
pub fn would_strand(plan: &Plan, open: &[bool], picked: &[u32], rule: OrphanRule) -> bool {
    let mut after = open.to_vec();
    picked.iter().for_each(|&seat| after[seat as usize] = false);
    pieces(plan, picked).iter().filter(|piece| strands(plan, &after, piece)).any(|piece| match rule {
        OrphanRule::Off => false,
        OrphanRule::Lenient => run_has_other(plan, open, piece),
        OrphanRule::Strict => run_has_other(plan, open, piece) || section_has_other(plan, open, piece),
    })
}

/// Seats that this pick leaves alone, in plan order, also where no rule minds: open ones beside a picked
/// seat with no open neighbour after it. Nobody is alone at a table.
#[must_use]
pub fn left_alone(plan: &Plan, open: &[bool], picked: &[u32]) -> Vec<u32> {
    let neighbours = |seat: u32| seat_before(plan, seat).into_iter().chain(seat_after(plan, seat));
    let is_open_after = |seat: u32| open[seat as usize] && !picked.contains(&seat);
    let is_left_alone = |seat: u32| {
        is_open_after(seat)
            && neighbours(seat).any(|other| picked.contains(&other))
            && !neighbours(seat).any(is_open_after)
    };
    (0..plan.seat_count()).filter(|&seat| !is_at_table(plan, seat) && is_left_alone(seat)).collect()
}

/// The picked seats in largest sets that follow each other. Those at tables are not judged.
fn pieces(plan: &Plan, picked: &[u32]) -> Vec<Vec<u32>> {
    let in_rows: BTreeSet<u32> = picked.iter().copied().filter(|&seat| !is_at_table(plan, seat)).collect();
    let mut pieces: Vec<Vec<u32>> = Vec::new();
    for seat in in_rows {
        match pieces.last_mut() {
            Some(piece) if piece.last().copied() == seat_before(plan, seat) => piece.push(seat),
            _ => pieces.push(vec![seat]),
        }
    }
    pieces
}

/// Whether an open seat beside the piece has no open neighbour `after` it.
fn strands(plan: &Plan, after: &[bool], piece: &[u32]) -> bool {
    let is_open = |seat: Option<u32>| seat.is_some_and(|seat| after[seat as usize]);
    let beside = [seat_before(plan, piece[0]), seat_after(plan, piece[piece.len() - 1])];
    beside.into_iter().flatten().any(|seat| {
        let alone = !is_open(seat_before(plan, seat)) && !is_open(seat_after(plan, seat));
        is_open(Some(seat)) && alone
    })
}

/// Whether a piece, taken by itself, would strand a seat.
fn strands_by_itself(plan: &Plan, open: &[bool], piece: &[u32]) -> bool {
    let mut after = open.to_vec();
    piece.iter().for_each(|&seat| after[seat as usize] = false);
    strands(plan, &after, piece)
}

/// Whether the run of the piece has one like it that strands none.
fn run_has_other(plan: &Plan, open: &[bool], piece: &[u32]) -> bool {
    let run = run_of(plan, open, piece[0]);
    run.windows(piece.len()).any(|other| is_like(plan, piece, other) && !strands_by_itself(plan, open, other))
}

/// Whether all seats have price levels of the piece. Accessible and companion seats are for a piece that has one itself.
fn is_like(plan: &Plan, piece: &[u32], other: &[u32]) -> bool {
    let is_special = |seat: u32| plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) != 0;
    let levels: BTreeSet<u8> = piece.iter().map(|&seat| plan.seat_level(seat)).collect();
    let special = piece.iter().any(|&seat| is_special(seat));
    other.iter().all(|&seat| levels.contains(&plan.seat_level(seat)) && (special || !is_special(seat)))
}

/// Whether a row of the same section has a piece of that size like it that strands none.
fn section_has_other(plan: &Plan, open: &[bool], piece: &[u32]) -> bool {
    let section = plan.rows()[plan.row_of(piece[0]) as usize].section;
    let rows = plan.rows().iter().filter(|row| row.section == section && row.kind == RowKind::Row);
    rows.flat_map(|row| row.seats()).any(|first| {
        let run = run_from(plan, open, first);
        let Some(other) = run.get(..piece.len()) else {
            return false;
        };
        is_like(plan, piece, other) && !strands_by_itself(plan, open, other)
    })
}

/// The open seats around this open one, up to aisles, taken seats and the ends of the row.
fn run_of(plan: &Plan, open: &[bool], seat: u32) -> Vec<u32> {
    let mut first = seat;
    while let Some(before) = seat_before(plan, first).filter(|&before| open[before as usize]) {
        first = before;
    }
    run_from(plan, open, first)
}

/// This seat and the open ones that follow it; empty when it is taken.
fn run_from(plan: &Plan, open: &[bool], first: u32) -> Vec<u32> {
    let mut run = Vec::new();
    let mut next = Some(first);
    while let Some(seat) = next.filter(|&seat| open[seat as usize]) {
        run.push(seat);
        next = seat_after(plan, seat);
    }
    run
}

/// The neighbour before a seat of a row.
fn seat_before(plan: &Plan, seat: u32) -> Option<u32> {
    let row = &plan.rows()[plan.row_of(seat) as usize];
    (seat > row.first && !plan.aisle_after(seat - 1)).then(|| seat - 1)
}

/// The neighbour after a seat of a row.
fn seat_after(plan: &Plan, seat: u32) -> Option<u32> {
    let row = &plan.rows()[plan.row_of(seat) as usize];
    (seat + 1 < row.seats().end && !plan.aisle_after(seat)).then_some(seat + 1)
}

fn is_at_table(plan: &Plan, seat: u32) -> bool {
    plan.rows()[plan.row_of(seat) as usize].kind == RowKind::Table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::{build, drawn};

    /// Which rules refuse: "", "strict", "lenient strict".
    #[track_caller]
    fn check(text: &str, picked: &[u32], expected: &str) {
        let (spec, open) = drawn(text);
        let plan = build(&spec);
        assert!(picked.iter().all(|&seat| open[seat as usize]), "only open seats are judged");
        let mut refusing = Vec::new();
        for (rule, name) in [(OrphanRule::Off, "off"), (OrphanRule::Lenient, "lenient"), (OrphanRule::Strict, "strict")]
        {
            if would_strand(&plan, &open, picked, rule) {
                refusing.push(name);
            }
        }
        assert_eq!(refusing.join(" "), expected, "{picked:?} in\n{text}");
    }

    #[test]
    fn a_seat_left_alone_is_refused_where_the_run_has_another_pick() {
        check("hall\n  ....", &[1], "lenient strict");
        check("hall\n  ....", &[0], "");
        check("hall\n  ...", &[1], "lenient strict");
        check("hall\n  ...", &[0, 2], "lenient strict");
        check("hall\n  ...", &[0, 1, 2], "");
        check("hall\n  ....", &[3, 0], "");
        check("hall\n  .....", &[1, 2], "lenient strict");
        check("hall\n  .....", &[2, 1, 3], "lenient strict");
    }

    #[test]
    fn a_run_with_one_seat_more_than_the_piece_has_no_other_pick() {
        check("hall\n  ..", &[0], "");
        check("hall\n  ...", &[1, 2], "");
        check("hall\n  x....x", &[1, 2, 3], "");
    }

    #[test]
    fn a_run_ends_at_taken_seats_aisles_and_row_ends() {
        check("hall\n  x..x", &[1], "");
        check("hall\n  ..|xx", &[0], "");
        check("hall\n  ..|..", &[1, 2], "");
        // 0 was single before; 3 is left alone, as it would be by taking it.
        check("hall\n  .x..", &[2], "strict");
        check("hall\n  xx..\n  xx", &[2], "");
    }

    #[test]
    fn the_whole_pick_is_judged_piece_by_piece() {
        // 0, 2 and 4 are left alone.
        check("hall\n  .....", &[1, 3], "lenient strict");
        // 2 is left alone between two pieces, though neither would leave it so by itself.
        check("hall\n  .....", &[0, 1, 3, 4], "lenient strict");
        check("hall\n  ......", &[0, 1, 4, 5], "");
        // Neither piece had another place in its run.
        check("hall\n  ..x..", &[0, 4], "");
    }

    #[test]
    fn strict_looks_in_all_rows_of_the_section() {
        check("hall\n  ..x..", &[0], "");
        check("hall\n  ..x...", &[0], "strict");
        // Taking a single seat leaves none.
        check("hall\n  ..\n  .", &[0], "strict");
        check("hall\n  ..|.", &[0], "strict");
        check("front\n  ..\nback\n  ...", &[0], "");
        check("hall\n  ...\n  ..", &[0, 1], "strict");
        check("hall\n  ...\n  ...", &[0, 1], "");
        check("hall\n  ...\n  ....", &[0, 1], "strict");
    }

    #[test]
    fn strict_compares_within_the_price_levels_of_the_piece() {
        check("hall\n  ..\n  :::", &[0], "");
        check("hall\n  .:\n  :::", &[1], "strict");
        check("hall\n  .:\n  :::", &[0], "");
        // Both levels are in the piece; any mix of them will do.
        check("hall\n  .:.\n  ::", &[0, 1], "strict");
        // The only pick of the level that could be taken instead leaves 4 alone.
        check("hall\n  ..\n  :.:", &[0], "");
        // A level ends no run: 1 is left alone whatever its level.
        check("hall\n  .:..", &[0], "");
        check("hall\n  .:::", &[1], "lenient strict");
    }

    #[test]
    fn accessible_and_companion_seats_are_an_alternative_for_their_like_only() {
        check("hall\n  ..\n  aaa", &[0], "");
        check("hall\n  ..\n  c", &[0], "");
        check("hall\n  a.\n  aaa", &[0], "strict");
        check("hall\n  a.\n  aaa", &[1], "");
        check("hall\n  c.\n  a", &[0], "strict");
        check("hall\n  a.\n  .", &[0], "strict");
        check("hall\n  a.a", &[1], "");
    }

    #[test]
    fn tables_are_not_judged_and_no_alternative() {
        check("hall\n  (...)", &[1], "");
        check("hall\n  (....)\n  ..", &[1, 4], "");
        check("hall\n  (.)\n  ....", &[2], "lenient strict");
    }

    #[test]
    fn alternatives_are_those_before_the_command() {
        // The command takes 2 itself, but before it 2 was a single seat to be had.
        check("hall\n  ..x.", &[0, 3], "strict");
        check("hall\n  ..\n  ...", &[0, 2, 3, 4], "strict");
    }
}
