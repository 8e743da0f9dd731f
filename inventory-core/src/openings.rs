//! Which stretches of an event have room, by distance: what a search looks into instead of the seats.
//!
//! A stretch has one mask of 16 bits: which lengths its runs of open seats have. Bit `n - 1` is a run of exactly `n`,
//! the last bit one of 16 or more. So a wish for `n` that is to strand no seat asks for bit `n - 1` or any from bit
//! `n + 1` on: in a run of `n + 1` every pick leaves one. Masks stand by rank under a tree of their unions, 16 to a
//! node, so that the next stretch with room is found in a few steps, or that there is none.
//!
//! Here only seats count that anybody may have: a seat that is accessible or for a companion ends a run. What stands
//! beside such an open seat may be picked without stranding it, so there a run of `n` counts as one of `n - 1` too. A
//! mask may promise too much, never too little; price levels are for the search.
//!
//! Invariants:
//!
//! - O1. Masks are what the planes say: whoever opens or takes seats says so, and [`Openings::new`] gives the same.
//! - O2. A mask of the tree is the union of the 16 below it.
//!
//! A mask and its share of the tree are 2.2 bytes a stretch: 0.11 bytes a seat where stretches have 20 seats. A
//! plan with zones has them twice. They are no part of the state, its hash or its image.
//!
//! Not here: distances (`stretch.rs`), choosing (`best_available.rs`).

use alloc::{boxed::Box, vec};

use crate::{
    limits::PLACES_PER_EVENT_MAX,
    plan::Plan,
    stretch::{Located, Ranking, Stretch, WITH_SPECIAL},
};

/// Lengths that are told apart; the last stands for all from it on.
const LENGTHS: u32 = 16;
/// Masks of a word.
const LANES: u32 = 4;
/// Masks under one of the level above: four words, half a line of the cache.
const FAN_OUT: u32 = 16;
/// 16^5 is more than `PLACES_PER_EVENT_MAX`.
const LEVELS_MAX: usize = 5;
const _: () = assert!(FAN_OUT.pow(LEVELS_MAX as u32) >= PLACES_PER_EVENT_MAX);

/// Lengths of runs, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths(u16);

impl Lengths {
    fn exactly(length: u32) -> Self {
        Self(1 << (length.clamp(1, LENGTHS) - 1))
    }

    /// Runs that have a window of `size`.
    pub(crate) fn with_window(size: u32) -> Self {
        Self(u16::MAX << (size.clamp(1, LENGTHS) - 1))
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
        let (mut lengths, mut rest) = (0, open);
        while rest != 0 {
            let first = rest.trailing_zeros();
            // The carry runs through the lowest run, to the bit behind it or out of the word.
            let carried = rest.wrapping_add(1 << first);
            lengths |= Self::exactly(carried.trailing_zeros() - first).0;
            rest &= carried;
        }
        Self(lengths)
    }

    fn of_stretch(plan: &Plan, held: &[u64], sold: &[u64], stretch: &Stretch) -> Self {
        let plain = plan.plain_words();
        let open_word = |word: u32| {
            let word = word as usize;
            plain[word] & !(held[word] | sold[word])
        };
        let lengths = if stretch.count <= 64 {
            Self::of_runs(bits_of_stretch(stretch, open_word)).0
        } else {
            // Only where a run may go on over the end of a word, seats are counted.
            let (mut lengths, mut run) = (0, 0);
            for seat in stretch.seats() {
                if open_word(seat / 64) >> (seat % 64) & 1 == 1 {
                    run += 1;
                } else if run > 0 {
                    lengths |= Self::exactly(run).0;
                    run = 0;
                }
            }
            if run > 0 { lengths | Self::exactly(run).0 } else { lengths }
        };
        if stretch.has(WITH_SPECIAL) { Self(lengths | lengths >> 1) } else { Self(lengths) }
    }
}

/// The bits of a stretch of at most 64 seats, the first one lowest; `word` gives those of `64 * word..`.
pub(crate) fn bits_of_stretch(stretch: &Stretch, word: impl Fn(u32) -> u64) -> u64 {
    let shift = stretch.first % 64;
    let low = word(stretch.first / 64) >> shift;
    // The same word again when the stretch ends in it; those bits lie past the stretch.
    let high = word((stretch.first + stretch.count - 1) / 64) << 1 << (63 - shift);
    (low | high) & u64::MAX >> (64 - stretch.count)
}

/// Room in the stretches of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openings {
    by_plan: Tree,
    by_zone: Tree,
}

