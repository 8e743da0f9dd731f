//! Single seats: whether a pick strands one. The one judge for every command that takes seats.
//!
//! Open seats that are neighbours form *runs*. A run ends at the ends of its row, at an aisle and at
//! a seat the command could not hold; price levels, sections and attributes end none. A pick strands
//! a seat when a run of exactly one is left in its row that was not one before.
//!
//! A run of one is new only beside a picked seat: where no pick is next to it, its ends are the old
//! ones. So [`strands`] looks at the neighbours of the picked seats, and [`strands_window`] only at
//! how much of the run is left on either side.
//!
//! Not here: what follows from it (`policy::OrphanRule` and the commands).

use alloc::vec::Vec;
use core::ops::Range;

use crate::{
    best_available::Taken,
    openings::bits_of_seats,
    place::Seat,
    plan::{Plan, Row, RowKind},
    stretch::RING,
};

/// Whether picking these seats of a row leaves a single open seat there that was not single before.
///
/// `picked` in any order; seats of other rows in it, and seats that are not open, change nothing. A
/// table has no single seats.
#[must_use]
pub fn strands(plan: &Plan, taken: Taken<'_>, row: u32, picked: &[u32]) -> bool {
    let row = &plan.rows()[row as usize];
    if row.kind == RowKind::Table {
        return false;
    }
    let left = |seat: u32| (seat > row.first && !plan.aisle_after(seat - 1)).then(|| seat - 1);
    let right = |seat: u32| (seat + 1 < row.first + row.count && !plan.aisle_after(seat)).then(|| seat + 1);
    let stays_open = |seat: u32| taken.is_open(seat) && !picked.contains(&seat);
    let single =
        |seat: u32| stays_open(seat) && !left(seat).is_some_and(stays_open) && !right(seat).is_some_and(stays_open);
    picked
        .iter()
        .filter(|seat| row.seats().contains(seat) && taken.is_open(**seat))
        .any(|&seat| left(seat).is_some_and(single) || right(seat).is_some_and(single))
}

/// The same for adjacent seats `window` of the run `run`, both as seat indexes.
#[must_use]
pub fn strands_window(run: &Range<u32>, window: &Range<u32>) -> bool {
    debug_assert!(run.start <= window.start && window.end <= run.end);
    window.start - run.start == 1 || run.end - window.end == 1
}

/// Whether a run of `length` seats has a window of `size` that strands none: any with a rest other
/// than one, which lies on one side.
#[must_use]
pub fn run_has_clean_window(length: u32, size: u32) -> bool {
    length >= size && length - size != 1
}

/// Adjacent picked seats, and the run of open seats they are taken out of, both as seat indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The run, before the pick.
    pub run: Range<u32>,
    /// The seats.
    pub seats: Range<u32>,
}

/// The pieces of a pick that leave a seat beside them alone. `picked`: sorted, and open in `taken`. Those at tables
/// leave none.
pub fn stranding_pieces(plan: &Plan, taken: Taken<'_>, picked: &[u32]) -> impl Iterator<Item = Piece> {
    let mut rest = picked;
    core::iter::from_fn(move || {
        while let Some(&first) = rest.first() {
            // Neighbours of a seat of a row are in its stretch.
            let ranking = plan.ranking(false);
            let stretch = &ranking.stretches()[ranking.rank_of(first) as usize];
            let bounds = stretch.seats();
            let follows = |pair: &&[u32]| pair[0] + 1 == pair[1] && pair[1] < bounds.end;
            let count = 1 + rest.windows(2).take_while(follows).count();
            rest = &rest[count..];
            if stretch.has(RING) {
                continue;
            }
            let seats = first..first + count as u32;
            let stays = |seat: u32| taken.is_open(seat) && !picked.contains(&seat);
            // The seat beside the piece stays open, and the one beyond it does not. None beside it is picked.
            let left = seats.start > bounds.start
                && taken.is_open(seats.start - 1)
                && !(seats.start - 1 > bounds.start && stays(seats.start - 2));
            let right = seats.end < bounds.end
                && taken.is_open(seats.end)
                && !(seats.end + 1 < bounds.end && stays(seats.end + 1));
            if left || right {
                return Some(Piece { run: run_of(plan, taken, first), seats });
            }
        }
        None
    })
}

/// The seats that a pick leaves alone and that were not, in plan order. `picked`: sorted, and open in `taken`.
#[must_use]
pub fn left_alone(plan: &Plan, taken: Taken<'_>, picked: &[u32]) -> Vec<u32> {
    let ranking = plan.ranking(false);
    let mut alone = Vec::new();
    for &seat in picked {
        let stretch = &ranking.stretches()[ranking.rank_of(seat) as usize];
        let bounds = stretch.seats();
        let stays = |seat: Option<u32>| {
            seat.is_some_and(|seat| {
                bounds.contains(&seat) && taken.is_open(seat) && picked.binary_search(&seat).is_err()
            })
        };
        // Beside a picked seat, so it had a neighbour.
        for beside in [seat.checked_sub(1), Some(seat + 1)].into_iter().flatten() {
            let is_alone = !stays(beside.checked_sub(1)) && !stays(Some(beside + 1));
            if !stretch.has(RING) && stays(Some(beside)) && is_alone && alone.last() != Some(&beside) {
                alone.push(beside);
            }
        }
    }
    alone
}

