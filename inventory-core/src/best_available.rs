//! Choosing seats: the best that are open, by distance, without stranding single seats.
//!
//! One search over the rows finds the best pick of rung 1 and, while there is none, that of rung 2.
//! Rows come nearest first, so that the search ends at the first row whose nearest seat is too far:
//! early in a sale that is after a few rows. Late in a sale nearly every row is full: when the
//! nearest rows did not settle it, one sweep over the words of the plan, 64 seats at a time, finds
//! the few rows that still have enough seats side by side. When those are many after all, the search
//! goes on row by row.
//!
//! Sums are integers, so that mirrored picks are equal and plan order decides between them.
//!
//! Not here: what strands a seat (`orphan.rs`), distances and the order of rows (`plan.rs`), taking
//! what was chosen (`event.rs`).

use alloc::vec::Vec;
use core::ops::Range;

use crate::{
    limits::SECTIONS_PER_PLAN_MAX,
    orphan::{Runs, strands_window},
    plan::{ACCESSIBLE, COMPANION, Plan, Row, RowKind, RowRank},
    policy::OrphanRule,
};

/// How chosen seats lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Arrangement {
    /// Nothing was chosen.
    #[default]
    None = 0,
    /// Adjacent in one row, stranding no single seat (rung 1).
    Contiguous = 1,
    /// Adjacent in one row, but stranding a single seat (rung 2).
    Stranding = 2,
    /// In several pieces (rung 3).
    Split = 3,
    /// General admission instead (rung 4).
    General = 4,
}

impl Arrangement {
    /// The arrangement with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Contiguous),
            2 => Some(Self::Stranding),
            3 => Some(Self::Split),
            4 => Some(Self::General),
            _ => None,
        }
    }
}

/// Which seats a command could not take: one bit a seat in `held` and `sold` (both set: killed).
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// First plane, one bit a seat by index.
    pub held: &'a [u64],
    /// Second plane.
    pub sold: &'a [u64],
    /// Seats this command takes besides, sorted: its explicit picks.
    pub also: &'a [u32],
    /// Seats that are open for this command although held, sorted: those of the hold it replaces.
    pub except: &'a [u32],
}

impl Taken<'_> {
    /// Whether the command could hold this seat.
    #[must_use]
    pub fn is_open(&self, seat: u32) -> bool {
        self.open_word(seat / 64) >> (seat % 64) & 1 == 1
    }

    /// The seats `64 * word..` the command could hold, one bit each. Bits past the last seat mean
    /// nothing. `except` opens what is held, never what is sold or killed; `also` closes last.
    pub(crate) fn open_word(&self, word: u32) -> u64 {
        let held = self.held[word as usize] & !bits_of(self.except, word);
        !(held | self.sold[word as usize] | bits_of(self.also, word))
    }
}

/// The seats of a sorted list that lie in `64 * word..64 * (word + 1)`, one bit each.
fn bits_of(seats: &[u32], word: u32) -> u64 {
    // Most words lie outside a list, whose seats are mostly neighbours.
    let (Some(first), Some(last)) = (seats.first(), seats.last()) else { return 0 };
    if word < first / 64 || last / 64 < word {
        return 0;
    }
    let from = seats.partition_point(|&seat| seat / 64 < word);
    seats[from..].iter().take_while(|&&seat| seat / 64 == word).fold(0, |bits, &seat| bits | 1 << (seat % 64))
}

/// What is wanted, with names resolved to numbers.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How many seats, 1 to 64.
    pub quantity: u32,
    /// Only these price levels; empty: any.
    pub levels: Vec<u8>,
    /// Only these sections; empty: any.
    pub sections: Vec<u16>,
    /// Only this zone; distances are then measured from its focal point.
    pub zone: Option<u8>,
    /// Exactly so many accessible seats.
    pub accessible_count: u32,
}

/// Rows looked at one by one before a sweep: that costs a quarter of a sweep of 100,000 seats.
const ROWS_BEFORE_SWEEP: usize = 64;
/// Rows a sweep may find. With more of them, a good one is near.
const ROWS_OF_SWEEP_MAX: usize = 64;

/// The best adjacent seats of one row (rungs 1 and 2 of the ladder), in plan order, or `None`.
///
/// With a zone, only rows of sections of that zone, by the distance from its focal point. A pick has
/// exactly `accessible_count` accessible seats. A companion seat is picked only beside an accessible
/// seat of the same pick: the one before or after it in the row, with no aisle between. A seat
/// marked both ways counts as an accessible one.
#[must_use]
pub fn best_available(
    plan: &Plan,
    taken: Taken<'_>,
    wanted: &Wanted,
    rule: OrphanRule,
) -> Option<(Vec<u32>, Arrangement)> {
    if wanted.quantity == 0 || wanted.accessible_count > wanted.quantity {
        return None;
    }
    let search = Search::new(plan, taken, wanted, rule);
    // Rungs 3 and 4 go on from here: rung 3 asks `best_windows` for smaller sizes.
    let best = search.best_windows(wanted.quantity);
    let (window, arrangement) = match (best.clean, best.stranding) {
        (Some(window), _) => (window, Arrangement::Contiguous),
        (None, Some(window)) => (window, Arrangement::Stranding),
        (None, None) => return None,
    };
    Some(((window.first..window.first + wanted.quantity).collect(), arrangement))
}

