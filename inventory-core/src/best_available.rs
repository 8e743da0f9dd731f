//! Choosing seats: the best that are open, by distance, without stranding single seats.
//!
//! One pass over the rows finds the best pick of rung 1 and, while there is none, that of rung 2.
//! Rows come nearest first, so that the pass ends at the first row whose nearest seat is too far:
//! early in a sale that is after a few rows. A full row costs the look at its words.
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
    /// Late in a sale most rows hold no run of the size, and this looks at all of them. If that is
    /// ever too slow: an index of the longest open run of each row, kept by whoever sets the planes.
    fn best_windows(&self, size: u32) -> Best {
        let mut best = Best::default();
        for rank in self.ranks {
            if best.clean.is_some_and(|clean| rank.nearest * u64::from(size) > clean.sum) {
                break;
            }
            let row = &self.plan.rows()[rank.row as usize];
            if row.count < size || !self.takes_row(row) {
                continue;
            }
            for run in Runs::of_row(self.plan, self.taken, row) {
                if run.end - run.start >= size {
                    self.scan_run(run, size, &mut best);
                }
            }
        }
        best
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