/// Whether a pick may leave a seat alone that was not: most leave none, and this says so soon. Of stretches of more
/// than 64 seats nothing is said.
#[must_use]
pub fn may_strand(plan: &Plan, taken: Taken<'_>, picked: &[Seat]) -> bool {
    let ranking = plan.ranking(false);
    let mut looked_at = 0..0;
    picked.iter().any(|seat| {
        if looked_at.contains(&seat.index) {
            return false;
        }
        let stretch = &ranking.stretches()[ranking.rank_of(seat.index) as usize];
        looked_at = stretch.seats();
        if stretch.has(RING) || stretch.count > 64 {
            return !stretch.has(RING);
        }
        let before = bits_of_seats(stretch.first, stretch.count, |word| taken.open_word(word));
        let there = picked.iter().filter(|seat| looked_at.contains(&seat.index));
        let after = there.fold(before, |open, seat| open & !(1 << (seat.index - stretch.first)));
        let singles = |open: u64| open & !(open << 1 | open >> 1);
        singles(after) & !singles(before) != 0
    })
}

/// Whether a run has a window of `size` that strands none by itself, of seats that are all `allowed`.
#[must_use]
pub fn run_offers(run: &Range<u32>, size: u32, allowed: impl Fn(u32) -> bool) -> bool {
    let mut first = run.start;
    run.clone().any(|seat| {
        if !allowed(seat) {
            first = seat + 1;
        }
        // The last window of allowed seats that ends here.
        seat + 1 - first >= size && !strands_window(run, &(seat + 1 - size..seat + 1))
    })
}

/// The run of open seats a seat stands in; empty when it is taken.
#[must_use]
pub fn run_of(plan: &Plan, taken: Taken<'_>, seat: u32) -> Range<u32> {
    let row = &plan.rows()[plan.row_of(seat) as usize];
    Runs::of_row(plan, taken, row).find(|run| run.contains(&seat)).unwrap_or(seat..seat)
}

/// The runs of open seats of a row, in order.
pub struct Runs<'a> {
    aisles: &'a [u64],
    taken: Taken<'a>,
    row: Range<u32>,
    /// The word looked at, and its open seats that are not yet told of.
    word: u32,
    open: u64,
}

impl<'a> Runs<'a> {
    /// The runs of `row`, which is a row of `plan`.
    #[must_use]
    pub fn of_row(plan: &'a Plan, taken: Taken<'a>, row: &Row) -> Self {
        Self::of_seats(plan, taken, row.seats())
    }

    /// The runs of a whole stretch or row.
    pub(crate) fn of_seats(plan: &'a Plan, taken: Taken<'a>, seats: Range<u32>) -> Self {
        let word = seats.start / 64;
        let mut runs = Self { aisles: plan.aisle_words(), taken, row: seats, word, open: 0 };
        runs.open = runs.open_word(runs.word);
        runs
    }

    /// The open seats of the row in a word.
    fn open_word(&self, word: u32) -> u64 {
        let base = word * 64;
        let from = self.row.start.saturating_sub(base);
        let to = (self.row.end - base).min(64);
        // The row has a seat in this word: from <= 63, 1 <= to <= 64.
        self.taken.open_word(word) & u64::MAX << from & u64::MAX >> (64 - to)
    }
}

impl Iterator for Runs<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Range<u32>> {
        while self.open == 0 {
            if (self.word + 1) * 64 >= self.row.end {
                return None;
            }
            self.word += 1;
            self.open = self.open_word(self.word);
        }
        let bit = self.open.trailing_zeros();
        let start = self.word * 64 + bit;
        // Seats the run does not reach: taken, or behind an aisle. The first above `bit` ends it.
        let mut stops = (!self.open | self.aisles[self.word as usize] << 1) & u64::MAX << bit << 1;
        while stops == 0 {
            // The run fills the word to its top; it goes on unless the row or a stretch ends there.
            let aisle_at_top = self.aisles[self.word as usize] >> 63;
            if (self.word + 1) * 64 >= self.row.end {
                self.open = 0;
                return Some(start..self.row.end);
            }
            self.word += 1;
            self.open = self.open_word(self.word);
            stops = !self.open | self.aisles[self.word as usize] << 1 | aisle_at_top;
        }
        let stop = stops.trailing_zeros();
        self.open &= u64::MAX << stop;
        Some(start..self.word * 64 + stop)
    }
}