/// The bits of `low` at which a run of `size` set bits starts, of which 64 may lie in `high`. Of a
/// larger size only the first 64 count.
fn starts_of_runs(low: u64, high: u64, size: u32) -> u64 {
    let mut starts = u128::from(low) | u128::from(high) << 64;
    // `starts` are starts of runs of `length`: two such, one behind the other, make a longer run.
    let (mut length, size) = (1, size.min(64));
    while length < size {
        let step = length.min(size - length);
        starts &= starts >> step;
        length += step;
    }
    // The lower half is meant.
    starts as u64
}

/// Adjacent open seats that fit the wish. Ordered as "best" is: by sum, then in plan order (a seat
/// of a lower row has a lower index).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    sum: u64,
    first: u32,
}

/// The best windows found so far.
#[derive(Default)]
struct Best {
    clean: Option<Window>,
    /// Kept only while there is no clean one.
    stranding: Option<Window>,
}

impl Best {
    fn offer(&mut self, window: Window, strands: bool) {
        let place = if strands { &mut self.stranding } else { &mut self.clean };
        if place.is_none_or(|best| window < best) {
            *place = Some(window);
        }
    }
}

/// A wish, made ready for the loop.
struct Search<'a> {
    plan: &'a Plan,
    taken: Taken<'a>,
    distances: &'a [u64],
    ranks: &'a [RowRank],
    /// One bit a price level.
    levels: [u64; 4],
    /// One bit a section; `None`: any.
    sections: Option<[u64; SECTIONS_PER_PLAN_MAX / 64]>,
    zone: Option<u8>,
    accessible_count: u32,
    spare_singles: bool,
}

impl<'a> Search<'a> {
    fn new(plan: &'a Plan, taken: Taken<'a>, wanted: &Wanted, rule: OrphanRule) -> Self {
        let mut levels = if wanted.levels.is_empty() { [u64::MAX; 4] } else { [0; 4] };
        for &level in &wanted.levels {
            levels[usize::from(level / 64)] |= 1 << (level % 64);
        }
        let sections = (!wanted.sections.is_empty()).then(|| {
            let mut bits = [0; SECTIONS_PER_PLAN_MAX / 64];
            for &section in &wanted.sections {
                // A number past the limit names no section.
                if let Some(word) = bits.get_mut(usize::from(section / 64)) {
                    *word |= 1 << (section % 64);
                }
            }
            bits
        });
        let zonal = wanted.zone.is_some();
        Self {
            plan,
            taken,
            distances: plan.distances(zonal),
            ranks: plan.rows_by_distance(zonal),
            levels,
            sections,
            zone: wanted.zone,
            accessible_count: wanted.accessible_count,
            spare_singles: rule != OrphanRule::Off,
        }
    }

    /// The best windows of `size` seats: the one that strands none, else also the one that does.
    ///
    /// If a sale with its nearest half sold and the rest open is ever too slow (the search then goes
    /// over all full rows): an index of the rows that are full, kept by whoever sets the planes.
    fn best_windows(&self, size: u32) -> Best {
        let mut best = Best::default();
        let (nearest, others) = self.ranks.split_at(self.ranks.len().min(ROWS_BEFORE_SWEEP));
        if self.walk(nearest, size, &mut best) || others.is_empty() {
            return best;
        }
        let mut rows = [0; ROWS_OF_SWEEP_MAX];
        match self.sweep(size, &mut rows) {
            Some(rows) => rows.iter().for_each(|&row| self.scan_row(&self.plan.rows()[row as usize], size, &mut best)),
            None => _ = self.walk(others, size, &mut best),
        }
        best
    }

    /// Look at these rows, nearest first; whether none after them can be better.
    fn walk(&self, ranks: &[RowRank], size: u32, best: &mut Best) -> bool {
        for rank in ranks {
            if best.clean.is_some_and(|clean| rank.nearest * u64::from(size) > clean.sum) {
                return true;
            }
            let row = &self.plan.rows()[rank.row as usize];
            if self.may_hold(row, size) && self.takes_row(row) {
                self.scan_row(row, size, best);
            }
        }
        false
    }