impl Openings {
    /// What the planes say: see [`crate::best_available::Taken`].
    #[must_use]
    pub fn new(plan: &Plan, held: &[u64], sold: &[u64]) -> Self {
        let tree = |ranking: &Ranking| {
            let mut tree = Tree::new(ranking.stretches().len() as u32);
            for (stretch, rank) in ranking.stretches().iter().zip(0..) {
                tree.set(rank, Lengths::of_stretch(plan, held, sold, stretch));
            }
            tree
        };
        Self { by_plan: tree(plan.ranking(false)), by_zone: tree(plan.ranking(true)) }
    }

    /// Seats of this stretch were opened or taken: what the planes say of it now.
    pub(crate) fn update(&mut self, plan: &Plan, held: &[u64], sold: &[u64], at: Located) {
        let lengths = Lengths::of_stretch(plan, held, sold, &plan.ranking(false).stretches()[at.rank as usize]);
        self.by_plan.set(at.rank, lengths);
        if let Some(rank) = self.by_zone.has_masks().then(|| plan.ranking(true).rank_of(at.number)).flatten() {
            self.by_zone.set(rank, lengths);
        }
    }

    /// By the ranks of [`Plan::ranking`].
    pub(crate) fn tree(&self, zonal: bool) -> &Tree {
        if zonal { &self.by_zone } else { &self.by_plan }
    }

    /// Bytes allocated.
    #[must_use]
    pub fn allocated_bytes(&self) -> usize {
        (self.by_plan.words.len() + self.by_zone.words.len()) * 8
    }
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
            starts[levels + 1] = starts[levels] + nodes * (FAN_OUT / LANES);
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
        Lengths((self.words[(rank / LANES) as usize] >> (rank % LANES * LENGTHS)) as u16)
    }

    fn set(&mut self, rank: u32, lengths: Lengths) {
        let (mut at, mut mask) = (rank, lengths.0);
        for &start in &self.starts[..usize::from(self.levels)] {
            let word = &mut self.words[(start + at / LANES) as usize];
            let shift = at % LANES * LENGTHS;
            let changed = (*word >> shift) as u16 ^ mask;
            if changed == 0 {
                return;
            }
            *word ^= u64::from(changed) << shift;
            at /= FAN_OUT;
            let node = &self.words[(start + at * (FAN_OUT / LANES)) as usize..][..(FAN_OUT / LANES) as usize];
            let union = node.iter().fold(0, |union, word| union | word);
            let union = union | union >> 32;
            mask = (union | union >> 16) as u16;
        }
    }

    /// The first rank from `from` on whose stretch has a run of one of these lengths.
    pub(crate) fn next(&self, from: u32, lengths: Lengths) -> Option<u32> {
        let wanted = u64::from(lengths.0) * 0x0001_0001_0001_0001;
        let (mut level, mut at) = (0, from);
        while level < usize::from(self.levels) {
            let words = &self.words[self.starts[level] as usize..self.starts[level + 1] as usize];
            let node = (at / FAN_OUT * (FAN_OUT / LANES)) as usize;
            // Behind the last node of a level there is nothing.
            let node = words.get(node..node + (FAN_OUT / LANES) as usize)?;
            let mut before = u64::MAX << (at % LANES * LENGTHS);
            let hit = (at % FAN_OUT / LANES..FAN_OUT / LANES).find_map(|word| {
                let hits = node[word as usize] & wanted & before;
                before = u64::MAX;
                (hits != 0).then(|| at / FAN_OUT * FAN_OUT + word * LANES + hits.trailing_zeros() / LENGTHS)
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
    use super::*;

    fn plainly(open: u64) -> u16 {
        let text: alloc::string::String = (0..64).map(|bit| if open >> bit & 1 == 1 { '.' } else { 'x' }).collect();
        let runs = text.split('x').filter(|run| !run.is_empty());
        runs.fold(0, |lengths, run| lengths | 1 << (run.len().min(16) - 1))
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
    fn a_clean_window_leaves_none_or_two_at_least() {
        for length in 1..40 {
            for size in 1..40 {
                let run = Lengths::exactly(length);
                let fits = crate::orphan::run_has_clean_window(length, size);
                let found = run.meet(Lengths::with_clean_window(size));
                // Long runs and sizes are not told apart: too much, never too little.
                assert!(found || !fits, "{size} in {length}");
                assert!(found == fits || size > 13, "{size} in {length}");
                assert!(run.meet(Lengths::with_window(size)) || length < size, "{size} in {length}");
            }
        }
    }

    #[test]
    fn the_next_stretch_with_room_is_found_in_trees_of_any_size() {
        for count in [0, 1, 15, 16, 17, 255, 256, 257, 4_097, 70_000] {
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
