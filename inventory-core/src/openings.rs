//! Which stretches of an event have room, by distance: what a search looks into instead of the seats.
//!
//! A stretch has one mask of eight bits: which lengths its runs of open seats have, from bit 7 down 1, 2, 3, 4, 5, 6 to
//! 7, 8 to 11, 12 and more. So a wish for two that is to strand no seat asks for runs of two and of four or more: in a run
//! of three every pick leaves one. Masks stand by rank under a tree of their unions, 32 to a node, so that the next stretch
//! with room is found in a few steps, or that there is none.
//!
//! Here only seats count that anybody may have: a seat that is accessible or for a companion ends a run. What stands
//! beside such an open seat may be picked without stranding it, so there a run of `n` counts as one of `n - 1` too. A
//! mask may promise too much, never too little; price levels are for the search.
//!
//! Invariants:
//!
//! - O1. Masks are what the planes say: whoever opens or takes seats says so, and [`Openings::new`] gives the same.
//! - O2. A mask of the tree is the union of the 32 below it.
//!
//! A mask and its share of the tree are 1.04 bytes a stretch: 0.05 bytes a seat where stretches have 20 seats. A
//! plan with zones has them twice. They are no part of the state, its hash or its image.
//!
//! Not here: distances (`stretch.rs`), choosing (`best_available.rs`).

use alloc::{boxed::Box, vec};

use crate::{
    limits::PLACES_PER_EVENT_MAX,
    plan::Plan,
    stretch::{RING, Ranking, Stretch, WITH_SPECIAL},
};

/// Masks of a word.
const LANES: u32 = 8;
/// Bits of a mask.
const BITS: u32 = 8;
/// Words of a node: half a line of the cache.
const NODE: u32 = 4;
/// Masks of a node, under one of the level above.
const FAN_OUT: u32 = NODE * LANES;
const LEVELS_MAX: usize = 4;
const _: () = assert!(FAN_OUT.pow(LEVELS_MAX as u32) >= PLACES_PER_EVENT_MAX);

/// Lengths of runs: bit 7 is a run of one, bit 0 one of 12 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths(u8);

impl Lengths {
    /// The bit of runs of this length. Those from it down are of all that are as long or longer.
    fn exactly(length: u32) -> Self {
        Self(match length {
            0..=5 => 0x80 >> length.saturating_sub(1),
            6..8 => 4,
            8..12 => 2,
            _ => 1,
        })
    }

    /// Runs that have a window of `size`.
    pub(crate) fn with_window(size: u32) -> Self {
        let shortest = Self::exactly(size).0;
        Self(shortest | (shortest - 1))
    }

    /// Runs that have a window of `size` which strands none.
    pub(crate) fn with_clean_window(size: u32) -> Self {
        Self(Self::exactly(size).0 | Self::with_window(size + 2).0)
    }

    pub(crate) fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Of the runs of set bits in `open`.
    fn of_runs(open: u64) -> Self {
        Self(Self::of_runs_that_begin_in(open, 0, 0))
    }

    /// Of the runs of set bits that begin in `open`, where `after` are the bits that follow it, and the lowest bit of
    /// `before` is the one before it. Without a branch: how many runs there are and how long cannot be foretold.
    #[inline]
    fn of_runs_that_begin_in(open: u64, after: u64, before: u64) -> u8 {
        // Every bit by the one so many places on.
        let on = |places: u32| open >> places | after << (64 - places);
        let ahead_2 = on(1);
        let (three_on, four_on) = (on(2), on(3));
        // Where runs of so many or more begin, each of the one before.
        let one = open & !(open << 1 | before & 1);
        let two = one & ahead_2;
        let three = two & three_on;
        let four = three & four_on;
        let five = four & on(4);
        let six = five & on(5);
        let eight = six & on(6) & on(7);
        let twelve = eight & on(8) & on(9) & on(10) & on(11);
        let ends = [one != two, two != three, three != four, four != five, five != six, six != eight, eight != twelve];
        let lengths = ends.into_iter().fold(0, |lengths, ends| lengths << 1 | u8::from(ends));
        lengths << 1 | u8::from(twelve != 0)
    }

    /// Of the runs of a ring of 1 to 64 seats: turned so that a run that goes around its end is whole.
    fn of_ring(open: u64, count: u32) -> Self {
        let all = u64::MAX >> (64 - count);
        // A ring without a gap is one run of all its seats.
        let gap = (!open & all).trailing_zeros();
        if gap >= count {
            return Self::exactly(count);
        }
        Self::of_runs((open >> gap | open << 1 << (count - gap - 1)) & all)
    }

