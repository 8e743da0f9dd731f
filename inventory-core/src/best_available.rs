//! Choosing adjacent seats: the best that are open, by distance, without stranding single seats.
//!
//! A search asks the event's openings for stretches with room, nearest first, and ends at the first whose nearest seat
//! is too far: it looks at no stretch that is full, or too full for the party, however late in the sale. It is made
//! for rung 1, and when that finds nothing once more for rung 2. The openings know only the planes; a stretch with a
//! seat that the command itself takes or gives back is looked at first of all.
//!
//! Sums are integers, so that mirrored picks are equal and plan order decides between them.
//!
//! Not here: the rungs (`ladder.rs`), what strands a seat (`orphan.rs`), where room is (`openings.rs`), distances
//! (`plan.rs`) and their order (`stretch.rs`), taking what was chosen (`event.rs`).

use alloc::vec::Vec;
use core::ops::Range;

use crate::{
    limits::SECTIONS_PER_PLAN_MAX,
    openings::{Lengths, Openings, Tree, bits_of_seats},
    orphan::{Runs, strands_window},
    plan::{ACCESSIBLE, Block, COMPANION, Plan},
    stretch::{RING, Ranking, Stretch, VALLEY, WITH_ACCESSIBLE},
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
    /// Seats that it reaches; all others are taken.
    pub reach: Reach<'a>,
}

/// Which seats of an event a command reaches, whatever their state. Planes have one bit a seat by index.
#[derive(Clone, Copy, Debug, Default)]
pub enum Reach<'a> {
    /// All.
    #[default]
    Every,
    /// Those of some planes, and all that are not in another one.
    Of {
        /// Allocations whose key was brought.
        planes: &'a [&'a [u64]],
        /// All seats that are in an allocation, when those of none are reached; else nothing.
        outside: Option<&'a [u64]>,
    },
}

impl Reach<'_> {
    /// The seats `64 * word..` that are reached.
    #[inline]
    pub(crate) fn word(&self, word: u32) -> u64 {
        match self {
            Self::Every => u64::MAX,
            Self::Of { planes, outside } => {
                let outside = outside.map_or(0, |tagged| !tagged[word as usize]);
                planes.iter().fold(outside, |reached, plane| reached | plane[word as usize])
            }
        }
    }
}

impl Taken<'_> {
    /// Whether the command could hold this seat.
    #[must_use]
    pub fn is_open(&self, seat: u32) -> bool {
        self.open_word(seat / 64) >> (seat % 64) & 1 == 1
    }

    /// The seats `64 * word..` the command could hold, one bit each. Bits past the last seat mean
    /// nothing. `except` opens what is held, never what is sold or killed; `also` closes last.
    #[inline]
    pub(crate) fn open_word(&self, word: u32) -> u64 {
        let held = self.held[word as usize] & !bits_of(self.except, word);
        !(held | self.sold[word as usize] | bits_of(self.also, word)) & self.reach.word(word)
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
    /// None of these seats, sorted, although they are open: single seats are judged as if nobody took them.
    pub avoid: Vec<u32>,
}

/// The bits of `open`, of which the first in a word is the lowest, at which `size` set bits follow each other.
fn starts_of_windows(open: u64, size: u32) -> u64 {
    let mut starts = open;
    // `starts` are starts of windows of `length`: two such, one behind the other, make a longer one.
    let mut length = 1;
    while length < size && starts != 0 {
        let step = length.min(size - length);
        starts &= starts >> step;
        length += step;
    }
    starts
}

/// Adjacent open seats that fit the wish, from `first` on; at a table they may go around its end. Ordered as "best" is: by sum, then in plan order (a seat
/// of a lower row has a lower index).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    sum: u64,
    pub(crate) first: u32,
}

/// The best window found so far.
#[derive(Default)]
pub(crate) struct Best(pub(crate) Option<Window>);

impl Best {
    fn offer(&mut self, window: Window) {
        if self.0.is_none_or(|best| window < best) {
            self.0 = Some(window);
        }
    }