    /// Whether the row may have a run of `size`: a quick look, without a branch until there is a pair
    /// of open seats. Aisles end nothing here.
    fn may_hold(&self, row: &Row, size: u32) -> bool {
        if row.count > 64 {
            return true;
        }
        let shift = row.first % 64;
        let low = self.taken.open_word(row.first / 64) >> shift;
        // The same word again when the row ends in it; those bits lie past the row.
        let high = self.taken.open_word((row.first + row.count - 1) / 64) << 1 << (63 - shift);
        let open = (low | high) & u64::MAX >> (64 - row.count);
        let pairs = open & open >> 1;
        (if size == 1 { open } else { pairs }) != 0 && starts_of_runs(open, 0, size) != 0
    }

    /// The rows in which a window of `size` may start, or `None` when they are too many for `rows`.
    /// Here ends of rows and aisles end nothing: that makes a row too many, never one too few.
    fn sweep<'b>(&self, size: u32, rows: &'b mut [u32]) -> Option<&'b [u32]> {
        let words = self.plan.seat_count().div_ceil(64);
        let mut found = 0;
        let mut row_end = 0;
        let mut above = if words == 0 { 0 } else { self.taken.open_word(0) };
        for word in 0..words {
            let open = above;
            above = if word + 1 < words { self.taken.open_word(word + 1) } else { 0 };
            // Without a branch for every word that is not full: mostly there is not even a pair.
            let pairs = open & (open >> 1 | above << 63);
            if (if size == 1 { open } else { pairs }) == 0 {
                continue;
            }
            let mut starts = starts_of_runs(open, above, size);
            while starts != 0 {
                let seat = word * 64 + starts.trailing_zeros();
                starts &= starts - 1;
                if seat < row_end || seat >= self.plan.seat_count() {
                    continue;
                }
                let number = self.plan.row_of(seat);
                let row = &self.plan.rows()[number as usize];
                row_end = row.first + row.count;
                if self.takes_row(row) {
                    *rows.get_mut(found)? = number;
                    found += 1;
                }
            }
        }
        Some(&rows[..found])
    }

    fn scan_row(&self, row: &Row, size: u32, best: &mut Best) {
        for run in Runs::of_row(self.plan, self.taken, row) {
            if run.end - run.start >= size {
                self.scan_run(run, size, best);
            }
        }
    }

    fn takes_row(&self, row: &Row) -> bool {
        let section = usize::from(row.section);
        row.kind == RowKind::Row
            && self.sections.is_none_or(|bits| bits[section / 64] >> (section % 64) & 1 == 1)
            && (self.zone.is_none() || self.plan.sections()[section].zone == self.zone)
    }

    /// Slide a window over a run of open seats, piece by piece where the filters cut it.
    fn scan_run(&self, run: Range<u32>, size: u32, best: &mut Best) {
        let mut piece_start = run.start;
        let mut sum = 0;
        let mut accessible = 0;
        for seat in run.clone() {
            if !self.may_pick(seat, &run) {
                (piece_start, sum, accessible) = (seat + 1, 0, 0);
                continue;
            }
            sum += self.distances[seat as usize];
            accessible += self.accessible(seat);
            if seat + 1 - piece_start < size {
                continue;
            }
            let window = seat + 1 - size..seat + 1;
            if accessible == self.accessible_count && self.edges_fit(&window) {
                let strands = self.spare_singles && strands_window(&run, &window);
                best.offer(Window { sum, first: window.start }, strands);
            }
            sum -= self.distances[window.start as usize];
            accessible -= self.accessible(window.start);
        }
    }

    fn accessible(&self, seat: u32) -> u32 {
        u32::from(self.plan.seat_attributes(seat) & ACCESSIBLE)
    }

    fn companion_only(&self, seat: u32) -> bool {
        self.plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) == COMPANION
    }

    /// Whether any pick of this run may contain the seat.
    fn may_pick(&self, seat: u32, run: &Range<u32>) -> bool {
        let level = self.plan.seat_level(seat);
        if self.levels[usize::from(level / 64)] >> (level % 64) & 1 == 0 {
            return false;
        }
        if self.accessible_count == 0 {
            return self.plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) == 0;
        }
        let accessible_at = |seat| run.contains(&seat) && self.accessible(seat) == 1;
        !self.companion_only(seat) || accessible_at(seat + 1) || seat.checked_sub(1).is_some_and(accessible_at)
    }

    /// Whether companion seats at the edges have their accessible seat inside the window. Within it,
    /// both neighbours are in the pick, and [`Self::may_pick`] has seen to it.
    fn edges_fit(&self, window: &Range<u32>) -> bool {
        let (first, last) = (window.start, window.end - 1);
        self.accessible_count == 0
            || first == last
            || (!self.companion_only(first) || self.accessible(first + 1) == 1)
                && (!self.companion_only(last) || self.accessible(last - 1) == 1)
    }
}