    /// Of the runs of a table.
    #[inline(never)]
    fn of_table(plan: &Plan, open: impl Fn(u32) -> u64, stretch: &Stretch) -> Self {
        if stretch.count > 64 {
            // Too much is promised, which only costs a look.
            return Self(u8::MAX);
        }
        let open_word = |word: u32| plan.plain_words()[word as usize] & open(word);
        Self::of_ring(bits_of_seats(stretch.first, stretch.count, open_word), stretch.count)
    }

    /// Of the runs of seats that are more than 64; `word` gives the bits of `64 * word..`.
    fn of_long(first: u32, count: u32, word: impl Fn(u32) -> u64) -> Self {
        let chunks = count.div_ceil(64);
        let chunk = |nth: u32| bits_of_seats(first + nth * 64, (count - nth * 64).min(64), &word);
        let (mut before, mut open, mut lengths) = (0, chunk(0), 0);
        for nth in 1..=chunks {
            let after = if nth < chunks { chunk(nth) } else { 0 };
            lengths |= Self::of_runs_that_begin_in(open, after, before);
            before = open >> 63;
            open = after;
        }
        Self(lengths)
    }

    #[inline]
    fn of_stretch(plan: &Plan, open: impl Fn(u32) -> u64, stretch: &Stretch) -> Self {
        if stretch.has(WITH_SPECIAL) || stretch.count > 64 {
            return Self::of_long_or_special(plan, open, stretch);
        }
        Self::of_runs(bits_of_seats(stretch.first, stretch.count, open))
    }

    #[inline(never)]
    fn of_long_or_special(plan: &Plan, open: impl Fn(u32) -> u64, stretch: &Stretch) -> Self {
        let open_word = |word: u32| plan.plain_words()[word as usize] & open(word);
        let lengths = if stretch.count <= 64 {
            Self::of_runs(bits_of_seats(stretch.first, stretch.count, open_word)).0
        } else {
            Self::of_long(stretch.first, stretch.count, open_word).0
        };
        if stretch.has(WITH_SPECIAL) { Self(lengths | lengths << 1) } else { Self(lengths) }
    }
}

/// The bits of 1 to 64 seats, the first one lowest; `word` gives those of `64 * word..`.
pub(crate) fn bits_of_seats(first: u32, count: u32, word: impl Fn(u32) -> u64) -> u64 {
    let shift = first % 64;
    let low = word(first / 64) >> shift;
    // The same word again when the seats end in it; those bits lie past them.
    let high = word((first + count - 1) / 64) << 1 << (63 - shift);
    (low | high) & u64::MAX >> (64 - count)
}

/// Room in the stretches of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openings {
    by_plan: Tree,
    by_zone: Tree,
    /// Those of tables, which only the third rung looks at; empty when there are none. In the others they have no room.
    tables_by_plan: Tree,
    tables_by_zone: Tree,
}

impl Openings {
    /// Of the seats `64 * word..` those that `open` has, one bit each, may be taken.
    #[must_use]
    pub fn new(plan: &Plan, open: impl Fn(u32) -> u64) -> Self {
        let tree = |ranking: &Ranking, ring: bool| {
            let has_any = !ring || ranking.has_tables();
            let mut tree = Tree::new(if has_any { ranking.stretches().len() as u32 } else { 0 });
            let stretches = ranking.stretches().iter().zip(0..).filter(|(stretch, _)| stretch.has(RING) == ring);
            for (stretch, rank) in stretches {
                tree.set(rank, lengths_of(plan, &open, stretch));
            }
            tree
        };
        let (by_plan, by_zone) = (plan.ranking(false), plan.ranking(true));
        Self {
            by_plan: tree(by_plan, false),
            by_zone: tree(by_zone, false),
            tables_by_plan: tree(by_plan, true),
            tables_by_zone: tree(by_zone, true),
        }
    }

    /// Seats of the stretch of this rank (by [`Ranking::new`]) were opened or taken: what `open` says of it now.
    #[inline]
    pub(crate) fn update(&mut self, plan: &Plan, open: impl Fn(u32) -> u64, rank: u32) {
        let stretch = &plan.ranking(false).stretches()[rank as usize];
        let lengths = lengths_of(plan, open, stretch);
        let (by_plan, by_zone) = if stretch.has(RING) {
            (&mut self.tables_by_plan, &mut self.tables_by_zone)
        } else {
            (&mut self.by_plan, &mut self.by_zone)
        };
        if by_plan.get(rank) == lengths {
            return;
        }
        by_plan.set(rank, lengths);
        if by_zone.has_masks() {
            by_zone.set(plan.ranking(true).rank_of(stretch.first), lengths);
        }
    }

    /// Asks for the mask of a seat's stretch.
    pub(crate) fn prefetch(&self, plan: &Plan, seat: u32) {
        prefetch::line_of(&self.by_plan.words[(plan.ranking(false).rank_of(seat) / LANES) as usize]);
    }