    /// Whether no window of `size` in a stretch can be better, nor in one after it.
    fn is_nearer_than(&self, stretch: &Stretch, size: u32) -> bool {
        self.0.is_some_and(|best| stretch.nearest * u64::from(size) > best.sum)
    }
}

/// A wish, made ready for the loop.
///
/// With a zone, only rows of sections of that zone, by the distance from its focal point. A pick has
/// exactly `accessible_count` accessible seats. A companion seat is picked only beside an accessible
/// seat of the same pick: the one before or after it in the row, with no aisle between. A seat
/// marked both ways counts as an accessible one.
pub(crate) struct Search<'a> {
    plan: &'a Plan,
    taken: Taken<'a>,
    distances: &'a [u64],
    ranking: &'a Ranking,
    /// Those of the zone that is asked for, or all.
    ranks: Range<u32>,
    /// Rows and tables; nothing where it is not known which have room: then all are looked at.
    openings: Option<(&'a Tree, &'a Tree)>,
    /// One bit a price level; `None`: any.
    levels: Option<[u64; 4]>,
    /// Bits of the levels, as a stretch has them.
    levels_of_stretch: u8,
    /// As they were asked for, and one bit a section; `None`: any.
    sections: Option<(&'a [u16], [u64; SECTIONS_PER_PLAN_MAX / 64])>,
    accessible_count: u32,
    avoid: &'a [u32],
}

impl<'a> Search<'a> {
    /// `openings` are those of the planes and the reach of `taken`, if they are known.
    pub(crate) fn new(plan: &'a Plan, openings: Option<&'a Openings>, taken: Taken<'a>, wanted: &'a Wanted) -> Self {
        let mut levels = [0; 4];
        let mut levels_of_stretch = 0;
        for &level in &wanted.levels {
            levels[usize::from(level / 64)] |= 1 << (level % 64);
            levels_of_stretch |= 1 << (level % 8);
        }
        let any_level = wanted.levels.is_empty();
        let sections = (!wanted.sections.is_empty()).then(|| {
            let mut bits = [0; SECTIONS_PER_PLAN_MAX / 64];
            for &section in &wanted.sections {
                // A number past the limit names no section.
                if let Some(word) = bits.get_mut(usize::from(section / 64)) {
                    *word |= 1 << (section % 64);
                }
            }
            (&*wanted.sections, bits)
        });
        let zonal = wanted.zone.is_some();
        Self {
            plan,
            taken,
            distances: plan.distances(zonal),
            ranking: plan.ranking(zonal),
            ranks: plan.ranking(zonal).ranks(wanted.zone),
            openings: openings.map(|openings| (openings.tree(zonal), openings.tables(zonal))),
            levels: (!any_level).then_some(levels),
            levels_of_stretch: if any_level { u8::MAX } else { levels_of_stretch },
            sections,
            accessible_count: wanted.accessible_count,
            avoid: &wanted.avoid,
        }
    }

    /// The best window of `size` seats of a row, when `spare_singles` of those that strand none.
    pub(crate) fn best_window(&self, size: u32, spare_singles: bool) -> Option<Window> {
        if self.ranks.is_empty() {
            return None;
        }
        let mut best = Best::default();
        self.look_where_command_moves(size, spare_singles, &mut best);
        if self.accessible_count > 0 {
            self.walk_accessible(size, spare_singles, &mut best);
            return best.0;
        }
        let lengths = if spare_singles { Lengths::with_clean_window(size) } else { Lengths::with_window(size) };
        match self.sections {
            Some((sections, _)) if self.are_few(sections) => {
                for &section in sections {
                    self.walk_section(section, lengths, size, spare_singles, &mut best);
                }
            }
            _ => self.walk(lengths, size, spare_singles, &mut best),
        }
        best.0
    }