    /// Rows, by the ranks of [`Plan::ranking`].
    pub(crate) fn tree(&self, zonal: bool) -> &Tree {
        if zonal { &self.by_zone } else { &self.by_plan }
    }

    /// Tables, by the same ranks.
    pub(crate) fn tables(&self, zonal: bool) -> &Tree {
        if zonal { &self.tables_by_zone } else { &self.tables_by_plan }
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        let trees = [&self.by_plan, &self.by_zone, &self.tables_by_plan, &self.tables_by_zone];
        trees.iter().map(|tree| tree.words.len() * 8).sum()
    }
}

#[inline]
fn lengths_of(plan: &Plan, open: impl Fn(u32) -> u64, stretch: &Stretch) -> Lengths {
    if stretch.has(RING) { Lengths::of_table(plan, open, stretch) } else { Lengths::of_stretch(plan, open, stretch) }
}

/// Masks by rank, and their unions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tree {
    /// Level by level from the masks up, each in whole nodes.
    words: Box<[u64]>,
    /// Where each level begins in `words`, and where the last one ends.
    starts: [u32; LEVELS_MAX + 1],
    levels: u8,
}

impl Tree {
    /// For so many stretches, none of which has room.
    fn new(count: u32) -> Self {
        let mut starts = [0; LEVELS_MAX + 1];
        let (mut levels, mut masks) = (0, count);
        while masks > 0 {
            let nodes = masks.div_ceil(FAN_OUT);
            starts[levels + 1] = starts[levels] + nodes * NODE;
            levels += 1;
            masks = if nodes > 1 { nodes } else { 0 };
        }
        Self { words: vec![0; starts[levels] as usize].into(), starts, levels: levels as u8 }
    }

    fn has_masks(&self) -> bool {
        self.levels > 0
    }

    /// The mask of a stretch.
    pub(crate) fn get(&self, rank: u32) -> Lengths {
        Lengths((self.words[(rank / LANES) as usize] >> (rank % LANES * BITS)) as u8)
    }

    fn set(&mut self, rank: u32, lengths: Lengths) {
        let (mut at, mut mask) = (rank, lengths.0);
        for &start in &self.starts[..usize::from(self.levels)] {
            let first = (start + at / FAN_OUT * NODE) as usize;
            let node = &mut self.words[first..first + NODE as usize];
            let (word, shift) = (&mut node[(at % FAN_OUT / LANES) as usize], at % LANES * BITS);
            let changed = (*word >> shift) as u8 ^ mask;
            if changed == 0 {
                return;
            }
            *word ^= u64::from(changed) << shift;
            let union = node.iter().fold(0, |union, word| union | word);
            let union = union | union >> 32;
            let union = union | union >> 16;
            (at, mask) = (at / FAN_OUT, (union | union >> 8) as u8);
        }
    }

    /// The first rank from `from` on whose stretch has a run of one of these lengths.
    pub(crate) fn next(&self, from: u32, lengths: Lengths) -> Option<u32> {
        let wanted = u64::from(lengths.0) * 0x0101_0101_0101_0101;
        let (mut level, mut at) = (0, from);
        while level < usize::from(self.levels) {
            let words = &self.words[self.starts[level] as usize..self.starts[level + 1] as usize];
            let node = (at / FAN_OUT * NODE) as usize;
            // Behind the last node of a level there is nothing.
            let node = words.get(node..node + NODE as usize)?;
            let mut from = u64::MAX << (at % LANES * BITS);
            let hit = (at % FAN_OUT / LANES..NODE).find_map(|word| {
                let hits = node[word as usize] & wanted & from;
                from = u64::MAX;
                (hits != 0).then(|| at / FAN_OUT * FAN_OUT + word * LANES + hits.trailing_zeros() / BITS)
            });
            match hit {
                Some(rank) if level == 0 => return Some(rank),
                Some(above) => (level, at) = (level - 1, above * FAN_OUT),
                None => (level, at) = (level + 1, at / FAN_OUT + 1),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    fn plainly(open: u64) -> u8 {
        let text: alloc::string::String = (0..64).map(|bit| if open >> bit & 1 == 1 { '.' } else { 'x' }).collect();
        let runs = text.split('x').filter(|run| !run.is_empty());
        runs.fold(0, |lengths, run| lengths | Lengths::exactly(run.len() as u32).0)
    }

    #[test]
    fn lengths_are_those_of_the_runs() {
        for open in [0, 1, 1 << 63, 0b1011, 0x7fff, 0xffff, 0x1_ffff, u64::MAX, u64::MAX - 1, u64::MAX >> 1] {
            assert_eq!(Lengths::of_runs(open).0, plainly(open), "{open:b}");
        }
        let mut bits: u64 = 1;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ bits >> 5;
            let many = bits | bits >> 7 | bits << 9;
            assert_eq!(Lengths::of_runs(bits).0, plainly(bits), "{bits:b}");
            assert_eq!(Lengths::of_runs(many).0, plainly(many), "{many:b}");
        }
    }

    #[test]
    fn lengths_of_a_ring_go_around_its_end() {
        assert_eq!(Lengths::of_ring(0b1000_0011, 8).0, plainly(0b111), "a run of three around the end");
        assert_eq!(Lengths::of_ring(0b1111, 4), Lengths::exactly(4));
        assert_eq!(Lengths::of_ring(u64::MAX, 64), Lengths::exactly(64));
        assert_eq!((Lengths::of_ring(0, 7).0, Lengths::of_ring(0, 64).0), (0, 0));
        let mut bits: u64 = 7;
        for count in (1..=64).cycle().take(10_000) {
            bits = crate::digest::mix(bits);
            let open = (bits | bits >> 9 | bits << 11) & u64::MAX >> (64 - count);
            let ring: alloc::string::String =
                (0..count).map(|bit| if open >> bit & 1 == 1 { '.' } else { 'x' }).collect();
            let Some(gap) = ring.find('x') else { continue };
            let turned = ring[gap..].to_owned() + &ring[..gap];
            let runs = turned.split('x').filter(|run| !run.is_empty());
            let plainly = runs.fold(0, |lengths, run| lengths | Lengths::exactly(run.len() as u32).0);
            assert_eq!(Lengths::of_ring(open, count).0, plainly, "{ring}");
        }
    }

    #[test]
    fn lengths_of_long_stretches_are_those_of_the_runs() {
        let mut bits: u64 = 3;
        for round in 0..3_000_u32 {
            let words: alloc::vec::Vec<u64> = (0..6)
                .map(|_| {
                    bits = crate::digest::mix(bits);
                    // From seats here and there to runs over several words.
                    match round % 4 {
                        0 => bits,
                        1 => bits | bits >> 7 | bits << 9,
                        2 => bits | bits << 1 | bits >> 1 | bits >> 3 | bits << 5 | bits >> 11,
                        _ => {
                            if bits >> 60 < 4 {
                                !(1 << (bits % 64))
                            } else {
                                u64::MAX
                            }
                        }
                    }
                })
                .collect();
            let (first, count) = (round * 7 % 64, 65 + bits as u32 % (6 * 64 - 64 - 65));
            let open = |seat: u32| words[seat as usize / 64] >> (seat % 64) & 1 == 1;
            let text: alloc::string::String =
                (first..first + count).map(|seat| if open(seat) { '.' } else { 'x' }).collect();
            let runs = text.split('x').filter(|run| !run.is_empty());
            let plainly = runs.fold(0, |lengths, run| lengths | Lengths::exactly(run.len() as u32).0);
            assert_eq!(Lengths::of_long(first, count, |word| words[word as usize]).0, plainly, "{text}");
        }
    }

    #[test]
    fn a_clean_window_leaves_none_or_two_at_least() {
        for length in 1..40 {
            for size in 1..40 {
                let run = Lengths::exactly(length);
                let fits = crate::orphan::run_has_clean_window(length, size);
                let found = run.meet(Lengths::with_clean_window(size));
                // Long runs and sizes are not told apart: too much, never too little.
                assert!(found || !fits, "{size} in {length}");
                assert!(found == fits || size > 4, "{size} in {length}");
                assert!(run.meet(Lengths::with_window(size)) || length < size, "{size} in {length}");
            }
        }
    }

    #[test]
    fn the_next_stretch_with_room_is_found_in_trees_of_any_size() {
        for count in [0, 1, 31, 32, 33, 1_023, 1_024, 1_025, 70_000] {
            let mut tree = Tree::new(count);
            let ranks: alloc::vec::Vec<u32> = (0..count).filter(|rank| rank * 7_919 % 1_009 < 9).collect();
            ranks.iter().for_each(|&rank| tree.set(rank, Lengths::exactly(rank % 3 + 1)));
            for size in 1..5 {
                let mut from = 0;
                for &rank in ranks.iter().filter(|&rank| rank % 3 + 1 == size) {
                    assert_eq!(tree.next(from, Lengths::exactly(size)), Some(rank), "{size} from {from} of {count}");
                    from = rank + 1;
                }
                assert_eq!(tree.next(from, Lengths::exactly(size)), None, "{size} from {from} of {count}");
            }
            ranks.iter().for_each(|&rank| tree.set(rank, Lengths(0)));
            assert_eq!(tree, Tree::new(count), "{count}");
        }
    }
}