    /// Offer the best window of `size` seats of a table.
    pub(crate) fn best_at_tables(&self, size: u32, best: &mut Best) {
        if !self.ranking.has_tables() || self.ranks.is_empty() {
            return;
        }
        let look = |rank: u32, best: &mut Best| {
            let stretch = &self.ranking.stretches()[rank as usize];
            if stretch.has(RING) && self.passes(stretch) {
                self.go_around(stretch, size, best);
            }
        };
        // Openings are of seats that are not accessible, and of those that the command does not move.
        if self.accessible_count > 0 {
            self.ranks.clone().for_each(|rank| look(rank, best));
            return;
        }
        for &seat in self.taken.also.iter().chain(self.taken.except) {
            let rank = self.ranking.rank_of(seat);
            if self.ranks.contains(&rank) {
                look(rank, best);
            }
        }
        let next = |from| match self.openings {
            Some((_, tables)) => tables.next(from, Lengths::with_window(size)),
            None => Some(from),
        };
        let mut from = self.ranks.start;
        while let Some(rank) = next(from).filter(|&rank| rank < self.ranks.end) {
            if best.is_nearer_than(&self.ranking.stretches()[rank as usize], size) {
                return;
            }
            look(rank, best);
            from = rank + 1;
        }
    }

    /// Offer the best window of a table: every start is tried, tables are small.
    fn go_around(&self, table: &Stretch, size: u32, best: &mut Best) {
        if table.count < size {
            return;
        }
        let seats = |start: u32| (0..size).map(move |nth| table.first + (start + nth) % table.count);
        for start in 0..table.count {
            let fits = seats(start).all(|seat| self.taken.is_open(seat) && self.has_level(seat) && !self.avoids(seat))
                && seats(start).take(size as usize - 1).all(|seat| !self.plan.aisle_after(seat))
                && seats(start).map(|seat| self.accessible(seat)).sum::<u32>() == self.accessible_count
                && (0..size).all(|nth| self.may_stand_at(table, start, nth, size));
            if fits {
                let sum = seats(start).map(|seat| self.distances[seat as usize]).sum();
                best.offer(Window { sum, first: table.first + start });
            }
        }
    }

    /// Whether the seat that is `nth` of a pick from a table is no companion seat, or beside its accessible one.
    fn may_stand_at(&self, table: &Stretch, start: u32, nth: u32, size: u32) -> bool {
        let seat = |nth: u32| table.first + (start + nth) % table.count;
        // In a pick of the whole table the first and the last are neighbours, if it is no table of one.
        let is_ring = size == table.count && !self.plan.aisle_after(seat(size - 1));
        let before = if nth > 0 { Some(nth - 1) } else { is_ring.then_some(size - 1) };
        let after = if nth + 1 < size { Some(nth + 1) } else { is_ring.then_some(0) };
        let is_accessible = |nth: Option<u32>| nth.is_some_and(|nth| self.accessible(seat(nth)) == 1);
        !self.companion_only(seat(nth)) || is_accessible(before) || is_accessible(after)
    }

    /// The seats of a window.
    pub(crate) fn seats_of(&self, window: Window, size: u32) -> impl Iterator<Item = u32> + use<> {
        let stretch = self.ranking.stretches()[self.ranking.rank_of(window.first) as usize];
        let start = window.first - stretch.first;
        (0..size).map(move |nth| stretch.first + (start + nth) % stretch.count)
    }

    /// Look at stretches with such runs, nearest first, until none can be better.
    fn walk(&self, lengths: Lengths, size: u32, spare_singles: bool, best: &mut Best) {
        let next = |from| match self.openings {
            Some((rows, _)) => rows.next(from, lengths),
            None => Some(from),
        };
        let mut from = self.ranks.start;
        while let Some(rank) = next(from).filter(|&rank| rank < self.ranks.end) {
            let stretch = &self.ranking.stretches()[rank as usize];
            if best.is_nearer_than(stretch, size) {
                return;
            }
            self.look(stretch, size, spare_singles, best);
            from = rank + 1;
        }
    }

    /// Look at the stretches of a section with such runs, in plan order.
    fn walk_section(&self, section: u16, lengths: Lengths, size: u32, spare_singles: bool, best: &mut Best) {
        let Some(section) = self.plan.sections().get(usize::from(section)) else { return };
        let mut seat = section.seats.start;
        while seat < section.seats.end {
            let rank = self.ranking.rank_of(seat);
            let stretch = &self.ranking.stretches()[rank as usize];
            let has_room = |(rows, _): (&Tree, &Tree)| rows.get(rank).meet(lengths);
            let has_room = self.ranks.contains(&rank) && self.openings.is_none_or(has_room);
            if has_room && !best.is_nearer_than(stretch, size) {
                self.look(stretch, size, spare_singles, best);
            }
            seat = stretch.seats().end;
        }
    }

    /// Whether it is less to look through these sections than for them.
    fn are_few(&self, sections: &[u16]) -> bool {
        let seats = |&section: &u16| self.plan.sections().get(usize::from(section)).map_or(0, |s| s.seats.len() as u64);
        sections.iter().map(seats).sum::<u64>() < u64::from(self.plan.seat_count()) / 8
    }

    /// Look at the stretches with accessible seats, which are few. Their openings are those of other seats.
    fn walk_accessible(&self, size: u32, spare_singles: bool, best: &mut Best) {
        for stretch in &self.ranking.stretches()[self.ranks.start as usize..self.ranks.end as usize] {
            if best.is_nearer_than(stretch, size) {
                return;
            }
            if stretch.has(WITH_ACCESSIBLE) {
                self.look(stretch, size, spare_singles, best);
            }
        }
    }

    /// Look where the openings are not what the command finds: where it takes seats besides or gives some back.
    fn look_where_command_moves(&self, size: u32, spare_singles: bool, best: &mut Best) {
        for list in [self.taken.also, self.taken.except] {
            // In a sorted list the seats of a stretch follow each other.
            let mut last = None;
            for &seat in list {
                let rank = Some(self.ranking.rank_of(seat)).filter(|rank| self.ranks.contains(rank));
                if let Some(rank) = rank.filter(|_| last != rank) {
                    self.look(&self.ranking.stretches()[rank as usize], size, spare_singles, best);
                }
                last = rank;
            }
        }
    }

    /// Whether the filters let the stretch through, or seats of it.
    fn passes(&self, stretch: &Stretch) -> bool {
        let section = usize::from(stretch.section);
        stretch.levels & self.levels_of_stretch != 0
            && self.sections.is_none_or(|(_, bits)| bits[section / 64] >> (section % 64) & 1 == 1)
    }

    /// Offer the best window of a stretch of a row that the filters let through.
    fn look(&self, stretch: &Stretch, size: u32, spare_singles: bool, best: &mut Best) {
        if stretch.has(RING) || !self.passes(stretch) {
            return;
        }
        if stretch.has(VALLEY) && stretch.count <= 64 && self.accessible_count == 0 {
            self.glance(stretch, size, spare_singles, best);
        } else {
            for run in Runs::of_seats(self.plan, self.taken, stretch.seats()) {
                if run.end - run.start >= size {
                    self.scan_run(run, size, spare_singles, best);
                }
            }
        }
    }

    /// Offer the best window of a stretch of at most 64 seats whose distances are a valley: so are the sums of its
    /// windows, and the best of them is the nearest one on the left of the bottom or on its right.
    fn glance(&self, stretch: &Stretch, size: u32, spare_singles: bool, best: &mut Best) {
        if stretch.count < size {
            return;
        }
        let open = bits_of_seats(stretch.first, stretch.count, |word| self.taken.open_word(word));
        let plain = bits_of_seats(stretch.first, stretch.count, |word| self.plan.plain_words()[word as usize]);
        let avoided = bits_of_seats(stretch.first, stretch.count, |word| bits_of(self.avoid, word));
        let mut starts = starts_of_windows(open & plain & !avoided & self.bits_of_levels(stretch), size);
        if spare_singles {
            // The seat before the window begins its run, or the one behind ends it: that one would be left alone.
            let first_of_runs = open & !(open << 1);
            let last_of_runs = open & !(open >> 1);
            starts &= !(first_of_runs << 1 | last_of_runs.checked_shr(size).unwrap_or(0));
        }
        if starts == 0 {
            return;
        }
        let distances = &self.distances[stretch.first as usize..][..stretch.count as usize];
        let mut offer = |start: u32| {
            let sum = distances[start as usize..][..size as usize].iter().sum();
            best.offer(Window { sum, first: stretch.first + start });
        };
        let bottom = bottom_of_valley(distances, stretch.nearest_at, size);
        let left = starts & u64::MAX >> (63 - bottom);
        let right = starts ^ left;
        if left != 0 {
            offer(63 - left.leading_zeros());
        }
        if right != 0 {
            offer(right.trailing_zeros());
        }
    }

    /// The seats of the stretch that have a level which is asked for.
    fn bits_of_levels(&self, stretch: &Stretch) -> u64 {
        let Some(levels) = self.levels else { return u64::MAX };
        let has = |seat| {
            let level = self.plan.seat_level(seat);
            levels[usize::from(level / 64)] >> (level % 64) & 1
        };
        stretch.seats().rev().fold(0, |bits, seat| bits << 1 | has(seat))
    }

    /// Slide a window over a run of open seats, piece by piece where the filters cut it.
    fn scan_run(&self, run: Range<u32>, size: u32, spare_singles: bool, best: &mut Best) {
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
            if accessible == self.accessible_count
                && self.edges_fit(&window)
                && !(spare_singles && strands_window(&run, &window))
            {
                best.offer(Window { sum, first: window.start });
            }
            sum -= self.distances[window.start as usize];
            accessible -= self.accessible(window.start);
        }
    }

    fn avoids(&self, seat: u32) -> bool {
        self.avoid.binary_search(&seat).is_ok()
    }

    /// Whether the seat has a level that is asked for.
    fn has_level(&self, seat: u32) -> bool {
        let level = self.plan.seat_level(seat);
        self.levels.is_none_or(|bits| bits[usize::from(level / 64)] >> (level % 64) & 1 == 1)
    }

    /// How many seats of a section are open that the filters let through, whether they are adjacent or not.
    pub(crate) fn open_in_section(&self, section: u16) -> u32 {
        let blocks = self.plan.blocks();
        let first = blocks.partition_point(|block| block.section < section);
        let of_section = blocks[first..].iter().take_while(|block| block.section == section);
        of_section.filter(|block| self.has_level(block.first)).map(|block| self.open_in(block)).sum()
    }

    fn open_in(&self, block: &Block) -> u32 {
        let open_word = |word: u32| {
            let plain = if self.accessible_count > 0 { u64::MAX } else { self.plan.plain_words()[word as usize] };
            self.taken.open_word(word) & plain & !bits_of(self.avoid, word)
        };
        let chunk = |nth: u32| {
            let first = block.first + nth * 64;
            bits_of_seats(first, (block.count - nth * 64).min(64), open_word).count_ones()
        };
        (0..block.count.div_ceil(64)).map(chunk).sum()
    }

    fn accessible(&self, seat: u32) -> u32 {
        u32::from(self.plan.seat_attributes(seat) & ACCESSIBLE)
    }

    fn companion_only(&self, seat: u32) -> bool {
        self.plan.seat_attributes(seat) & (ACCESSIBLE | COMPANION) == COMPANION
    }

    /// Whether any pick of this run may contain the seat.
    fn may_pick(&self, seat: u32, run: &Range<u32>) -> bool {
        if !self.has_level(seat) || self.avoids(seat) {
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

/// The first start of a window of `size` than which the one behind it is no nearer, of a valley with its nearest seat
/// at `nearest_at`. Windows before it are each farther than the next, those behind never nearer.
fn bottom_of_valley(distances: &[u64], nearest_at: u32, size: u32) -> u32 {
    // A window that ends before the nearest seat is farther than the next, one that begins with it is not.
    let mut low = (nearest_at + 1).saturating_sub(size);
    let mut high = nearest_at.min(distances.len() as u32 - size);
    while low < high {
        let middle = low.midpoint(high);
        if distances[(middle + size) as usize] < distances[middle as usize] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
